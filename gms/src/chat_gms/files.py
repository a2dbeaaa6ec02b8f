"""Files of a GMS chat: limits in an answer, and the body of an upload. A pure codec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from chat_gms.envelope import Envelope, EventType
from chat_gms.userdata import encode_user_data

__all__ = ["FILE_ID", "LIMITS", "MultipartFrame", "file_id", "limits_data", "multipart"]

#: The text of the notice that carries limits.
LIMITS: Final = "file-client-cfg-get"
#: The key of a file's id.
FILE_ID: Final = "file-id"


@frozen(kw_only=True)
class MultipartFrame:
    """What stands before and after a file's content in a ``multipart/form-data`` body.

    Attributes:
        head: everything before the content.
        tail: everything after it.
        content_type: of the whole body.
    """

    head: bytes
    tail: bytes
    content_type: str


def multipart(fields: Mapping[str, Any], *, name: str, content_type: str, boundary: str) -> MultipartFrame:
    """Frame a file named ``file`` with fields before it. Fields whose value is None are left out; a mapping becomes
    bracket keys. Names are escaped as browsers do (WHATWG HTML, "multipart/form-data").

    Args:
        fields: beside the file.
        name: of the file.
        content_type: of the file.
        boundary: ASCII letters and digits that do not occur in the content.
    """  # noqa: D205
    pairs: list[tuple[str, str]] = []
    for key, value in fields.items():
        if isinstance(value, Mapping):
            pairs += [(f"{key}[{inner}]", text) for inner, text in encode_user_data(value).items()]
        elif value is not None:
            pairs.append((key, str(value)))
    begin = f"--{boundary}\r\nContent-Disposition: form-data; name="
    lines = [f'{begin}"{_escaped(key)}"\r\n\r\n{text}\r\n' for key, text in pairs]
    safe_type = content_type if content_type.isascii() and content_type.isprintable() else "application/octet-stream"
    lines.append(f'{begin}"file"; filename="{_escaped(name)}"\r\nContent-Type: {safe_type}\r\n\r\n')
    return MultipartFrame(
        head="".join(lines).encode("utf-8", "replace"),
        tail=f"\r\n--{boundary}--\r\n".encode("ascii"),
        content_type=f"multipart/form-data; boundary={boundary}",
    )


def limits_data(envelope: Envelope) -> Mapping[str, Any] | None:
    """Return the data of the notice that carries limits, None when there is none in the answer."""
    for event in envelope.messages:
        if event.type == EventType.NOTICE and event.text == LIMITS:
            return event.user_data
    data = envelope.user_data
    return data if data is not None and "upload-max-files" in data else None


def file_id(envelope: Envelope) -> str | None:
    """Return the id that an upload's answer gives."""
    value = (envelope.user_data or {}).get(FILE_ID)
    return value if isinstance(value, str) and value else None


def _escaped(name: str) -> str:
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
