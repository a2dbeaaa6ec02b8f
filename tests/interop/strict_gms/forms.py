"""Form bodies as section 2.1 asks for them."""

from __future__ import annotations

import re
import urllib.parse
from dataclasses import dataclass, field

from aiohttp import BodyPartReader, web

from interop.strict_gms.fields import CREDENTIALS
from interop.strict_gms.violations import ViolationError

__all__ = ["Form", "Upload", "read_form"]

_URLENCODED = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"
_BRACKETS = re.compile(r"userData\[([^\[\]]+)\]")
#: What may stand unescaped in such a body: unreserved characters of RFC 3986, ``+`` for a space, and separators.
_ESCAPED = re.compile(rb"(?:[A-Za-z0-9*_.~+&=\-!'()]|%[0-9A-Fa-f]{2})*")


@dataclass
class Upload:
    """A file as it came."""

    name: str
    content: bytes
    content_type: str


@dataclass
class Form:
    """A body taken apart: plain fields, credentials, the entries of ``userData`` and files."""

    multipart: bool
    fields: dict[str, str] = field(default_factory=dict)
    credentials: dict[str, str] = field(default_factory=dict)
    user_data: dict[str, str] | None = None
    file: Upload | None = None

    def put(self, name: str, value: str) -> None:
        """Take one field in.

        Raises:
            ViolationError: it was there before, or its brackets are wrong.
        """
        place = self.credentials if name in CREDENTIALS else self.fields
        if "[" in name or "]" in name:
            found = _BRACKETS.fullmatch(name)
            if found is None:
                raise ViolationError("2.1", f"nested data has keys like userData[FirstName], not {name!r}")
            if self.user_data is None:
                self.user_data = {}
            place, name = self.user_data, found[1]
        if name in place:
            raise ViolationError("2.1", f"the field {name!r} is there twice")
        place[name] = value


async def read_form(request: web.Request) -> Form:
    """Read the body of a request.

    Raises:
        ViolationError: it is not a POST with one of the two forms of section 2.1, in UTF-8.
    """
    if request.method != "POST":
        raise ViolationError("2.1", f"every operation is a POST, not {request.method}", status=405)
    if request.query_string:
        raise ViolationError("2.1", f"fields stand in the body, not in the address: {request.query_string!r}")
    if request.content_type == _MULTIPART:
        return await _multipart(request)
    if request.content_type != _URLENCODED:
        raise ViolationError("2.1", f"the body must be a form, not {request.headers.get('Content-Type')}", status=415)
    return _urlencoded(await request.read(), request.charset)


def _urlencoded(body: bytes, charset: str | None) -> Form:
    form = Form(multipart=False)
    if charset is not None and charset.lower() != "utf-8":
        raise ViolationError("2.1", f"the body is UTF-8, not {charset}")
    if not _ESCAPED.fullmatch(body):
        raise ViolationError("2.1", f"the body is not percent-encoded: {body!r}")
    try:
        pairs = urllib.parse.parse_qsl(
            body.decode("ascii"), keep_blank_values=True, strict_parsing=bool(body), errors="strict"
        )
    except ValueError:
        raise ViolationError("2.1", f"the body is not a form in UTF-8: {body!r}") from None
    for name, value in pairs:
        form.put(name, value)
    return form


async def _multipart(request: web.Request) -> Form:
    form = Form(multipart=True)
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or not part.name:
            raise ViolationError("2.1", "a part of a multipart form needs a name and no parts of its own")
        content = await part.read(decode=True)
        if part.name == "file":
            if form.file is not None:
                raise ViolationError("2.2", "there is one file in an upload")
            if not part.filename:
                raise ViolationError("2.2", "the part 'file' needs a file name")
            form.file = Upload(part.filename, bytes(content), part.headers.get("Content-Type", ""))
            form.fields["file"] = part.filename
            continue
        if part.filename is not None:
            raise ViolationError("2.2", f"the part {part.name!r} is not a file")
        try:
            form.put(part.name, content.decode("utf-8"))
        except UnicodeDecodeError:
            raise ViolationError("2.1", f"the part {part.name!r} is not UTF-8") from None
    return form
