"""Works on a storage in a process of its own: ``python -m chat_core.testing._elsewhere``, a job on stdin."""

from __future__ import annotations

import asyncio
import base64
import json
import pickle
import sys
from typing import Any

from chat_core._contracts.providers import Kind
from chat_core._contracts.storage import StorageContext
from chat_core._loggers.adapter import make_log
from chat_core._model.errors import SessionInUseError
from chat_core._storages.runner import StorageRunner
from chat_core.testing._subject import make_subject

__all__ = ["main"]


def _say(value: Any) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


async def _work(job: dict[str, Any]) -> None:
    log = make_log(lambda *_: None)
    provider = make_subject(Kind.STORAGE, job["provider"]).provider
    context = StorageContext(profile=job["profile"], options=job["options"], max_offline_duration=job["lasts"], log=log)
    runner = StorageRunner(provider.factory(context), name=provider.name, log=log)  # type: ignore[arg-type]
    try:
        await runner.acquire()
    except SessionInUseError as error:
        _say({"in use": error.code})
        return
    _say({"in use": None})
    match job["doing"]:
        case "read":
            _say(await runner.read())
        case "write":
            await runner.write(job["states"][0])
            _say("written")
            # Whoever waits kills this process while it owns the state.
            await asyncio.Event().wait()
        case "write for ever":
            while True:
                for state in job["states"]:
                    await runner.write(state)
                _say("written")
    await runner.release()


def main() -> None:
    """Do the job."""
    try:
        job = pickle.loads(base64.b64decode(sys.stdin.readline()))  # noqa: S301 - from the process that started this one
    except Exception as error:  # noqa: BLE001 - a module that is only there in the other process
        sys.exit(f"CANNOT MAKE IT: {type(error).__name__}: {error}")
    asyncio.run(_work(job))


if __name__ == "__main__":
    main()
