"""RP-10: secrets and message text, as canaries, in everything that a program can print, log or leave on a disk."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import stat
import traceback
import warnings
from pathlib import Path
from typing import Any

import pytest

import chat_core
from chat_core import ChatError, MessageReceived
from chat_sandbox import Sandbox
from plugins.carriers import every_carrier, options
from support.gates import Gate

SECRETS = {
    "password": "canary-password",
    "header": "canary-header",
    "user data": "canary-userdata",
    "sent": "canary-sent",
    "received": "canary-received",
    "preview": "canary-preview",
    "notice": "canary-notice",
    "file name": "canary-file.txt",
}

#: A program that wants to see everything sets these, one by one.
LOGGERS = [
    *("asyncio", "h11", "httpx", "httpcore", "httpcore.connection", "httpcore.http11", "httpcore.proxy"),
    *("websockets", "websockets.client", "chat_core", "chat_transport_cometd", "chat_transport_cometd.websocket"),
]


@every_carrier
@pytest.mark.parametrize("trouble", [False, True], ids=["smooth", "trouble"])
def test_rp10_no_canary_is_found(carrier: str, trouble: bool, tmp_path: Path):
    """A chat with everything in it, with every library logging at DEBUG, smooth and with every kind of failure."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setLevel(logging.DEBUG)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    for name in ("", *LOGGERS):
        logging.getLogger(name).setLevel(logging.DEBUG)
    seen: list[Any] = []

    def note(*things: Any) -> None:
        for thing in things:
            print(repr(thing), thing if isinstance(thing, str) else "", file=out)

    def fail(error: BaseException | None) -> None:
        """What a traceback shows, and what a tool shows that walks the chain and prints what it finds."""
        assert error is not None
        out.writelines(traceback.TracebackException.from_exception(error).format())
        while error is not None:
            note(error, error.args, vars(error))
            error = error.__cause__ or error.__context__

    secrets: list[str] = []

    async def main() -> None:
        asyncio.get_running_loop().slow_callback_duration = 0.0  # in debug mode each callback is logged then
        async with Sandbox(max_message_length=40) as sandbox, Gate(sandbox.port) as front:
            given = options(carrier, sandbox)
            given["server_url"] = front.through(given["server_url"])
            given["transport_options"] = {
                **given.get("transport_options", {}),
                "auth": ("ada", SECRETS["password"]),
                "headers": {"apikey": SECRETS["header"]},
            }
            session = await chat_core.start_session(
                username="Ada",
                user_data={"card": SECRETS["user data"]},
                storage_options={"directory": str(tmp_path / "state")},
                max_offline_duration=60.0,
                on_exit="detach",
                **given,
            )
            agent = await sandbox.next_chat()
            secrets.extend([agent.chat.secure_key, agent.chat.user_id])
            await agent.join("Grace")
            reader = asyncio.create_task(_read(session, seen))
            await agent.say(SECRETS["received"])
            await session.wait_for(MessageReceived, timeout=10)
            if trouble:
                sandbox.faults.lose_answer()
            receipt = await session.send_message(SECRETS["sent"], until="echoed")
            await session.send_typing(True, SECRETS["preview"])
            await session.set_user_data({"more": SECRETS["user data"]})
            await session.send_custom_notice(SECRETS["notice"])
            await session.update_nickname("Countess")
            await session.send_file(b"x", name=SECRETS["file name"])
            note(session, session.options, session.options.explain(), receipt, *session.parties, session.guarantees)
            if trouble:
                for attempt in (
                    session.send_message(SECRETS["sent"] + "x" * 60),
                    session.download_file("no-such-file", to=tmp_path / "x"),
                    session.set_user_data({"bad": {1, SECRETS["user data"]}}),
                ):
                    try:
                        await attempt
                    except (ChatError, TypeError) as error:
                        fail(error)
                sandbox.faults.forget_sessions()
                sandbox.faults.drop_connections()
                sandbox.faults.answer_http(503, 2, body=SECRETS["received"])
                await agent.say(SECRETS["received"])
                await session.send_message("on", until="echoed")
            await session.detach()
            await reader
            note(*seen)
            assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
            saved = json.loads((tmp_path / "state" / "default.json").read_bytes().partition(b"\n")[2])
            cookies = saved["state"]["link"]["cookies"]
            assert cookies or carrier == "rest", "the sandbox gives affinity cookies over CometD"
            secrets.extend(cookies.values())
            for path in (tmp_path / "state").iterdir():
                assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
                assert not any(one.encode() in path.read_bytes() for one in SECRETS.values()), path
            if trouble:
                sandbox.forget_chat(agent.chat)
                try:
                    await chat_core.restore_session(
                        storage_options={"directory": str(tmp_path / "state")},
                        transport=given["transport"],
                        transport_options=given["transport_options"],
                    )
                except ChatError as error:
                    fail(error)

    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            asyncio.run(main(), debug=True)
        note(*(one.message for one in warned))
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
    text = out.getvalue()
    assert len(text) > 1000, "something was written at all"
    for secret in [*SECRETS.values(), *secrets]:
        place = text.find(secret)
        assert place < 0, text[max(0, place - 300) : place + 60]


async def _read(session: Any, seen: list[Any]) -> None:
    async for event in session.events():
        seen.append(event)  # noqa: PERF401 - each counts as finished when the next is asked for
