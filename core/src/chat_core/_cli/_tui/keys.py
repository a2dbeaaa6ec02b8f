"""The application's keys, and what the demo lets the visitor do to the chat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from attrs import frozen

__all__ = ["KEYS", "Key", "Stage"]


@frozen(kw_only=True)
class Key:
    """A key of the application.

    Attributes:
        keys: as Textual names them, with commas between.
        shown: as the footer and the docs show it.
        action: what the application does.
        label: the footer's word for it, empty where the footer is silent.
        label_when_cut: another word, while the network is cut.
        label_when_over: the word once the chat is over, empty where the key does nothing then.
        help: what it does, in a sentence.
        demo: it is there in the demo only, where the server is ours.
    """

    keys: str
    shown: str
    action: str
    label: str = ""
    label_when_cut: str = ""
    label_when_over: str = ""
    help: str
    demo: bool = False


KEYS = (
    Key(
        keys="enter",
        shown="Enter",
        action="",
        help="send the line; a line that begins with `/` is a command, as `/help` lists them",
    ),
    Key(keys="up,down", shown="Up, Down", action="", help="the lines that were sent before"),
    Key(
        keys="ctrl+c",
        shown="^C",
        action="give_up",
        label="Give up",
        label_when_over="Close",
        help="give the chat up; `chat-core restore` takes it up again",
    ),
    Key(keys="ctrl+d", shown="^D", action="leave", label="Leave", help="leave the chat, when the line is empty"),
    Key(
        keys="f2",
        shown="F2",
        action="inspect",
        label="Inspector",
        label_when_over="Inspector",
        help="show or hide the inspector: the session's facts and its event log",
    ),
    Key(
        keys="f3",
        shown="F3",
        action="network",
        label="Cut network",
        label_when_cut="Mend network",
        help="cut the network, or mend it",
        demo=True,
    ),
    Key(
        keys="f4",
        shown="F4",
        action="kill",
        label="kill -9",
        help="kill this client as `kill -9` does; a new one restores the session",
        demo=True,
    ),
    Key(
        keys="pageup",
        shown="PgUp",
        action="scroll('page_up')",
        help="scroll up; Tab goes from the line to the conversation and on to the inspector",
    ),
    Key(keys="pagedown", shown="PgDn", action="scroll('page_down')", help="scroll down"),
    Key(keys="ctrl+home", shown="^Home", action="scroll('home')", help="scroll to the beginning"),
    Key(keys="ctrl+end", shown="^End", action="scroll('end')", help="scroll to the end, and follow it again"),
)


class Stage(Protocol):
    """The demo around a chat: its server is ours, so the visitor may do it harm.

    Attributes:
        notes: what the visitor is told first.
        farewell: what is said to whoever gives the chat up.
    """

    notes: Sequence[str]
    farewell: str

    async def cut(self) -> None:
        """Cut the network."""

    async def mend(self) -> None:
        """Mend it."""

    def kill(self) -> None:
        """Kill this process; does not return."""
