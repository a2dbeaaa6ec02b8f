"""Storages with one thing wrong, and odd ones that are right."""

from __future__ import annotations

import asyncio
import copy
import json
import sqlite3
import sys
import time
import unicodedata
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import Any

from attrs import evolve

from chat_core import (
    Capability,
    ChatError,
    ProbeStep,
    SessionInUseError,
    StateCorruptError,
    StorageCapacityError,
    StorageError,
    StorageUnavailableError,
)
from conformance import lease_mutants
from conformance.mutant import Mutant, Odd
from conformance.reference_storage import ALL, FolderStorage, options, provider

PERSISTENT = frozenset({Capability.PERSISTENT})
PLAIN = PERSISTENT | {Capability.OWNERSHIP}


class NoWrite:
    def __init__(self, context: Any) -> None:
        self.context = context

    def read(self) -> None:
        return None


class Eager(FolderStorage):
    def __init__(self, context: Any) -> None:
        super().__init__(context)
        self.prepare()


class EmptyForNothing(FolderStorage):
    def read(self) -> Any:
        state = super().read()
        return {} if state is None and not self.path.with_suffix(".old").exists() else state

    def write(self, state: Any) -> None:
        super().write(state)
        self.path.with_suffix(".old").touch()


class NullIsLeftOut(FolderStorage):
    def encode(self, state: Any) -> bytes:
        return super().encode(_without_null(state))


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_null(one) for key, one in value.items() if one is not None}
    return [_without_null(one) for one in value] if isinstance(value, list) else value


class TrueIsOneInLists(FolderStorage):
    def decode(self, data: bytes) -> Any:
        return _numbers(super().decode(data))


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _numbers(one) for key, one in value.items()}
    return [int(one) if isinstance(one, bool) else _numbers(one) for one in value] if isinstance(value, list) else value


class EmptyIsNothing(FolderStorage):
    def write(self, state: Any) -> None:
        super().write(state or None)


class LineEnds(FolderStorage):
    def encode(self, state: Any) -> bytes:
        return super().encode(_texts(state, lambda text: text.replace("\r\n", "\n").replace("\r", "\n")))


class Composed(FolderStorage):
    def encode(self, state: Any) -> bytes:
        return super().encode(_texts(state, lambda text: unicodedata.normalize("NFC", text)))


class CStrings(FolderStorage):
    def encode(self, state: Any) -> bytes:
        return super().encode(_texts(state, lambda text: text.partition("\0")[0]))


def _texts(value: Any, change: Any) -> Any:
    if isinstance(value, dict):
        return {change(key): _texts(one, change) for key, one in value.items()}
    if isinstance(value, list):
        return [_texts(one, change) for one in value]
    return change(value) if isinstance(value, str) else value


class Utf8(FolderStorage):
    def encode(self, state: Any) -> bytes:
        json.dumps(state, ensure_ascii=False).encode("utf-8")
        return super().encode(state)


class Doubles(FolderStorage):
    def encode(self, state: Any) -> bytes:
        return super().encode(_doubles(state))


def _doubles(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _doubles(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_doubles(one) for one in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 1000 else value


class Long(FolderStorage):
    def encode(self, state: Any) -> bytes:
        sqlite3.connect(":memory:").close()
        for number in _all_numbers(state):
            number.to_bytes(8, "little", signed=True)
        return super().encode(state)


def _all_numbers(value: Any) -> list[int]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for one in value for number in _all_numbers(one)]
    return [value] if isinstance(value, int) else []


class Once(FolderStorage):
    def read(self) -> Any:
        state = super().read()
        self.clear()
        return state


class Merges(FolderStorage):
    def write(self, state: Any) -> None:
        super().write(None if state is None else {**(self.read() or {}), **state})


class KeepsTheFirst(FolderStorage):
    def put(self, data: bytes) -> None:
        if not self.path.exists():
            super().put(data)


class CannotClear(FolderStorage):
    def clear(self) -> None:
        self.path.unlink()


class NeverClears(FolderStorage):
    def clear(self) -> None:
        pass


class OnePlace(FolderStorage):
    def place(self, context: Any) -> Path:
        return Path(context.options.folder) / f"{context.profile[:16]}.json"


class ClearsAll(FolderStorage):
    def clear(self) -> None:
        for path in self.path.parent.glob("*.json"):
            path.unlink()


class ProfileIsTheName(FolderStorage):
    def place(self, context: Any) -> Path:
        return Path(context.options.folder) / f"{context.profile.replace('/', '_')}.json"


class CaseIsFolded(FolderStorage):
    def place(self, context: Any) -> Path:
        return super().place(evolve(context, profile=context.profile.lower()))


class Cut(FolderStorage):
    def encode(self, state: Any) -> bytes:
        return super().encode(_texts(state, lambda text: text[:4096]))


class DropsAndRefuses(FolderStorage):
    def encode(self, state: Any) -> bytes:
        data = super().encode(state)
        if len(data) > 128 * 1024:
            self.clear()
            raise StorageCapacityError("too large")
        return data


class SmallWithOutbox(FolderStorage):
    def encode(self, state: Any) -> bytes:
        data = super().encode(state)
        if len(data) > 512 * 1024:
            raise StorageCapacityError("too large")
        return data


class InTheInstance:
    def __init__(self, context: Any) -> None:
        self.state: Any = None

    def read(self) -> Any:
        return self.state

    def write(self, state: Any) -> None:
        self.state = state


_places: dict[str, Any] = {}


class InTheProcess:
    """Says that it is persistent, and is kept in memory."""

    def __init__(self, context: Any) -> None:
        self.key = context.profile

    def read(self) -> Any:
        return _places.get(self.key)

    def write(self, state: Any) -> None:
        _places[self.key] = state


class OpenHouse(FolderStorage):
    def acquire(self) -> None:
        self.prepare()


class WrongError(FolderStorage):
    def in_use(self, code: int) -> Exception:
        return StorageError("somebody has it")


class WrongCode(FolderStorage):
    def in_use(self, code: int) -> Exception:
        return SessionInUseError("somebody has it", code=201)


class AlwaysHere(FolderStorage):
    def in_use(self, code: int) -> Exception:
        return SessionInUseError("somebody has it", code=200)


class NeverLetsGo(FolderStorage):
    def release(self) -> None:
        pass


class ReleasesOthers(FolderStorage):
    def release(self) -> None:
        from conformance import reference_storage

        reference_storage._held.pop(str(self.path), None)
        super().release()


class ReleaseTwiceRaises(FolderStorage):
    released = False

    def release(self) -> None:
        if self.released:
            raise StorageError("not the owner")
        self.released = True
        super().release()


class OnlyThisProcess(FolderStorage):
    """Its lock is a table of this process; another one does not see it."""

    def acquire(self) -> None:
        super().acquire()
        descriptor, self.lock = self.lock, None
        if descriptor is not None:
            __import__("os").close(descriptor)


class LockFile(FolderStorage):
    """Its lock is that a file exists, which nobody removes when the owner is killed."""

    def acquire(self) -> None:
        super().acquire()
        try:
            self.path.with_suffix(".owner").open("x").close()
        except FileExistsError:
            super().release()
            raise SessionInUseError("somebody has it", code=201) from None

    def release(self) -> None:
        if self.lock is not None:
            self.path.with_suffix(".owner").unlink(missing_ok=True)
        super().release()


class ForgetsAtDeath(FolderStorage):
    """A new owner finds nothing if the last one did not give up properly."""

    def acquire(self) -> None:
        super().acquire()
        mark = self.path.with_suffix(".mark")
        if mark.exists():
            self.clear()
        mark.touch()

    def release(self) -> None:
        if self.lock is not None:
            self.path.with_suffix(".mark").unlink(missing_ok=True)
        super().release()


class InPlace(FolderStorage):
    """Writes over the file, in two steps."""

    def put(self, data: bytes) -> None:
        with self.path.open("wb", buffering=0) as file:
            file.write(data[: len(data) // 2])
            time.sleep(0.02)
            file.write(data[len(data) // 2 :])


class NoDeadline(FolderStorage):
    deadline = float("inf")


class Blocks(FolderStorage):
    blocking = False

    def put(self, data: bytes) -> None:
        if b"websockets_disabled" in data:
            time.sleep(0.12)
        super().put(data)


class InlineUndeclared(FolderStorage):
    blocking = False


class ShowsItself(FolderStorage):
    last: Any = None

    def write(self, state: Any) -> None:
        self.last = state
        super().write(state)

    def __repr__(self) -> str:
        return f"ShowsItself({self.last})"


class LogsIt(FolderStorage):
    def write(self, state: Any) -> None:
        text = f"saving {json.dumps(state)}"
        self.log.info(text)
        super().write(state)


class PrintsIt(FolderStorage):
    def read(self) -> Any:
        state = super().read()
        sys.stdout.write(f"read {state!a}\n")
        return state


class DamageIsNothing(FolderStorage):
    def decode(self, data: bytes) -> Any:
        try:
            return super().decode(data)
        except StateCorruptError:
            return None


class Guesses(FolderStorage):
    def decode(self, data: bytes) -> Any:
        try:
            return super().decode(data)
        except StateCorruptError:
            return {"version": 1}


class AnyError(FolderStorage):
    def decode(self, data: bytes) -> Any:
        try:
            return super().decode(data)
        except StateCorruptError as error:
            raise StorageError("something is wrong") from error


class Quotes(FolderStorage):
    def decode(self, data: bytes) -> Any:
        try:
            return super().decode(data)
        except StateCorruptError:
            raise StateCorruptError(f"the state is damaged: {data!r}") from None


class QuotesBelow(FolderStorage):
    def decode(self, data: bytes) -> Any:
        try:
            return super().decode(data)
        except StateCorruptError:
            raise StateCorruptError("the state is damaged") from ValueError(data.decode("latin-1"))


class NowhereIsNothing(FolderStorage):
    def prepare(self) -> None:
        try:
            super().prepare()
        except ChatError:
            self.gone = True

    def read(self) -> Any:
        self.prepare()
        return None if getattr(self, "gone", False) else super().read()

    def acquire(self) -> None:
        self.prepare()
        if not getattr(self, "gone", False):
            super().acquire()


class NowhereIsAnOSError(FolderStorage):
    def prepare(self) -> None:
        try:
            super().prepare()
        except StorageUnavailableError as error:
            raise OSError("no such place") from error


class Expires(FolderStorage):
    def read(self) -> Any:
        gone = self.path.exists() and time.time() - self.path.stat().st_mtime > self.context.max_offline_duration
        return None if gone else super().read()


def _raising(context: Any) -> list[ProbeStep]:
    raise OSError("no such place")


def _talking(context: Any) -> list[ProbeStep]:
    texts = [path.read_text("utf-8") for path in Path(context.options.folder).glob("*.json")]
    return [ProbeStep(name="states", ok=True, detail=" ".join(texts))]


def _clearing(context: Any) -> list[ProbeStep]:
    for path in Path(context.options.folder).glob("*.json"):
        path.unlink()
    return []


def _words(context: Any) -> list[str]:
    return ["all is well"]


async def _factory(context: Any) -> Any:
    return FolderStorage(context)


class Coroutine:
    """A factory that is async: what it returns has no read."""

    def __new__(cls, context: Any) -> Any:
        return _factory(context)


class Async:
    """Nothing but two async methods; the state ends with the instance."""

    def __init__(self, context: Any) -> None:
        self.state: str | None = None

    async def read(self) -> Any:
        await asyncio.sleep(0)
        return None if self.state is None else json.loads(self.state)

    async def write(self, state: Any) -> None:
        await asyncio.sleep(0)
        self.state = None if state is None else json.dumps(state)


class ReturnsAwaitables:
    """Plain methods that return awaitables, and a mapping that is no dict."""

    def __init__(self, context: Any) -> None:
        self.state: Any = None

    def read(self) -> Any:
        future = asyncio.get_running_loop().create_future()
        future.set_result(None if self.state is None else MappingProxyType(self.state))
        return future

    def write(self, state: Any) -> Any:
        self.state = copy.deepcopy(state)
        return asyncio.sleep(0)

    blocking = False


class Slow(FolderStorage):
    def read(self) -> Any:
        time.sleep(0.01)
        return super().read()


class Sqlite:
    """One row per profile; the file is opened for each call."""

    def __init__(self, context: Any) -> None:
        self.path = Path(context.options.folder)
        self.profile = context.profile

    def _open(self) -> Any:
        try:
            database = sqlite3.connect(self.path)
            database.execute("CREATE TABLE IF NOT EXISTS states (profile BLOB PRIMARY KEY, state TEXT)")
        except sqlite3.OperationalError as error:
            raise StorageUnavailableError("the database cannot be opened") from error
        except sqlite3.DatabaseError as error:
            raise StateCorruptError("the database is damaged") from error
        return closing(database)

    def read(self) -> Any:
        with self._open() as database:
            row = database.execute("SELECT state FROM states WHERE profile = ?", (self._key(),)).fetchone()
        return None if row is None else json.loads(row[0])

    def write(self, state: Any) -> None:
        with self._open() as database, database:
            if state is None:
                database.execute("DELETE FROM states WHERE profile = ?", (self._key(),))
            else:
                database.execute("INSERT OR REPLACE INTO states VALUES (?, ?)", (self._key(), json.dumps(state)))

    def _key(self) -> bytes:
        return self.profile.encode("utf-8", "surrogatepass")


class FiniteLimit(FolderStorage):
    """Refuses what is large, and says so; knows damage by a subclass of its own error."""

    deadline = 3

    def encode(self, state: Any) -> bytes:
        data = super().encode(state)
        if len(data) > 20_000:
            raise StorageCapacityError("too large")
        return data


class ExpiresAtOnce(FolderStorage):
    def read(self) -> Any:
        return None if self.lock is not None and self.path.with_suffix(".left").exists() else super().read()

    def release(self) -> None:
        if self.lock is not None:
            self.path.with_suffix(".left").touch()
        super().release()


def _mutant(name: str, factory: Any, fails: dict[str, str], **more: Any) -> Mutant:
    more.setdefault("capabilities", PLAIN)
    flags = {flag: more.pop(flag, False) for flag in ("builtin", "hangs")}
    return Mutant(name=name, subject=provider(factory, **more), fails=fails, options=options, **flags)


def _odd(name: str, factory: Any, *capabilities: str, **more: Any) -> Odd:
    more.setdefault("probe", None)
    return Odd(name=name, subject=provider(factory, capabilities=frozenset(capabilities), **more), options=options)


#: With these in other processes too; the module can be imported there.
_EVERYWHERE: Any = {"here": False, "capabilities": ALL}
_INLINE = PLAIN | {Capability.INLINE}

MUTANTS = [
    _mutant(
        "the factory is async",
        Coroutine,
        {
            "ST-001": "the factory returned a coroutine, which has no",
            "ST-002": "InvalidPluginError came out: a state storage",
            "ST-003": "InvalidPluginError came out: a state storage",
            "ST-004": "InvalidPluginError came out: a state storage",
            "ST-005": "InvalidPluginError came out: a state storage",
            "ST-006": "InvalidPluginError came out: a state storage",
            "ST-007": "InvalidPluginError came out: a state storage",
            "ST-008": "InvalidPluginError came out: a state storage",
            "ST-009": "InvalidPluginError came out: a state storage",
            "ST-010": "InvalidPluginError came out: a state storage",
            "ST-011": "InvalidPluginError came out: a state storage",
            "ST-012": "InvalidPluginError came out: a state storage",
            "ST-013": "InvalidPluginError came out: a state storage",
            "ST-015": "InvalidPluginError came out: a state storage",
            "ST-016": "InvalidPluginError came out: a state storage",
            "ST-017": "InvalidPluginError came out: a state storage",
            "ST-018": "InvalidPluginError came out: a state storage",
            "ST-025": "InvalidPluginError came out: a state storage",
            "ST-026": "InvalidPluginError came out: a state storage",
            "ST-027": "InvalidPluginError came out: a state storage",
            "ST-028": "InvalidPluginError came out: a state storage",
            "ST-029": "InvalidPluginError came out: a state storage",
            "ST-030": "InvalidPluginError came out: a state storage",
            "ST-031": "InvalidPluginError came out: a state storage",
            "ST-033": "InvalidPluginError came out: a state storage",
        },
    ),
    _mutant(
        "there is no write",
        NoWrite,
        {
            "ST-001": "the factory returned a NoWrite, which has no",
            "ST-002": "InvalidPluginError came out: a state storage",
            "ST-003": "InvalidPluginError came out: a state storage",
            "ST-004": "InvalidPluginError came out: a state storage",
            "ST-005": "InvalidPluginError came out: a state storage",
            "ST-006": "InvalidPluginError came out: a state storage",
            "ST-007": "InvalidPluginError came out: a state storage",
            "ST-008": "InvalidPluginError came out: a state storage",
            "ST-009": "InvalidPluginError came out: a state storage",
            "ST-010": "InvalidPluginError came out: a state storage",
            "ST-011": "InvalidPluginError came out: a state storage",
            "ST-012": "InvalidPluginError came out: a state storage",
            "ST-013": "InvalidPluginError came out: a state storage",
            "ST-025": "InvalidPluginError came out: a state storage",
            "ST-026": "InvalidPluginError came out: a state storage",
            "ST-027": "InvalidPluginError came out: a state storage",
            "ST-028": "InvalidPluginError came out: a state storage",
            "ST-029": "InvalidPluginError came out: a state storage",
            "ST-030": "InvalidPluginError came out: a state storage",
            "ST-031": "InvalidPluginError came out: a state storage",
            "ST-033": "InvalidPluginError came out: a state storage",
        },
        capabilities=frozenset(),
    ),
    _mutant("the factory makes the folder", Eager, {"ST-002": "the factory made states"}),
    _mutant(
        "nothing is read as an empty state",
        EmptyForNothing,
        {
            "ST-003": "nothing was written, and read returned {}",
            "ST-011": "the state of another profile was read: the",
            "ST-012": "the profile '-a' shares its state with another",
        },
    ),
    _mutant("values that are null are left out", NullIsLeftOut, {"ST-004": "null: what was read back is not what was"}),
    _mutant(
        "true and false in lists become 1 and 0",
        TrueIsOneInLists,
        {"ST-004": "true and false: what was read back is not what"},
    ),
    _mutant(
        "an empty state is taken for none",
        EmptyIsNothing,
        {
            "ST-004": "an empty state: what was read back is not",
            "ST-009": "after a further write: the state: None in place",
        },
    ),
    _mutant("line ends are made one kind", LineEnds, {"ST-005": "line ends: what was read back is not"}),
    _mutant(
        "text is normalised",
        Composed,
        {
            "ST-005": "composed and decomposed letters: what was read",
            "ST-012": "the profile '-e\\u0301' lost its state to",
        },
    ),
    _mutant("text ends at a NUL", CStrings, {"ST-005": "a NUL: what was read back is not what was"}),
    _mutant(
        "text is written as UTF-8, which has no lone surrogates",
        Utf8,
        {"ST-006": "StorageError came out: the storage 'folder'"},
    ),
    _mutant("integers are kept as doubles", Doubles, {"ST-007": "integers: what was read back is not what was"}),
    _mutant("integers beyond 64 bits are refused", Long, {"ST-007": "StorageError came out: the storage 'folder'"}),
    _mutant(
        "what was read is gone",
        Once,
        {"ST-008": "the second read did not return the state", "ST-011": "clearing one profile cleared another"},
    ),
    _mutant(
        "write merges",
        Merges,
        {
            "ST-004": "an empty state: what was read back is not",
            "ST-005": "line ends: what was read back is not",
            "ST-009": "after a further write: the state has the key",
            "ST-013": "it was taken; the state has",
        },
    ),
    _mutant(
        "only the first write counts",
        KeepsTheFirst,
        {
            "ST-004": "an empty state: what was read back is not",
            "ST-005": "line ends: what was read back is not",
            "ST-007": "64-bit integers: what was read back is not what",
            "ST-009": "after a further write",
            "ST-013": "it was taken;",
            "ST-015": "a new instance read something else: the",
        },
    ),
    _mutant("clearing nothing raises", CannotClear, {"ST-010": "write(None) raised the storage 'folder' failed"}),
    _mutant(
        "nothing is ever cleared",
        NeverClears,
        {"ST-010": "read returned {'version': 1, 'transport':", "ST-015": "a new instance read what was cleared"},
    ),
    _mutant(
        "all profiles are one",
        OnePlace,
        {
            "ST-011": "another profile cannot be had while this one is",
            "ST-012": "the profile '-A' shares its state with another",
        },
    ),
    _mutant("clearing one profile clears all", ClearsAll, {"ST-011": "clearing one profile cleared another"}),
    _mutant(
        "the profile is the file's name, with _ for /",
        ProfileIsTheName,
        {"ST-012": "the profile '-a_b' shares its state with"},
    ),
    _mutant(
        "profiles are told apart without case",
        CaseIsFolded,
        {"ST-012": "the profile '-A' shares its state with another"},
    ),
    _mutant("long texts are cut without a word", Cut, {"ST-013": "it was taken;"}),
    _mutant(
        "what is too large is refused, and the earlier state is gone",
        DropsAndRefuses,
        {"ST-013": "it was refused; the state: None in place of"},
    ),
    _mutant(
        "outbox is declared, and 512 KiB is the limit",
        SmallWithOutbox,
        {"ST-014": "a full outbox was refused: too large"},
        capabilities=PLAIN | {Capability.OUTBOX},
    ),
    _mutant(
        "persistent is declared, and the state is in the instance",
        InTheInstance,
        {"ST-015": "a new instance read something else: the state:"},
        capabilities=PERSISTENT,
    ),
    _mutant(
        "persistent is declared, and the state is in the process",
        InTheProcess,
        {"ST-016": "another process read something else: the state:"},
        capabilities=PERSISTENT,
        here=False,
    ),
    _mutant(
        "anybody becomes the owner",
        OpenHouse,
        {
            "ST-017": "a second instance became the owner as well",
            "ST-018": "release by a former owner took the new owner's",
        },
    ),
    _mutant(
        "a second owner is refused with another error",
        WrongError,
        {"ST-017": "acquire raised StorageError in place of"},
    ),
    _mutant(
        "a second owner here is told that it is elsewhere",
        WrongCode,
        {"ST-017": "the owner is this process, and the code is 201,"},
    ),
    _mutant(
        "a second owner elsewhere is told that it is here",
        AlwaysHere,
        {"ST-019": "the owner is another process, and the code is"},
        **_EVERYWHERE,
    ),
    _mutant(
        "release does nothing",
        NeverLetsGo,
        {
            "ST-004": "SessionInUseError came out: somebody has it",
            "ST-005": "SessionInUseError came out: somebody has it",
            "ST-007": "SessionInUseError came out: somebody has it",
            "ST-015": "SessionInUseError came out: somebody has it",
            "ST-018": "the state was given up, and the next acquire",
            "ST-027": "damage is reported as SessionInUseError",
        },
    ),
    _mutant(
        "release by anybody takes the ownership away",
        ReleasesOthers,
        {
            "ST-017": "release of an instance that was not the owner",
            "ST-018": "release by a former owner took the new owner's",
        },
    ),
    _mutant("a second release raises", ReleaseTwiceRaises, {"ST-018": "a second release raised not the owner"}),
    _mutant(
        "the owner is known to its own process only",
        OnlyThisProcess,
        {"ST-019": "another process is the owner, and acquire"},
        **_EVERYWHERE,
    ),
    _mutant(
        "a killed owner's lock stays for ever",
        LockFile,
        {
            "ST-020": "the owner was killed, and its state was still",
            "ST-021": "the owner was killed, and its state did not",
        },
        hangs=True,
        **_EVERYWHERE,
    ),
    _mutant(
        "a killed owner's state is thrown away",
        ForgetsAtDeath,
        {
            "ST-020": "the dead owner's state is not there: the state:",
            "ST-021": "a write was interrupted: the state: None in",
        },
        **_EVERYWHERE,
    ),
    _mutant(
        "a state is written over the earlier one in two steps",
        InPlace,
        {"ST-021": "a write was interrupted, and the state cannot"},
        **_EVERYWHERE,
    ),
    _mutant("the deadline is infinite", NoDeadline, {"ST-022": "its deadline is inf"}),
    _mutant(
        "inline is declared, and blocking is not False",
        FolderStorage,
        {"ST-023": "inline is declared, and blocking is True"},
        capabilities=_INLINE,
    ),
    _mutant(
        "inline is declared, and writing takes 0.12 s",
        Blocks,
        {"ST-023": "write took"},
        capabilities=frozenset({Capability.INLINE}),
    ),
    _mutant(
        "blocking is False, and inline is not declared",
        InlineUndeclared,
        {"ST-024": "blocking is False, and inline is not declared"},
    ),
    _mutant("the repr shows the state", ShowsItself, {"ST-025": "a cookie, a message of the outbox, the secure"}),
    _mutant("the state is logged as text", LogsIt, {"ST-025": "a cookie, a message of the outbox, the secure"}),
    _mutant("the state is printed", PrintsIt, {"ST-025": "a cookie, a message of the outbox, the secure"}),
    _mutant(
        "a damaged state is read as nothing",
        DamageIsNothing,
        {"ST-026": "the saved state was damaged, and read returned"},
    ),
    _mutant(
        "a damaged state is read as another one", Guesses, {"ST-026": "the saved state was damaged, and read returned"}
    ),
    _mutant("damage is any error", AnyError, {"ST-027": "damage is reported as StorageError"}),
    _mutant("the error quotes the damaged state", Quotes, {"ST-028": "a cookie, a message of the outbox, the secure"}),
    _mutant(
        "the error's cause quotes the damaged state",
        QuotesBelow,
        {"ST-028": "a cookie, a message of the outbox, the secure"},
    ),
    _mutant(
        "a place that is not there is read as nothing",
        NowhereIsNothing,
        {"ST-029": "its place cannot be reached, and read returned"},
    ),
    _mutant(
        "a place that is not there is an OSError",
        NowhereIsAnOSError,
        {"ST-030": "an unreachable place is reported as StorageError"},
    ),
    _mutant("max_offline_duration is obeyed", Expires, {"ST-031": "max_offline_duration took the state away: the"}),
    _mutant(
        "the probe raises", FolderStorage, {"ST-033": "the probe raised OSError: what does not work is"}, probe=_raising
    ),
    _mutant(
        "the probe shows the states",
        FolderStorage,
        {"ST-033": "the probe shows a cookie, a message of the"},
        probe=_talking,
    ),
    _mutant("the probe clears the states", FolderStorage, {"ST-033": "the probe changed the state"}, probe=_clearing),
    _mutant(
        "the probe yields text", FolderStorage, {"ST-033": "the probe yielded a str, not a ProbeStep"}, probe=_words
    ),
    _mutant(
        "as one of the core's own, the state never expires",
        FolderStorage,
        {"ST-032": "the state outlived its max_offline_duration"},
        builtin=True,
    ),
    _mutant(
        "as one of the core's own, the state expires at once",
        ExpiresAtOnce,
        {
            "ST-004": "an empty state: what was read back is not",
            "ST-005": "line ends: what was read back is not",
            "ST-007": "64-bit integers: what was read back is not what",
            "ST-015": "a new instance read something else: the state:",
            "ST-026": "the saved state was damaged, and read returned",
            "ST-032": "the state was gone before its time was over",
        },
        builtin=True,
    ),
    *lease_mutants.MUTANTS,
]

ODD = [
    _odd("two async methods, and the state ends with the instance", Async),
    _odd("plain methods that return awaitables, on the event loop", ReturnsAwaitables, Capability.INLINE),
    _odd("every read takes a while", Slow, *PLAIN, "x-vault"),
    _odd(
        "SQLite, opened for each call", Sqlite, Capability.PERSISTENT, Capability.OUTBOX, Capability.ATOMIC, here=False
    ),
    _odd("small, and refuses what is large", FiniteLimit, *PLAIN),
    _odd("everything at once", FolderStorage, *ALL, here=False),
    *lease_mutants.ODD,
]
