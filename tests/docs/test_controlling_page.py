"""What the page about controlling a session shows."""

from __future__ import annotations

import asyncio
import re
import textwrap
from pathlib import Path
from typing import Any

import chat_core
from chat_sandbox import Sandbox, echo

PAGE = (Path(__file__).parents[2] / "docs" / "controlling.md").read_text("utf-8")


def test_the_commands_on_the_page_do_what_it_says():
    """As they stand there, one after the other, in one session."""
    (commands,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    made: dict[str, Any] = {}
    exec(f"async def carry_out(session):\n{textwrap.indent(commands, '    ')}    return locals()\n", made)

    async def main() -> None:
        async with Sandbox(agent=echo) as sandbox:
            session = await chat_core.start_session(server_url=sandbox.cometd_url, state_storage="memory")
            found = await made["carry_out"](session)
            assert found["receipt"].state == "echoed"
            assert any(isinstance(event, chat_core.MessageReceived) for event in found["transcript"])
            assert session.ended is not None
            assert sandbox.chats[0].user_data["Level"] == "gold"

    asyncio.run(main())
