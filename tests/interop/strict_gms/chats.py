"""A chat: its event log, its credentials and its agent face (sections 2.3, 2.4, 2.6, and 10 "Shared core")."""

from __future__ import annotations

import base64
import secrets
import string
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from interop.strict_gms.forms import Upload
from interop.strict_gms.quirks import Quirks
from interop.strict_gms.violations import ViolationError
from interop.strict_gms.waiting import Changes

__all__ = ["Chat", "StoredFile", "View"]

View = Literal["rest", "cometd"]

#: An alias that an answer brought this many seconds ago may still be on its way to the client.
_ON_ITS_WAY = 0.05
#: So many different ones at once, at most.
_MOST_ON_THEIR_WAY = 3
#: The worked exchange of 2.11 begins at this time.
_EPOCH = 1_700_000_000_000


@dataclass
class StoredFile:
    """A file of a chat (2.8)."""

    upload: Upload
    user_data: dict[str, str]
    deleted: bool = False


@dataclass
class Counts:
    """What has been used of the limits (2.8)."""

    asked: bool = False
    files: int = 0
    total: int = 0
    downloads: int = 0


def _secure_key(view: View) -> str:
    """2.3: 16 hex digits; 3.4: about 100 characters like base64. Ones that a form has to escape are among these."""
    if view == "rest":
        return secrets.token_hex(8)
    key = ""
    while not {"+", "/"} <= set(key):
        key = base64.b64encode(secrets.token_bytes(75)).decode()
    return key


def _reason(code: str | None) -> dict[str, dict[str, str]] | None:
    """2.5: why somebody left."""
    return {"GCTI_SYSTEM": {"quit-reason-code": code}} if code else None


@dataclass
class Chat:
    """One chat session of Chat Server, whoever looks at it."""

    service: str
    view: View
    quirks: Quirks
    chat_id: str = ""
    user_id: str = ""
    secure_key: str = field(default="", repr=False)
    alias: str = "117"
    user_data: dict[str, Any] = field(default_factory=dict)
    subject: str | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    loose: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, StoredFile] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    #: What the client did, in order, by the names of 2.2.
    operations: list[str] = field(default_factory=list)
    ended: bool = False
    #: Whether an answer with chatEnded has left (2.4).
    told_end: bool = False
    #: Operations that came although an answer had said that the chat is over.
    late_operations: int = 0
    #: The highest index that has left for the client.
    delivered: int = 0
    #: Positions that were read receipts.
    receipts: list[int] = field(default_factory=list)
    refreshing: bool = False
    #: A test takes the client away: no liveness until it is back (2.6).
    resting: bool = False
    last_request: float = field(default_factory=time.monotonic)
    #: Who is told of new events at once (3.4); REST has nobody.
    listener: Callable[[list[dict[str, Any]]], None] | None = None
    changes: Changes = field(default_factory=Changes)
    removal_reason: str | None = None

    def __post_init__(self) -> None:
        alphabet = string.ascii_uppercase + string.digits
        self.chat_id = self.chat_id or "0001" + "".join(secrets.choice(alphabet) for _ in range(12))
        self.user_id = self.user_id or secrets.token_hex(8).upper()
        self.secure_key = self.secure_key or _secure_key(self.view)
        self._issued: list[tuple[float, str]] = []
        self._people: dict[int, dict[str, Any]] = {}
        self._agent: dict[str, Any] | None = None

    # The log

    @property
    def next_position(self) -> int:
        """2.3: the last index + 1."""
        return self.events[-1]["index"] + 1 if self.events else 1

    def person(self, nickname: str, kind: str) -> dict[str, Any]:
        """Add a participant; numbering starts at 1 (2.3)."""
        number = len(self._people) + 1
        person = {"nickname": nickname, "participantId": number, "type": kind}
        self._people[number] = person
        return person

    @property
    def client(self) -> dict[str, Any]:
        """The visitor."""
        return self._people[1]

    def add(self, person: dict[str, Any], kind: str, **more: Any) -> dict[str, Any]:
        """Put an event into the log and tell the listener. Fields that are None are left out."""
        index = self.next_position
        event = {
            "from": dict(person),
            "index": index,
            "type": kind,
            **{name: value for name, value in more.items() if value is not None},
            "utcTime": _EPOCH + 1000 * index,
        }
        self.events.append(event)
        self._tell([event])
        return event

    def since(self, position: int) -> list[dict[str, Any]]:
        """2.2: 0 = nothing, 1 = everything, n = from n on."""
        return [event for event in self.events if event["index"] >= position] if position else []

    def take_loose(self) -> list[dict[str, Any]]:
        """Take the events without an index; they are shown once."""
        loose, self.loose = self.loose, []
        return loose

    def _tell(self, events: list[dict[str, Any]]) -> None:
        if self.listener is not None:
            self.listener(events)
        self.changes.happened()

    # What a request has to bring

    def issue(self, alias: str) -> None:
        """An alias leaves with an answer."""
        self._issued.append((time.monotonic(), alias))

    def check_credentials(self, given: dict[str, Any]) -> None:
        """2.1: the secure key identifies the party; alias and userId, where sent, are the latest.

        Raises:
            ViolationError: they are not. A wrong key removes the party (2.5: 8210, reason "6").
        """
        for name, value in given.items():
            if not isinstance(value, str):
                raise ViolationError("2.3", f"{name} must be text, not {value!r}")
        if not given.get("secureKey"):
            raise ViolationError("2.2", "secureKey is required")
        if given["secureKey"] != self.secure_key:
            self.end(reason="6")
            raise ViolationError("2.5", "the secureKey is wrong (8210)", code=249)
        if given.get("userId", self.user_id) != self.user_id:
            raise ViolationError("2.1", f"the userId is {self.user_id}, not {given['userId']!r}")
        if "alias" in given and given["alias"] not in self._newest_aliases():
            raise ViolationError("2.1", f"the latest alias is {self.alias}, not {given['alias']!r}")

    def _newest_aliases(self) -> set[str]:
        now = time.monotonic()
        newest: set[str] = set()
        for issued, alias in reversed(self._issued):
            newest.add(alias)
            if now - issued > _ON_ITS_WAY or len(newest) == _MOST_ON_THEIR_WAY:
                break
        return newest

    def check_position(self, position: int) -> None:
        """2.11, 9: the position asked for is at most the highest received index + 1, or events get lost.

        Raises:
            ViolationError: it is beyond that.
        """
        if position > self.delivered + 1:
            raise ViolationError("9", f"position {position} skips events: only {self.delivered} have been delivered")

    # The client's operations (2.2, 3.3), by their names of 2.2

    def perform(self, operation: str, fields: dict[str, Any], user_data: dict[str, Any] | None) -> None:
        """Do what the client asks for."""
        self.operations.append(operation)
        text = fields.get("message") or None
        match operation:
            case "send":
                self.add(self.client, "Message", text=text, messageType=fields.get("messageType"))
            case "startTyping" | "stopTyping":
                self.add(self.client, f"Typing{'Started' if operation == 'startTyping' else 'Stopped'}", text=text)
            case "pushUrl":
                self.add(self.client, "PushUrl", text=fields["pushUrl"])
            case "updateNickname":
                self.client["nickname"] = fields["nickname"]
                self.add(self.client, "NicknameUpdated")
            case "customNotice":
                self.add(self.client, "CustomNotice", text=text)
            case "updateData":
                self.user_data.update(user_data or {})
            case "disconnect":
                self.ended = True
                self.add(self.client, "ParticipantLeft")
            case _:
                pass
        self.changes.happened()

    def end(self, reason: str | None = None) -> None:
        """The server removes the client (2.5: eventAttributes)."""
        if not self.ended:
            self.ended = True
            self.removal_reason = reason
            self.add(self.client, "ParticipantLeft", eventAttributes=_reason(reason))

    # The agent face

    @property
    def texts(self) -> list[str]:
        """What was said, by both sides."""
        return [event["text"] for event in self.events if event["type"] == "Message"]

    def shown(self, kind: str) -> list[str | None]:
        """The texts of the client's events of one type."""
        return [
            event.get("text") for event in self.events if event["type"] == kind and event["from"]["type"] == "Client"
        ]

    def agent_joins(self, name: str) -> None:
        self._agent = self.person(name, "Agent")
        self.add(self._agent, "ParticipantJoined")
        if self.quirks.unknown_type:
            self.add(self.system(), "QueuePositionChanged", text="1")
        if self.quirks.loose_notice:
            notice = {"from": self.system(), "type": "Notice", "text": "made-by-gms", "utcTime": _EPOCH}
            if self.listener is None:
                self.loose.append(notice)
            self._tell([notice])

    def agent_says(self, text: str) -> None:
        self.add(self._present(), "Message", text=text)

    def agent_types(self, *, typing: bool = True) -> None:
        self.add(self._present(), "TypingStarted" if typing else "TypingStopped")

    def agent_pushes(self, url: str) -> None:
        self.add(self._present(), "PushUrl", text=url)

    def agent_sends_file(self, name: str, content: bytes) -> str:
        """2.8: a FileUploaded event shows the name and the id. Returns the id."""
        return self.store(self._present(), Upload(name, content, "application/octet-stream"), {})

    def agent_leaves(self, reason: str | None = None) -> None:
        """2.5: reason "0" is not delivered here, hence no eventAttributes (2.11). The chat goes on (9)."""
        person, self._agent = self._present(), None
        self.add(person, "ParticipantLeft", eventAttributes=_reason(reason))

    def close(self) -> None:
        """The agent ends the chat (2.11)."""
        self.ended = True
        if self._agent is not None:
            self.agent_leaves()
        else:
            self.add(self.system(), "ParticipantLeft")

    async def until(self, condition: Callable[[], object], timeout: float = 10) -> None:
        """Wait until something is true of this chat."""
        what = "a condition of the chat"
        try:
            await self.changes.until(condition, timeout, what)
        except TimeoutError:
            raise TimeoutError(f"{what}; so far {self.operations}, {self.texts}") from None

    async def hears(self, text: str, timeout: float = 10) -> None:
        """Wait until the client has said something."""
        await self.until(lambda: text in self.shown("Message"), timeout)

    def store(self, person: dict[str, Any], upload: Upload, user_data: dict[str, str]) -> str:
        """Keep a file and show it (2.8). Returns its id."""
        file_id = secrets.token_hex(12)
        self.files[file_id] = StoredFile(upload, user_data)
        shown = {"file-id": file_id, "file-name": upload.name, "file-size": str(len(upload.content))}
        self.add(person, "FileUploaded", userData={**user_data, **shown})
        return file_id

    def _present(self) -> dict[str, Any]:
        if self._agent is None:
            raise AssertionError("no agent has joined")
        return self._agent

    def system(self) -> dict[str, Any]:
        """2.3: bots, strategies and the system are External."""
        for person in self._people.values():
            if person["type"] == "External":
                return person
        return self.person("system", "External")
