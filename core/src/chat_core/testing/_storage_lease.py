"""The checks of a state storage's leases: how long an ownership lasts, and what a stale owner can still do."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from chat_core._contracts.providers import Capability
from chat_core._model.errors import ChatError, LeaseLostError, SessionInUseError
from chat_core.testing._checks import NotShownError, fail, require
from chat_core.testing._storage_bench import Bare, StorageBench, attempt, difference, same, short
from chat_core.testing._storage_suite import OTHER, STATE
from chat_core.testing._storage_trouble import SUITE  # so that its checks come before these

__all__ = ["SUITE"]

#: Seconds after its end in which a lease has to be over.
_LATE: Final = 2.0
#: Seconds that a lease may last here: the checks wait it out.
_LONGEST: Final = 3.0
#: The part of a lease for which anything may stand still before a check says nothing, and how often it is begun anew.
_PART: Final = 0.25
_TRIES: Final = 5
#: Seconds between two attempts to become the owner.
_STEP: Final = 0.02


def _in_time(
    check: Callable[[StorageBench], Awaitable[None]],
) -> Callable[[StorageBench], Awaitable[None]]:
    """Begin a check anew, whatever came of it, where something stood still for a good part of a lease.

    Leases run out meanwhile, and who is right fails; or they would have run out, and who is wrong passes.
    """

    @functools.wraps(check)
    async def carry_out(bench: StorageBench) -> None:
        lease = bench.bare().lease
        for _ in range(_TRIES):
            failure: Exception | None = None
            async with bench.pace.watched():
                try:
                    await check(bench)
                except NotShownError:
                    raise
                except Exception as error:  # noqa: BLE001 - a plugin's errors may be of any class
                    failure = error
            if bench.pace.longest <= _PART * lease:
                if failure is not None:
                    raise failure
                return
        raise NotShownError(
            f"a call or the machine took longer than {_PART:g} of the lease of {lease:g} s, {_TRIES} times: "
            "give options with a longer lease"
        )

    return carry_out


@SUITE.check(
    "ST-034",
    "A storage that declares lease declares ownership, has renew and orphans, and its lease in seconds above 0.",
    capability=Capability.LEASE,
)
async def a_lease_is_complete(bench: StorageBench) -> None:
    require(Capability.OWNERSHIP in bench.subject.capabilities, "lease is declared, and ownership is not")
    raw = bench.subject.make(bench.context())
    for method in ("acquire", "release", "renew", "orphans"):
        require(callable(getattr(raw, method, None)), f"lease is declared, and there is no {method}")
    value = getattr(raw, "lease", None)
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf
    require(good, f"its lease is {value!r}")


@SUITE.check(
    "ST-035",
    "An owner that does not renew has the state for the whole lease, and within 2 s after that another one gets it.",
    capability=Capability.LEASE,
)
@_in_time
async def a_lease_lasts_and_ends(bench: StorageBench) -> None:
    async with _owner(bench) as (owner, asked):
        await owner.write(STATE)
        async with _next_owner(bench, asked + owner.lease) as following:
            found = await following.read()
            require(same(found, STATE), f"the lease ran out, and the state is not there: {difference(STATE, found)}")


@SUITE.check("ST-036", "After renew the state is the owner's for the whole lease again.", capability=Capability.LEASE)
@_in_time
async def a_renewal_makes_it_last(bench: StorageBench) -> None:
    async with _owner(bench) as (owner, _):
        await owner.write(STATE)
        await asyncio.sleep(0.6 * owner.lease)
        asked = _now()
        await owner.renew()
        async with _next_owner(bench, asked + owner.lease):
            pass


@SUITE.check(
    "ST-037",
    "write and write(None) of an owner that lost the lease raise LeaseLostError and change nothing.",
    capability=Capability.LEASE,
)
@_in_time
async def a_stale_write_is_refused(bench: StorageBench) -> None:
    async with _owner(bench) as (stale, asked):
        await stale.write(STATE)
        async with _next_owner(bench, asked + stale.lease) as following:
            await following.write(OTHER)
            for state in (STATE, None):
                await _refused(stale.write(state), f"write({'state' if state else None})")
                found = await following.read()
                require(same(found, OTHER), f"a stale owner changed the state: {difference(OTHER, found)}")
            await following.write(STATE)


@SUITE.check(
    "ST-038",
    "renew of an owner that lost the lease raises LeaseLostError and takes nothing from the next one.",
    capability=Capability.LEASE,
)
@_in_time
async def a_stale_renewal_is_refused(bench: StorageBench) -> None:
    async with _owner(bench) as (stale, asked):
        await stale.write(STATE)
        async with _next_owner(bench, asked + stale.lease) as following:
            await _refused(stale.renew(), "renew")
            for doing, call in (("renew", following.renew), ("write", lambda: following.write(OTHER))):
                _, error = await attempt(call())
                require(error is None, f"a stale owner renewed, and {doing} of the owner raised {error}")
        # The next one has given it up properly, and the stale one is still none.
        await _refused(stale.renew(), "renew, once the next owner is gone,")


@SUITE.check(
    "ST-039",
    "release of an owner that lost the lease takes nothing from the next one.",
    capability=Capability.LEASE,
)
@_in_time
async def a_stale_release_does_nothing(bench: StorageBench) -> None:
    async with _owner(bench) as (stale, asked):
        await stale.write(STATE)
        async with _next_owner(bench, asked + stale.lease) as following:
            await following.renew()
            await stale.release()
            _, error = await attempt(bench.bare().acquire())
            require(error is not None, "release of a stale owner let a third one in")
            await following.write(OTHER)


@SUITE.check(
    "ST-040",
    "orphans returns the profiles whose state has no owner, given up or left behind, no others, no more than asked.",
    capability=Capability.LEASE,
)
@_in_time
async def orphans_are_found(bench: StorageBench) -> None:
    async with contextlib.AsyncExitStack() as stack:
        given_up, cleared, owned, left = (bench.bare(name) for name in ("-given-up", "-cleared", "-owned", "-left"))
        _need_patience(left)
        # The one that stays owned is older than the one that is left: its renewals alone keep it.
        for one in (given_up, cleared, owned, left):
            stack.push_async_callback(one.release)
            await one.acquire()
            await one.write(STATE)
            if one is cleared:
                await one.write(None)
            if one in {given_up, cleared}:
                await one.release()
        ends = _now() + left.lease + _LATE
        wanted = {bench.profile("-given-up"), bench.profile("-left")}
        while True:
            asked = _now()
            await owned.renew()
            found = set(await owned.orphans(1000))
            ours = {profile for profile in found if profile.startswith(bench.profile())}
            require(bench.profile("-owned") not in ours, "a profile that has an owner is called an orphan")
            require(bench.profile("-cleared") not in ours, "a profile that has no state is called an orphan")
            require(bench.profile("-given-up") in ours, "a profile that was given up with its state is no orphan")
            if ours == wanted:
                break
            require(asked < ends, f"the lease of a profile ran out, and the orphans are {short(sorted(ours))}")
            await asyncio.sleep(_STEP)
        for limit in (0, 1):
            number = len(await owned.orphans(limit))
            require(number <= limit, f"orphans({limit}) returned {number} profiles")


@SUITE.check(
    "ST-041",
    "renew may be called while another call is under way.",
    capability=Capability.LEASE,
)
@_in_time
async def a_renewal_goes_beside_a_write(bench: StorageBench) -> None:
    async with _owner(bench) as (owner, _):
        large = {"delivered": 8, "link": {"cookies": "x" * 2**17}}
        for _ in range(5):
            (_, written), (_, renewed) = await asyncio.gather(attempt(owner.write(large)), attempt(owner.renew()))
            require(renewed is None, f"renew raised {renewed} while a write was under way")
            require(written is None, f"write raised {written} while a renewal was under way")
        require(same(await owner.read(), large), "a write beside a renewal was not kept")


def _now() -> float:
    return asyncio.get_running_loop().time()


def _need_patience(owner: Bare) -> None:
    if owner.lease > _LONGEST:
        raise NotShownError(
            f"its lease is {owner.lease:g} s: give options with one of {_LONGEST:g} s at most, which is waited out"
        )


@contextlib.asynccontextmanager
async def _owner(bench: StorageBench) -> AsyncIterator[tuple[Bare, float]]:
    """Make an owner that renews nothing by itself; yields it and when it asked."""
    owner = bench.bare()
    _need_patience(owner)
    asked = _now()
    await owner.acquire()
    try:
        yield owner, asked
    finally:
        await owner.release()


@contextlib.asynccontextmanager
async def _next_owner(bench: StorageBench, ends: float) -> AsyncIterator[Bare]:
    """Become the owner once the lease of the one before is over, and not sooner."""
    following = bench.bare()
    while True:
        tried = _now()
        _, error = await attempt(following.acquire())
        now = _now()
        if error is None:
            break
        require(isinstance(error, SessionInUseError), f"somebody has the lease, and acquire raised {error!r}")
        require(tried < ends + _LATE, f"the lease was over, and the state was still in use {_LATE:g} s later")
        await asyncio.sleep(_STEP)
    try:
        require(now >= ends, f"another owner was let in {ends - now:.2f} s before the lease was over")
        yield following
    finally:
        await following.release()


async def _refused(call: Any, what: str) -> None:
    try:
        await call
    except LeaseLostError:
        return
    except ChatError as error:
        fail(f"{what} of a stale owner raised {type(error).__name__} in place of LeaseLostError", error)
    fail(f"{what} of a stale owner was not refused")
