"""What passes between page and application: JSON objects, small, checked, and without any HTML."""

from __future__ import annotations

import json
import re
from typing import Any, Final, TypeAlias

from attrs import frozen

from chat_core import (
    ContinuityLost,
    Event,
    FileUploaded,
    IdleAlert,
    IdleClose,
    MessageReceived,
    NicknameUpdated,
    Notice,
    PageContext,
    ParticipantJoined,
    ParticipantLeft,
    PushUrl,
)

__all__ = [
    "MAX_FRAME",
    "Frame",
    "Hello",
    "Leave",
    "PageMessage",
    "Say",
    "Start",
    "Typing",
    "WireError",
    "event_frame",
    "read_message",
]

#: Bytes of one message from a page.
MAX_FRAME: Final = 16 * 1024
#: Characters of what a visitor says at once, of a name, a title and an address.
MAX_TEXT: Final = 2000
MAX_NAME: Final = 80
MAX_TITLE: Final = 300
MAX_URL: Final = 2000
_NAME: Final = re.compile(r"[\w-]{8,64}")

Frame: TypeAlias = dict[str, Any]


class WireError(ValueError):
    """A page sent what no page of ours sends."""


@frozen(kw_only=True)
class Hello:
    """The first message of a page: what it has shown already.

    Attributes:
        session: the chat that it shows, ``""`` for none.
        index: the last index that it has shown of it.
        epoch: which numbering this index belongs to.
    """

    session: str
    index: int
    epoch: int


@frozen(kw_only=True)
class Start:
    """Begin a chat. ``page`` is where the visitor is."""

    name: str
    subject: str
    page: PageContext


@frozen(kw_only=True)
class Say:
    """Say something. ``name`` is the page's own random name of this message."""

    name: str
    text: str


@frozen(kw_only=True)
class Typing:
    """The visitor began or stopped typing."""

    on: bool


@frozen(kw_only=True)
class Leave:
    """End the chat."""


PageMessage: TypeAlias = Hello | Start | Say | Typing | Leave


def read_message(text: str, *, origin: str) -> PageMessage:
    """Read what a page sent.

    Args:
        text: one message.
        origin: of the page; it may name no address but one of its own.

    Raises:
        WireError: it is none of ours, or too large.
    """
    if len(text) > MAX_FRAME:
        raise WireError("the message is too large")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WireError("the message is no JSON") from error
    if not isinstance(value, dict):
        raise WireError("the message is no object")
    match value.get("do"):
        case "hello":
            session = _text(value, "session", MAX_TITLE)
            return Hello(session=session, index=_number(value, "index"), epoch=_number(value, "epoch"))
        case "start":
            return Start(
                name=_text(value, "name", MAX_NAME).strip(),
                subject=_text(value, "subject", MAX_TITLE).strip(),
                page=_page(value, origin),
            )
        case "say":
            said = Say(name=_text(value, "name", MAX_NAME), text=_text(value, "text", MAX_TEXT))
            if not _NAME.fullmatch(said.name) or not said.text.strip():
                raise WireError("a message needs a name and a text")
            return said
        case "typing":
            return Typing(on=value.get("on") is True)
        case "leave":
            return Leave()
    raise WireError("the message is of no known kind")


def _text(value: Frame, key: str, limit: int) -> str:
    text = value.get(key)
    if not isinstance(text, str) or len(text) > limit:
        raise WireError(f"{key} must be text of {limit} characters at most")
    return text.encode("utf-8", "replace").decode()  # half a surrogate pair cannot be sent on


def _number(value: Frame, key: str) -> int:
    number = value.get(key)
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 2**53:
        raise WireError(f"{key} must be a whole number from 0 on")
    return number


def _page(value: Frame, origin: str) -> PageContext:
    """Return where the visitor is, as far as a page can be believed: its address is below its own origin."""
    title, url, referrer = (
        _text(value, key, limit) for key, limit in (("title", MAX_TITLE), ("url", MAX_URL), ("referrer", MAX_URL))
    )
    return PageContext(
        title=title or None,
        url=url if url == origin or url.startswith(origin + "/") else None,
        referrer=referrer if referrer.startswith(("http://", "https://")) else None,
    )


def event_frame(event: Event, *, session: str, epoch: int) -> Frame | None:
    """Return what a page shows of an event; None for what it shows elsewhere or not at all.

    ``key`` is the same whoever reads the event, and whenever: pages show each key once.
    """
    match event:
        case MessageReceived(content_type="url", text=url) | PushUrl(url=url):
            shown: Frame = {"kind": "link", "text": url}
        case MessageReceived(text=text):
            shown = {"kind": "message", "text": text}
        case ParticipantJoined(own=own):
            shown = {"kind": "began" if own else "joined"}
        case ParticipantLeft():
            shown = {"kind": "left"}
        case NicknameUpdated():
            shown = {"kind": "renamed"}
        case FileUploaded(name=name):
            shown = {"kind": "file", "text": name}
        case IdleAlert(text=text):
            shown = {"kind": "notice", "text": text or "Are you still there? The chat will be closed otherwise."}
        case Notice(text=text) | IdleClose(text=text) if text:
            shown = {"kind": "notice", "text": text}
        case ContinuityLost(counts_anew=False, after=after):
            shown = {"kind": "gap", "key": f"{epoch}.{after}.gap"}
        case _:
            return None
    if event.index is None and "key" not in shown:
        return None
    party = event.party
    return {
        "is": "event",
        "session": session,
        "key": f"{epoch}.{event.index}",
        "epoch": epoch,
        "index": event.index,
        "who": party.name if party is not None else "",
        "role": str(party.type) if party is not None else "unknown",
        "own": event.own,
        "at": event.timestamp.isoformat() if event.timestamp is not None else None,
        **shown,
    }
