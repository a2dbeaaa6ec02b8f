"""What a line typed into a chat does: it is a message, or a command that begins with a slash."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal, TypeAlias

from attrs import frozen

from chat_core._model.errors import ChatError, OptionError
from chat_core._model.events import Event, FileUploaded, SessionEnded
from chat_core._session.session import Session

__all__ = ["After", "Lines"]


class After(enum.Enum):
    """What follows a line."""

    GO_ON = "go on"
    LEAVE = "leave"
    DETACH = "detach"


@frozen
class _Command:
    arguments: str
    help: str
    run: Callable[[str], Awaitable[None]]
    after: After = After.GO_ON


Say: TypeAlias = Callable[[str], None]
Send: TypeAlias = Callable[[str, Literal["text", "url"]], Awaitable[object]]


class Lines:
    """Carries typed lines out.

    Args:
        session: the chat.
        say: shows a line to whoever types.
        send: sends a message of a type; the session's own way unless given.
    """

    def __init__(self, session: Session, say: Say, *, send: Send | None = None) -> None:
        self._session = session
        self._say = say
        self._send: Send = send or session.send_message
        self._files: dict[str, FileUploaded] = {}
        self._commands = {
            "/file": _Command("PATH", "send a file", self._send_file),
            "/save": _Command("NUMBER [PATH]", "fetch a file that was sent", self._save),
            "/url": _Command("ADDRESS", "send an address, as a message of type url", self._url),
            "/nick": _Command("NAME", "change your name", self._rename),
            "/typing": _Command("[TEXT]", "say that you are typing, with what you typed so far", self._typing),
            "/detach": _Command("", "give the chat up; 'chat-core restore' takes it up again", _nothing, After.DETACH),
            "/leave": _Command("", "leave the chat", _nothing, After.LEAVE),
            "/help": _Command("", "list the commands", self._help),
        }

    def offer(self, event: FileUploaded) -> str:
        """Remember a file that was sent; returns how to fetch it."""
        number = str(event.index or len(self._files) + 1)
        self._files[number] = event
        return f"/save {number} fetches it"

    def shown(self, event: Event) -> str:
        """Return what whoever types is shown of an event."""
        text = str(event)
        if isinstance(event, FileUploaded) and not event.own:
            text += f" ({self.offer(event)})"
        if isinstance(event, SessionEnded) and event.error is not None:
            text += f": {event.error.code} {event.error.description}"
        return text

    async def take(self, line: str) -> After:
        """Carry a line out. A line that begins with a blank is a message whatever follows."""
        if not line.startswith("/"):
            if line:
                await self._guarded(lambda _: self._send(line, "text"), "")
            return After.GO_ON
        name, _, argument = line.partition(" ")
        command = self._commands.get(name)
        if command is None:
            self._say(f"! there is no command {name}; /help lists them; a line beginning with a blank is sent as it is")
            return After.GO_ON
        argument = argument.strip()
        missing = not argument and command.arguments[:1] not in {"", "["}
        if missing or (argument and not command.arguments):
            self._say(f"! write {name} {command.arguments}".rstrip())
            return After.GO_ON
        await self._guarded(command.run, argument)
        return command.after

    async def _guarded(self, run: Callable[[str], Awaitable[object]], argument: str) -> None:
        try:
            await run(argument)
        except ChatError as error:
            self._say(f"! not done: {error}")

    async def _send_file(self, path: str) -> None:
        shown = 0

        def progress(done: int, total: int | None) -> None:
            nonlocal shown
            percent = 100 * done // total if total else 100
            if percent >= shown + 25:
                shown = percent - percent % 25
                self._say(f"... {percent} % of {Path(path).name}")

        await self._session.send_file(_path(path), progress=progress)

    async def _save(self, argument: str) -> None:
        number, _, place = argument.partition(" ")
        file = self._files.get(number)
        if file is None:
            raise OptionError(f"no file has the number {number}")
        to = _path(place.strip()) if place.strip() else Path(_safe_name(file.name) or f"file-{number}")
        path = await self._session.download_file(file.file_id, to=to)
        self._say(f"saved as {path}")

    async def _url(self, address: str) -> None:
        await self._send(address, "url")

    async def _rename(self, name: str) -> None:
        await self._session.update_nickname(name)

    async def _typing(self, text: str) -> None:
        await self._session.send_typing(True, text or None)  # noqa: FBT003 - the command's own word

    async def _help(self, _: str) -> None:
        width = max(len(f"{name} {command.arguments}") for name, command in self._commands.items())
        for name, command in self._commands.items():
            self._say(f"{f'{name} {command.arguments}':<{width}}  {command.help}")


def _path(typed: str) -> Path:
    return Path(typed).expanduser()


def _safe_name(given: str) -> str:
    """Return the last part of a name that somebody else gave, visible and of this directory."""
    name = given.replace("\\", "/").rpartition("/")[2].lstrip(".")
    return "".join(character if character.isprintable() else "_" for character in name)


async def _nothing(_: str) -> None:
    """What the command does follows it."""
