"""What the author of a transport gives: a server, or a stand-in for one, with a hand on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, ClassVar, Self

__all__ = ["TransportHarness"]


class TransportHarness:
    """The other side of a chat. One is made and entered for each check, without arguments.

    Derive from it and give every method a body. Those that only tell something are plain, the others may be async.
    Where a method speaks of the chat, the one that was opened last is meant.

    Attributes:
        options: the transport's options, such as short polling intervals.
        disable_websockets: what the factory is told.
        patience: seconds that the suite waits for what has to happen, such as a link that comes back.
        url: what the factory is given as ``server_url``; set at the latest on entering.
    """

    options: ClassVar[Mapping[str, Any]] = {}
    disable_websockets: ClassVar[bool] = False
    patience: ClassVar[float] = 10.0
    url: str | None = None

    async def __aenter__(self) -> Self:
        """Start the server."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server."""

    def chats(self) -> int:
        """Return how many chats were opened so far."""
        raise NotImplementedError

    def heard(self) -> list[str]:
        """Return the texts of the visitor's messages in the chat, in order."""
        raise NotImplementedError

    def over(self) -> bool:
        """Say whether the chat is over."""
        raise NotImplementedError

    def secrets(self) -> Iterable[str]:
        """Return what the server gave that must not be shown, such as the chat's key; nothing where there is none."""
        return ()

    def say(self, text: str) -> Any:
        """Let an agent say something in the chat, after joining it if need be."""
        raise NotImplementedError

    def end(self) -> Any:
        """Let the other side end the chat."""
        raise NotImplementedError

    def forget(self) -> Any:
        """Let the server forget the chat, as if it had never been."""
        raise NotImplementedError

    def cut(self) -> Any:
        """Cut the network: connections break, and no new one can be made."""
        raise NotImplementedError

    def mend(self) -> Any:
        """Mend the network."""
        raise NotImplementedError

    def refuse_start(self) -> Any:
        """Refuse the next start; returns the code that the error has to carry."""
        raise NotImplementedError

    def refuse_next(self) -> Any:
        """Refuse the next message and take those after it; returns the code that the error has to carry."""
        raise NotImplementedError

    def lose_answer(self) -> Any:
        """Take the next message, and break the connection in place of the answer."""
        raise NotImplementedError
