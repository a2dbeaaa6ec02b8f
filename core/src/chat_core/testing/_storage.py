"""The checks of a state storage. The contract is ``chat_core.StateStorage``; docs/storages.md tells it in words."""

from __future__ import annotations

import asyncio
import contextlib
import math
from typing import Any, Final

from chat_core._contracts.providers import Capability, ProbeStep
from chat_core._model.errors import (
    ErrorCode,
    SessionInUseError,
    StateCorruptError,
    StorageError,
    StorageUnavailableError,
)
from chat_core.testing._checks import Level, NotShownError, Suite, fail, require
from chat_core.testing._storage_bench import StorageBench, attempt, difference, same, short
from chat_core.testing._subject import Subject
from chat_core.testing._watch import shown_by, until, watched

__all__ = ["SUITE"]

SUITE: Final = Suite("storage", "ST")

#: A state as the core writes it, with canaries where the secrets are.
SECRETS: Final = {
    "the secure key": "canary-3f8e1c-secure-key",
    "a cookie": "canary-9b2d77-cookie",
    "a message of the outbox": "canary-51aa04-message",
}
STATE: Final[dict[str, Any]] = {
    "version": 1,
    "transport": "conformance",
    "server_url": "https://chat.example.com/",
    "session_id": "0001",
    "link": {"secure_key": SECRETS["the secure key"], "cookies": {"SERVERID": SECRETS["a cookie"]}},
    "delivered": 7,
    "websockets_disabled": False,
    "outbox": [{"text": SECRETS["a message of the outbox"], "type": "text", "queued_at": 1700000000.25}],
}
OTHER: Final[dict[str, Any]] = {"version": 1, "link": {"other": "value"}, "delivered": 8}

#: Seconds in which a dead owner's state has to become free.
_FREE_WITHIN: Final = 15.0
#: Bytes, far above the 1 KiB that a state has.
_LARGE: Final = 256 * 1024
#: Times that a process is killed while it writes.
_KILLS: Final = 3
_BLOCKED: Final = 0.25


def _needs_folder(subject: Subject) -> str | None:
    return None if subject.uses_folder else "it needs options(folder) with a place in that folder"


def _needs_place(subject: Subject) -> str | None:
    return None if subject.uses_folder or subject.damage else "it needs options(folder), or damage(folder)"


def _binds_third_party(subject: Subject) -> str | None:
    return "it binds storages that do not come with chat-core" if subject.builtin else None


def _binds_builtin(subject: Subject) -> str | None:
    return None if subject.builtin else "it binds the storages that come with chat-core"


def _binds_probe(subject: Subject) -> str | None:
    return None if getattr(subject.provider, "probe", None) else "the provider has no probe"


@SUITE.check("ST-001", "The factory returns an object with the methods read and write, and nothing to be awaited.")
async def factory_makes_a_storage(bench: StorageBench) -> None:
    raw = bench.subject.make(bench.context())
    missing = [name for name in ("read", "write") if not callable(getattr(raw, name, None))]
    require(not missing, f"the factory returned a {type(raw).__name__}, which has no {' and no '.join(missing)}")


@SUITE.check("ST-002", "The factory does no I/O: nothing is made before the first call.", shows=_needs_folder)
async def factory_does_nothing_yet(bench: StorageBench) -> None:
    bench.make()
    made = sorted(str(path.relative_to(bench.folder)) for path in bench.folder.rglob("*"))
    require(not made, f"the factory made {', '.join(made)}")


@SUITE.check("ST-003", "The state of a profile that was never written is None.")
async def nothing_is_none(bench: StorageBench) -> None:
    async with bench.opened() as held:
        found = await held.read()
        require(found is None, f"nothing was written, and read returned {short(found)}")


@SUITE.check("ST-004", "Nested objects and lists, empty ones, null, true and false are read back as they were written.")
async def structure_is_kept(bench: StorageBench) -> None:
    deep: Any = "the bottom"
    for level in range(40):
        deep = {"level": level, "below": [deep]}
    for what, state in {
        "a state": STATE,
        "an empty state": {},
        "empty values": {"object": {}, "list": [], "text": ""},
        "null": {"null": None, "list": [None, [None]]},
        "true and false": {"yes": True, "no": False, "list": [True, False, 1, 0]},
        "40 levels": deep,
    }.items():
        await bench.kept(state, what)


@SUITE.check(
    "ST-005", "Text is read back as it was written: any script, control characters, no normalisation, any key."
)
async def text_is_kept(bench: StorageBench) -> None:
    for what, text in {
        "quotes and backslashes": "\"'\\\\/`$;--",
        "line ends": "a\nb\r\nc\rd\u2028e",
        "blanks at the ends": "  a\t ",
        "control characters": "".join(map(chr, range(1, 32))) + "\x7f\x9f",
        "a NUL": "before\0after",
        "composed and decomposed letters": "\u00e9 e\u0301 \u212b",
        "right to left": "\u05e9\u05dc\u05d5\u05dd \u202eabc\u202c",
        "beyond the first plane": "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U00020bb7",
    }.items():
        await bench.kept({"text": text, f"key {text}": {text: text}}, what)


@SUITE.check("ST-006", "A lone surrogate in a text is read back as it was written (JSON writes it as an escape).")
async def lone_surrogates_are_kept(bench: StorageBench) -> None:
    await bench.kept({"text": "cut \ud83d off", "other half": "\ude00"}, "a lone surrogate")


@SUITE.check("ST-007", "Numbers are read back with their value: integers beyond 64 bits, and floats to the last bit.")
async def numbers_are_kept(bench: StorageBench) -> None:
    for what, numbers in {
        "integers": [0, -1, 2**31, 2**53 + 1, -(2**53) - 1],
        "64-bit integers": [2**63 - 1, -(2**63), 2**64 - 1],
        "larger integers": [2**64, 10**40, -(10**40)],
        "floats": [0.1, -0.5, 1700000000.123456, 5e-324, 1.7976931348623157e308],
    }.items():
        await bench.kept({"numbers": numbers}, what)


@SUITE.check("ST-008", "Reading changes nothing: the state can be read again.")
async def reading_changes_nothing(bench: StorageBench) -> None:
    async with bench.opened() as held:
        await held.write(STATE)
        for time in ("first", "second", "third"):
            require(same(await held.read(), STATE), f"the {time} read did not return the state")


@SUITE.check("ST-009", "write replaces the state as a whole: nothing of an earlier one is left.")
async def writing_replaces(bench: StorageBench) -> None:
    async with bench.opened() as held:
        for state in (STATE, OTHER, {"delivered": 8}, {**OTHER, "delivered": 9}, STATE, {}, OTHER):
            await held.write(state)
            found = await held.read()
            require(same(found, state), f"after a further write: {difference(state, found)}")


@SUITE.check("ST-010", "write(None) clears the state, also when there is none; then read returns None.")
async def none_clears(bench: StorageBench) -> None:
    async with bench.opened() as held:
        for step in ("nothing was there", "a state was there", "it was cleared already"):
            if step == "a state was there":
                await held.write(STATE)
            _, error = await attempt(held.write(None))
            require(error is None, f"write(None) raised {error} when {step}")
            found = await held.read()
            require(found is None, f"read returned {short(found)} after write(None) when {step}")
        await held.write(OTHER)
        require(same(await held.read(), OTHER), "after write(None) a new state is not kept")


@SUITE.check("ST-011", "Profiles are kept apart: writing or clearing one leaves the others as they are.")
async def profiles_are_kept_apart(bench: StorageBench) -> None:
    async with bench.opened("-one") as one:
        try:
            two = bench.make("-two")
            await two.acquire()
        except SessionInUseError as error:
            fail("another profile cannot be had while this one is in use", error)
        await one.write(STATE)
        found = await two.read()
        require(found is None, f"the state of another profile was read: {difference(None, found)}")
        await two.write(OTHER)
        require(same(await one.read(), STATE), "writing one profile changed another")
        await two.write(None)
        require(same(await one.read(), STATE), "clearing one profile cleared another")


@SUITE.check("ST-012", "Any text of 1 to 200 characters is a profile, and no two of them share a state.")
async def any_profile_name_will_do(bench: StorageBench) -> None:
    names = [
        "-a",
        "-A",
        "-a/b",
        "-a_b",
        "-a b",
        "-a.",
        "-../a",
        "-a%2fb",
        "-a:b",
        "-\u00e9",
        "-e\u0301",
        "-" + "x" * 150,
    ]
    async with contextlib.AsyncExitStack() as stack:
        opened = []
        for name in names:
            try:
                held = await stack.enter_async_context(bench.opened(name))
            except SessionInUseError as error:
                fail(f"the profile {name!a} shares its state with another one: it is in use", error)
            opened.append((name, held))
            found, error = await attempt(held.read())
            require(error is None, f"the profile {name!a} cannot be read: {error}")
            require(found is None, f"the profile {name!a} shares its state with another one")
            _, error = await attempt(held.write({"name": name}))
            require(error is None, f"the profile {name!a} cannot be written: {error}")
        for name, held in opened:
            require(same(await held.read(), {"name": name}), f"the profile {name!a} lost its state to another one")


@SUITE.check(
    "ST-013", "A state of 256 KiB is kept whole, or refused with a StorageError and the earlier state unharmed."
)
async def large_states_are_kept_or_refused(bench: StorageBench) -> None:
    large = {"delivered": 8, "link": {"cookies": "x" * _LARGE}}
    async with bench.opened() as held:
        await held.write(STATE)
        _, error = await attempt(held.write(large))
        require(error is None or isinstance(error, StorageError), f"it was refused with {error!r}")
        found = await held.read()
        expected = large if error is None else STATE
        require(
            same(found, expected), f"it was {'taken' if error is None else 'refused'}; {difference(expected, found)}"
        )


@SUITE.check(
    "ST-014",
    "A full outbox (1 MiB of messages) is kept whole.",
    capability=Capability.OUTBOX,
)
async def an_outbox_is_kept(bench: StorageBench) -> None:
    message = {"text": "\u00e4" * 512, "type": "text", "resend": "if absent", "stage": "queued", "before": 7}
    state = {**STATE, "outbox": [{**message, "queued_at": 1700000000.5 + number} for number in range(1000)]}
    async with bench.opened() as held:
        _, error = await attempt(held.write(state))
        require(error is None, f"a full outbox was refused: {error}")
        found = await held.read()
        require(same(found, state), f"a full outbox was not kept: {difference(state, found)}")


@SUITE.check("ST-015", "A new instance reads what an earlier one left.", capability=Capability.PERSISTENT)
async def a_new_instance_sees_it(bench: StorageBench) -> None:
    async with bench.opened() as held:
        await held.write(OTHER)
        await held.write(STATE)
    async with bench.opened() as held:
        found = await held.read()
        require(same(found, STATE), f"a new instance read something else: {difference(STATE, found)}")
        await held.write(None)
    async with bench.opened() as held:
        found = await held.read()
        require(found is None, "a new instance read what was cleared")


@SUITE.check("ST-016", "Another process reads what this one left.", capability=Capability.PERSISTENT, probe=True)
async def another_process_sees_it(bench: StorageBench) -> None:
    async with bench.opened() as held:
        await held.write(STATE)
    process = bench.elsewhere("read")
    answer = await process.says()
    require(answer["in use"] is None, "the state was given up, and another process finds it in use")
    found = await process.says()
    require(same(found, STATE), f"another process read something else: {difference(STATE, found)}")


@SUITE.check(
    "ST-017",
    "Of two instances one is the owner: acquire of the other raises SessionInUseError with code 200, and harms nothing.",
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
    for path in bench.folder.rglob("*"):
        if path.is_file() and (size := path.stat().st_size) > 1:
            with path.open("r+b") as file:  # the end alone, so that the secrets are still in it
                file.seek(size - 1)
                file.write(b"\x01")
    errors = []
    held = bench.make()
    for call in (held.acquire, held.read):
        _, error = await attempt(call())
        errors += [error] if error is not None else []
    bench.spoil()
    held = bench.make()
    _, error = await attempt(held.read())
    errors += [error] if error is not None else []
    text = "\n".join(map(shown_by, errors))
    found = sorted(name for name, secret in SECRETS.items() if secret in text)
    require(not found, f"{', '.join(found)} can be read in the error: {type(errors[0]).__name__ if errors else ''}")


@SUITE.check("ST-029", "A place that cannot be reached is an error, never None.", shows=_needs_folder)
async def no_place_is_an_error(bench: StorageBench) -> None:
    found, error = await _read_nowhere(bench)
    require(error is not None, f"its place cannot be reached, and read returned {short(found)}")


@SUITE.check(
    "ST-030",
    "A place that cannot be reached is a StorageUnavailableError.",
    level=Level.SHOULD,
    shows=_needs_folder,
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
        await asyncio.sleep(0.1)
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
    except OSError as error:
        raise NotShownError("options(folder) uses the folder itself") from error
    try:
        held = bench.make(options=options)
    except Exception as error:  # noqa: BLE001 - a factory that looks is another check's matter
        return None, error
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
