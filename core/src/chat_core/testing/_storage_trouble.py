"""The checks of a state storage's owners, deadlines, damage and secrets."""

from __future__ import annotations

import asyncio
import math
from typing import Any, Final

from chat_core._contracts.providers import Capability, ProbeStep
from chat_core._model.errors import ErrorCode, SessionInUseError, StateCorruptError, StorageUnavailableError
from chat_core.testing._checks import Level, NotShownError, fail, require
from chat_core.testing._storage_bench import StorageBench, attempt, difference, same, short
from chat_core.testing._storage_suite import OTHER, SECRETS, STATE, SUITE, needs_folder
from chat_core.testing._subject import Subject
from chat_core.testing._watch import shown_by, until, watched

__all__ = ["SUITE"]

#: Seconds in which a dead owner's state has to become free.
_FREE_WITHIN: Final = 15.0
#: Times that a process is killed while it writes.
_KILLS: Final = 3
#: Seconds for which the event loop may be held.
_BLOCKED: Final = 0.25


def _needs_place(subject: Subject) -> str | None:
    return None if subject.uses_folder or subject.damage else "it needs options(folder), or damage(folder)"


def _binds_third_party(subject: Subject) -> str | None:
    return "it binds storages that do not come with chat-core" if subject.builtin else None


def _binds_builtin(subject: Subject) -> str | None:
    return None if subject.builtin else "it binds the storages that come with chat-core"


def _binds_probe(subject: Subject) -> str | None:
    return None if getattr(subject.provider, "probe", None) else "the provider has no probe"


@SUITE.check(
    "ST-017",
    "Of two instances one is the owner: acquire of the other raises SessionInUseError, code 200, and harms nothing.",
    capability=Capability.OWNERSHIP,
    probe=True,
)
async def one_owner_in_this_process(bench: StorageBench) -> None:
    async with bench.opened() as held:
        await held.write(STATE)
        rival = bench.make()
        _, error = await attempt(rival.acquire())
        require(error is not None, "a second instance became the owner as well")
        require(
            isinstance(error, SessionInUseError), f"acquire raised {type(error).__name__} in place of SessionInUseError"
        )
        assert error is not None
        require(
            error.code == ErrorCode.IN_USE_HERE, f"the owner is this process, and the code is {error.code}, not 200"
        )
        await rival.release()
        rival = bench.make()
        _, error = await attempt(rival.acquire())
        require(error is not None, "release of an instance that was not the owner took the owner's place away")
        require(same(await held.read(), STATE), "the owner's state was harmed")
        await held.write(OTHER)


@SUITE.check(
    "ST-018",
    "After release the next instance becomes the owner; release is idempotent.",
    capability=Capability.OWNERSHIP,
)
async def release_lets_the_next_one_in(bench: StorageBench) -> None:
    held = bench.make()
    for method in ("acquire", "release"):
        require(callable(getattr(held.raw, method, None)), f"ownership is declared, and there is no {method}")
    await held.acquire()
    await held.write(STATE)
    await held.release()
    again, error = await attempt(held.release())
    require(error is None, f"a second release raised {error}")
    following = bench.make()
    again, error = await attempt(following.acquire())
    del again
    require(error is None, f"the state was given up, and the next acquire raised {error}")
    # The first one is no longer the owner, so it must not take the second one's place away.
    await held.release()
    rival = bench.make()
    _, error = await attempt(rival.acquire())
    require(error is not None, "release by a former owner took the new owner's place away")
    await following.release()


@SUITE.check(
    "ST-019",
    "While another process is the owner, acquire raises SessionInUseError with code 201.",
    capability=Capability.OWNERSHIP,
)
async def one_owner_among_processes(bench: StorageBench) -> None:
    _need_persistence(bench)
    process = bench.elsewhere("write", STATE)
    await _took(process)
    held = bench.make()
    _, error = await attempt(held.acquire())
    require(error is not None, "another process is the owner, and acquire succeeded")
    require(
        isinstance(error, SessionInUseError), f"acquire raised {type(error).__name__} in place of SessionInUseError"
    )
    assert error is not None
    require(
        error.code == ErrorCode.IN_USE_ELSEWHERE, f"the owner is another process, and the code is {error.code}, not 201"
    )


@SUITE.check(
    "ST-020",
    "When the owner was killed its state becomes free within 15 s, and is still there.",
    capability=Capability.OWNERSHIP,
)
async def a_dead_owner_gives_way(bench: StorageBench) -> None:
    _need_persistence(bench)
    process = bench.elsewhere("write", STATE)
    await _took(process)
    process.kill()
    loop = asyncio.get_running_loop()
    ends = loop.time() + _FREE_WITHIN
    held = bench.make()
    while True:
        _, error = await attempt(held.acquire())
        if error is None:
            break
        require(isinstance(error, SessionInUseError), f"the owner was killed, and acquire raised {error!r}")
        require(loop.time() < ends, f"the owner was killed, and its state was still in use after {_FREE_WITHIN:g} s")
        await asyncio.sleep(0.1)
    found = await held.read()
    require(same(found, STATE), f"the dead owner's state is not there: {difference(STATE, found)}")
    await held.release()


@SUITE.check(
    "ST-021",
    "A process that is killed while it writes leaves the earlier state or the new one, whole.",
    capability=Capability.ATOMIC,
)
async def an_interrupted_write_leaves_a_whole_state(bench: StorageBench) -> None:
    _need_persistence(bench)
    states = [{"delivered": number, "link": {"cookies": f"{number}" * 20_000}} for number in range(2)]
    for number in range(_KILLS):
        process = bench.elsewhere("write for ever", *states)
        await _took(process)
        await asyncio.sleep(0.003 * number)
        process.kill()
        held = bench.make()
        await _become_owner(held)
        found, error = await attempt(held.read())
        require(error is None, f"a write was interrupted, and the state cannot be read any more: {error}")
        require(any(same(found, state) for state in states), f"a write was interrupted: {difference(states[0], found)}")
        await held.release()


@SUITE.check("ST-022", "A storage that has a deadline has it in seconds above 0.")
async def the_deadline_is_in_seconds(bench: StorageBench) -> None:
    raw = bench.subject.make(bench.context())
    value = getattr(raw, "deadline", None)
    good = value is None or (isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf)
    require(good, f"its deadline is {value!r}")


@SUITE.check(
    "ST-023",
    "A storage that declares inline says blocking = False, and none of its calls holds the event loop for 250 ms.",
    capability=Capability.INLINE,
)
async def inline_never_blocks(bench: StorageBench) -> None:
    async with bench.opened() as held:
        blocking = getattr(held.raw, "blocking", True)
        require(blocking is False, f"inline is declared, and blocking is {blocking!r}")
        loop = asyncio.get_running_loop()
        for doing, call in (("write", lambda: held.write(STATE)), ("read", held.read)):
            took = []
            for _ in range(3):  # a busy machine may stall once
                began = loop.time()
                await call()
                took.append(loop.time() - began)
            require(min(took) < _BLOCKED, f"{doing} took {min(took) * 1000:.0f} ms on the event loop")


@SUITE.check(
    "ST-024",
    "A storage that never blocks (blocking = False) declares inline.",
    level=Level.SHOULD,
)
async def what_never_blocks_is_declared(bench: StorageBench) -> None:
    raw = bench.subject.make(bench.context())
    if getattr(raw, "blocking", True) is False:
        require(Capability.INLINE in bench.subject.capabilities, "blocking is False, and inline is not declared")


@SUITE.check("ST-025", "The state shows in no repr, log line, warning or output.", security=True)
async def the_state_is_not_shown(bench: StorageBench) -> None:
    with watched() as shown:
        async with bench.opened() as held:
            await held.write(STATE)
            await held.read()
            for text in (repr(held.raw), str(held.raw)):
                shown.add(text)
            await held.write(None)
    shown.texts += bench.shown.texts
    found = shown.find(SECRETS)
    require(not found, f"{', '.join(found)} can be read in what it logs, prints or shows as its repr")


@SUITE.check("ST-026", "A damaged state is an error, never None and never another state.", shows=_needs_place)
async def damage_is_an_error(bench: StorageBench) -> None:
    found, error = await _read_damaged(bench)
    if error is None:
        require(
            found is not None,
            "the saved state was damaged, and read returned None: it is not the same as nothing saved",
        )
        require(
            same(found, STATE),
            f"the saved state was damaged, and read returned another one: {difference(STATE, found)}",
        )


@SUITE.check(
    "ST-027",
    "A damaged state is a StateCorruptError, so that start_session replaces it with a warning.",
    level=Level.SHOULD,
    shows=_needs_place,
)
async def damage_has_its_own_error(bench: StorageBench) -> None:
    _, error = await _read_damaged(bench)
    if error is not None:
        require(isinstance(error, StateCorruptError), f"damage is reported as {type(error).__name__}")


@SUITE.check("ST-028", "No part of a damaged state shows in the error.", security=True, shows=_needs_place)
async def the_error_shows_no_state(bench: StorageBench) -> None:
    async with bench.opened() as held:
        await held.write(STATE)
    bench.spoil(whole=False)
    errors = []
    held = bench.make()
    for call in (held.acquire, held.read):
        _, error = await attempt(call())
        errors += [error] if error is not None else []
    text = "\n".join(map(shown_by, errors))
    found = sorted(name for name, secret in SECRETS.items() if secret in text)
    require(not found, f"{', '.join(found)} can be read in the error: {type(errors[0]).__name__ if errors else ''}")


@SUITE.check("ST-029", "A place that cannot be reached is an error, never None.", shows=needs_folder)
async def no_place_is_an_error(bench: StorageBench) -> None:
    found, error = await _read_nowhere(bench)
    require(error is not None, f"its place cannot be reached, and read returned {short(found)}")


@SUITE.check(
    "ST-030",
    "A place that cannot be reached is a StorageUnavailableError.",
    level=Level.SHOULD,
    shows=needs_folder,
)
async def no_place_has_its_own_error(bench: StorageBench) -> None:
    _, error = await _read_nowhere(bench)
    if error is not None:
        require(
            isinstance(error, StorageUnavailableError), f"an unreachable place is reported as {type(error).__name__}"
        )


@SUITE.check(
    "ST-031",
    "max_offline_duration has no effect on a storage that does not come with chat-core: the state stays.",
    binds=_binds_third_party,
)
async def the_state_does_not_expire(bench: StorageBench) -> None:
    async with bench.opened(lasts=0.01) as held:
        await held.write(STATE)
        await asyncio.sleep(0.03)
        found = await held.read()
        require(same(found, STATE), f"max_offline_duration took the state away: {difference(STATE, found)}")


@SUITE.check(
    "ST-032",
    "After its owner went away the state stays for max_offline_duration seconds and no longer.",
    binds=_binds_builtin,
)
async def the_state_expires(bench: StorageBench) -> None:
    async with bench.opened(lasts=60.0) as held:
        await held.write(STATE)
    async with bench.opened(lasts=0.02) as held:
        require(same(await held.read(), STATE), "the state was gone before its time was over")
        await held.write(STATE)
    await asyncio.sleep(0.1)
    async with bench.opened() as held:
        found = await held.read()
        require(found is None, "the state outlived its max_offline_duration")


@SUITE.check(
    "ST-033",
    "The probe yields ProbeStep values, raises nothing, and neither shows nor changes the state.",
    security=True,
    binds=_binds_probe,
)
async def the_probe_shows_and_changes_nothing(bench: StorageBench) -> None:
    async with bench.opened() as held:
        await held.write(STATE)
        probe: Any = bench.subject.provider.probe  # type: ignore[union-attr]
        with watched() as shown:
            try:
                steps = await asyncio.to_thread(lambda: list(probe(bench.context())))
            except Exception as error:  # noqa: BLE001 - whatever a stranger's probe raises
                fail(f"the probe raised {type(error).__name__}: what does not work is a step", error)
        wrong = [step for step in steps if not isinstance(step, ProbeStep)]
        require(not wrong, f"the probe yielded a {type(wrong[0]).__name__ if wrong else ''}, not a ProbeStep")
        for step in steps:
            shown.add(f"{step.name} {step.detail}")
        found = shown.find(SECRETS)
        require(not found, f"the probe shows {', '.join(found)}")
        require(same(await held.read(), STATE), "the probe changed the state")


async def _read_damaged(bench: StorageBench) -> tuple[Any, Any]:
    async with bench.opened() as held:
        await held.write(STATE)
    bench.spoil()
    held = bench.make()
    _, error = await attempt(held.acquire())
    return (None, error) if error is not None else await attempt(held.read())


async def _read_nowhere(bench: StorageBench) -> tuple[Any, Any]:
    async with bench.opened() as held:
        await held.write(STATE)
        if not any(path.is_file() for path in bench.folder.rglob("*")):
            raise NotShownError("nothing is kept in the folder that options() was given")
    occupied = bench.folder / "occupied"
    occupied.write_text("a file where a folder should be", "utf-8")
    try:
        options = bench.subject.build_options(occupied)
    except OSError as used:
        raise NotShownError("options(folder) uses the folder itself") from used
    try:
        held = bench.make(options=options)
    except Exception as looked:  # noqa: BLE001 - a factory that looks is another check's matter
        return None, looked
    _, error = await attempt(held.acquire())
    return (None, error) if error is not None else await attempt(held.read())


async def _took(process: Any) -> None:
    answer = await process.says()
    require(answer["in use"] is None, "nobody has the state, and another process finds it in use")
    require(await process.says() == "written", "another process did not write")


async def _become_owner(held: Any) -> None:
    taken: list[Any] = []

    async def once() -> None:
        _, error = await attempt(held.acquire())
        taken.append(error)

    ends = asyncio.get_running_loop().time() + _FREE_WITHIN
    await once()
    while taken[-1] is not None and asyncio.get_running_loop().time() < ends:
        await asyncio.sleep(0.1)
        await once()
    await until(lambda: taken[-1] is None, within=0.1, what="the owner was killed, and its state did not become free")


def _need_persistence(bench: StorageBench) -> None:
    if Capability.PERSISTENT not in bench.subject.capabilities:
        raise NotShownError("it is about several processes, and persistent is not declared")
