"""Takes the pictures of docs/web.md: in Chromium, of the application and the sandbox. Not a part of CI.

python docs/pictures/web.py
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "tests"))

from playwright.async_api import Page, expect  # noqa: E402

from chat_sandbox import Sandbox  # noqa: E402
from support.web import AppProcess, a_browser, fill_in, say, status  # noqa: E402


async def picture(page: Page, name: str) -> None:
    """Take one once nothing moves any more."""
    await page.evaluate("Promise.all(document.getAnimations().map(one => one.finished))")
    await page.screenshot(path=HERE / name, animations="disabled")


async def main() -> None:
    """Play a chat and take pictures of it."""
    with tempfile.TemporaryDirectory() as folder:
        async with a_browser() as browser, Sandbox() as sandbox:
            app = AppProcess(sandbox.cometd_url, Path(folder) / "states")
            async with app:
                context = await browser.new_context(viewport={"width": 1180, "height": 780}, reduced_motion="reduce")
                page = await context.new_page()
                await page.goto(app.url + "/")
                await page.get_by_role("link", name="Ask about an order").click()
                await fill_in(page, name="Ada", subject="Order 1843")
                agent = await sandbox.next_chat()
                await agent.join("Grace")
                await agent.say("Hello Ada, I am Grace. What can I do for you?")
                await page.get_by_text("I am Grace").wait_for()
                await say(page, "Hello Grace. My notebook has not come yet.")
                await agent.hears()
                await agent.say("Let me have a look.")
                await agent.say("It left the house this morning: https://post.example/1843")
                await page.get_by_text("https://post.example/1843").wait_for()
                await agent.typing()
                await page.get_by_text("Grace is typing").wait_for()
                await picture(page, "web-chat.png")
                phone = await context.new_page()
                await phone.set_viewport_size({"width": 390, "height": 720})
                await phone.emulate_media(color_scheme="dark", reduced_motion="reduce")
                await phone.goto(app.url + "/help")
                await expect(status(phone)).to_have_text("Grace is here")
                await say(phone, "Thank you! I shall wait for it in the garden.")
                await agent.hears()
                await agent.typing(is_typing=False)
                await agent.say("A fine plan.")
                await phone.get_by_text("A fine plan.").wait_for()
                await picture(phone, "web-phone.png")
            await page.get_by_text("A fine plan.").wait_for()
            await expect(status(page)).to_have_text("Connection lost, trying again")
            await say(page, "Are you still there?")
            await picture(page, "web-cut.png")


asyncio.run(main())
