"""Draws the pictures of the terminal: a chat with the sandbox, held in the application without a terminal.

``python docs/pictures/make.py`` writes the SVG files beside it. Not part of the tests, which keep what the screens hold as
text: a picture changes with every release of the libraries that draw it.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import chat_core
from chat_core._cli._demo.switch import BEGINNING
from chat_core._cli._tui.app import ChatApp
from chat_core._cli._tui.line import TypedLine
from chat_sandbox import Sandbox

PICTURES = Path(__file__).parent
FONTS = '"Fira Code", "Cascadia Code", "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace'
DEADLINE = 30.0


class Stage:
    """The demo's, without its second process."""

    notes = BEGINNING
    farewell = ""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def cut(self) -> None:
        """Cut the network."""
        await self._sandbox.faults.cut()

    async def mend(self) -> None:
        """Mend it."""
        await self._sandbox.faults.mend()

    def kill(self) -> None:
        """Kill nothing: the picture is not yet made."""


async def main() -> None:
    """Hold the chat and write the pictures."""
    with tempfile.TemporaryDirectory() as state:
        async with (
            Sandbox() as sandbox,
            chat_core.start_session(
                server_url=sandbox.cometd_url,
                username="Ada",
                subject="Invoice 4711",
                storage_options={"directory": state},
                profile="demo",
            ) as session,
        ):
            agent = await sandbox.next_chat()
            app = ChatApp(session, stage=Stage(sandbox))
            async with app.run_test(size=(92, 27)) as pilot:

                async def say(text: str) -> None:
                    app.query_one(TypedLine).insert_text_at_cursor(text)
                    await pilot.press("enter")

                async def until(condition: Callable[[], object]) -> None:
                    async with asyncio.timeout(DEADLINE):
                        while not condition():
                            await pilot.pause(0.05)

                await agent.join("Grace")
                await agent.say("Hello, Grace here. How can I help?")
                await say("My invoice says 120 EUR. Your offer said [bold]12 EUR[/bold].")
                await agent.hears(timeout=DEADLINE)
                await agent.typing()
                await agent.say("Let me look.\nWhich offer was that?")
                await agent.typing()
                await session.wait_for(chat_core.MessageReceived, lambda event: "offer" in event.text, timeout=DEADLINE)
                await pilot.pause(0.3)
                await pilot.press("f3")
                await until(lambda: session.connection_state == "interrupted")
                for text in ("It was the one of last Monday,", "the one with the blue ribbon."):
                    await say(text)
                await until(lambda: len(session.outbox) == 2)  # noqa: PLR2004 - the two
                app.query_one(TypedLine).insert_text_at_cursor("Are you still th")
                await pilot.pause(1.2)
                _write(app, "terminal")
                await agent.say("Are you still there?")
                await pilot.press("f3")
                await until(lambda: not session.outbox)
                await pilot.press("f2")
                await agent.typing()
                await pilot.resize_terminal(132, 30)
                await pilot.pause(1.0)
                _write(app, "terminal-inspector")


def _write(app: ChatApp, name: str) -> None:
    svg = app.export_screenshot(title="chat-core demo")
    # No font from somebody else's server.
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: ?Fira Code, ?monospace", f"font-family: {FONTS}", svg)
    svg = re.sub(r"\s*\n\s*", "\n", svg)
    (PICTURES / f"{name}.svg").write_text(svg + "\n", "utf-8")


if __name__ == "__main__":
    asyncio.run(main())
