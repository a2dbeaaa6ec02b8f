"""The ``transport_options`` that both transports share, on every carrier: TLS, proxy, authentication, headers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

import chat_core
from chat_core import ConnectError, LoginRefusedError, OptionError, ProtocolError
from chat_sandbox import Sandbox, echo
from plugins.carriers import every_carrier, options
from support.gates import Gate, Proxy

pytestmark = every_carrier


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


async def converse(
    carrier: str, sandbox: Sandbox, through: Callable[[str], str] = str, **transport_options: Any
) -> None:
    """Hold a chat and send a file in it, so that every kind of connection is used."""
    given = options(carrier, sandbox)
    given["server_url"] = through(given["server_url"])
    given["transport_options"] = {**given.get("transport_options", {}), **transport_options}
    async with chat_core.start_session(state_storage="memory", **given) as session:
        await session.send_message("Hello", until="echoed")
        assert (await session.wait_for(chat_core.MessageReceived, timeout=10)).text == "Hello"
        await session.send_file(b"x", name="a.txt")


def test_a_private_authority(carrier: str, authority: trustme.CA, tmp_path: Path):
    """Its certificates are taken from a file; nobody else's are believed, and no check can be left out."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")

    async def main() -> None:
        context = server_context(authority, "127.0.0.1")
        async with Sandbox(agent=echo) as sandbox, Gate(sandbox.port, tls=context) as front:
            await converse(carrier, sandbox, front.through, ca_file=str(tmp_path / "ca.pem"))
            own = ssl.create_default_context()
            authority.configure_trust(own)
            await converse(carrier, sandbox, front.through, ssl_context=own)
            with pytest.raises(ConnectError, match=r"(?i)certificate"):
                await converse(carrier, sandbox, front.through)
            assert len(sandbox.chats) == 2

    asyncio.run(main())


def test_a_certificate_of_another_host_is_refused(carrier: str, authority: trustme.CA, tmp_path: Path):
    """The error says that it is the certificate."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")

    async def main() -> None:
        context = server_context(authority, "other.example")
        async with Sandbox(agent=echo) as sandbox, Gate(sandbox.port, tls=context) as front:
            with pytest.raises(ConnectError, match=r"(?i)certificate"):
                await converse(carrier, sandbox, front.through, ca_file=str(tmp_path / "ca.pem"))
            assert sandbox.chats == []

    asyncio.run(main())


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_a_proxy(carrier: str, authority: trustme.CA, tmp_path: Path, tls: bool):
    """Everything goes through it, with and without TLS; one that is not there is named in the error."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")

    async def main() -> None:
        context = server_context(authority, "127.0.0.1") if tls else None
        async with (
            Sandbox(agent=echo) as sandbox,
            Gate(sandbox.port, tls=context) as front,
            Proxy(0) as proxy,
        ):
            given: dict[str, Any] = {"ca_file": str(tmp_path / "ca.pem")} if tls else {}
            await converse(carrier, sandbox, front.through, proxy=f"http://127.0.0.1:{proxy.port}", **given)
            assert len(proxy.heads) == len(front.heads) > 0
            with pytest.raises(ConnectError):
                await converse(carrier, sandbox, front.through, proxy="http://127.0.0.1:9", **given)
            assert len(proxy.heads) == len(front.heads)

    asyncio.run(main())


def test_basic_authentication_and_headers(carrier: str):
    """Each connection carries both; without them the server's refusal is a refused login."""

    async def main() -> None:
        async with Sandbox(agent=echo) as sandbox, Gate(sandbox.port) as front:
            front.needs = "authorization: Basic QWRhOnM6ZWNyZXQ="
            given: dict[str, Any] = {"auth": ("Ada", "s:ecret"), "headers": {"apikey": "k-1"}}
            await converse(carrier, sandbox, front.through, **given)
            assert all("\r\napikey: k-1\r\n" in head for head in front.heads)
            with pytest.raises(LoginRefusedError) as caught:
                await converse(carrier, sandbox, front.through, auth=("Ada", "wrong-secret"))
            assert "wrong-secret" not in repr(caught.value) + str(caught.value)

    asyncio.run(main())


def test_redirects_are_refused(carrier: str):
    """A chat is not carried to another address."""

    async def main() -> None:
        async with Sandbox(agent=echo) as sandbox, Gate(sandbox.port) as elsewhere, Gate(sandbox.port) as front:
            location = elsewhere.through(options(carrier, sandbox)["server_url"])
            front.answer = (
                f"HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            ).encode()
            with pytest.raises(ProtocolError):
                await converse(carrier, sandbox, front.through)
            assert elsewhere.heads == []

    asyncio.run(main())


def test_options_that_cannot_be_used_are_named(carrier: str, tmp_path: Path):
    """Before anything is sent."""

    async def main() -> None:
        async with Sandbox() as sandbox:
            for given, text in (
                ({"ca_file": str(tmp_path / "none.pem")}, "none.pem"),
                ({"proxy": "ftp://user:canary@x"}, "address of an HTTP proxy"),
                ({"headers": {"a b": "c"}}, "no name of a header"),
                ({"headers": {"a": "c\r\nd: e"}}, "control character"),
                ({"headers": {"Cookie": "a=b"}}, "set by the transport"),
                ({"auth": "user:password"}, "auth must be"),
                ({"auth": ("a:b", "c")}, "no colon"),
                ({"connect_timeout": 0}, "seconds above 0"),
                ({"prox": "http://x"}, "proxy"),
            ):
                front = Gate(sandbox.port, tls=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
                async with front:
                    with pytest.raises(OptionError, match=text):
                        await converse(carrier, sandbox, front.through, **given)
                    assert front.heads == []

    asyncio.run(main())
