"""Storages whose leases have one thing wrong, and one whose leases are right."""

from __future__ import annotations

import threading
import time
from typing import Any, ClassVar

from attrs import define

from chat_core import Capability, ErrorCode, LeaseLostError
from conformance.mutant import Mutant, Odd
from conformance.reference_storage import FolderStorage, options, provider

LEASED = frozenset({Capability.PERSISTENT, Capability.OWNERSHIP, Capability.LEASE})


@define
class Lease:
    """Who owns a profile, and until when."""

    profile: str
    owner: object | None = None
    ends: float = 0.0
    epoch: int = 0


_guard = threading.RLock()
#: By path. One process is enough: what differs between processes is another check's matter.
_leases: dict[str, Lease] = {}


class LeasedStorage(FolderStorage):
    """The state in a file, its owner in a table of this process."""

    lease = 0.4
    epoch = 0

    @property
    def record(self) -> Lease:
        return _leases.setdefault(str(self.path), Lease(self.context.profile))

    def acquire(self) -> None:
        self.prepare()
        with _guard:
            record = self.record
            if record.owner is not self and self.is_held(record):
                raise self.in_use(ErrorCode.IN_USE_HERE)
            record.owner, record.ends = self, time.monotonic() + self.granted()
            record.epoch += 1
            self.epoch = record.epoch

    def renew(self) -> None:
        with _guard:
            self.check_renewal()
            self.record.ends = time.monotonic() + self.lease

    def write(self, state: Any) -> None:
        with _guard:
            self.check_write(state)
            super().write(state)

    def release(self) -> None:
        with _guard:
            if self.may_release():
                self.record.owner = None

    def orphans(self, limit: int) -> Any:
        with _guard:
            found = [self.named(path) for path in self.path.parent.glob("*.json") if self.is_orphan(_leases[str(path)])]
            return found[:limit]

    # In steps, so that a mutant replaces one of them.

    def is_held(self, record: Lease) -> bool:
        return record.owner is not None and time.monotonic() < record.ends

    def is_orphan(self, record: Lease) -> bool:
        return not self.is_held(record)

    def granted(self) -> float:
        return self.lease

    def may_release(self) -> bool:
        return self.record.epoch == self.epoch and self.record.owner is self

    def named(self, path: Any) -> str:
        return _leases[str(path)].profile

    def check_owner(self) -> None:
        # An epoch of 0: a check that reads and writes without being the owner.
        if self.epoch and not self.may_release():
            raise LeaseLostError("somebody else has it")

    def check_write(self, state: Any) -> None:
        self.check_owner()

    def check_renewal(self) -> None:
        self.check_owner()


class NoOrphans(LeasedStorage):
    orphans = None  # type: ignore[assignment] # that is what is wrong


class EndsEarly(LeasedStorage):
    def granted(self) -> float:
        return self.lease / 2


class NeverEnds(LeasedStorage):
    def is_held(self, record: Lease) -> bool:
        return record.owner is not None


class RenewsNothing(LeasedStorage):
    def renew(self) -> None:
        self.check_renewal()


class LastWriteWins(LeasedStorage):
    def check_write(self, state: Any) -> None:
        pass


class AnybodyClears(LeasedStorage):
    def check_write(self, state: Any) -> None:
        if state is not None:
            self.check_owner()


class IgnoresAStaleWrite(LeasedStorage):
    def write(self, state: Any) -> None:
        if self.may_release():
            super().write(state)


class TakesItBack(LeasedStorage):
    def check_renewal(self) -> None:
        record = self.record
        record.owner = self
        record.epoch += 1
        self.epoch = record.epoch


class RenewsForAnybody(LeasedStorage):
    def check_renewal(self) -> None:
        pass


class ComesBackLater(LeasedStorage):
    """Refused while somebody owns it, and let in again after that."""

    def check_renewal(self) -> None:
        if self.is_held(self.record):
            self.check_owner()


class ReleasesTheNext(LeasedStorage):
    def may_release(self) -> bool:
        return True

    def check_owner(self) -> None:
        if self.record.owner is not None and self.record.owner is not self:
            raise LeaseLostError("somebody else has it")


class AllAreOrphans(LeasedStorage):
    def is_orphan(self, record: Lease) -> bool:
        return True


class OnlyTheDead(LeasedStorage):
    """A profile that was given up properly is forgotten."""

    def is_orphan(self, record: Lease) -> bool:
        return record.owner is not None and super().is_orphan(record)


class OnlyTheGivenUp(LeasedStorage):
    def is_orphan(self, record: Lease) -> bool:
        return record.owner is None


class StaleIndex(LeasedStorage):
    """Orphans are found in an index that is somewhat late, and that no renewal reaches."""

    indexed: ClassVar[dict[str, float]] = {}

    def acquire(self) -> None:
        time.sleep(0.05)  # so that the profiles of a check do not run out in the same look
        super().acquire()
        self.indexed[self.record.profile] = self.record.ends + 0.3

    def is_orphan(self, record: Lease) -> bool:
        return record.owner is None or time.monotonic() >= self.indexed[record.profile]


class EmptyOrphans(LeasedStorage):
    def orphans(self, limit: int) -> Any:
        with _guard:
            return [record.profile for record in _leases.values() if self.is_orphan(record)][:limit]


class AsManyAsThereAre(LeasedStorage):
    def orphans(self, limit: int) -> Any:
        return super().orphans(1000)


class OneCallAtATime(LeasedStorage):
    busy = False

    def write(self, state: Any) -> None:
        self.busy = True
        try:
            super().write(state)
            time.sleep(0.02)
        finally:
            self.busy = False

    def renew(self) -> None:
        time.sleep(0.01)
        if self.busy:
            raise RuntimeError("one call at a time")
        super().renew()


class HeldUp(LeasedStorage):
    """Right, and strict: time alone ends an ownership. Once a profile the machine stands still for longer."""

    stood_still: ClassVar[set[str]] = set()

    def check_owner(self) -> None:
        super().check_owner()
        if self.epoch and not self.is_held(self.record):
            raise LeaseLostError("it ran out")

    def write(self, state: Any) -> None:
        if self.context.profile not in self.stood_still:
            self.stood_still.add(self.context.profile)
            time.sleep(1.5 * self.lease)
        super().write(state)


def _mutant(name: str, factory: Any, fails: dict[str, str], **more: Any) -> Mutant:
    hangs = more.pop("hangs", False)
    subject = provider(factory, **{"capabilities": LEASED, **more})
    return Mutant(name=name, subject=subject, fails=fails, options=options, hangs=hangs)


MUTANTS = [
    _mutant(
        "lease is declared, and ownership is not",
        LeasedStorage,
        {"ST-034": "lease is declared, and ownership is not"},
        capabilities=LEASED - {Capability.OWNERSHIP},
    ),
    _mutant(
        "lease is declared, and nobody can ask for orphans",
        NoOrphans,
        {"ST-034": "lease is declared, and there is no orphans", "ST-040": "TypeError came out"},
    ),
    _mutant(
        "a lease ends early",
        EndsEarly,
        dict.fromkeys(["ST-035", "ST-037", "ST-038", "ST-039"], "another owner was let in"),
    ),
    _mutant(
        "a lease never ends",
        NeverEnds,
        {
            "ST-035": "the lease was over, and the state was still in",
            "ST-036": "the lease was over, and the state was still in",
            "ST-037": "the lease was over, and the state was still in",
            "ST-038": "the lease was over, and the state was still in",
            "ST-039": "the lease was over, and the state was still in",
            "ST-040": "the lease of a profile ran out, and the orphans",
        },
        hangs=True,
    ),
    _mutant(
        "a renewal changes nothing",
        RenewsNothing,
        {"ST-036": "another owner was let in 0.", "ST-040": "a profile that has an owner is called"},
    ),
    _mutant("the last write wins, whoever writes", LastWriteWins, {"ST-037": "write(state) of a stale owner was not"}),
    _mutant("anybody clears the state", AnybodyClears, {"ST-037": "write(None) of a stale owner was not refused"}),
    _mutant(
        "a stale write is ignored without a word", IgnoresAStaleWrite, {"ST-037": "write(state) of a stale owner was"}
    ),
    _mutant("a stale owner takes the lease back", TakesItBack, {"ST-038": "renew of a stale owner was not refused"}),
    _mutant("anybody renews", RenewsForAnybody, {"ST-038": "renew of a stale owner was not refused"}),
    _mutant(
        "a stale owner renews once the next one is gone",
        ComesBackLater,
        {"ST-038": "renew, once the next owner is gone, of a stale"},
    ),
    _mutant(
        "a stale owner's release takes the next one's place away",
        ReleasesTheNext,
        {
            "ST-017": "release of an instance that was not the owner",
            "ST-018": "release by a former owner took the new owner's",
            "ST-038": "renew, once the next owner is gone, of a stale",
            "ST-039": "release of a stale owner let a third one in",
        },
    ),
    _mutant("a profile with an owner is an orphan", AllAreOrphans, {"ST-040": "a profile that has an owner is called"}),
    _mutant(
        "a profile that was given up is no orphan", OnlyTheDead, {"ST-040": "a profile that was given up with its"}
    ),
    _mutant(
        "a profile whose owner died is no orphan",
        OnlyTheGivenUp,
        {"ST-040": "the lease of a profile ran out, and the"},
        hangs=True,
    ),
    _mutant(
        "renewals do not reach what orphans are found by", StaleIndex, {"ST-040": "a profile that has an owner is"}
    ),
    _mutant(
        "a profile without a state is an orphan", EmptyOrphans, {"ST-040": "a profile that has no state is called"}
    ),
    _mutant("all orphans are returned, however few are asked for", AsManyAsThereAre, {"ST-040": "orphans(0) returned"}),
    _mutant("a renewal beside a write raises", OneCallAtATime, {"ST-041": "RuntimeError came out: one call at a time"}),
]

ODD = [
    Odd(
        name="leases in a table of the process",
        subject=provider(LeasedStorage, capabilities=LEASED, probe=None),
        options=options,
    ),
    Odd(
        name="leases that time alone ends, on a machine that stood still",
        subject=provider(HeldUp, capabilities=LEASED, probe=None),
        options=options,
    ),
]
