"""What is saved of a session: small, versioned, JSON values, opaque to the storage."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, Final

from attrs import asdict, field, frozen

from chat_core._model.errors import StateCorruptError, StateVersionError

__all__ = ["NO_PLACE", "SavedMessage", "SavedState", "Stage"]

#: Raised when an older chat-core could no longer make sense of what is written.
VERSION: Final = 1

#: Positions and times are far below; Python refuses to write very large numbers out.
_LARGEST: Final = 10**18
_TYPES: Final = ("text", "url")
_RESENDS: Final = ("if absent", "never")


#: In place of an index: no transcript that can be read tells what became of the message.
NO_PLACE: Final = -1


class Stage(enum.StrEnum):
    """How far a message in the saved outbox had come."""

    QUEUED = "queued"  #: it never left
    SENT = "sent"  #: it was about to leave, or had
    ACCEPTED = "accepted"  #: the server took it; the transcript has not shown it yet


@frozen(kw_only=True)
class SavedMessage:
    """A message that its owner was not told the fate of (RP-5).

    Attributes:
        text: what is said.
        type: ``text`` or ``url``.
        resend: whether it may be sent again when the transcript does not show it.
        stage: how far it had come.
        before: the highest index settled before it was first sent; -1 where no transcript can show it any more.
        queued_at: when it was given to the outbox, seconds since 1970.
    """

    text: str = field(repr=False)
    type: str
    resend: str
    stage: Stage
    before: int
    queued_at: float


@frozen(kw_only=True)
class SavedState:
    """One session's state.

    Attributes:
        transport: the provider's name, or ``module:qualname`` of an instance.
        server_url: where the chat is held, None when an instance knows it alone.
        session_id: the server's name of the chat.
        link: what the transport needs to take the chat up again; holds secrets.
        delivered: the highest index that every reader has finished.
        websockets_disabled: whether the owner had WebSocket switched off.
        outbox: messages on their way, in order; kept only in storages that declare ``outbox``.
    """

    transport: str
    server_url: str | None = None
    session_id: str = ""
    link: Mapping[str, Any] = field(factory=dict, repr=False)
    delivered: int = 0
    websockets_disabled: bool = False
    outbox: tuple[SavedMessage, ...] = field(default=(), repr=False)

    def to_mapping(self) -> dict[str, Any]:
        """Return the JSON values that a storage keeps."""
        return {
            "version": VERSION,
            "transport": self.transport,
            "server_url": self.server_url,
            "session_id": self.session_id,
            "link": dict(self.link),
            "delivered": self.delivered,
            "websockets_disabled": self.websockets_disabled,
            "outbox": [{**asdict(message), "stage": str(message.stage)} for message in self.outbox],
        }

    @classmethod
    def from_mapping(cls, saved: object) -> SavedState:
        """Read what ``to_mapping`` wrote.

        Raises:
            StateVersionError: a newer chat-core wrote it.
            StateCorruptError: it is not what any chat-core writes. It is never taken for "nothing saved".
        """
        if not isinstance(saved, Mapping):
            raise _damaged(f"it is of type {type(saved).__name__}, not a mapping")
        version = saved.get("version")
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            shown = version if version is None or isinstance(version, bool) or version == 0 else "no number above 0"
            raise _damaged(f"its version is {shown}")
        if version > VERSION:
            shown = version if version < _LARGEST else "beyond all bounds"
            raise StateVersionError(
                f"the saved state has version {shown} and this chat-core reads up to {VERSION}",
                advice="restore it with the chat-core that wrote it, or update this one",
            )
        state = cls(
            transport=_typed(saved, "transport", str),
            server_url=None if saved.get("server_url") is None else _typed(saved, "server_url", str),
            session_id=_typed(saved, "session_id", str),
            link=_typed(saved, "link", Mapping),
            delivered=_typed(saved, "delivered", int),
            websockets_disabled=_typed(saved, "websockets_disabled", bool),
            outbox=tuple(_message(one) for one in (_typed(saved, "outbox", list | tuple) if "outbox" in saved else ())),
        )
        if state.delivered < 0:
            raise _damaged(f"its 'delivered' is {state.delivered}")
        return state


def _message(saved: object) -> SavedMessage:
    if not isinstance(saved, Mapping):
        raise _damaged(f"a message of its outbox is of type {type(saved).__name__}")
    try:
        stage = Stage(str(saved.get("stage")))
    except ValueError:
        raise _damaged("a message of its outbox is at no known stage") from None
    if saved.get("type") not in _TYPES or saved.get("resend") not in _RESENDS:
        raise _damaged("a message of its outbox is of no known kind")
    return SavedMessage(
        text=_typed(saved, "text", str, "a message of its outbox: "),
        type=saved["type"],
        resend=saved["resend"],
        stage=stage,
        before=_typed(saved, "before", int, "a message of its outbox: "),
        queued_at=float(_typed(saved, "queued_at", int | float, "a message of its outbox: ")),
    )


def _typed(saved: Mapping[str, Any], key: str, kind: Any, where: str = "") -> Any:
    value = saved.get(key)
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise _damaged(f"{where}its {key!r} is of type {type(value).__name__}")
    if isinstance(value, int | float) and not abs(value) < _LARGEST:
        raise _damaged(f"{where}its {key!r} is no number that is ever written")
    return value


def _damaged(reason: str) -> StateCorruptError:
    return StateCorruptError(
        f"the saved state is damaged: {reason}",
        advice="a new start_session replaces it; the old chat cannot be taken up without it",
    )
