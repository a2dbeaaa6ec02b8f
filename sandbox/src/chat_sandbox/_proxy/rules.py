"""Which rule befalls what passes. Pure: no clock, no socket, and the dice are seeded."""

from __future__ import annotations

import random
from typing import Any, Literal, TypeAlias, get_args

from attrs import Attribute, define, field, frozen, setters

from chat_sandbox._proxy.actions import ACTIONS, Action, Answer, Duplicate, Reorder, Suppress
from chat_sandbox._proxy.bayeux import BayeuxMessage

__all__ = ["Book", "Carrier", "Passing", "Rule", "Towards", "Verdict"]

Towards: TypeAlias = Literal["server", "client"]
Carrier: TypeAlias = Literal["http", "websocket"]


@frozen(kw_only=True)
class Passing:
    """What is about to pass, as rules see it.

    Attributes:
        towards: which side it goes to.
        carrier: what it is: a request or answer, or a WebSocket's message.
        path: of the request that it is, answers, or that opened the WebSocket; without the query.
        operation: of GMS, where the path names one (REST); None elsewhere.
        messages: the Bayeux messages in it.
        switching: it asks for another protocol, or grants it.
    """

    towards: Towards
    carrier: Carrier
    path: str
    operation: str | None = None
    messages: tuple[BayeuxMessage, ...] = ()
    switching: bool = False


def _check_action(_: Any, __: Attribute[Any], value: object) -> None:
    if not isinstance(value, ACTIONS):
        names = ", ".join(action.__name__ for action in ACTIONS)
        raise ValueError(  # noqa: TRY004 - one class for all bad arguments
            f"Rule: action must be one of {names}, not {value!r}; write for example Suppress()"
        )


def _one_of(kind: Any) -> Any:
    def check(_: Any, attribute: Attribute[Any], value: object) -> None:
        if value is not None and value not in get_args(kind):
            allowed = " or ".join(map(repr, get_args(kind)))
            raise ValueError(f"Rule: {attribute.name} must be {allowed}, or None for both, not {value!r}")

    return check


def _starts_with_slash(_: Any, attribute: Attribute[Any], value: object) -> None:
    if value is not None and not (isinstance(value, str) and value.startswith("/")):
        raise ValueError(
            f"Rule: {attribute.name} must begin with '/', not {value!r}; "
            "a path is compared from its beginning, a channel as a whole (or with /* or /** at its end)"
        )


def _check_operation(_: Any, __: Attribute[Any], value: object) -> None:
    if value is not None and (not isinstance(value, str) or not value):
        raise ValueError(f"Rule: operation must be the name of one, such as 'sendMessage', not {value!r}")


def _whole(least: int) -> Any:
    def check(_: Any, attribute: Attribute[Any], value: object) -> None:
        if value is None and attribute.name == "count":
            return
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            also = ", or None for always" if attribute.name == "count" else ""
            raise ValueError(f"Rule: {attribute.name} must be a whole number, {least} or more{also}, not {value!r}")

    return check


def _check_probability(_: Any, __: Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ValueError(
            f"Rule: probability must be above 0 and at most 1, not {value!r}; a rule that should rest is removed"
        )


@define(eq=False)
class Rule:
    """What befalls which of the things that pass. Serves one proxy.

    Args:
        action: what is done.
        towards: ``server`` or ``client``; None for both.
        carrier: ``http`` or ``websocket``; None for both. The upgrade is still HTTP.
        path: what the HTTP path begins with; over WebSocket it is that of the upgrade.
        channel: of a Bayeux message, such as ``/meta/connect``; ``/*`` at its end stands for one more part, ``/**`` for
            any number.
        operation: of GMS, such as ``sendMessage``: in the data of a Bayeux message, or named by the path over REST.
        after: so many are left alone first.
        count: so many are befallen; None: all.
        probability: of each one to be befallen, by the proxy's seed.

    Attributes:
        seen: how many it was about so far.
        hits: how many were befallen so far.

    Raises:
        ValueError: an argument cannot be used.
    """

    action: Action = field(validator=_check_action, on_setattr=setters.frozen)
    towards: Towards | None = field(default=None, kw_only=True, validator=_one_of(Towards), on_setattr=setters.frozen)
    carrier: Carrier | None = field(default=None, kw_only=True, validator=_one_of(Carrier), on_setattr=setters.frozen)
    path: str | None = field(default=None, kw_only=True, validator=_starts_with_slash, on_setattr=setters.frozen)
    channel: str | None = field(default=None, kw_only=True, validator=_starts_with_slash, on_setattr=setters.frozen)
    operation: str | None = field(default=None, kw_only=True, validator=_check_operation, on_setattr=setters.frozen)
    after: int = field(default=0, kw_only=True, validator=_whole(0), on_setattr=setters.frozen)
    count: int | None = field(default=1, kw_only=True, validator=_whole(1), on_setattr=setters.frozen)
    probability: float = field(default=1.0, kw_only=True, validator=_check_probability, on_setattr=setters.frozen)
    seen: int = field(default=0, init=False)
    hits: int = field(default=0, init=False)
    #: The dice; given by the book.
    _dice: random.Random | None = field(default=None, init=False, repr=False)

    def concerns(self, towards: Towards, carrier: Carrier, path: str) -> bool:
        """Say whether it may be about something of which only this is known yet."""
        return (
            self.towards in {None, towards}
            and self.carrier in {None, carrier}
            and (self.path is None or path.startswith(self.path))
        )

    def picks(self, passing: Passing) -> tuple[int, ...] | None:
        """Return the numbers of the Bayeux messages that it is about; all of them when it asks for none in particular.

        Returns None when it is not about this.
        """
        if not self.concerns(passing.towards, passing.carrier, passing.path) or not self._can_act_on(passing):
            return None
        if self.operation is not None and self.operation == passing.operation and self.channel is None:
            return tuple(range(len(passing.messages)))
        if self.channel is None and self.operation is None:
            return tuple(range(len(passing.messages)))
        found = tuple(number for number, message in enumerate(passing.messages) if self._is_about(message))
        return found or None

    def befalls(self) -> bool:
        """Throw the dice for one thing that it is about, and count."""
        assert self._dice is not None, "the rule was not added to a proxy"
        self.seen += 1
        if self.seen <= self.after or (self.count is not None and self.hits >= self.count):
            return False
        if self.probability < 1 and self._dice.random() >= self.probability:
            return False
        self.hits += 1
        return True

    def _is_about(self, message: BayeuxMessage) -> bool:
        return (self.channel is None or _channel_matches(self.channel, message.channel)) and (
            self.operation is None or self.operation == message.operation
        )

    def _can_act_on(self, passing: Passing) -> bool:
        if isinstance(self.action, Answer):
            return passing.carrier == "http"
        if isinstance(self.action, Duplicate) and passing.carrier == "http":
            return not passing.switching and (passing.towards == "server" or bool(passing.messages))
        return True


def _channel_matches(wanted: str, channel: str) -> bool:
    if wanted.endswith("/**"):
        return channel.startswith(wanted[:-2])
    if wanted.endswith("/*"):
        return channel.rpartition("/")[0] == wanted[:-2]
    return channel == wanted


@frozen(kw_only=True)
class Verdict:
    """What is done.

    Attributes:
        rule: whose action it is.
        picked: the numbers of the Bayeux messages that are befallen.
    """

    rule: Rule
    picked: tuple[int, ...]


class Book:
    """The rules of one proxy.

    Args:
        seed: of the dice. Each rule has its own, so that another rule beside it changes nothing.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._added = 0
        self.rules: list[Rule] = []

    def add(self, rule: Rule) -> None:
        """Add a rule behind the others.

        Raises:
            ValueError: it serves a proxy already.
        """
        if rule._dice is not None:  # noqa: SLF001 - the book's own mark
            raise ValueError(f"{rule!r} was added to a proxy before; make a new one, so that its counts are its own")
        rule._dice = random.Random(f"{self._seed}:{self._added}")  # noqa: S311, SLF001 - a repeatable test, no secret
        self._added += 1
        self.rules.append(rule)

    def concerns(self, towards: Towards, carrier: Carrier, path: str) -> bool:
        """Say whether something has to be read as a whole before it may pass."""
        return any(rule.concerns(towards, carrier, path) for rule in self.rules)

    def decide(self, passing: Passing, *, holding: bool = False) -> Verdict | None:
        """Return what the first rule that strikes does; None to let it pass.

        Args:
            passing: what is about to pass.
            holding: something is being held already, and this is what it waits for.
        """
        for rule in self.rules:
            picked = rule.picks(passing)
            if picked is None or (holding and isinstance(rule.action, Reorder)):
                continue
            if _acts_on_single_ones(rule, passing):
                picked = tuple(number for number in picked if rule.befalls())
                if picked:
                    return Verdict(rule=rule, picked=picked)
            elif rule.befalls():
                return Verdict(rule=rule, picked=picked)
        return None


def _acts_on_single_ones(rule: Rule, passing: Passing) -> bool:
    """Say whether a rule counts, and befalls, the messages of an array one by one."""
    if rule.channel is None and (rule.operation is None or passing.operation is not None):
        return False
    if isinstance(rule.action, Duplicate):
        return passing.carrier == "websocket" or passing.towards == "client"
    return isinstance(rule.action, Suppress)
