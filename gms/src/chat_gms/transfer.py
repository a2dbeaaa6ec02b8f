"""File commands of both transports: the same answers, at other addresses. Needs the extra ``chat-gms[http]``."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, Protocol, TypeAlias

from chat_core._contracts.transport import (
    DeleteFileCommand,
    DownloadFileCommand,
    FileLimitsCommand,
    Reply,
    SendFileCommand,
)
from chat_core._model.errors import AmbiguousError, Origin, ProtocolError, RefusedError
from chat_core._model.files import FileLimits
from chat_gms.client import refusal
from chat_gms.envelope import Envelope, MalformedEnvelopeError
from chat_gms.files import file_id, limits_data, multipart
from chat_gms.forms import encode_form
from chat_gms.http import Answer, HttpLink
from chat_gms.operations import Credentials
from chat_gms.reading import NotJsonError, read_envelope, read_json
from chat_gms.rest import Post
from chat_gms.verdict import Verdict, judge

__all__ = ["FileCommand", "FileRoutes", "FileTransfer"]

FileCommand: TypeAlias = FileLimitsCommand | SendFileCommand | DownloadFileCommand | DeleteFileCommand

FORM: Final = "application/x-www-form-urlencoded"
#: Seconds of silence after which a transfer counts as broken.
SILENCE: Final = 30.0
#: Bytes of a JSON answer that are looked at before it counts as the file itself.
LONGEST_REFUSAL: Final = 64 * 1024

_OK: Final = 200
_MAY_PASS: Final = frozenset({408, 429})
_CLIENT_ERRORS: Final = range(400, 500)
_NUMBER: Final = re.compile("[0-9]{1,18}")


class FileRoutes(Protocol):
    """The modules ``chat_gms.rest`` and ``chat_gms.ntf``: where each operation is posted."""

    def file_limits(self, keys: Credentials) -> Post:
        """Ask what files are taken."""
        ...

    def upload_file(self, keys: Credentials, description: str | None) -> Post:
        """Return the fields beside an uploaded file."""
        ...

    def download_file(self, keys: Credentials, file_id: str) -> Post:
        """Fetch a file."""
        ...

    def delete_file(self, keys: Credentials, file_id: str) -> Post:
        """Take a file out of the chat."""
        ...


class FileTransfer:
    """Performs file commands on connections of their own, so that no transfer keeps a message waiting.

    Args:
        url: the service's address, which posts are relative to.
        routes: where each operation is posted.
        link: makes the HTTP client, once one is needed.
        learn: is given each good answer.
    """

    def __init__(
        self, url: str, routes: FileRoutes, *, link: Callable[[], HttpLink], learn: Callable[[Envelope], None]
    ) -> None:
        self._url = url
        self._routes = routes
        self._make_link = link
        self._link: HttpLink | None = None
        self._learn = learn

    async def send(self, command: FileCommand, keys: Credentials) -> Reply:
        """Perform a command.

        Raises:
            NotSentError, RefusedError, AmbiguousError: as in the contract of transports.
        """
        if self._link is None:
            self._link = self._make_link()
        match command:
            case FileLimitsCommand():
                return _limits(await self._ask(self._routes.file_limits(keys)))
            case SendFileCommand():
                return Reply(
                    file_id=file_id(await self._upload(command, self._routes.upload_file(keys, command.description)))
                )
            case DownloadFileCommand():
                await self._download(command, self._routes.download_file(keys, command.file_id))
            case DeleteFileCommand():
                await self._ask(self._routes.delete_file(keys, command.file_id))
        return Reply()

    async def aclose(self) -> None:
        """Break what is under way off and close the connections."""
        if self._link is not None:
            await self._link.aclose()

    async def _ask(self, post: Post) -> Envelope:
        assert self._link is not None
        answer = await self._link.post(
            self._address(post), encode_form(post.fields), content_type=FORM, timeout=SILENCE
        )
        return self._read(answer)

    async def _upload(self, command: SendFileCommand, post: Post) -> Envelope:
        assert self._link is not None
        frame = multipart(
            post.fields, name=command.name, content_type=command.content_type, boundary=secrets.token_hex(24)
        )

        async def body() -> AsyncIterator[bytes]:
            yield frame.head
            async for piece in command.content:
                yield piece
            yield frame.tail

        answer = await self._link.post(
            self._address(post),
            body(),
            content_type=frame.content_type,
            timeout=SILENCE,
            length=len(frame.head) + command.size + len(frame.tail),
        )
        return self._read(answer)

    async def _download(self, command: DownloadFileCommand, post: Post) -> None:
        assert self._link is not None
        answer = await self._link.download(
            self._address(post),
            encode_form(post.fields),
            content_type=FORM,
            timeout=SILENCE,
            hold=_held_back,
            write=command.write,
        )
        if answer.handed_over:
            return
        if not _may_be_the_file(answer):
            self._read(answer)
            raise AmbiguousError("the server answered a download without the file")
        await command.write(answer.body, len(answer.body))

    def _read(self, answer: Answer) -> Envelope:
        try:
            envelope = read_envelope(answer.body)
        except MalformedEnvelopeError as error:
            details: dict[str, Any] = {"code": answer.status, "origin": Origin.HTTP}
            if answer.status in _CLIENT_ERRORS and answer.status not in _MAY_PASS:
                raise RefusedError(f"the server refused it with HTTP {answer.status}", **details) from error
            if answer.status == _OK:
                raise AmbiguousError(
                    "the answer was not JSON: something before the server answered in its place"
                ) from error
            raise AmbiguousError(f"the server answered HTTP {answer.status}", **details) from error
        verdict = judge(envelope)
        if verdict is Verdict.RETRY:
            raise AmbiguousError("the server answered statusCode 1, an error that may pass")
        if verdict is Verdict.FATAL:
            refused = refusal(envelope)
            # What a file operation is told says nothing certain about the chat: the chat's own requests do.
            refused.session_unknown = False
            raise refused
        self._learn(envelope)
        return envelope

    def _address(self, post: Post) -> str:
        return f"{self._url}/{post.path}" if post.path else self._url


def _kind(answer: Answer) -> str:
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower()


def _held_back(head: Answer) -> int | None:
    """Say how much of a download's answer is looked at before it counts as the file; None: it never does."""
    if head.status == _OK and "content-disposition" in head.headers:
        return 0
    if head.status != _OK or _kind(head) == "text/html":
        return None
    return LONGEST_REFUSAL if _kind(head) == "application/json" else 0


def _may_be_the_file(answer: Answer) -> bool:
    """Tell a short JSON file from a refusal in its place."""
    if answer.status != _OK or _kind(answer) == "text/html":
        return False
    try:
        value = read_json(answer.body)
    except NotJsonError:
        return True
    return not (isinstance(value, dict) and {"statusCode", "errors"} & value.keys())


def _limits(envelope: Envelope) -> Reply:
    data = limits_data(envelope)
    if data is None:
        raise ProtocolError("the server answered without limits for files")
    types = data.get("upload-file-types")
    return Reply(
        file_limits=FileLimits(
            max_files=_number(data.get("upload-max-files")),
            max_file_size=_number(data.get("upload-max-file-size")),
            max_total_size=_number(data.get("upload-max-total-size")),
            file_types=frozenset(one.strip().lower().lstrip(".") for one in types.split(":") if one.strip())
            if isinstance(types, str)
            else frozenset(),
            needs_agent=str(data.get("upload-need-agent", "")).lower() == "true",
            used_files=_number(data.get("used-upload-max-files")) or 0,
            used_total_size=_number(data.get("used-upload-max-total-size")) or 0,
            max_downloads=_number(data.get("download-attempts")),
            used_downloads=_number(data.get("used-download-attempts")) or 0,
        )
    )


def _number(value: object) -> int | None:
    """Read a limit: GMS writes all of them as text."""
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return int(text) if _NUMBER.fullmatch(text) else None
