"""The API without ``await``: for threads, scripts, notebooks and web views that know nothing of asyncio.

One thread of the process, started when it is first needed, runs the sessions of all threads::

    from chat_core import blocking

    with blocking.start_session(server_url="https://gms.example.com/genesys/cometd", username="Ada") as session:
        session.send_message("Hello")
        for event in session.events():
            ...

Names, arguments, results and errors are those of the async API, but for three: ``close`` stands for ``aclose``, an
``on_...`` callback is plain and is called in a thread of its own, and ``.done`` and ``.fail`` are not needed. Sessions
that are open when the interpreter ends are detached or left as after an exception, bounded.
"""

from __future__ import annotations

from chat_core._blocking.callbacks import Subscription
from chat_core._blocking.files import FileDownload
from chat_core._blocking.launchers import restore_or_start_session, restore_session, start_session
from chat_core._blocking.readers import EventIterator
from chat_core._blocking.receipts import Receipt
from chat_core._blocking.session import Session

__all__ = [
    "EventIterator",
    "FileDownload",
    "Receipt",
    "Session",
    "Subscription",
    "restore_or_start_session",
    "restore_session",
    "start_session",
]

for _public in (EventIterator, FileDownload, Receipt, Session, Subscription):
    _public.__module__ = __name__
