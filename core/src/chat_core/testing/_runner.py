"""Runs one check: on a thread and an event loop of its own, with a deadline, in a fresh folder."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from chat_core.testing._checks import Check, Level, NotShownError, RequirementError
from chat_core.testing._report import Result, Verdict

__all__ = ["run_check", "run_suite"]

#: Seconds for one check; what takes longer hangs.
DEADLINE: Final = 60.0


def run_suite(
    checks: Iterable[Check],
    bench: Callable[[Path], Any],
    *,
    capabilities: frozenset[str],
    subject: Any,
    deviations: Mapping[str, str],
    only_must: bool = False,
) -> list[Result]:
    """Run checks one after the other."""
    return [
        run_check(check, bench, capabilities=capabilities, subject=subject, deviations=deviations, only_must=only_must)
        for check in checks
    ]


def run_check(
    check: Check,
    bench: Callable[[Path], Any],
    *,
    capabilities: frozenset[str],
    subject: Any,
    deviations: Mapping[str, str],
    only_must: bool = False,
    deadline: float = DEADLINE,
) -> Result:
    """Run one check and judge what came of it.

    Args:
        check: which one.
        bench: makes what the check is given, from an empty folder.
        capabilities: what the provider declares.
        subject: what is checked, for checks that not every subject can show.
        deviations: ids of checks that are known not to hold, with the reason.
        only_must: a SHOULD that is not met is a warning.
        deadline: seconds that it may take.
    """
    began = time.monotonic()

    def result(verdict: Verdict, message: str = "") -> Result:
        return Result(check=check, verdict=verdict, message=message, seconds=time.monotonic() - began)

    if check.binds is not None and (reason := check.binds(subject)) is not None:
        return result(Verdict.NOT_BOUND, reason)
    declared = check.capability is None or check.capability in capabilities
    if not declared and not check.probe:
        return result(Verdict.NOT_BOUND, f"{check.capability} is not declared")
    if check.shows is not None and (reason := check.shows(subject)) is not None:
        return result(Verdict.NOT_SHOWN, reason)
    error = _carry_out(check, bench, deadline)
    if isinstance(error, NotShownError):
        return result(Verdict.NOT_SHOWN if declared else Verdict.NOT_BOUND, str(error))
    if not declared:
        if error is None:
            return result(Verdict.UNDECLARED, f"{check.capability} works and is not declared")
        return result(Verdict.NOT_BOUND, f"{check.capability} is not declared")
    if check.id in deviations:
        if error is None:
            return result(
                Verdict.FAIL, f"a deviation is declared ({deviations[check.id]}) and the requirement is met: remove it"
            )
        return result(Verdict.DEVIATION, deviations[check.id])
    if error is None:
        return result(Verdict.PASS)
    message = describe(check, error)
    return result(Verdict.WARN if only_must and check.level is Level.SHOULD else Verdict.FAIL, message)


def describe(check: Check, error: BaseException) -> str:
    """Return what went wrong: a sentence, the requirement, and the traceback of what the plugin raised."""
    if isinstance(error, RequirementError):
        what, cause = str(error), error.__cause__
    else:
        what, cause = f"{type(error).__name__} came out: {error}", error
    lines = [what, f"{check.id} {check.level}: {check.requirement}"]
    if cause is not None:
        lines += ["", "".join(traceback.format_exception(cause)).rstrip()]
    return "\n".join(lines)


def _carry_out(check: Check, bench: Callable[[Path], Any], deadline: float) -> BaseException | None:
    """Return what the check raised. A thread of its own: whoever calls may have a loop, and a plugin may block it."""
    outcome: list[BaseException | None] = []
    folder = Path(tempfile.mkdtemp(prefix="chat-core-conformance-"))

    def work() -> None:
        try:
            with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
                runner.run(_with_bench(check, bench, folder))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - also what pytest uses to skip: a check is not skipped
            outcome.append(error)
        else:
            outcome.append(None)

    thread = threading.Thread(target=work, name=f"chat-core: {check.id}", daemon=True)
    try:
        thread.start()
        thread.join(deadline)
        if not outcome:
            return RequirementError(f"it hangs: the check was not through after {deadline:g} s")
        return outcome[0]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _with_bench(check: Check, make: Callable[[Path], Any], folder: Path) -> None:
    async with make(folder) as bench:
        trial: Coroutine[Any, Any, None] = check.run(bench)  # type: ignore[assignment] # checks are async functions
        await trial
