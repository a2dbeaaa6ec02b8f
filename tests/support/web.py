"""The web page of ``examples/web``: its application as a process, and a real browser to look at it with."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, Self

import pytest
from playwright.async_api import Browser, Locator, Page, async_playwright

__all__ = ["AppProcess", "a_browser", "fill_in", "free_port", "say", "shows", "status", "transcript"]

SOURCES: Final = Path(__file__).parents[2] / "examples" / "web" / "src"
#: What a browser needs as root, and without any network but loopback.
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.asynccontextmanager
async def a_browser() -> AsyncIterator[Browser]:
    """Run Debian's Chromium. Skips where it is missing on a user's machine, fails in CI."""
    path = shutil.which("chromium")
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail("chromium is not installed")
        pytest.skip("chromium is not installed (Debian: chromium)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        try:
            yield browser
        finally:
            await browser.close()


class AppProcess:
    """``chat-page`` as a process that can be killed and started again, on the same port and with the same folder."""

    def __init__(self, server_url: str, folder: Path, *options: str, origin: str | None = None) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.origin = origin or self.url
        self._arguments = (server_url, "--port", str(self.port), "--folder", str(folder), *options)
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it and wait until it listens."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-m", "chat_page", *self._arguments, "--origin", self.origin),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(SOURCES)},
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(60):
            await self._process.stdout.readline()
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    await writer.wait_closed()
                    return
                await asyncio.sleep(0.02)  # it cannot tell that it listens

    async def stop(self, number: int = signal.SIGTERM) -> None:
        """End it with a signal and wait until it is gone."""
        if self._process is not None:
            self._process.send_signal(number)
            async with asyncio.timeout(60):
                await self._process.communicate()
            self._process = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()


async def fill_in(page: Page, *, name: str, subject: str = "") -> None:
    """Start a chat as a visitor does, with the keyboard."""
    await page.get_by_label("Your name").fill(name)
    await page.get_by_label("What is it about?").fill(subject)
    await page.keyboard.press("Enter")
    await page.get_by_role("textbox", name="Your message").wait_for()


async def say(page: Page, text: str) -> None:
    """Type a message and send it with Enter."""
    box = page.get_by_role("textbox", name="Your message")
    await box.fill(text)
    await box.press("Enter")


async def transcript(page: Page) -> list[str]:
    """Return the messages that the page shows, in order; those that are on their way begin with ``...``."""
    found: Any = await page.eval_on_selector_all(
        "#chat-log .message",
        "all => all.map(one => (one.matches('.waiting') ? '...' : '') + one.querySelector('.text').textContent)",
    )
    return list(found)


async def shows(page: Page, *texts: str, timeout: float = 30) -> None:
    """Wait until the page shows these messages and no others, none of them on its way."""
    found: list[str] = []
    try:
        async with asyncio.timeout(timeout):
            while (found := await transcript(page)) != list(texts):
                await asyncio.sleep(0.05)  # a page is asked; it tells nothing by itself
    except TimeoutError:
        raise AssertionError(f"the page shows {found}") from None


def status(page: Page) -> Locator:
    """Return what the page says about its connection."""
    return page.get_by_role("status")
