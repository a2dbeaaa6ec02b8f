"""What the storage checks work with: storages made as a session makes them, here and in another process."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import inspect
import json
import os
import pickle
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from chat_core._contracts.storage import StorageContext
from chat_core._model.errors import ChatError
from chat_core._storages.runner import StorageRunner
from chat_core.testing._checks import NotShownError, fail, require
from chat_core.testing._pace import Pace
from chat_core.testing._subject import Subject
from chat_core.testing._watch import Shown

__all__ = ["Bare", "Held", "StorageBench", "StorageProcess"]

#: Seconds for which a state stays restorable in checks that are not about that.
LASTS: Final = 3600.0
#: Seconds for another Python to do its work.
_PATIENCE: Final = 30.0


class Held:
    """One instance of the storage and the runner that calls it as a session does."""

    def __init__(self, raw: Any, runner: StorageRunner) -> None:
        self.raw = raw
        self._runner = runner
        self.acquire = runner.acquire
        self.release = runner.release
        self.read = runner.read
        self.write = runner.write


class Bare:
    """One instance of the storage, called directly: nobody renews its lease."""

    def __init__(self, raw: Any, pace: Pace) -> None:
        self._raw = raw
        self._pace = pace
        self.lease = float(raw.lease)

    async def acquire(self) -> None:
        """Become the owner."""
        await self._call("acquire")

    async def release(self) -> None:
        """Stop being the owner."""
        await self._call("release")

    async def renew(self) -> None:
        """Own it for another lease."""
        await self._call("renew")

    async def read(self) -> Any:
        """Return the state."""
        return await self._call("read")

    async def write(self, state: Mapping[str, Any] | None) -> None:
        """Replace the state."""
        await self._call("write", state)

    async def orphans(self, limit: int) -> Any:
        """Return profiles without an owner."""
        return await self._call("orphans", limit)

    async def _call(self, method: str, *arguments: Any) -> Any:
        function = getattr(self._raw, method)
        with self._pace.called():
            if inspect.iscoroutinefunction(function) or getattr(self._raw, "blocking", True) is False:
                result = function(*arguments)
            else:
                result = await asyncio.to_thread(function, *arguments)
            return await result if inspect.isawaitable(result) else result


class StorageBench:
    """Makes storages for one check and clears what they were given.

    Args:
        subject: what is checked.
        folder: fresh, for this check alone.
    """

    def __init__(self, subject: Subject, folder: Path) -> None:
        self.subject = subject
        self.folder = folder
        #: What the storage logs.
        self.shown = Shown()
        #: Whether the machine, and the storage with it, keeps up.
        self.pace = Pace()
        self._options = subject.build_options(folder)
        self._prefix = f"conformance-{uuid.uuid4().hex[:8]}"
        self._held: list[tuple[str, Held]] = []
        self._processes: list[StorageProcess] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.kill()
        for _, held in self._held:
            with contextlib.suppress(Exception):
                await held.release()
        # What is left in a shared place would stay there for ever.
        for profile in {profile for profile, _ in self._held}:
            with contextlib.suppress(Exception):
                held = self.make(profile)
                await held.acquire()
                await held.write(None)
                await held.release()

    def profile(self, name: str = "") -> str:
        """Return a profile that nobody else uses."""
        return self._prefix + name

    def context(self, name: str = "", *, lasts: float = LASTS, options: Any = None) -> StorageContext:
        """Return what the factory is given."""
        return StorageContext(
            profile=self.profile(name),
            options=self._options if options is None else options,
            max_offline_duration=lasts,
            log=self.shown.log,
        )

    def make(self, name: str = "", *, lasts: float = LASTS, options: Any = None) -> Held:
        """Make an instance; nothing is called yet."""
        if not name.startswith(self._prefix):
            name = self.profile(name)
        context = self.context(name.removeprefix(self._prefix), lasts=lasts, options=options)
        raw = self.subject.make(context)
        held = Held(raw, StorageRunner(raw, name=self.subject.provider.name, log=self.shown.log))
        self._held.append((name, held))
        return held

    def bare(self, name: str = "") -> Bare:
        """Make an instance that the caller owns and releases by hand."""
        self.make(name)  # so that what is left is cleared
        return Bare(self.subject.make(self.context(name)), self.pace)

    @contextlib.asynccontextmanager
    async def opened(self, name: str = "", *, lasts: float = LASTS) -> AsyncIterator[Held]:
        """Make an instance, own the state where it knows such a thing, and give it up in the end."""
        held = self.make(name, lasts=lasts)
        await held.acquire()
        try:
            yield held
        finally:
            await held.release()

    async def kept(self, state: Mapping[str, Any], what: str) -> None:
        """Write a state and require that it is read back, by this instance and by a new one if that sees it."""
        async with self.opened() as held:
            await held.write(state)
            found = await held.read()
            require(
                same(found, state), f"{what}: what was read back is not what was written: {difference(state, found)}"
            )

    def spoil(self, *, whole: bool = True) -> None:
        """Spoil what is saved: in the author's way, or by overwriting every file of the folder, or the end of each."""
        if self.subject.damage is not None:
            self.subject.damage(self.folder)
            return
        spoilt = 0
        for path in self.folder.rglob("*"):
            if path.is_file() and (size := path.stat().st_size):
                data = b"\xff\x00damaged" * (size // 9 + 1)
                path.write_bytes(data if whole else path.read_bytes()[:-1] + b"\x01")
                spoilt += 1
        if not spoilt:
            raise NotShownError(
                "nothing was saved in the folder that options() was given; give a damage(folder) method"
            )

    def elsewhere(self, doing: str, *states: Any, name: str = "") -> StorageProcess:
        """Begin work on the same state in another process."""
        process = StorageProcess(self, doing, states, self.profile(name))
        self._processes.append(process)
        return process


class StorageProcess:
    """Another process that works on the same state; each line it prints is a JSON value."""

    def __init__(self, bench: StorageBench, doing: str, states: tuple[Any, ...], profile: str) -> None:
        job = {
            "provider": bench.subject.given,
            "options": bench._options,  # noqa: SLF001 - the bench's own other half
            "profile": profile,
            "lasts": LASTS,
            "doing": doing,
            "states": states,
        }
        try:
            data = base64.b64encode(pickle.dumps(job)).decode("ascii")
        except Exception as error:
            raise NotShownError(
                f"another process cannot make it ({type(error).__name__}): give the provider by name, or from a module"
            ) from error
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "chat_core.testing._elsewhere"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(data + "\n")
        self._process.stdin.flush()

    async def says(self) -> Any:
        """Wait for the next line and return its value."""
        stream = self._process.stdout
        assert stream is not None
        try:
            async with asyncio.timeout(_PATIENCE):
                line = await asyncio.to_thread(stream.readline)
        except TimeoutError:
            fail(f"another process said nothing within {_PATIENCE:g} s")
        if not line:
            _, words = await asyncio.to_thread(self._process.communicate)
            if "CANNOT MAKE IT" in words:
                raise NotShownError("another process cannot import the provider: give it by name, or from a module")
            fail(f"another process failed: {words.strip().splitlines()[-1:] or 'without a word'}")
        return json.loads(line)

    def kill(self) -> None:
        """Kill it, as nothing can prevent, and wait until it is gone."""
        self._process.kill()
        with contextlib.suppress(ValueError, OSError):
            self._process.communicate()


def same(one: Any, other: Any) -> bool:
    """Say whether two JSON values are the same; numbers by value, but True is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return type(one) is type(other) and bool(one == other)


def difference(written: Any, read: Any, place: str = "the state") -> str:
    """Say where two values differ, with short values."""
    if isinstance(written, Mapping) and isinstance(read, Mapping):
        for key in sorted(written.keys() | read.keys()):
            if key not in read or key not in written:
                return f"{place} {'lacks' if key in written else 'has'} the key {key!a}"
            if not same(written[key], read[key]):
                return difference(written[key], read[key], f"{place}[{key!a}]")
    return f"{place}: {short(read)} in place of {short(written)}"


def short(value: Any) -> str:
    """Return a value in few characters."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - one line


async def attempt(awaitable: Any) -> tuple[Any, ChatError | None]:
    """Return what came of a call: its result, or the error of chat-core that it raised."""
    try:
        return await awaitable, None
    except ChatError as error:
        return None, error
