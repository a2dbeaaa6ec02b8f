"""What is saved of a session: small, versioned, JSON values, opaque to the storage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen

from chat_core._model.errors import StateCorruptError, StateVersionError

__all__ = ["SavedState"]

#: Raised when an older chat-core could no longer make sense of what is written.
VERSION: Final = 1


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
    """

    transport: str
    server_url: str | None = None
    session_id: str = ""
    link: Mapping[str, Any] = field(factory=dict, repr=False)
    delivered: int = 0
    websockets_disabled: bool = False

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
            raise _damaged(f"its version is {version!r}")
        if version > VERSION:
            raise StateVersionError(
                f"the saved state has version {version} and this chat-core reads up to {VERSION}",
                advice="restore it with the chat-core that wrote it, or update this one",
            )
        state = cls(
            transport=_typed(saved, "transport", str),
            server_url=None if saved.get("server_url") is None else _typed(saved, "server_url", str),
            session_id=_typed(saved, "session_id", str),
            link=_typed(saved, "link", Mapping),
            delivered=_typed(saved, "delivered", int),
            websockets_disabled=_typed(saved, "websockets_disabled", bool),
        )
        if state.delivered < 0:
            raise _damaged(f"its 'delivered' is {state.delivered}")
        return state


def _typed(saved: Mapping[str, Any], key: str, kind: type[Any]) -> Any:
    value = saved.get(key)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise _damaged(f"its {key!r} is of type {type(value).__name__}")
    return value


def _damaged(reason: str) -> StateCorruptError:
    return StateCorruptError(
        f"the saved state is damaged: {reason}",
        advice="a new start_session replaces it; the old chat cannot be taken up without it",
    )
