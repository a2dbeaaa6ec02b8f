"""The checks of a state storage. The contract is ``chat_core.StateStorage``; docs/storages.md tells it in words.

What is kept, and for whom; owners, deadlines, damage and secrets are in ``_storage_trouble``.
"""

from __future__ import annotations

import contextlib
from typing import Any, Final

from chat_core._contracts.providers import Capability
from chat_core._model.errors import SessionInUseError, StorageError
from chat_core.testing._checks import fail, require
from chat_core.testing._storage_bench import StorageBench, attempt, difference, same, short
from chat_core.testing._storage_suite import OTHER, STATE, SUITE, needs_folder

__all__ = ["SUITE"]

#: Bytes, far above the 1 KiB that a state has.
_LARGE: Final = 256 * 1024


@SUITE.check("ST-001", "The factory returns an object with the methods read and write, and nothing to be awaited.")
async def factory_makes_a_storage(bench: StorageBench) -> None:
    raw = bench.subject.make(bench.context())
    missing = [name for name in ("read", "write") if not callable(getattr(raw, name, None))]
    require(not missing, f"the factory returned a {type(raw).__name__}, which has no {' and no '.join(missing)}")


@SUITE.check("ST-002", "The factory does no I/O: nothing is made before the first call.", shows=needs_folder)
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
        except SessionInUseError as taken:
            fail("another profile cannot be had while this one is in use", taken)
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
            except SessionInUseError as taken:
                fail(f"the profile {name!a} shares its state with another one: it is in use", taken)
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
