"""The web page of ``examples/web`` in a real browser, Debian's Chromium, with the sandbox as the server."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from attrs import frozen
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Browser, BrowserContext, Page, expect

from chat_sandbox import Agent, Close, FaultProxy, HalfOpen, Rule, Sandbox
from support.web import AppProcess, a_browser, fill_in, say, shows, status


@frozen(kw_only=True)
class Stage:
    """What a test plays on."""

    sandbox: Sandbox
    app: AppProcess
    browser: Browser
    context: BrowserContext
    page: Page
    url: str
    complaints: list[str]

    async def begin(self, *, path: str = "/help") -> Agent:
        """Let Ada start a chat that Grace joins."""
        await self.page.goto(self.url + path)
        await fill_in(self.page, name="Ada", subject="Order 1843")
        agent = await self.sandbox.next_chat(timeout=20)
        await agent.join("Grace")
        await expect(status(self.page)).to_have_text("Grace is here")
        return agent


@contextlib.asynccontextmanager
async def stage(
    browser: Browser, folder: Path, *, proxied: bool = False, **options: Any
) -> AsyncIterator[tuple[Stage, FaultProxy]]:
    async with contextlib.AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox())
        app = AppProcess(sandbox.cometd_url, folder / "states")
        proxy = await stack.enter_async_context(FaultProxy(app.url))
        if proxied:
            app.origin = proxy.url
        await stack.enter_async_context(app)
        context = await browser.new_context(**options)
        context.set_default_timeout(20_000)
        page = await context.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        one = Stage(
            sandbox=sandbox,
            app=app,
            browser=browser,
            context=context,
            page=page,
            url=app.origin,
            complaints=complaints,
        )
        yield one, proxy
        assert complaints == []
        for each in browser.contexts:  # before the servers, so that nothing is in the middle of a request
            await each.close()


#: Plays a scene: in a window of its own, with servers of its own.
Play: TypeAlias = Callable[..., None]


@pytest.fixture(scope="module")
def theatre() -> Iterator[tuple[asyncio.Runner, Browser]]:
    """One browser for all scenes, and the loop that it belongs to."""
    expect.set_options(timeout=20_000)
    with asyncio.Runner() as runner:
        house = a_browser()
        browser = runner.run(house.__aenter__())
        yield runner, browser
        runner.run(house.__aexit__(None, None, None))


@pytest.fixture
def play(theatre: tuple[asyncio.Runner, Browser], tmp_path: Path) -> Play:
    runner, browser = theatre

    def play(scene: Callable[[Stage, FaultProxy], Awaitable[None]], **options: Any) -> None:
        async def main() -> None:
            async with stage(browser, tmp_path, **options) as (one, proxy):
                await scene(one, proxy)

        runner.run(main())

    return play


def test_chat_reload_still_there(play: Play):
    """The API page's own story; the server is told the page's real title, address and referrer."""

    async def scene(one: Stage, _: FaultProxy) -> None:
        page = one.page
        await page.goto(one.url + "/")
        await page.get_by_role("link", name="Ask about an order").click()
        await page.wait_for_url("**/help?order=1843")
        await fill_in(page, name="Ada", subject="Order 1843")
        agent = await one.sandbox.next_chat(timeout=20)
        assert (agent.chat.nickname, agent.chat.subject) == ("Ada", "Order 1843")
        assert agent.chat.user_data == {
            "source": "web",
            "pageTitle": await page.title(),
            "url": one.url + "/help?order=1843",
            "referrer": one.url + "/",
        }
        await agent.join("Grace")
        await agent.say("Hello Ada")
        await say(page, "Hello")
        await agent.hears("Hello", timeout=20)
        await agent.say("How can I help?")
        await shows(page, "Hello Ada", "Hello", "How can I help?")
        for times in range(1, 4):
            await page.reload()
            await agent.say(f"reload {times}")
            texts = ["Hello Ada", "Hello", "How can I help?", *(f"reload {n}" for n in range(1, times + 1))]
            await shows(page, *texts)
        await expect(status(page)).to_have_text("Grace is here")
        await say(page, "Still here")
        await agent.hears("Still here", timeout=20)
        await shows(page, *texts, "Still here")
        assert len(one.sandbox.chats) == 1

    play(scene)


def test_two_tabs_show_one_chat(play: Play):
    """What is said in one appears in the other; the end as well, and the next chat."""

    async def scene(one: Stage, _: FaultProxy) -> None:
        agent = await one.begin()
        await say(one.page, "from the first")
        await agent.hears("from the first", timeout=20)
        other = await one.context.new_page()
        await other.goto(one.url + "/help")
        await shows(other, "from the first")
        await say(other, "from the second")
        await agent.hears("from the second", timeout=20)
        await agent.say("to both")
        await say(one.page, "to both")  # the same words on purpose
        await agent.hears("to both", timeout=20)
        for page in (one.page, other):
            await shows(page, "from the first", "from the second", "to both", "to both")
        await other.get_by_role("button", name="End chat").click()
        for page in (one.page, other):
            await expect(status(page)).to_have_text("The chat is over")
        assert agent.chat.ended
        await one.page.get_by_role("button", name="Start a new chat").click()
        await fill_in(one.page, name="Ada")
        await say(one.page, "again")
        for page in (one.page, other):
            await shows(page, "again")
        assert len(one.sandbox.chats) == 2
        stranger = await (await one.browser.new_context()).new_page()
        await stranger.goto(one.url + "/help")
        await expect(stranger.get_by_label("Your name")).to_be_visible()

    play(scene)


def test_the_network_between_page_and_application_fails(play: Play):
    """What was said meanwhile on either side is there once it is back, once, and in order."""

    async def scene(one: Stage, proxy: FaultProxy) -> None:
        agent = await one.begin()
        await say(one.page, "before")
        await agent.hears("before", timeout=20)
        await shows(one.page, "before")
        cut = proxy.add(Rule(Close("before"), count=None))
        proxy.drop_connections()
        await expect(status(one.page)).to_have_text("Connection lost, trying again")
        await say(one.page, "typed without a connection")
        await agent.say("said to a deaf page")
        await shows(one.page, "before", "...typed without a connection")
        proxy.remove(cut)
        await agent.hears("typed without a connection", timeout=20)
        await shows(one.page, "before", "said to a deaf page", "typed without a connection")
        # The connection breaks before the page hears what became of its message.
        deaf = proxy.add(Rule(Close("before"), towards="client", carrier="websocket", count=None))
        await say(one.page, "and again")
        await agent.hears("and again", timeout=20)
        await proxy.wait_for(deaf, hits=1, timeout=20)
        proxy.remove(deaf)
        await shows(one.page, "before", "said to a deaf page", "typed without a connection", "and again")
        assert agent.chat.texts == ["before", "said to a deaf page", "typed without a connection", "and again"]

    play(scene, proxied=True)


def test_a_start_that_was_lost_on_the_way_can_be_repeated(play: Play):
    """The form is there again, with what was filled in."""

    async def scene(one: Stage, proxy: FaultProxy) -> None:
        page = one.page
        await page.goto(one.url + "/help")
        name = page.get_by_label("Your name")
        await name.fill("Ada")
        cut = proxy.add(Rule(Close("before"), carrier="websocket", count=None))
        await page.keyboard.press("Enter")
        await proxy.wait_for(cut, hits=1, timeout=20)
        proxy.remove(cut)
        await expect(status(page)).to_have_text("Ask us anything")
        await expect(name).to_be_enabled()
        await expect(name).to_have_value("Ada")
        await name.press("Enter")
        await (await one.sandbox.next_chat(timeout=20)).join("Grace")
        await expect(status(page)).to_have_text("Grace is here")
        assert len(one.sandbox.chats) == 1

    play(scene, proxied=True)


def test_a_connection_that_died_on_the_way_is_found_out(play: Play):
    """Nobody closes it; the page misses the application's words, and connects anew."""

    async def scene(one: Stage, proxy: FaultProxy) -> None:
        await one.page.clock.install()
        agent = await one.begin()
        dead = proxy.add(Rule(HalfOpen(), towards="client", carrier="websocket"))
        await agent.say("said into a dead connection")
        await proxy.wait_for(dead, timeout=20)
        await one.page.clock.fast_forward(41_000)
        await shows(one.page, "said into a dead connection")
        await say(one.page, "I hear you")
        await agent.hears("I hear you", timeout=20)
        await one.context.set_offline(True)
        await expect(status(one.page)).to_have_text("Connection lost, trying again")
        await agent.say("said to who is offline")
        await one.context.set_offline(False)
        await shows(one.page, "said into a dead connection", "I hear you", "said to who is offline")

    play(scene, proxied=True)


def test_a_chat_that_ended_while_the_page_was_away_is_shown_as_over(play: Play):
    """With what was said until then, and a word about the message that came too late."""

    async def scene(one: Stage, proxy: FaultProxy) -> None:
        agent = await one.begin()
        await say(one.page, "Hello")
        await shows(one.page, "Hello")
        cut = proxy.add(Rule(Close("before"), count=None))
        proxy.drop_connections()
        await expect(status(one.page)).to_have_text("Connection lost, trying again")
        await say(one.page, "too late")
        await agent.say("Goodbye")
        await agent.end()
        proxy.remove(cut)
        await expect(status(one.page)).to_have_text("The chat is over")
        await expect(one.page.get_by_text(re.compile("The chat (was over|ended) before this"))).to_be_visible()
        await shows(one.page, "Hello", "Goodbye", "too late")
        assert agent.chat.texts == ["Hello", "Goodbye"]
        await one.page.reload()
        await shows(one.page, "Hello", "Goodbye")

    play(scene, proxied=True)


def test_the_network_between_application_and_server_fails(play: Play):
    """The page says so, and nothing is lost or doubled."""

    async def scene(one: Stage, _: FaultProxy) -> None:
        agent = await one.begin()
        await say(one.page, "before")
        await agent.hears("before", timeout=20)
        await one.sandbox.faults.cut()
        await expect(status(one.page)).to_have_text("The chat server is out of reach, trying again")
        await say(one.page, "typed without a server")
        await agent.say("said to nobody")
        await one.sandbox.faults.mend()
        await expect(status(one.page)).to_have_text("Grace is here", timeout=30_000)
        await agent.hears("typed without a server", timeout=20)
        await shows(one.page, "before", "said to nobody", "typed without a server", timeout=20)

    play(scene)


def test_the_application_is_killed_and_started_again(play: Play):
    """The page goes on where it was; a message that was on its way arrives once; so it is after a reload."""

    async def scene(one: Stage, _: FaultProxy) -> None:
        agent = await one.begin()
        await say(one.page, "one")
        await shows(one.page, "one")
        one.sandbox.faults.lose_answer("sendMessage")  # it arrives, and nobody is told before the kill
        await say(one.page, "two")
        await agent.hears("two", timeout=20)
        await one.app.stop(signal.SIGKILL)
        await agent.say("said to nobody")
        await expect(status(one.page)).to_have_text("Connection lost, trying again")
        await say(one.page, "three")
        await one.app.start()
        await agent.hears("three", timeout=30)
        await shows(one.page, "one", "two", "said to nobody", "three", timeout=30)
        await one.app.stop(signal.SIGTERM)
        await agent.say("and again")
        await one.app.start()
        await one.page.reload()
        texts = ["one", "two", "said to nobody", "three", "and again"]
        await shows(one.page, *texts, timeout=30)
        assert agent.chat.texts == texts

    play(scene)


def test_what_was_said_and_not_sent_survives_a_reload(play: Play):
    """The tab remembers it until the application has it."""

    async def scene(one: Stage, proxy: FaultProxy) -> None:
        agent = await one.begin()
        cut = proxy.add(Rule(Close("before"), carrier="websocket", count=None))
        await say(one.page, "on its way")
        await proxy.wait_for(cut, hits=1)
        await shows(one.page, "...on its way")
        proxy.remove(cut)
        await one.page.reload()
        await agent.hears("on its way", timeout=20)
        await shows(one.page, "on its way")

    play(scene, proxied=True)


def test_what_was_not_sent_before_the_chat_was_gone_is_said_after_a_reload(play: Play):
    """It is shown with the reason, until the visitor goes on; it is not lost without a word."""

    async def scene(one: Stage, proxy: FaultProxy) -> None:
        await one.begin()
        cut = proxy.add(Rule(Close("before"), carrier="websocket", count=None))
        await say(one.page, "never sent")
        await proxy.wait_for(cut, hits=1)
        await one.context.clear_cookies()  # nothing can open the chat any more
        proxy.remove(cut)
        await one.page.reload()
        await expect(one.page.get_by_text("The chat ended before this was confirmed.")).to_be_visible()
        await shows(one.page, "never sent")
        await one.page.get_by_role("button", name="Start a new chat").click()
        await expect(status(one.page)).to_have_text("Ask us anything")
        await one.page.reload()
        await expect(status(one.page)).to_have_text("Ask us anything")
        await expect(one.page.get_by_text("never sent")).to_have_count(0)

    play(scene, proxied=True)


SCRIPTS = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(2)</script>",
    "</p></div><svg onload=alert(3)>",
    "javascript:alert(4)",
    "&lt;b&gt; &amp; {{7*7}} ${7*7}",
    "\u202eelif.exe\u2066",
]


def test_scripts_are_shown_as_text(play: Play):
    """From either side, in messages, names, subjects and notices; no element comes of them, and nothing runs."""

    async def scene(one: Stage, _: FaultProxy) -> None:
        page = one.page
        await page.goto(one.url + "/help?order=<script>alert(5)</script>")
        await fill_in(page, name="<b>Ada</b>", subject="<i>Order</i>")
        agent = await one.sandbox.next_chat(timeout=20)
        await agent.join("<img src=x onerror=alert(6)>")
        await expect(status(page)).to_have_text("<img src=x onerror=alert(6)> is here")
        for text in SCRIPTS:
            await agent.say(text)
        await agent.notice("<u>notice</u>")
        await agent.push_url("javascript:alert(7)")
        await agent.say("https://shop.example/?q=<script>alert(8)</script>")
        for text in SCRIPTS:
            await say(page, text)
        last = "https://shop.example/?q=<script>alert(8)</script>"
        await shows(page, *SCRIPTS, "javascript:alert(7)", last, *SCRIPTS)
        await expect(page.get_by_text("<u>notice</u>")).to_be_visible()
        found = await page.eval_on_selector_all("#chat *", "all => [...new Set(all.map(one => one.localName))].sort()")
        assert not {"script", "svg", "b", "i", "u"} & set(found)
        assert await page.eval_on_selector_all("#chat img", "all => all.length") == 1  # the mark in the heading
        assert await page.eval_on_selector_all("#chat a", "all => all.map(one => one.href)") == [
            "https://shop.example/?q="
        ]
        refused = await page.evaluate(
            "() => { try { document.body.innerHTML = '<p>x</p>'; return null } catch (error) { return error.name } }"
        )
        assert refused == "TypeError"  # the policy takes that from scripts altogether

    play(scene)


def test_a_page_of_another_site_cannot_chat_with_the_visitors_cookie(play: Play):
    """Though the browser sends the cookie: to it, another port of the same host is the same site."""

    async def scene(one: Stage, _: FaultProxy) -> None:
        await one.begin()
        await one.page.goto(one.sandbox.url + "/")
        script = """url => new Promise(resolve => {
            const socket = new WebSocket(url);
            socket.onopen = () => resolve("open");
            socket.onclose = event => resolve(event.code);
        })"""
        address = one.url.replace("http", "ws", 1) + "/chat"
        assert await one.page.evaluate(script, address) == 1006
        await one.page.goto(one.url + "/help")
        assert await one.page.evaluate(script, address) == "open"
        assert await one.page.evaluate("document.cookie") == ""

    play(scene)


def test_all_of_it_works_with_the_keyboard(play: Play):
    """From the link that skips to the chat to its end; the focus is always where one goes on."""

    async def scene(one: Stage, _: FaultProxy) -> None:
        page, keys = one.page, one.page.keyboard

        async def has_focus(role: Any, name: str) -> None:
            await expect(page.get_by_role(role, name=name)).to_be_focused()

        await page.goto(one.url + "/help")
        await page.get_by_label("Your name").wait_for()
        await keys.press("Tab")
        await has_focus("link", "Skip to the chat")
        await keys.press("Enter")
        await keys.press("Tab")
        await has_focus("textbox", "Your name")
        await keys.type("Ada")
        await keys.press("Tab")
        await keys.press("Tab")
        await has_focus("button", "Start the chat")
        await keys.press("Enter")
        agent = await one.sandbox.next_chat(timeout=20)
        await agent.join("Grace")
        await has_focus("textbox", "Your message")
        await keys.type("one line")
        await keys.press("Shift+Enter")
        await keys.type("another")
        await agent.wait_for(lambda event: event.type == "TypingStarted", timeout=20)
        await keys.press("Enter")
        assert await agent.hears(timeout=20) == "one line\nanother"
        await has_focus("textbox", "Your message")
        await shows(page, "one line\nanother")
        await keys.press("Tab")
        await has_focus("button", "Send")
        for name in ("Your message", None, "End chat"):
            await keys.press("Shift+Tab")
            if name is None:
                await expect(page.get_by_role("log")).to_be_focused()  # it can be scrolled with the keyboard
        await has_focus("button", "End chat")
        await keys.press("Enter")
        await has_focus("button", "Start a new chat")
        await keys.press("Enter")
        await has_focus("textbox", "Your name")

    play(scene)


#: Keeps what becomes of the live region's state, from its beginning on.
WATCH = """new MutationObserver(changes => {
    for (const { target, oldValue } of changes) if (target.id === "chat-log") (window.busy ??= []).push(oldValue);
}).observe(document, { subtree: true, attributeFilter: ["aria-busy"], attributeOldValue: true })"""


def test_what_happens_is_read_out_and_what_is_played_back_is_not(play: Play):
    """The conversation is a live region of its own, which is busy while the past is shown."""

    async def scene(one: Stage, _: FaultProxy) -> None:
        await one.page.add_init_script(WATCH)
        agent = await one.begin()
        log = one.page.get_by_role("log", name="Conversation")
        await expect(log).not_to_have_attribute("aria-busy", "true")
        await one.page.evaluate("window.busy = []")
        await agent.say("Hello")
        await shows(one.page, "Hello")
        assert await one.page.evaluate("window.busy") == []
        await agent.typing()
        await expect(one.page.locator("#chat-typing[aria-live=polite]")).to_have_text("Grace is typing")
        await one.page.reload()
        await shows(one.page, "Hello")
        await expect(log).not_to_have_attribute("aria-busy", "true")
        assert (await one.page.evaluate("window.busy"))[:2] == [None, "true"]

    play(scene)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_to_complain_about(play: Play, scheme: str):
    """In each state of the page, contrast included; and nothing moves for who does not want that."""

    async def scene(one: Stage, _: FaultProxy) -> None:
        page = one.page

        async def check() -> None:
            await page.evaluate(AXE_SCRIPT)
            found = await page.evaluate("axe.run()")
            assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]] == []
            assert len(found["passes"]) > 20

        await page.goto(one.url + "/")
        await check()
        await page.goto(one.url + "/help")
        await page.get_by_label("Your name").wait_for()
        await check()
        agent = await one.begin()
        await agent.say("Hello, see https://shop.example/")
        await say(page, "Hello")
        await agent.hears("Hello", timeout=20)
        await agent.typing()
        await page.get_by_text("Grace is typing").wait_for()
        await shows(page, "Hello, see https://shop.example/", "Hello")
        assert await page.evaluate("document.getAnimations().length") == 0
        await check()
        # Twice: the page tells that the visitor types, so nobody knows at first which of the two was refused.
        one.sandbox.faults.refuse_next("sendMessage", 52, "not today", count=2)
        await say(page, "refused")
        await page.get_by_role("button", name="Send again").wait_for()
        await check()
        await agent.end()
        await page.get_by_role("button", name="Start a new chat").wait_for()
        await check()

    play(scene, color_scheme=scheme, reduced_motion="reduce")
