"""A worker of a fleet: so many sessions, at such a pace, from the beginning of a process to its end."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType, TracebackType
from typing import Any, Final, Self, Unpack

from chat_core._contracts.providers import Capability
from chat_core._fleet.budget import Budget
from chat_core._fleet.member import Handler, Member
from chat_core._fleet.signals import on_sigterm
from chat_core._launch.launchers import Options, restore_session, start_session
from chat_core._launch.opening import Prepared, prepare
from chat_core._model.backoff import Backoff
from chat_core._model.errors import (
    ChatError,
    MissingOptionError,
    OptionError,
    OptionTypeError,
    SessionInUseError,
    StorageError,
)
from chat_core._session.pending import Pending
from chat_core._session.session import Session

__all__ = ["Fleet", "Handler"]

#: The profile of whoever looks for orphans; it has no state.
_LOOKING: Final = "fleet"
#: Seconds from a look until the last session that it takes begins to connect.
_AHEAD: Final = 1.0
#: For each session that can be taken now so many are asked for, since other workers look as well.
_ASKED: Final = 4
#: Seconds in which a handler that was cancelled has to end.
_CANCELLED: Final = 2.0
#: Seconds after which a session that failed here counts as one like any other.
_FORGOTTEN: Final = 120.0


class Fleet:
    """One worker: takes sessions that have no owner, up to its capacity, and runs a handler on each.

    ``async with`` it, and await ``run``. When the handler returns, the chat is left; when it raises, the session is
    given up, and taken again after a while, here or elsewhere. At the end, and on SIGTERM while ``run`` is awaited, all
    sessions are detached, so that other workers take them.

    Args:
        handler: an async function that is given a ``Session``, a new one or one that another worker had.
        capacity: sessions at most.
        connects_per_second: how many sessions begin to connect each second, at most, whatever for.
        look_every: seconds between two looks for sessions without an owner.
        drain_within: seconds that handlers are given to return at the end, after their sessions were detached.
        options: those of the launchers, for all sessions. ``state_storage`` names one with the capability ``lease``;
            ``profile``, ``on_exit`` and instances have no place here.

    Raises:
        OptionError: an option is wrong, or the storage grants no leases.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        capacity: int = 100,
        connects_per_second: float = 10.0,
        look_every: float = 0.5,
        drain_within: float = 10.0,
        **options: Unpack[Options],
    ) -> None:
        if not callable(handler):
            raise OptionTypeError(f"a fleet's handler must be an async function of a session, not {handler!r}")
        if isinstance(capacity, bool) or not isinstance(capacity, int) or capacity < 1:
            raise OptionError(f"capacity must be a whole number of sessions from 1 on, not {capacity!r}")
        for name, value in (
            ("connects_per_second", connects_per_second),
            ("look_every", look_every),
            ("drain_within", drain_within),
        ):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
                raise OptionError(f"{name} must be a number above 0, not {value!r}")
        for name in ("profile", "on_exit"):
            if options.get(name) is not None:
                raise OptionError(f"{name} has no place among a fleet's options", advice="leave it out")
        self._handler = handler
        self._capacity = capacity
        self._look_every = look_every
        self._drain_within = drain_within
        self._options = options
        self._budget = Budget(connects_per_second)
        self._members: dict[str, Member] = {}
        #: How often a session failed here, and until when it is let be.
        self._failures: dict[str, tuple[Backoff, float]] = {}
        self._prepared: Prepared | None = None
        self._looking_fails = False
        self._stopping = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Fleet: {len(self._members)} of {self._capacity} sessions>"

    @property
    def sessions(self) -> Mapping[str, Session]:
        """The sessions that this worker owns, by profile; a new mapping each time."""
        return MappingProxyType(
            {name: member.session for name, member in self._members.items() if member.session is not None}
        )

    async def __aenter__(self) -> Self:
        self._prepare()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.drain()

    def start(self, **options: Unpack[Options]) -> Pending[Session]:
        """Start a new chat on this worker and run the handler on it.

        Args:
            options: of the launcher, over those of the fleet. ``profile`` is mandatory: all workers know the session by
                it.

        Raises:
            MissingOptionError: there is no ``profile``.
            ChatError: the worker is full or ending (``retryable``: another one may take it).
            SessionInUseError: the profile has an owner, here or elsewhere.
            ChatError: as ``start_session``.
        """

        async def run() -> Session:
            profile = options.get("profile")
            if profile is None:
                raise MissingOptionError(
                    "a session of a fleet needs a name of its own", advice="give profile=, such as the visitor's id"
                )
            if self._stopping.is_set():
                raise ChatError("the worker is ending and starts nothing", retryable=True, advice="use another worker")
            if len(self._members) >= self._capacity:
                raise ChatError(
                    f"the worker is full: it has {self._capacity} sessions",
                    retryable=True,
                    advice="use another worker, or raise capacity",
                )
            if profile in self._members:
                raise SessionInUseError(
                    f"the profile {profile!r} is held by a session of this worker",
                    advice="give each session a name of its own with profile=",
                )
            merged = self._merged(profile, options)
            member = self._add(profile, lambda: start_session(**merged))
            try:
                return await asyncio.shield(member.opened)
            except asyncio.CancelledError:
                await member.give_up()
                raise

        return Pending(run, name="start")

    async def run(self) -> None:
        """Take sessions without an owner until ``stop`` is called, the process gets SIGTERM, or this is cancelled.

        Then give all sessions up.
        """
        self._prepare()
        with on_sigterm(self.stop):
            try:
                while not self._stopping.is_set():
                    await self._look()
                    with contextlib.suppress(TimeoutError):
                        # Workers that were started together do not look together.
                        async with asyncio.timeout(self._look_every * random.uniform(0.8, 1.2)):  # noqa: S311
                            await self._stopping.wait()
            finally:
                await self.drain()

    def stop(self) -> None:
        """Let ``run`` come to its end."""
        self._stopping.set()

    async def drain(self) -> None:
        """Give all sessions up and wait for their handlers, bounded; nothing is taken any more."""
        self._stopping.set()
        members = list(self._members.values())
        await asyncio.gather(*(member.give_up() for member in members), return_exceptions=True)
        tasks = [member.task for member in members]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self._drain_within)
            for task in late:
                task.cancel()
            if late:
                await self._see_off(members, late)
        prepared, self._prepared = self._prepared, None
        if prepared is not None:
            with contextlib.suppress(ChatError):
                await prepared.runner.release()

    async def _see_off(self, members: list[Member], cancelled: set[asyncio.Task[None]]) -> None:
        """Wait for what was cancelled, for a while; name what does not even end then (RP-9)."""
        _, left = await asyncio.wait(cancelled, timeout=_CANCELLED)
        for member in members:
            if member.task in left:
                self._prepare().log.warning(
                    "the handler of a session did not end when it was cancelled, and was left behind", member.profile
                )

    def _prepare(self) -> Prepared:
        if self._prepared is None:
            prepared = prepare(self._merged(_LOOKING, Options()))
            if prepared.storage.provider is None or prepared.transport.provider is None:
                raise OptionError(
                    "a fleet has many sessions, and an instance of a storage or transport serves one",
                    advice="give a provider, or its name",
                )
            if Capability.LEASE not in prepared.storage.capabilities:
                raise OptionError(
                    f"a fleet needs a storage that grants leases, and {prepared.storage.name!r} does not",
                    advice="use state_storage='redis' (pip install chat-storage-redis)",
                )
            self._prepared = prepared
        return self._prepared

    def _merged(self, profile: str, options: Options) -> Options:
        return {**self._options, **options, "profile": profile, "on_exit": "detach"}

    async def _look(self) -> None:
        """Take as many orphans as there is room for, and as may connect soon."""
        now = asyncio.get_running_loop().time()
        room = min(self._capacity - len(self._members), self._budget.room(now, _AHEAD))
        if room <= 0:
            return
        for profile in list(self._failures):
            if now > self._failures[profile][1] + _FORGOTTEN:
                del self._failures[profile]
        orphans = [one for one in await self._orphans(_ASKED * room + len(self._failures)) if self._may_take(one, now)]
        random.shuffle(orphans)  # or all workers would go for the same ones
        # The storage took its time; what was started meanwhile counts.
        room = max(0, min(room, self._capacity - len(self._members)))
        for profile in orphans[:room]:
            if not self._stopping.is_set():
                self._add(profile, self._restorer(profile))

    def _restorer(self, profile: str) -> Callable[[], Awaitable[Session]]:
        return lambda: restore_session(**self._merged(profile, Options()))

    async def _orphans(self, limit: int) -> list[str]:
        prepared = self._prepare()
        try:
            found = await prepared.runner.orphans(limit)
        except StorageError as error:
            if not self._looking_fails:
                self._looking_fails = True
                prepared.log.warning("the storage cannot be asked for sessions without an owner", str(error))
            return []
        self._looking_fails = False
        return found

    def _may_take(self, profile: str, now: float) -> bool:
        return profile not in self._members and now >= self._failures.get(profile, (None, 0.0))[1]

    def _add(self, profile: str, opens: Callable[[], Awaitable[Session]]) -> Member:
        async def in_turn() -> Session:
            await asyncio.sleep(self._budget.take(asyncio.get_running_loop().time()))
            return await opens()

        member = self._members[profile] = Member(profile, in_turn, self._handler, self._prepare().log)
        member.task.add_done_callback(lambda task: self._done(member, task))
        return member

    def _done(self, member: Member, task: asyncio.Task[Any]) -> None:
        del self._members[member.profile]
        if not task.cancelled():
            task.exception()  # seen
        if member.failed:
            now = asyncio.get_running_loop().time()
            backoff, _ = self._failures.get(member.profile, (Backoff(), 0.0))
            self._failures[member.profile] = (backoff, now + backoff.failed(now))
        else:
            self._failures.pop(member.profile, None)
