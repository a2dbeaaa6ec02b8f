"""What a transport is: it keeps the link to one back end and speaks its wire.

The transport reports; the session judges. A transport keeps the link (advice, polling, reconnecting) and says when it
is down and up; the session alone decides about order, gaps, duplicates and resending. After each ``LinkUp`` the
session calls ``fetch`` from the first event it lacks, so a transport needs no catching up of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from attrs import field, frozen

if TYPE_CHECKING:
    from chat_core._contracts.logger import Log
    from chat_core._model.events import EndReason, ErrorInfo, Event
    from chat_core._model.files import FileLimits

__all__ = [
    "Batch",
    "Command",
    "CustomNoticeCommand",
    "DeleteFileCommand",
    "DeleteUserDataCommand",
    "DownloadFileCommand",
    "Ended",
    "FileLimitsCommand",
    "GetUserDataCommand",
    "Incoming",
    "LeaveCommand",
    "LinkDown",
    "LinkUp",
    "NicknameCommand",
    "Opened",
    "Reply",
    "SendFileCommand",
    "SendMessageCommand",
    "StartRequest",
    "Transport",
    "TransportContext",
    "TypingCommand",
    "UserDataCommand",
]

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@frozen(kw_only=True)
class TransportContext:
    """What a transport's factory is given.

    Attributes:
        server_url: the checked address, None when the provider is used without one.
        options: an instance of the provider's ``options`` class.
        disable_websockets: the caller forbids WebSocket.
        log: where to log; secrets are redacted by it, by structure.
        check_send: to be called right before anything is written to the network. It raises ``NotSentError`` when this
            process no longer owns the session: then nothing may leave (RP-14). None where the owner cannot change.
    """

    server_url: str | None
    options: Any
    disable_websockets: bool = False
    log: Log
    check_send: Callable[[], None] | None = None


@frozen(kw_only=True)
class StartRequest:
    """What a start carries: the resolved name, subject (None: not sent) and merged user data."""

    username: str
    subject: str | None = None
    user_data: Mapping[str, Any] = field(default=_NOTHING, repr=False)


@frozen(kw_only=True)
class Batch:
    """Events in the order in which they came.

    Attributes:
        events: core events with ``own`` set; ``index`` where the server gave one.
        next_position: the index that the server will give next, None when it did not say.
        user_data: session data that came along, None when there was none.
    """

    events: tuple[Event, ...] = ()
    next_position: int | None = None
    user_data: Mapping[str, Any] | None = field(default=None, repr=False)


@frozen(kw_only=True)
class LinkDown:
    """The link broke; the transport is trying to bring it back."""

    reason: str = ""


@frozen(kw_only=True)
class LinkUp:
    """The link is back, after an application round trip.

    The session fetches what it lacks, where the transport has positions; later events may wait for that.
    """


@frozen(kw_only=True)
class Ended:
    """The server said that the chat is over; nothing comes after this. ``batch`` holds its last events."""

    reason: EndReason
    error: ErrorInfo | None = None
    batch: Batch = Batch()


Incoming: TypeAlias = Batch | LinkDown | LinkUp | Ended


@frozen(kw_only=True)
class Opened:
    """A chat that was started or resumed.

    Attributes:
        session_id: the server's name of the chat.
        batch: what came with it; at ``resume`` the transcript from the position asked for.
        ended: set when the server knows the chat and it is already over.
    """

    session_id: str
    batch: Batch = Batch()
    ended: Ended | None = None


@frozen(kw_only=True)
class SendMessageCommand:
    """Send a message. ``type`` is ``text`` or ``url``."""

    text: str = field(repr=False)
    type: str = "text"


@frozen(kw_only=True)
class TypingCommand:
    """Say that the visitor started or stopped typing; ``text`` is the preview."""

    is_typing: bool = True
    text: str | None = field(default=None, repr=False)


@frozen(kw_only=True)
class LeaveCommand:
    """Leave the chat."""


@frozen(kw_only=True)
class UserDataCommand:
    """Merge entries into the session's data."""

    user_data: Mapping[str, Any] = field(repr=False)


@frozen(kw_only=True)
class GetUserDataCommand:
    """Ask the server for one entry of the session's data."""

    key: str


@frozen(kw_only=True)
class DeleteUserDataCommand:
    """Take one entry out of the session's data."""

    key: str


@frozen(kw_only=True)
class NicknameCommand:
    """Change the visitor's name."""

    nickname: str = field(repr=False)


@frozen(kw_only=True)
class CustomNoticeCommand:
    """Send a notice whose meaning the two sides agreed upon."""

    text: str = field(repr=False)


@frozen(kw_only=True)
class FileLimitsCommand:
    """Ask what files may be sent."""


@frozen(kw_only=True)
class SendFileCommand:
    """Put a file into the conversation.

    Attributes:
        name: as the other side sees it.
        size: in bytes; ``content`` yields exactly so many, once.
        content: what it raises is the command's error.
        content_type: MIME type.
        description: words for the other side.
    """

    name: str = field(repr=False)
    size: int
    content: AsyncIterator[bytes] = field(repr=False)
    content_type: str = "application/octet-stream"
    description: str | None = field(default=None, repr=False)


@frozen(kw_only=True)
class DownloadFileCommand:
    """Fetch a file of the conversation.

    Attributes:
        file_id: as its ``FileUploaded`` names it.
        write: takes the pieces as they come, with the size of the whole file, None where it is not known. What it
            raises is the command's error.
    """

    file_id: str = field(repr=False)
    write: Callable[[bytes, int | None], Awaitable[None]] = field(repr=False)


@frozen(kw_only=True)
class DeleteFileCommand:
    """Take a file out of the conversation."""

    file_id: str = field(repr=False)


Command: TypeAlias = (
    SendMessageCommand
    | TypingCommand
    | LeaveCommand
    | UserDataCommand
    | GetUserDataCommand
    | DeleteUserDataCommand
    | NicknameCommand
    | CustomNoticeCommand
    | FileLimitsCommand
    | SendFileCommand
    | DownloadFileCommand
    | DeleteFileCommand
)


@frozen(kw_only=True)
class Reply:
    """The server took a command.

    Attributes:
        batch: events that came with the answer, in place of a later poll.
        data: the entry asked for by ``GetUserDataCommand``.
        file_limits: the answer to ``FileLimitsCommand``.
        file_id: what ``SendFileCommand`` made, None where the server did not say.
    """

    batch: Batch | None = None
    data: Mapping[str, Any] = field(default=_NOTHING, repr=False)
    file_limits: FileLimits | None = None
    file_id: str | None = field(default=None, repr=False)


@runtime_checkable
class Transport(Protocol):
    """The link of one session to one back end.

    Made by a provider's factory without any I/O; one instance serves one session. Every method may be cancelled at any
    await and then leaves nothing behind but what ``aclose`` ends.
    """

    async def start(self, request: StartRequest) -> Opened:
        """Open a new chat.

        Raises:
            RefusedError: the server said no; its code and description are carried.
            LoginRefusedError: the handshake or the credentials were refused.
            ConnectError: the server cannot be reached (nothing was started).
            ProtocolError: what answers is not this back end.
            AmbiguousError: the chat may have been opened and nobody can tell; it is never started twice.
        """
        ...

    async def resume(self, saved: Mapping[str, Any]) -> Opened:
        """Take up a chat from what ``saved`` returned earlier; the batch holds the transcript from its beginning.

        Without the capability ``position`` an empty batch is a loss that the session tells its readers of.

        Raises:
            RefusedError: with ``session_unknown`` when the server does not know the chat.
            ConnectError: no answer; the chat may still be there.
        """
        ...

    async def fetch(self, position: int) -> Batch:
        """Ask for the transcript from ``position`` (an index, from 1) on.

        The answer is authoritative from there up to its ``next_position`` - 1: an index it leaves out does not exist.

        Raises:
            NotSentError: no link; the session asks again after the next ``LinkUp``.
            AmbiguousError: no usable answer; the session asks again within its own limit.
            RefusedError: the server will not give it.
        """
        ...

    async def send(self, command: Command) -> Reply:
        """Bring a command to the server and return when the server took it.

        Raises:
            UnsupportedCommandError: it is not declared; raised before anything is sent, also without a link.
            NotSentError: it never left, for want of a link or because the transport is closed.
            RefusedError: the server said no.
            AmbiguousError: everything else.
        """
        ...

    def incoming(self) -> AsyncIterator[Incoming]:
        """Yield what arrives, until ``Ended`` or ``aclose``. Called once, after ``start`` or ``resume``."""
        ...

    def saved(self) -> Mapping[str, Any]:
        """Return what ``resume`` needs in another process: JSON values, no headers, no credentials of the caller."""
        ...

    async def aclose(self) -> None:
        """Drop the link without leaving the chat. Idempotent, bounded, never raises."""
        ...
