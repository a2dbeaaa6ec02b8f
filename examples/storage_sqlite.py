"""A state storage of one's own: SQLite. Any object with ``read()`` and ``write(state)`` will do."""

import asyncio
import json
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import chat_core
from chat_sandbox import Sandbox, echo


class SqliteStorage:
    """One row per chat. Its methods are plain: the session calls them on a thread of their own, in order."""

    def __init__(self, path, name):
        self.path, self.name = path, name

    def read(self):
        with self._open() as database:
            row = database.execute("SELECT state FROM chats WHERE name = ?", (self.name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def write(self, state):
        with self._open() as database, database:  # the second one commits
            if state is None:
                database.execute("DELETE FROM chats WHERE name = ?", (self.name,))
            else:
                database.execute("INSERT OR REPLACE INTO chats VALUES (?, ?)", (self.name, json.dumps(state)))

    def _open(self):
        database = sqlite3.connect(self.path)
        database.execute("CREATE TABLE IF NOT EXISTS chats (name TEXT PRIMARY KEY, state TEXT NOT NULL)")
        return closing(database)


async def main():
    with tempfile.TemporaryDirectory() as folder:
        storage = SqliteStorage(Path(folder) / "chats.db", "ada")
        async with Sandbox(agent=echo) as sandbox:
            session = await chat_core.start_session(server_url=sandbox.cometd_url, state_storage=storage)
            await session.send_message("Hello", until="echoed")
            await session.detach()
            print("saved:", sorted(storage.read()))
            async with chat_core.restore_session(state_storage=storage) as session:
                print(await session.send_message("Hello again", until="echoed"))
            print("afterwards:", storage.read())


asyncio.run(main())
