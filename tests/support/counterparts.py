"""Servers that others wrote, started for a test and driven over their control port."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shutil
import subprocess
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

COUNTERPARTS = Path(__file__).parents[1] / "interop" / "counterparts"
_TOOLS = {"java": ("java", "mvn"), "node": ("node", "npm")}


def require(kind: str) -> None:
    """Build the servers of a kind, ``java`` or ``node``.

    Skips where the tools are missing on a user's machine, fails in CI.
    """
    missing = [name for name in _TOOLS[kind] if shutil.which(name) is None]
    if missing:
        reason = f"{' and '.join(missing)} not installed: the {kind} counterparts cannot be built"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    spec = importlib.util.spec_from_file_location("counterparts_build", COUNTERPARTS / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.BUILDS[kind]()


class Counterpart:
    """A server process that says READY with its ports, and ends with its standard input."""

    path = "/genesys/cometd"

    def __init__(self, *command: str) -> None:
        self._command = command
        self._process: subprocess.Popen[str] | None = None
        self.port = 0
        self.control_port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}"

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("READY "):
            self.__exit__(None, None, None)
            pytest.fail(f"the server did not start: {line!r}")
        self.port, self.control_port = map(int, line.split()[1:])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(10)
        except (
            subprocess.TimeoutExpired
        ):  # it had thousands of sessions, and what it does with them at its end is no test
            self._process.kill()
            self._process.wait()

    def control(self, path: str, **body: Any) -> dict[str, Any]:
        address = f"http://127.0.0.1:{self.control_port}/{path}"
        request = urllib.request.Request(address, json.dumps(body).encode(), {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)  # type: ignore[no-any-return]


class CometdJava(Counterpart):
    """The CometD project's own server with a GMS chat service: generation ``v31`` or ``newest``, heap in MiB."""

    def __init__(self, generation: str, *, heap: int = 256, **options: Any) -> None:
        folder = COUNTERPARTS / "cometd_java" / generation / "target"
        (jar,) = folder.glob("cometd-java-*.jar")
        arguments = [part for name, value in options.items() for part in (f"--{name}", _text(value))]
        classpath = os.pathsep.join([str(jar), str(folder / "dependency" / "*")])
        super().__init__("java", f"-Xmx{heap}m", "-cp", classpath, "chat.Main", *arguments)


class CometdNode(Counterpart):
    """The CometD project's Node server with a GMS chat service; long polling only."""

    def __init__(self) -> None:
        super().__init__("node", str(COUNTERPARTS / "node" / "cometd.js"))


class Faye(Counterpart):
    """Faye: another dialect of Bayeux, on both carriers."""

    path = "/faye"

    def __init__(self, port: int = 0, mode: str = "") -> None:
        super().__init__("node", str(COUNTERPARTS / "node" / "faye.js"), str(port), mode)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class RemoteAgent:
    """An agent of a counterpart with a chat service, with the names of the sandbox's."""

    def __init__(self, server: Counterpart, chat: str) -> None:
        self._server = server
        self._chat = chat
        self._heard = 0

    @classmethod
    async def next_chat(cls, server: Counterpart) -> RemoteAgent:
        answer = await asyncio.to_thread(server.control, "next")
        return cls(server, answer["id"])

    async def _do(self, action: str, **body: Any) -> dict[str, Any]:
        return await asyncio.to_thread(self._server.control, f"agent/{self._chat}/{action}", **body)

    async def join(self, name: str) -> None:
        await self._do("join", name=name)

    async def say(self, text: str) -> None:
        await self._do("say", text=text)

    async def typing(self, is_typing: bool = True) -> None:
        await self._do("typing", typing=is_typing)

    async def leave(self) -> None:
        await self._do("leave")

    async def end(self) -> None:
        await self._do("end")

    async def transcript(self) -> dict[str, Any]:
        return await self._do("events")

    async def texts(self) -> list[str]:
        return [event["text"] for event in (await self.transcript())["events"] if event["type"] == "Message"]

    async def ended(self) -> bool:
        return bool((await self.transcript())["ended"])

    async def user_data(self) -> dict[str, Any]:
        return (await self.transcript())["userData"]  # type: ignore[no-any-return]

    async def hears(self, text: str) -> None:
        async with asyncio.timeout(10):
            while text not in await self.texts():
                await asyncio.sleep(0.02)  # the server is asked over HTTP; it cannot tell by itself
