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
JAVA = COUNTERPARTS / "cometd_java"


def require_java() -> None:
    """Build what the Java servers need; skip where Java is missing on a user's machine, fail in CI."""
    missing = [name for name in ("java", "mvn") if shutil.which(name) is None]
    if missing:
        reason = f"{' and '.join(missing)} not installed: the CometD Java server cannot be built"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    spec = importlib.util.spec_from_file_location("counterparts_build", COUNTERPARTS / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.build_java()


class CometdJava:
    """The CometD project's own server with a GMS chat service."""

    def __init__(self, generation: str = "v31", **options: Any) -> None:
        self._folder = JAVA / generation / "target"
        self._arguments = [part for name, value in options.items() for part in (f"--{name}", _text(value))]
        self._process: subprocess.Popen[str] | None = None
        self.port = 0
        self._control = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/genesys/cometd"

    def __enter__(self) -> Self:
        (jar,) = self._folder.glob("cometd-java-*.jar")
        classpath = os.pathsep.join([str(jar), str(self._folder / "dependency" / "*")])
        self._process = subprocess.Popen(
            ["java", "-Xmx256m", "-cp", classpath, "chat.Main", *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("READY "):
            self.__exit__(None, None, None)
            pytest.fail(f"the server did not start: {line!r}")
        self.port, self._control = map(int, line.split()[1:])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(10)

    def control(self, path: str, **body: Any) -> dict[str, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._control}/{path}", json.dumps(body).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)  # type: ignore[no-any-return]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class JavaAgent:
    """An agent of the Java server, with the names of the sandbox's."""

    def __init__(self, server: CometdJava, chat: str) -> None:
        self._server = server
        self._chat = chat
        self._heard = 0

    @classmethod
    async def next_chat(cls, server: CometdJava) -> JavaAgent:
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
