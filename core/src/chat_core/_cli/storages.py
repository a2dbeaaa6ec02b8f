"""Looks at the places of the states for ``chat-core doctor``, through what each storage says about itself."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from chat_core._contracts.logger import Log
from chat_core._contracts.providers import Kind, ProbeStep, StorageProvider
from chat_core._contracts.storage import StorageContext
from chat_core._loggers.adapter import make_log
from chat_core._model.errors import ChatError
from chat_core._plugins.options import build_options
from chat_core._plugins.registry import Registry

__all__ = ["look_at_storages"]

#: Seconds for one storage to say what it knows.
DEADLINE = 15.0


def look_at_storages(
    known: Registry, *, deadline: float = DEADLINE, options: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, list[ProbeStep]]:
    """Return what each storage with a ``probe`` says, by name.

    A probe that raises or hangs ends in a step that says so, behind those that came before.

    Args:
        known: what there is.
        deadline: seconds for one storage.
        options: ``storage_options`` by the name of the storage.
    """
    return {
        name: _look(provider, deadline, (options or {}).get(name))
        for name, (provider, _) in sorted(known.providers(Kind.STORAGE).items())
        if isinstance(provider, StorageProvider) and provider.probe is not None
    }


def _look(provider: StorageProvider, deadline: float, given: Mapping[str, Any] | None) -> list[ProbeStep]:
    steps: list[ProbeStep] = []
    done = threading.Event()

    def work() -> None:
        try:
            _collect(provider, steps, given)
        except ChatError as error:
            steps.append(ProbeStep(name="probe", ok=False, detail=str(error)))
        except BaseException as error:  # noqa: BLE001 - whatever a plugin raises, the report goes on
            steps.append(ProbeStep(name="probe", ok=False, detail=f"it raised {type(error).__name__}: {error}"))
        finally:
            done.set()

    # A daemon thread: a probe that never returns must not keep the command from ending.
    threading.Thread(target=work, name=f"chat-core: probe {provider.name}", daemon=True).start()
    if not done.wait(deadline):
        late = ProbeStep(name="probe", ok=False, detail=f"it did not return within {deadline:g} s and was left behind")
        return [*steps, late]
    return steps


def _collect(provider: StorageProvider, steps: list[ProbeStep], given: Mapping[str, Any] | None) -> None:
    assert provider.probe is not None
    options = build_options(provider.options, given or None, name="storage_options", owner=f"storage {provider.name!r}")
    log: Log = make_log(lambda *_: None)
    for step in provider.probe(StorageContext(profile="default", options=options, log=log)):
        if not isinstance(step, ProbeStep):
            raise TypeError(f"its probe returned a {type(step).__name__} in place of a ProbeStep")
        steps.append(step)
