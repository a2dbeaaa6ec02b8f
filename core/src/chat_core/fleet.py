"""Many sessions on many workers: each worker takes sessions that have no owner, and gives its own up when it ends.

A worker is a process with one ``Fleet``::

    from chat_core.fleet import Fleet

    async def talk(session):
        async for event in session.events(own=False):
            ...

    async def main():
        async with Fleet(talk, state_storage="redis", storage_options={"url": "redis://..."}) as fleet:
            await fleet.run()

What workers share is the storage, which has to grant leases (capability ``lease``). docs/fleet.md tells the rest.
"""

from __future__ import annotations

from chat_core._fleet.fleet import Fleet

__all__ = ["Fleet"]

Fleet.__module__ = __name__
