"""The application behind the web page, spoken to as its page does, without a browser."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
from httpx import ASGITransport, AsyncClient
from starlette.responses import Response
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from chat_page import Settings, make_app
from chat_page._vault import Vault
from chat_page._visitors import Visitor
from chat_sandbox import Sandbox
from support.tabs import SOURCES, Served, Tab, serving


def settings(tmp_path: Path, **options: Any) -> Settings:
    return Settings(
        **{
            "server_url": "https://gms.example/cometd",
            "folder": tmp_path / "states",
            "origins": {"https://shop.example"},
            **options,
        }
    )


# The pages


async def get(app, path: str, base: str = "https://shop.example", **headers: str | bytes):
    async with AsyncClient(transport=ASGITransport(app), base_url=base) as client:
        return await client.get(path, headers=headers)


@pytest.mark.parametrize("path", ["/", "/help", "/static/chat.js", "/static/chat.css", "/nothing"])
def test_every_answer_forbids_scripts_that_are_not_ours(tmp_path: Path, path: str):
    """No inline script or style, no other origin, no frame; what a script writes stays text."""
    answer = asyncio.run(get(make_app(settings(tmp_path)), path))
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "<script>" not in answer.text
    assert " style=" not in answer.text


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(tmp_path: Path):
    """Under https the browser is held to it by the cookie's name."""
    cookie = asyncio.run(get(make_app(settings(tmp_path)), "/help")).headers["set-cookie"]
    assert cookie.startswith("__Host-chat=")
    assert {"HttpOnly", "Secure", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
    plain = settings(tmp_path, origins={"http://localhost:8000"})
    cookie = asyncio.run(get(make_app(plain), "/help", base="http://localhost:8000")).headers["set-cookie"]
    assert cookie.startswith("chat=")
    assert "Secure" not in cookie


def test_who_has_a_cookie_gets_no_other(tmp_path: Path):
    """And one that is none of ours is replaced."""
    app = make_app(settings(tmp_path))
    response = Response()
    Visitor.new().give_cookie(response, settings(tmp_path))
    cookie = response.headers["set-cookie"].split(";")[0]
    assert "set-cookie" not in asyncio.run(get(app, "/help", cookie=cookie)).headers
    assert "set-cookie" in asyncio.run(get(app, "/help", cookie=cookie[:-1])).headers
    assert "set-cookie" in asyncio.run(get(app, "/help", cookie="__Host-chat=../../etc.passwd")).headers
    letters = f"__Host-chat={'é' * 22}.{'é' * 43}".encode("latin-1")  # no key can be made of them
    assert "set-cookie" in asyncio.run(get(app, "/help", cookie=letters)).headers


def test_no_other_host_name_is_answered(tmp_path: Path):
    """So that no name of somebody else's that leads here is taken for ours."""
    app = make_app(settings(tmp_path))
    assert asyncio.run(get(app, "/help")).status_code == 200
    assert asyncio.run(get(app, "/help", base="https://evil.example")).status_code == 400


@pytest.mark.parametrize(
    "origins", [set(), {"shop.example"}, {"https://shop.example/"}, {"https://shop.example", "http://shop.example"}]
)
def test_origins_are_written_as_browsers_do(tmp_path: Path, origins):
    """Anything else would never match, or need two kinds of cookie."""
    with pytest.raises(ValueError, match="origin"):
        settings(tmp_path, origins=origins)


# Who may talk to it


async def refused(served: Served, **options: Any) -> int:
    cookie = f"chat={served.visitor.id}.{served.visitor.key}"
    name = "localhost" if "host" in options else "127.0.0.1"  # the name that is asked for
    with pytest.raises(InvalidStatus) as caught:
        await connect(f"ws://{name}:{served.port}/chat", additional_headers={"Cookie": cookie}, proxy=None, **options)
    return caught.value.response.status_code


def test_a_page_of_another_origin_cannot_use_the_visitors_cookie(tmp_path: Path):
    """Nor can one that does not say where it comes from (cross-site WebSocket hijacking)."""

    async def main() -> None:
        async with serving("http://127.0.0.1:1/cometd", tmp_path / "states") as served:
            assert await refused(served, origin="https://evil.example") == 403
            assert await refused(served, origin=f"http://127.0.0.1:{served.port + 1}") == 403
            assert await refused(served, origin="null") == 403
            assert await refused(served) == 403
            assert await refused(served, origin=served.origin, host="127.0.0.1", port=served.port) == 400
            async with served.tab() as tab:
                await tab.until("none")

    asyncio.run(main())


async def closed(tab: Tab) -> tuple[int, str]:
    async with asyncio.timeout(15):
        await tab.socket.wait_closed()
    return tab.socket.close_code, tab.socket.close_reason


def test_without_a_cookie_there_is_no_chat(tmp_path: Path):
    """The page is told that by the close code."""

    async def main() -> None:
        async with (
            serving("http://127.0.0.1:1/cometd", tmp_path / "states") as served,
            served.tab(Visitor(id="a", key="b")) as tab,
        ):
            assert await closed(tab) == (4401, "no cookie")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("x" * 20_000, 1009),
        ("é" * 9_000, 1009),
        ("no JSON", 1008),
        (b'{"do": "hello", "session": "", "index": 0, "epoch": 0}', 1008),
        ("[" * 8_000, 1008),
        ('"text"', 1008),
        ('{"do": "dance"}', 1008),
        ('{"do": "hello", "session": "", "index": 0, "epoch": 0}', 1008),
        ('{"do": "say", "name": "message-1", "text": ""}', 1008),
        ('{"do": "say", "name": "message-1", "text": "' + "x" * 2001 + '"}', 1008),
        ('{"do": "say", "name": "x", "text": "Hello"}', 1008),
        ('{"do": "start", "name": 5}', 1008),
    ],
)
def test_what_no_page_of_ours_sends_ends_the_connection(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str | bytes, code: int
):
    """Too large, no text, no JSON, unknown, incomplete or out of bounds: no harm is done, and no log is filled."""

    async def main() -> None:
        async with serving("http://127.0.0.1:1/cometd", tmp_path / "states") as served, served.tab() as other:
            async with served.tab() as tab:
                await tab.socket.send(text)
                assert (await closed(tab))[0] == code
            await other.until("none")
            await other.tell(do="typing", on=True)
            await (await other.socket.ping())

    asyncio.run(main())
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_a_page_has_a_pace_and_a_visitor_a_number_of_pages(tmp_path: Path):
    """The seventh page is told so, and has its turn when another one goes."""

    async def main() -> None:
        async with serving("http://127.0.0.1:1/cometd", tmp_path / "states", max_tabs=2) as served:
            async with served.tab() as first, served.tab():
                async with served.tab() as third:
                    assert await closed(third) == (4429, "the chat is open in too many windows; close one of them")
                async with served.tab(Visitor.new()) as other:
                    await other.until("none")
                with contextlib.suppress(ConnectionClosed):
                    for _ in range(400):
                        await first.tell(do="typing", on=True)
                assert (await closed(first))[1] == "too fast"
            async with served.tab() as tab:
                await tab.until("none")

    asyncio.run(main())


def test_the_number_of_visitors_is_bounded(tmp_path: Path):
    """Whoever is there stays."""

    async def main() -> None:
        async with (
            serving("http://127.0.0.1:1/cometd", tmp_path / "states", max_visitors=1, grace=0) as served,
            served.tab() as tab,
        ):
            await tab.until("none")
            async with served.tab(Visitor.new()) as other:
                assert (await closed(other))[0] == 4429

    asyncio.run(main())


# The chat


def test_the_page_is_where_user_data_comes_from(tmp_path: Path):
    """Its title, address and referrer; but no address of somebody else's site, and no script's."""

    async def main() -> None:
        async with Sandbox() as sandbox, serving(sandbox.cometd_url, tmp_path / "states") as served:
            async with served.tab() as tab:
                url = f"{served.origin}/help?order=1843"
                await tab.start(title="Help & more", url=url, referrer="https://search.example/")
                agent = await sandbox.next_chat(timeout=20)
            assert agent.chat.nickname == "Ada"
            assert agent.chat.user_data == {
                "source": "web",
                "pageTitle": "Help & more",
                "url": url,
                "referrer": "https://search.example/",
            }
            async with served.tab(Visitor.new()) as tab:
                await tab.start(url=f"{served.origin}.evil.example/", referrer="javascript:alert(1)")
                agent = await sandbox.next_chat(timeout=20)
            assert agent.chat.user_data == {"source": "web", "pageTitle": "Help"}

    asyncio.run(main())


def test_two_pages_are_two_readers_of_one_chat(tmp_path: Path):
    """Both are told everything; what one says reaches the other; a start by both is one chat."""

    async def main() -> None:
        async with (
            Sandbox() as sandbox,
            serving(sandbox.cometd_url, tmp_path / "states") as served,
            served.tab() as one,
            served.tab() as two,
        ):
            await one.until("none")
            await two.until("none")
            await one.tell(do="start", name="Ada", subject="", title="", url="", referrer="")
            await two.tell(do="start", name="Ada", subject="", title="", url="", referrer="")
            await one.until("chat")
            await two.until("chat")
            agent = await sandbox.next_chat(timeout=20)
            await agent.join("Grace")
            await one.say("from the first")
            await agent.hears("from the first", timeout=20)
            await two.say("from the second", name="message-2")
            await agent.hears("from the second", timeout=20)
            await agent.say("to both")
            for tab in (one, two):
                await tab.until("event", text="to both")
                assert tab.texts == ["from the first", "from the second", "to both"]
            assert len(sandbox.chats) == 1

    asyncio.run(main())


def test_a_page_that_comes_back_goes_on_where_it_was(tmp_path: Path):
    """It is told what it has not shown, with the same key as everybody else is."""

    async def main() -> None:
        async with Sandbox() as sandbox, serving(sandbox.cometd_url, tmp_path / "states") as served:
            async with served.tab() as one:
                await one.start()
                agent = await sandbox.next_chat(timeout=20)
                await agent.join("Grace")
                await agent.say("before")
                last = await one.until("event", text="before")
            await agent.say("meanwhile")
            async with (
                served.tab(session=last["session"], index=last["index"], epoch=last["epoch"]) as again,
                served.tab() as new,
            ):
                frame = await again.until("event")
                assert frame == await new.until("event", text="meanwhile")
                assert again.texts == ["meanwhile"]
                assert new.texts == ["before", "meanwhile"]
            async with served.tab(session="another", index=last["index"], epoch=0) as other:
                await other.until("event", text="before")

    asyncio.run(main())


def test_a_message_is_sent_once_however_often_the_page_asks(tmp_path: Path):
    """Over the connections it loses meanwhile; each time it is told where the message stands."""

    async def main() -> None:
        async with Sandbox() as sandbox, serving(sandbox.cometd_url, tmp_path / "states") as served:
            async with served.tab() as tab:
                await tab.start()
                agent = await sandbox.next_chat(timeout=20)
                for _ in range(3):
                    await tab.say("Hello")
                receipt = await tab.until("receipt", state="delivered")
            async with served.tab() as tab:
                await tab.until("chat")
                await tab.say("Hello")
                assert await tab.until("receipt", state="delivered") == receipt
            assert agent.chat.texts == ["Hello"]

    asyncio.run(main())


def test_a_refused_message_is_said_to_have_failed_each_time(tmp_path: Path):
    """It is not tried again by itself."""

    async def main() -> None:
        async with (
            Sandbox() as sandbox,
            serving(sandbox.cometd_url, tmp_path / "states") as served,
            served.tab() as tab,
        ):
            await tab.start()
            agent = await sandbox.next_chat(timeout=20)
            sandbox.faults.refuse_next("sendMessage", 52, "not today")
            await tab.say("Hello")
            failed = await tab.until("receipt", state="failed")
            assert failed["text"] == "This was not sent."
            await tab.say("Hello")
            assert await tab.until("receipt", state="failed") == failed
            assert agent.chat.texts == []

    asyncio.run(main())


def test_losing_the_last_page_detaches_after_a_grace_and_a_reload_takes_the_chat_up(tmp_path: Path):
    """Within the grace the chat stays at hand; later it is restored from the encrypted state."""

    async def main() -> None:
        async with Sandbox() as sandbox, serving(sandbox.cometd_url, tmp_path / "states", grace=600) as served:
            async with served.tab() as tab:
                await tab.start()
                agent = await sandbox.next_chat(timeout=20)
                await agent.join("Grace")
                await tab.until("event", kind="joined")
                session = next(iter(served.rooms._rooms.values())).session
            async with served.tab() as tab:
                await tab.until("event", kind="joined")
                assert next(iter(served.rooms._rooms.values())).session is session
                served.rooms._settings = attrs.evolve(served.settings, grace=0)
            await served.detached()
            assert not agent.chat.ended
            await agent.say("while nobody was there")
            async with served.tab() as tab:
                await tab.until("event", text="while nobody was there")
                assert next(iter(served.rooms._rooms.values())).session is not session
                await tab.say("I am back")
                await agent.hears("I am back", timeout=20)

    asyncio.run(main())


def test_a_chat_nobody_came_back_to_in_time_is_not_taken_up(tmp_path: Path):
    """The page is offered a new one; while a page was there, time did not count."""

    async def main() -> None:
        async with Sandbox() as sandbox, serving(sandbox.cometd_url, tmp_path / "states", grace=0) as served:
            async with served.tab() as tab:
                await tab.start()
                await sandbox.next_chat(timeout=20)
            await served.detached()
            (file,) = served.settings.folder.glob("*.state")
            os.utime(file, (file.stat().st_mtime - 301,) * 2)
            async with served.tab() as tab:
                await tab.until("none")
            assert not file.exists()

    asyncio.run(main())


def test_another_process_takes_the_chat_up(tmp_path: Path):
    """After a stop as after a crash; a page goes on where it was."""

    async def main() -> None:
        async with Sandbox() as sandbox:
            async with serving(sandbox.cometd_url, tmp_path / "states") as served:
                visitor = served.visitor
                async with served.tab() as tab:
                    await tab.start()
                    agent = await sandbox.next_chat(timeout=20)
                    await tab.say("Hello")
                    receipt = await tab.until("receipt", state="delivered")
                    last = await tab.until("event", text="Hello") if "Hello" not in tab.texts else tab.frames[-1]
            async with serving(sandbox.cometd_url, tmp_path / "states") as served:
                seen = {"session": last.get("session", agent.chat.id), "index": receipt["index"], "epoch": 0}
                async with served.tab(visitor, **seen) as tab:
                    await tab.until("chat")
                    await tab.say("Hello")  # the page does not know that it arrived
                    assert await tab.until("receipt", state="delivered") == receipt
                    await tab.say("Hello", name="message-2")  # and this is another one
                    await tab.until("event", text="Hello")
            assert agent.chat.texts == ["Hello", "Hello"]
            assert not agent.chat.ended

    asyncio.run(main())


def test_a_page_knows_what_it_has_shown_also_when_the_server_counted_anew_before_another_process(tmp_path: Path):
    """The same event has the same key in each process: nothing is shown twice, nothing is taken for another event."""

    async def main() -> None:
        async with Sandbox() as sandbox:
            async with serving(sandbox.cometd_url, tmp_path / "states") as served:
                visitor = served.visitor
                async with served.tab() as tab:
                    await tab.start()
                    agent = await sandbox.next_chat(timeout=20)
                    await agent.join("Grace")
                    await agent.say("said once")
                    first = await tab.until("event", text="said once")
            storage = served.rooms.vault.storage(visitor)
            state = storage.read()
            storage.write({**state, "delivered": 30})  # as if more had been there before the server counted anew
            keys = []
            for _ in range(2):
                async with serving(sandbox.cometd_url, tmp_path / "states") as served, served.tab(visitor) as tab:
                    keys.append((await tab.until("event", text="said once"))["key"])
            assert keys[0] == keys[1] != first["key"]

    asyncio.run(main())


def test_what_an_earlier_process_may_or_may_not_have_sent_is_not_sent_again(tmp_path: Path):
    """It said that it would, and died; neither outbox nor transcript has it. The visitor is told, and decides."""

    async def main() -> None:
        async with Sandbox() as sandbox:
            async with serving(sandbox.cometd_url, tmp_path / "states") as served:
                visitor = served.visitor
                async with served.tab() as tab:
                    await tab.start()
                    agent = await sandbox.next_chat(timeout=20)
                    await tab.say("Hello", name="message-0")  # the same words, and not the one that is looked for
                    await tab.until("receipt", state="delivered")
            storage = served.rooms.vault.storage(visitor)
            state = storage.read()
            storage.said.take("message-1", before=1)
            storage.write(state)
            async with serving(sandbox.cometd_url, tmp_path / "states") as served, served.tab(visitor) as tab:
                await tab.until("chat")
                await tab.say("Hello")
                failed = await tab.until("receipt", state="failed")
                assert failed["text"] == "Nobody can tell whether this arrived."
                await tab.say("Hello", name="message-2")
                await tab.until("receipt", state="delivered")
            assert agent.chat.texts == ["Hello", "Hello"]

    asyncio.run(main())


def test_a_message_that_waits_is_the_next_processs_business(tmp_path: Path):
    """The application stops while there is no server; the page asks the next one, which sends it once."""

    async def main() -> None:
        async with Sandbox() as sandbox:
            async with serving(sandbox.cometd_url, tmp_path / "states") as served:
                visitor = served.visitor
                async with served.tab() as tab:
                    await tab.start()
                    agent = await sandbox.next_chat(timeout=20)
                    await sandbox.faults.cut()
                    await tab.until("link", up=False)
                    await tab.say("Hello")
                    await tab.tell(do="typing", on=True)
                assert not [frame for frame in tab.frames if frame["is"] == "receipt"]
            await sandbox.faults.mend()
            async with serving(sandbox.cometd_url, tmp_path / "states") as served, served.tab(visitor) as tab:
                await tab.until("chat")
                await tab.say("Hello")
                await tab.until("receipt", state="delivered")
            assert agent.chat.texts == ["Hello"]

    asyncio.run(main())


def test_a_cookie_with_a_visitors_name_and_another_key_opens_nothing(tmp_path: Path):
    """Neither the chat at hand nor the one on disk; and the owner's goes on."""

    async def main() -> None:
        async with Sandbox() as sandbox, serving(sandbox.cometd_url, tmp_path / "states", grace=0) as served:
            thief = attrs.evolve(served.visitor, key=Visitor.new().key)
            async with served.tab() as tab:
                await tab.start()
                agent = await sandbox.next_chat(timeout=20)
                await agent.join("Grace")
                await tab.until("event", kind="joined")
                async with served.tab(thief) as other:
                    await other.until("none")
                    await other.tell(do="start", name="Eve", subject="", title="", url="", referrer="")
                    await other.until("chat")
            await served.detached()
            async with served.tab(attrs.evolve(thief, key=Visitor.new().key)) as other:
                await other.until("none")
            async with served.tab() as tab:
                await tab.until("event", kind="joined")
                assert tab.frames[0]["session"] == agent.chat.id

    asyncio.run(main())


def test_an_end_is_told_and_a_new_chat_can_begin(tmp_path: Path):
    """In the same pages; nothing of the earlier one is left on disk."""

    async def main() -> None:
        async with (
            Sandbox() as sandbox,
            serving(sandbox.cometd_url, tmp_path / "states") as served,
            served.tab() as tab,
        ):
            await tab.start()
            agent = await sandbox.next_chat(timeout=20)
            await agent.join("Grace")
            await agent.end()
            assert (await tab.until("ended"))["reason"] == "closed"
            await tab.say("Are you still there?")
            await tab.until("receipt", state="failed")
            async with asyncio.timeout(10):
                while list(served.settings.folder.glob("*.state")):
                    await asyncio.sleep(0.01)
            async with served.tab() as late:
                await late.until("ended")
            await tab.tell(do="start", name="Ada", subject="", title="", url="", referrer="")
            await tab.until("chat")
            assert len(sandbox.chats) == 2
            await tab.tell(do="leave")
            assert (await tab.until("ended"))["reason"] == "left"
            assert sandbox.chats[1].ended

    asyncio.run(main())


def test_a_server_that_cannot_be_reached_is_tried_again_for_a_chat_and_said_for_a_start(tmp_path: Path):
    """A restore waits for it; the visitor is told meanwhile."""

    async def main() -> None:
        async with Sandbox() as sandbox, serving(sandbox.cometd_url, tmp_path / "states", grace=0) as served:
            await sandbox.faults.cut()
            async with served.tab() as tab:
                await tab.until("none")
                await tab.tell(do="start", name="Ada", subject="", title="", url="", referrer="")
                await tab.until("refused")
                await sandbox.faults.mend()
                await tab.tell(do="start", name="Ada", subject="", title="", url="", referrer="")
                await tab.until("chat")
            await served.detached()
            await sandbox.faults.cut()
            async with served.tab() as tab:
                await tab.until("link", up=False)
                await sandbox.faults.mend()
                await tab.until("link", up=True)
                assert len(sandbox.chats) == 1

    asyncio.run(main())


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ([], 2, "give the chat server's address, or --demo"),
        (["http://127.0.0.1:1/cometd", "--demo"], 2, "give the chat server's address, or --demo"),
        (["http://127.0.0.1:1/cometd", "--origin", "shop.example"], 1, "origin 'shop.example' cannot be used"),
        (["http://127.0.0.1:1/cometd"], 1, "is used by another process"),
        (["http://127.0.0.1:1/cometd", "--folder", "file"], 1, "cannot be used"),
    ],
)
def test_what_is_wrong_with_the_command_is_said_in_a_line(
    tmp_path: Path, arguments: list[str], status: int, words: str
):
    """Without a traceback, before anything is served."""
    (tmp_path / "file").touch()
    vault = Vault(tmp_path / "chat-states", max_offline_duration=60)
    vault.open()
    command = [sys.executable, "-W", "error", "-m", "chat_page", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    vault.close()
    assert result.returncode == status
    assert words in result.stderr
    assert "Traceback" not in result.stderr
