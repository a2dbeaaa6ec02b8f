"""A state storage in a web application: the visitor's cookie holds a random name, the state stays on the server."""

import asyncio
import secrets

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import chat_core
from chat_sandbox import Sandbox, echo

#: On the server, by visitor. A state opens the chat, so it never goes into the cookie: that is signed, not secret.
STATES = {}


class VisitorStorage:
    """One visitor's state. ``blocking = False``: it never waits, and needs no thread."""

    blocking = False

    def __init__(self, request):
        self.visitor = request.session.setdefault("visitor", secrets.token_urlsafe())

    def read(self):
        return STATES.get(self.visitor)

    def write(self, state):
        if state is None:
            STATES.pop(self.visitor, None)
        else:
            STATES[self.visitor] = state


async def say(request):
    """Take the visitor's chat up, or start one; say something, and wait for the answer."""
    storage = VisitorStorage(request)
    page = chat_core.PageContext.from_asgi(request.scope)
    options = {"server_url": request.app.state.url, "state_storage": storage, "page": page, "on_exit": "detach"}
    async with chat_core.restore_or_start_session(**options) as session:
        sent = await session.send_message((await request.body()).decode(), until="echoed")
        answer = await session.wait_for(chat_core.MessageReceived, after=sent.index, timeout=5)
    return PlainTextResponse(f"{sent.index}: {answer.text}")


app = Starlette(
    routes=[Route("/say", say, methods=["POST"])],
    middleware=[Middleware(SessionMiddleware, secret_key=secrets.token_urlsafe())],
)


async def main():
    async with Sandbox(agent=echo) as sandbox:
        app.state.url = sandbox.cometd_url
        for visitor in ("Ada", "Grace"):
            # Each visitor has a browser, which keeps its cookie from one request to the next.
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="https://shop.example"
            ) as browser:
                for text in ("Hello", "Hello again"):
                    print(visitor, (await browser.post("/say", content=f"{text} from {visitor}")).text)
        print(len(sandbox.chats), "chats,", len(STATES), "states")


asyncio.run(main())
