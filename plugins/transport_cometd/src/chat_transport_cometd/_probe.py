"""What ``chat-core doctor URL`` tries: TLS, WebSocket, long polling, one Bayeux handshake on each."""

from __future__ import annotations

import time
from collections.abc import Callable

from chat_core import ChatError, OptionError, ProbeStep, TransportContext
from chat_gms.asked import CookieBox
from chat_gms.probe import try_connection
from chat_transport_cometd._bayeux.engine import Failed, Handshaken
from chat_transport_cometd._carriers.base import Carrier, Wire
from chat_transport_cometd._carriers.long_polling import LongPolling
from chat_transport_cometd._carriers.trial import Trial
from chat_transport_cometd._carriers.websocket import WebSocket
from chat_transport_cometd.options import CometdOptions

__all__ = ["probe"]


async def probe(context: TransportContext) -> list[ProbeStep]:
    """Try a server out; opens no chat and leaves no Bayeux session behind."""
    options, url = context.options, context.server_url
    assert isinstance(options, CometdOptions)
    if url is None:
        raise OptionError("doctor needs the server's address to try it out")
    cookies = CookieBox()
    steps = [await try_connection(url, options)]
    if steps[0].ok:

        def websocket(wire: Wire) -> Carrier:
            return WebSocket(url, options, cookies=cookies, wire=wire, max_message_size=options.max_message_size)

        def long_polling(wire: Wire) -> Carrier:
            return LongPolling(url, options, cookies=cookies, wire=wire, max_message_size=options.max_message_size)

        if context.disable_websockets:
            steps.append(ProbeStep(name="WebSocket", ok=None, detail="disabled"))
        else:
            steps += await _try_carrier("WebSocket", websocket, options)
        steps += await _try_carrier("long polling", long_polling, options)
    return steps


async def _try_carrier(name: str, make: Callable[[Wire], Carrier], options: CometdOptions) -> list[ProbeStep]:
    steps: list[ProbeStep] = []
    began = time.perf_counter()
    try:
        async with Trial(make, timeout=options.max_network_delay) as trial:
            if trial.carrier.name == "websocket":
                steps.append(ProbeStep(name=f"{name}: upgrade", ok=True, seconds=_since(began)))
            began = time.perf_counter()
            answer = await trial.handshake()
            if isinstance(answer, Failed):
                steps.append(ProbeStep(name=f"{name}: handshake", ok=False, detail=answer.error.text))
                return steps
            offered = ", ".join(answer.connection_types) if isinstance(answer, Handshaken) else ""
            steps.append(
                ProbeStep(name=f"{name}: handshake", ok=True, detail=f"offers {offered}", seconds=_since(began))
            )
            began = time.perf_counter()
            await trial.latency()
            steps.append(ProbeStep(name=f"{name}: latency", ok=True, detail="one round trip", seconds=_since(began)))
            await trial.farewell()
    except ChatError as error:
        steps.append(ProbeStep(name=name, ok=False, detail=error.description, seconds=_since(began)))
    except TimeoutError:
        steps.append(ProbeStep(name=name, ok=False, detail="no answer in time", seconds=_since(began)))
    return steps


def _since(began: float) -> float:
    return time.perf_counter() - began
