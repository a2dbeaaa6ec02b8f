"""Examples without an output of their own: each is run, with the sandbox in place of the server that it names."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import chat_core
from chat_sandbox import Join, Leave, Sandbox, WaitFor, scripted
from chat_sandbox.blocking import Sandbox as BlockingSandbox

ROOT = Path(__file__).parents[2]


def example(page: str, number: int = 0) -> str:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)[number]


def test_the_program_of_the_core():
    """It shows what is said until the agent closes the chat."""
    with BlockingSandbox(agent=scripted([Join("Grace"), WaitFor("Hello"), Leave(end=True)])) as sandbox:
        program = example("core/README.md").replace("https://gms.example.com/genesys/cometd", sandbox.cometd_url)
        result = subprocess.run(
            [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60
        )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-3:] == ["Ada: Hello", "Grace left", "the session has ended (closed)"]


@pytest.mark.parametrize("transport", ["cometd", "rest"])
def test_the_example_of_a_transport(transport: str, monkeypatch: pytest.MonkeyPatch):
    """The message arrives."""

    async def main() -> None:
        async with Sandbox() as sandbox:
            address = sandbox.rest_url if transport == "rest" else sandbox.cometd_url
            text = re.sub(r'"https://[^"]+"', repr(address), example(f"plugins/transport_{transport}/README.md"))
            made: dict[str, Any] = {"chat_core": chat_core}
            exec(f"async def carry_out():\n{textwrap.indent(text, '    ')}", made)
            await made["carry_out"]()
            assert sandbox.chats[0].texts == ["Hello"]
            assert sandbox.chats[0].nickname == "Ada"

    asyncio.run(main())


def test_the_example_of_the_vocabulary(capsys: pytest.CaptureFixture[str]):
    """An envelope is judged."""
    exec(example("gms/README.md"), {})
    assert capsys.readouterr().out == "Verdict.GOOD\n"


@pytest.mark.parametrize("page", ["docs/testing.md", "sandbox/README.md"])
def test_the_test_of_a_bot(page: str):
    """It passes with a bot that is friendly, and fails with one that is not."""
    made: dict[str, Any] = {}
    exec(example(page), made)

    async def main(answer: str) -> None:
        tasks = []

        async def bot(address: str) -> None:
            transport = "rest" if "/2/chat/" in address else "cometd"
            async with chat_core.start_session(
                server_url=address, transport=transport, state_storage="memory", user_data={"FirstName": "Ada"}
            ) as session:
                await session.wait_for(chat_core.MessageReceived)
                await session.send_message(answer)
                await session.wait_for(chat_core.SessionEnded)

        made["start_my_bot"] = lambda address: tasks.append(asyncio.create_task(bot(address)))
        try:
            await made["test_my_bot"]()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main("Hi"))
    with pytest.raises(TimeoutError):
        asyncio.run(main("Go away"))
