"""A state storage on Redis, with redis-py. REDIS_URL says where, such as redis://127.0.0.1:6379/0."""

import asyncio
import json
import os

import redis.asyncio

import chat_core
from chat_sandbox import Sandbox, echo


class RedisStorage:
    """One key per chat, which expires by itself. Its methods are async: the session awaits them."""

    def __init__(self, client, name, *, seconds=3600):
        self.client, self.key, self.seconds = client, f"chat:{name}", seconds

    async def read(self):
        text = await self.client.get(self.key)
        return None if text is None else json.loads(text)

    async def write(self, state):
        if state is None:
            await self.client.delete(self.key)
        else:
            await self.client.set(self.key, json.dumps(state), ex=self.seconds)


async def main():
    async with redis.asyncio.from_url(os.environ["REDIS_URL"]) as client, Sandbox(agent=echo) as sandbox:
        storage = RedisStorage(client, "ada")
        session = await chat_core.start_session(server_url=sandbox.cometd_url, state_storage=storage)
        await session.send_message("Hello", until="echoed")
        await session.detach()
        print("saved:", sorted(await storage.read()))
        async with chat_core.restore_session(state_storage=storage) as session:
            print(await session.send_message("Hello again", until="echoed"))
        print("afterwards:", await storage.read())


asyncio.run(main())
