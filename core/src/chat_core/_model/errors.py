"""Every error of chat-core, in one tree.

::

    ChatError
    ├── OptionError (ValueError)                an option is wrong; nothing was sent
    │   ├── FileNotAllowedError                 a file is beyond what the server takes
    │   ├── MissingOptionError                  a mandatory option is missing
    │   └── OptionTypeError (TypeError)         an option has the wrong type
    ├── PluginError                             a plugin cannot be used
    │   ├── PluginLoadError (ImportError)       it failed while loading
    │   ├── PluginBlockedError                  it was switched off
    │   ├── PluginConflictError                 two plugins claim one name
    │   ├── PluginIncompatibleError             it needs a newer chat-core
    │   ├── InvalidPluginError (TypeError)      it breaks the contract
    │   ├── UnknownPluginError (LookupError)    no plugin has that name
    │   └── AmbiguousPluginError (LookupError)  several would do, none was named
    ├── StorageError (OSError)                  the saved state cannot be read or written
    │   ├── StorageUnavailableError             the place of the state is not there
    │   ├── StorageLockedError                  it is there, and locked
    │   ├── StorageCapacityError                the state is too large for it
    │   ├── StorageTimeoutError (TimeoutError)  it did not answer in time
    │   ├── StateCorruptError (ValueError)      the state is damaged
    │   └── StateVersionError (ValueError)      a newer chat-core wrote the state
    ├── NoSessionToRestore (LookupError)        nothing saved, expired, or unknown to the server
    ├── SessionInUseError                       a live owner holds the session
    ├── SessionEndedError                       the session is over
    │   └── LeaseLostError                      it goes on, and this process no longer owns it
    ├── UnsupportedCommandError (NotImplementedError)
    ├── TransportError                          the link or the server failed
    │   ├── ConnectError (ConnectionError)      the server cannot be reached
    │   ├── ConnectTimeoutError (TimeoutError)  it did not answer in time
    │   ├── ProtocolError (ValueError)          what arrived is not the protocol
    │   ├── LoginRefusedError (PermissionError) the server refused the credentials or the handshake
    │   ├── NotSentError (ConnectionError)      a command never left
    │   ├── RefusedError                        the server refused a command
    │   └── AmbiguousError (ConnectionError)    a command may have arrived
    └── SendError                               a message's outcome; carries its receipt
        ├── SendRejectedError                   the server refused it
        ├── SendExpiredError (TimeoutError)     it waited too long and never left
        └── SendUnknownError (ConnectionError)  nobody can tell whether it arrived

Codes follow the error table of Genesys' Chat Service API where the cause is local (origin ``local``); codes from
elsewhere keep their number and say whose they are, because the number ranges collide.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from chat_core._session.receipts import Receipt

__all__ = [
    "AmbiguousError",
    "AmbiguousPluginError",
    "ChatError",
    "ConnectError",
    "ConnectTimeoutError",
    "ErrorCode",
    "FileNotAllowedError",
    "InvalidPluginError",
    "LeaseLostError",
    "LoginRefusedError",
    "MissingOptionError",
    "NoSessionToRestore",
    "NotSentError",
    "OptionError",
    "OptionTypeError",
    "Origin",
    "PluginBlockedError",
    "PluginConflictError",
    "PluginError",
    "PluginIncompatibleError",
    "PluginLoadError",
    "ProtocolError",
    "RefusedError",
    "SendError",
    "SendExpiredError",
    "SendRejectedError",
    "SendUnknownError",
    "SessionEndedError",
    "SessionInUseError",
    "StateCorruptError",
    "StateVersionError",
    "StorageCapacityError",
    "StorageError",
    "StorageLockedError",
    "StorageTimeoutError",
    "StorageUnavailableError",
    "TransportError",
    "UnknownPluginError",
    "UnsupportedCommandError",
]


class Origin(enum.StrEnum):
    """Whose number an error code is. Third parties name their own back end with a text that begins with ``x-``."""

    LOCAL = "local"
    GWE = "gwe"
    GMS = "gms"
    HTTP = "http"
    BAYEUX = "bayeux"


class ErrorCode(enum.IntEnum):
    """The codes of Genesys' Chat Service API ("Error Codes"); ranges: 1-49 syntax, 50-99 run time, 100-149 server,
    150-199 transport, 200-249 the client itself. 0 means that nobody gave a code.
    """  # noqa: D205

    NONE = 0
    UNKNOWN_COMMAND = 1
    PARAMETER_MISSING = 2
    PARAMETER_INCORRECT = 3
    SESSION_UNKNOWN = 50
    COMMAND_STOPPED = 51
    COMMAND_FAILED = 52
    SERVER_UNAVAILABLE = 100
    LOGIN_FAILED = 101
    CONNECTION_INTERRUPTED = 150
    IN_USE_HERE = 200
    IN_USE_ELSEWHERE = 201


class ChatError(Exception):
    """The root of all errors of chat-core.

    Attributes:
        description: what happened, in one sentence that names the value and the reason.
        code: the number of the error, 0 when nobody gave one.
        origin: whose number the code is: an ``Origin``, or a text such as ``x-mine`` for a back end of one's own.
        retryable: True when doing the same again later may succeed.
        advice: what to do about it, or None.
    """

    default_code: ClassVar[int] = ErrorCode.NONE
    default_retryable: ClassVar[bool] = False

    def __init__(
        self,
        description: str,
        *,
        code: int | None = None,
        origin: Origin | str = Origin.LOCAL,
        retryable: bool | None = None,
        advice: str | None = None,
    ) -> None:
        super().__init__(description)
        self.description = description
        self.code: int = int(self.default_code if code is None else code)
        self.origin: Origin | str = origin
        self.retryable: bool = self.default_retryable if retryable is None else retryable
        self.advice = advice

    def __str__(self) -> str:
        text = self.description
        if self.origin is not Origin.LOCAL:
            text = f"{text} [{self.origin} {self.code}]"
        return f"{text} ({self.advice})" if self.advice else text

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__.copy())


def _rebuild(kind: type[ChatError], args: tuple[Any, ...], attributes: dict[str, Any]) -> ChatError:
    """Make an error anew from its pickled parts; keyword-only constructors have no default for pickle."""
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error


class OptionError(ChatError, ValueError):
    """An option has a value that cannot be used. Nothing was sent."""

    default_code: ClassVar[int] = ErrorCode.PARAMETER_INCORRECT


class MissingOptionError(OptionError):
    """A mandatory option is missing. Nothing was sent."""

    default_code: ClassVar[int] = ErrorCode.PARAMETER_MISSING


class OptionTypeError(OptionError, TypeError):
    """An option has the wrong type. Nothing was sent."""


class FileNotAllowedError(OptionError):
    """A file is beyond what the server takes: its type, its size, or the number of files. Nothing was sent."""


class PluginError(ChatError):
    """A plugin cannot be used; the text names distribution, version, entry point, cause and remedy."""


class PluginLoadError(PluginError, ImportError):
    """A plugin failed while it was imported or asked for its providers."""


class PluginBlockedError(PluginError):
    """The plugin was switched off by an allow or deny list."""


class PluginConflictError(PluginError):
    """Two plugins claim one name; neither can be selected."""


class PluginIncompatibleError(PluginError):
    """The plugin was built for a newer plugin interface than this chat-core has."""


class InvalidPluginError(PluginError, TypeError):
    """A plugin or an instance given in its place breaks its contract."""


class UnknownPluginError(PluginError, LookupError):
    """No plugin provides that name."""


class AmbiguousPluginError(PluginError, LookupError):
    """Several plugins would do and none was named."""


class StorageError(ChatError, OSError):
    """The saved state cannot be read or written."""

    def __str__(self) -> str:
        return ChatError.__str__(self)  # OSError's would print an errno


class StorageUnavailableError(StorageError):
    """The place where the state is kept is not there or refuses this user; what it held before is unharmed.

    A write of which nobody knows whether it was done is a ``StorageTimeoutError``.
    """


class StorageLockedError(StorageError):
    """The place where the state is kept exists and is locked; that is not the same as holding nothing."""

    default_retryable: ClassVar[bool] = True


class StorageCapacityError(StorageError):
    """The state is larger than the storage can hold; what it held before is unharmed."""


class StorageTimeoutError(StorageError, TimeoutError):
    """The storage did not answer within its deadline, or at all; a write may have been done."""

    default_retryable: ClassVar[bool] = True


class StateCorruptError(StorageError, ValueError):
    """The saved state is damaged. It is never taken for "no state"."""


class StateVersionError(StorageError, ValueError):
    """The saved state was written by a newer chat-core."""


class NoSessionToRestore(ChatError, LookupError):  # noqa: N818 - the API page's outcome, not a fault
    """There is nothing to restore: never saved, expired, or no longer known to the server."""


class SessionInUseError(ChatError):
    """A live owner holds the session: this process (code 200) or another one (code 201)."""

    default_code: ClassVar[int] = ErrorCode.IN_USE_HERE


class SessionEndedError(ChatError):
    """The session is over; no command can be sent any more."""


class LeaseLostError(SessionEndedError):
    """This process no longer owns the session: its lease ran out (code 0), or another owner has it (code 201)."""

    default_code: ClassVar[int] = ErrorCode.IN_USE_ELSEWHERE


class UnsupportedCommandError(ChatError, NotImplementedError):
    """The transport does not offer this command. Nothing was sent."""

    default_code: ClassVar[int] = ErrorCode.UNKNOWN_COMMAND


class TransportError(ChatError):
    """The link to the server or the server itself failed."""


class ConnectError(TransportError, ConnectionError):
    """The server cannot be reached, or the connection broke while the chat was being opened."""

    default_code: ClassVar[int] = ErrorCode.SERVER_UNAVAILABLE
    default_retryable: ClassVar[bool] = True

    def __str__(self) -> str:
        return ChatError.__str__(self)  # OSError's would print an errno


class ConnectTimeoutError(ConnectError, TimeoutError):
    """The server did not answer in time while the chat was being opened."""


class ProtocolError(TransportError, ValueError):
    """What arrived is not the protocol: not a Bayeux server, HTML, damaged or oversized data."""


class LoginRefusedError(TransportError, PermissionError):
    """The server refused the credentials or the handshake."""

    default_code: ClassVar[int] = ErrorCode.LOGIN_FAILED

    def __str__(self) -> str:
        return ChatError.__str__(self)  # OSError's would print an errno


class NotSentError(TransportError, ConnectionError):
    """A command never left this machine (no link, connect, DNS or TLS failure, 429). Sending it again is safe.

    Attributes:
        retry_after: seconds the server asked to wait, or None.
    """

    default_code: ClassVar[int] = ErrorCode.CONNECTION_INTERRUPTED
    default_retryable: ClassVar[bool] = True

    def __str__(self) -> str:
        return ChatError.__str__(self)  # OSError's would print an errno

    def __init__(self, description: str, *, retry_after: float | None = None, **details: Any) -> None:
        super().__init__(description, **details)
        self.retry_after = retry_after


class RefusedError(TransportError):
    """The server answered a command with a refusal; its code and description are carried.

    Attributes:
        session_unknown: the server does not know the chat (statusCode 2, code 50 or 249).
    """

    default_code: ClassVar[int] = ErrorCode.COMMAND_FAILED

    def __init__(self, description: str, *, session_unknown: bool = False, **details: Any) -> None:
        super().__init__(description, **details)
        self.session_unknown = session_unknown


class AmbiguousError(TransportError, ConnectionError):
    """A command may or may not have arrived: time-out, lost answer, 5xx, an answer that is not the protocol."""

    default_code: ClassVar[int] = ErrorCode.CONNECTION_INTERRUPTED

    def __str__(self) -> str:
        return ChatError.__str__(self)  # OSError's would print an errno


class SendError(ChatError):
    """The outcome of a message that did not arrive for certain.

    Attributes:
        receipt: the message's receipt, in its final state.
    """

    def __init__(self, description: str, *, receipt: Receipt, **details: Any) -> None:
        super().__init__(description, **details)
        self.receipt = receipt


class SendRejectedError(SendError):
    """The server refused the message; its code and description are carried."""


class SendExpiredError(SendError, TimeoutError):
    """The message waited in the outbox longer than allowed and never left."""

    def __str__(self) -> str:
        return ChatError.__str__(self)  # OSError's would print an errno


class SendUnknownError(SendError, ConnectionError):
    """Nobody can tell whether the message arrived; it was not sent again."""

    default_code: ClassVar[int] = ErrorCode.CONNECTION_INTERRUPTED

    def __str__(self) -> str:
        return ChatError.__str__(self)  # OSError's would print an errno
