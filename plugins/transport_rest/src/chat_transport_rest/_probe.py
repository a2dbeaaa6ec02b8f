"""What ``chat-core doctor URL --transport rest`` tries: TLS, and one request that opens no chat."""

from __future__ import annotations

import contextlib
import json
import time
from urllib.parse import urlsplit

from chat_core import ChatError, OptionError, ProbeStep, TransportContext
from chat_gms.asked import CookieBox
from chat_gms.envelope import MalformedEnvelopeError, decode_envelope
from chat_gms.forms import encode_form
from chat_gms.http import HttpLink
from chat_gms.operations import Credentials
from chat_gms.probe import try_connection
from chat_gms.rest import refresh
from chat_transport_rest._transport import FORM
from chat_transport_rest.options import RestOptions

__all__ = ["probe"]


async def probe(context: TransportContext) -> list[ProbeStep]:
    """Try a server out with a refresh of a chat that does not exist: a GMS service refuses it in its own words."""
    options, url = context.options, context.server_url
    assert isinstance(options, RestOptions)
    if url is None:
        raise OptionError("doctor needs the server's address to try it out")
    steps = [await try_connection(url, options)]
    if not steps[0].ok:
        return steps
    secure = urlsplit(url).scheme == "https"
    http = HttpLink(options, cookies=CookieBox(), secure=secure, transport=options.http_transport)
    post = refresh(Credentials(secure_key="0000000000000000", chat_id="0000000000000000"), 1)
    began = time.perf_counter()
    try:
        answer = await http.post(
            f"{url.rstrip('/')}/{post.path}",
            encode_form(post.fields),
            content_type=FORM,
            timeout=options.request_timeout,
        )
        detail = f"HTTP {answer.status}, which is no answer of a GMS chat service"
        ok = False
        with contextlib.suppress(ValueError, RecursionError, MalformedEnvelopeError):
            envelope = decode_envelope(json.loads(answer.body))
            ok = envelope.status_code is not None
            detail = "a GMS chat service answers" if ok else detail
    except ChatError as error:
        ok, detail = False, error.description
    finally:
        await http.aclose()
    return [*steps, ProbeStep(name="REST: refresh", ok=ok, detail=detail, seconds=time.perf_counter() - began)]
