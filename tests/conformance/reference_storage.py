"""A storage that keeps the whole contract in few lines: what the mutants are made from."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

from attrs import frozen

from chat_core import (
    Capability,
    ErrorCode,
    ProbeStep,
    SessionInUseError,
    StateCorruptError,
    StorageContext,
    StorageError,
    StorageProvider,
    StorageUnavailableError,
)

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

_guard = threading.Lock()
_held: dict[str, object] = {}


@frozen(kw_only=True)
class FolderOptions:
    folder: str


class FolderStorage:
    """A file per profile, replaced atomically; a lock file beside it."""

    def __init__(self, context: StorageContext) -> None:
        self.context = context
        self.log = context.log
        self.path = self.place(context)
        self.lock: int | None = None

    def place(self, context: StorageContext) -> Path:
        name = hashlib.sha256(context.profile.encode("utf-8", "surrogatepass")).hexdigest()[:20]
        return Path(context.options.folder) / f"{name}.json"

    # In steps, so that a mutant replaces one of them.

    def encode(self, state: Any) -> bytes:
        text = json.dumps(state)
        return json.dumps({"sum": hashlib.sha256(text.encode()).hexdigest(), "state": text}).encode("ascii")

    def decode(self, data: bytes) -> Any:
        try:
            value = json.loads(data)
            good = hashlib.sha256(value["state"].encode()).hexdigest() == value["sum"]
        except (ValueError, TypeError, KeyError):
            good = False
        if not good:
            raise StateCorruptError("the state is damaged")
        return json.loads(value["state"])

    def put(self, data: bytes) -> None:
        temporary = self.path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_bytes(data)
        temporary.replace(self.path)

    def clear(self) -> None:
        self.path.unlink(missing_ok=True)

    def prepare(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageUnavailableError("the folder cannot be used") from error

    def read(self) -> Any:
        self.prepare()
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        return self.decode(data)

    def write(self, state: Any) -> Any:
        self.prepare()
        if state is None:
            self.clear()
        else:
            self.put(self.encode(state))

    def acquire(self) -> None:
        self.prepare()
        with _guard:
            owner = _held.get(str(self.path))
            if owner is self:
                return
            if owner is not None:
                raise self.in_use(ErrorCode.IN_USE_HERE)
            descriptor = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
                raise self.in_use(ErrorCode.IN_USE_ELSEWHERE) from None
            _held[str(self.path)] = self
            self.lock = descriptor

    def in_use(self, code: int) -> Exception:
        return SessionInUseError("somebody has it", code=code)

    def release(self) -> None:
        with _guard:
            if _held.get(str(self.path)) is self:
                del _held[str(self.path)]
            if self.lock is not None:
                os.close(self.lock)
                self.lock = None


ALL = frozenset({Capability.PERSISTENT, Capability.OUTBOX, Capability.OWNERSHIP, Capability.ATOMIC})


def look(context: StorageContext) -> list[ProbeStep]:
    return [ProbeStep(name="folder", ok=Path(context.options.folder).exists(), detail="looked at")]


def provider(
    factory: Any = FolderStorage, *, capabilities: frozenset[str] = ALL, probe: Any = look, here: bool = True
) -> StorageProvider:
    """Return a provider; ``here``: which no other process can make, so that checks on processes are not run."""

    def make(context: StorageContext) -> Any:
        return factory(context)

    return StorageProvider(
        name="folder",
        summary="a folder",
        factory=make if here else factory,
        options=FolderOptions,
        capabilities=capabilities,
        probe=probe,
    )


def options(folder: Path) -> dict[str, Any]:
    return {"folder": str(folder / "states")}


def refuse(_: Any) -> None:
    raise StorageError("refused")
