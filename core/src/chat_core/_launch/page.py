"""The page on which the visitor is: where the defaults of userData come from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from attrs import field, frozen, validators

__all__ = ["PageContext"]

_text = validators.optional(validators.instance_of(str))

#: What a path may hold as it is; RFC 3986, "pchar".
_SAFE: Final = "/:@!$&'()*+,;=~"
#: A query is taken as it came, escapes included.
_SAFE_QUERY: Final = _SAFE + "?%"
#: A host with an optional port; the header comes from whoever sent the request, so nothing else passes.
_HOST: Final = re.compile(r"(?:[\w.~%-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?")
_SCHEMES: Final = frozenset({"http", "https", "ws", "wss"})
_PORTS: Final[Mapping[str, str]] = {"http": "80", "https": "443", "ws": "80", "wss": "443"}


@frozen(kw_only=True)
class PageContext:
    """What the browser's library takes from ``document``.

    Attributes:
        title: the page's title, ``document.title``.
        url: the page's address, ``document.location``.
        referrer: the previous page's address, ``document.referrer``.
    """

    title: str | None = field(default=None, validator=_text)
    url: str | None = field(default=None, validator=_text)
    referrer: str | None = field(default=None, validator=_text)

    @classmethod
    def from_asgi(cls, scope: Mapping[str, Any], *, title: str | None = None) -> PageContext:
        """Take address and referrer from an ASGI ``http`` or ``websocket`` scope. Never raises: what it lacks is None.

        Forwarding headers (``X-Forwarded-...``) are not believed: let the server in front set the scope.
        """
        scope = _mapping(scope)
        headers = _headers(scope.get("headers"))
        scheme = _scheme(scope.get("scheme"))
        host = _host(headers.get("host")) or _server(scope.get("server"), scheme)
        path = scope.get("path")
        url = None
        if host and isinstance(path, str):
            root = _as_text(scope.get("root_path")) or ""
            query = scope.get("query_string")
            url = _url(scheme, host, _below(root, path).encode(errors="replace"), query)
        return cls(title=_as_text(title), url=url, referrer=_line(headers.get("referer")))

    @classmethod
    def from_wsgi(cls, environ: Mapping[str, Any], *, title: str | None = None) -> PageContext:
        """Take address and referrer from a WSGI environ (PEP 3333). Never raises: what it lacks is None.

        Forwarding headers (``X-Forwarded-...``) are not believed: let the server in front set the environ.
        """
        environ = _mapping(environ)
        scheme = _scheme(environ.get("wsgi.url_scheme"))
        host = _host(environ.get("HTTP_HOST")) or _server(
            (environ.get("SERVER_NAME"), environ.get("SERVER_PORT")), scheme
        )
        url = None
        if host:
            path = (_as_text(environ.get("SCRIPT_NAME")) or "") + (_as_text(environ.get("PATH_INFO")) or "")
            query = _as_text(environ.get("QUERY_STRING")) or ""
            # WSGI hands bytes over as text in which each character stands for a byte.
            url = _url(scheme, host, path.encode("latin-1", "replace"), query.encode("latin-1", "replace"))
        return cls(title=_as_text(title), url=url, referrer=_line(environ.get("HTTP_REFERER")))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _url(scheme: str, host: str, path: bytes, query: Any) -> str:
    suffix = "?" + quote(query, safe=_SAFE_QUERY) if isinstance(query, bytes) and query else ""
    return f"{scheme}://{host}{quote(path, safe=_SAFE)}{suffix}"


def _below(root: str, path: str) -> str:
    """Put the mount point before the path; ASGI has it there already, servers older than its version 2.4 do not."""
    root = root.rstrip("/")
    return path if path == root or path.startswith(root + "/") else root + path


def _headers(raw: Any) -> dict[str, str]:
    """Return the first value of each header."""
    found: dict[str, str] = {}
    for entry in raw if isinstance(raw, list | tuple) else ():
        match entry:
            case (bytes(name), bytes(value)):
                found.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
            case _:
                continue
    return found


def _scheme(value: Any) -> str:
    return value if isinstance(value, str) and value in _SCHEMES else "http"


def _host(value: Any) -> str | None:
    return value if isinstance(value, str) and _HOST.fullmatch(value) else None


def _server(server: Any, scheme: str) -> str | None:
    """Return host and port of the listening socket; None for one that has no port, as a Unix socket."""
    match server:
        case [str(name), int() | str() as port] if not isinstance(port, bool):
            name = f"[{name}]" if ":" in name else name
            return _host(name if str(port) in {"", _PORTS[scheme]} else f"{name}:{port}")
        case _:
            return None


def _as_text(value: Any) -> str | None:
    """Return text that a wire can carry, None for anything else."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else None


def _line(value: Any) -> str | None:
    """Return an address from a header; one with control characters in it is none."""
    text = _as_text(value)
    return text if text and text.isprintable() else None
