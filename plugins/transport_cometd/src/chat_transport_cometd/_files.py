"""Files of a chat over CometD: they go beside Bayeux, by HTTP to chat-ntf, with the session's affinity cookie."""

from __future__ import annotations

from collections.abc import Callable

from chat_core import Reply, UnsupportedCommandError
from chat_gms import ntf
from chat_gms.asked import CookieBox
from chat_gms.http import HttpLink
from chat_gms.transfer import FileCommand, FileTransfer
from chat_transport_cometd._dialect import Dialect
from chat_transport_cometd.options import CometdOptions

__all__ = ["Files", "files_url"]


class Files:
    """Performs file commands.

    Args:
        url: the CometD server's address.
        options: the caller's.
        dialect: has ``credentials`` if it has files.
        cookies: returns the session's cookies, which a restored session gets late.
        check_send: raises ``NotSentError`` when nothing may leave.
    """

    def __init__(
        self,
        url: str,
        options: CometdOptions,
        *,
        dialect: Dialect,
        cookies: Callable[[], CookieBox],
        check_send: Callable[[], None] | None = None,
    ) -> None:
        self._url = url
        self._options = options
        self._dialect = dialect
        self._cookies = cookies
        self._check_send = check_send
        self._transfer: FileTransfer | None = None

    async def send(self, command: FileCommand) -> Reply:
        """Perform a command.

        Raises:
            UnsupportedCommandError: the dialect has no files, or nobody knows where they go.
            NotSentError, RefusedError, AmbiguousError: as in the contract of transports.
        """
        keys = getattr(self._dialect, "credentials", None)
        if keys is None:
            raise UnsupportedCommandError(
                f"the dialect {type(self._dialect).__name__} has no files: it lacks 'credentials'; nothing was sent"
            )
        if self._transfer is None:
            url = files_url(self._url, self._options.files_url)
            self._transfer = FileTransfer(url, ntf, link=lambda: self._link(url), learn=lambda _: None)
        return await self._transfer.send(command, keys)

    async def aclose(self) -> None:
        """Break what is under way off and close the connections."""
        if self._transfer is not None:
            await self._transfer.aclose()

    def _link(self, url: str) -> HttpLink:
        return HttpLink(
            self._options,
            cookies=self._cookies(),
            secure=url.startswith("https:"),
            transport=self._options.http_transport,
            patient=True,
            check_send=self._check_send,
        )


def files_url(url: str, given: str | None) -> str:
    """Return where files go: beside ``/genesys/cometd`` there is ``/genesys/2/chat-ntf``.

    Raises:
        UnsupportedCommandError: nobody said, and the server's address does not tell.
    """
    if given is not None:
        return given
    scheme, separator, rest = url.partition("://")
    base, found, behind = rest.rstrip("/").rpartition("/cometd")
    if not found or behind:
        raise UnsupportedCommandError(
            f"where files go cannot be told from {url}: it does not end in /cometd; nothing was sent",
            advice="give transport_options={'files_url': ...}, the address of the chat-ntf service",
        )
    scheme = {"ws": "http", "wss": "https"}.get(scheme, scheme)
    return f"{scheme}{separator}{base}/2/chat-ntf"
