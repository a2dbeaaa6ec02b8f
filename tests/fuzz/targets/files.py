"""Files: limits in an answer, ids, and the frame around an upload."""

from __future__ import annotations

from chat_core import AmbiguousError, ProtocolError, RefusedError
from chat_gms import ntf, rest
from chat_gms.envelope import MalformedEnvelopeError
from chat_gms.files import file_id, limits_data, multipart
from chat_gms.http import Answer
from chat_gms.operations import Credentials
from chat_gms.reading import read_envelope
from chat_gms.transfer import _held_back, _limits, _may_be_the_file

JSON = True
_BOUNDARY = "0123456789abcdef"
_KEYS = Credentials(secure_key="k", chat_id="c")


def check(data: bytes) -> None:
    answer = Answer(200, {"content-type": "application/json"}, data)
    _held_back(answer)
    _may_be_the_file(answer)
    try:
        envelope = read_envelope(data)
    except MalformedEnvelopeError:
        return
    limits_data(envelope)
    identity = file_id(envelope)
    if identity is not None:
        path = rest.download_file(_KEYS, identity).path
        assert path.isascii()
        assert path.count("/") == 3, "an id leads nowhere else"
    try:
        limits = _limits(envelope).file_limits
        assert limits is not None
        assert all(limit is None or limit >= 0 for limit in (limits.max_files, limits.max_file_size))
    except (ProtocolError, AmbiguousError, RefusedError):
        pass
    for event in envelope.messages:
        name, kind = event.text or "x", event.message_type or "text/plain"
        if _BOUNDARY in f"{name}{kind}{event.party}":
            continue
        fields = ntf.upload_file(_KEYS, event.party.nickname if event.party else None).fields
        frame = multipart(fields, name=name, content_type=kind, boundary=_BOUNDARY)
        assert frame.head.count(b"\r\n--" + _BOUNDARY.encode()) == sum(
            len(value) if isinstance(value, dict) else value is not None for value in fields.values()
        )
        assert frame.head.rpartition(b"--" + _BOUNDARY.encode())[2].count(b"\r\n") == 4, "a name adds no line"
