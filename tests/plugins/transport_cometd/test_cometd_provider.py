"""The provider, its options and its probe."""

import math
import subprocess
import sys

import pytest

from chat_core import Capability, OptionError, TransportContext
from chat_transport_cometd import CometdOptions, chat_transports, provider
from chat_transport_cometd._transport import CometdTransport
from plugins.transport_cometd.cometd_server import CometdServer
from plugins.transport_cometd.rig import Recorder, run


def context(url, *, websockets=True, **options: object):
    options = {"connect_timeout": 2.0, "max_network_delay": 0.5, **options}
    return TransportContext(
        server_url=url, options=CometdOptions(**options), disable_websockets=not websockets, log=Recorder()
    )


def test_the_entry_module_imports_nothing_heavy():
    """Listing the plugins costs no HTTP library and no event loop."""
    code = "import chat_transport_cometd, sys; print({'httpx', 'websockets', 'asyncio', 'ssl'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_the_provider_declares_what_works():
    """Asking the server for one entry of user data is not among it."""
    assert chat_transports() == [provider]
    assert provider.name == "cometd"
    assert Capability.POSITION in provider.capabilities
    assert Capability.GET_USER_DATA not in provider.capabilities
    assert isinstance(provider.factory(context("http://127.0.0.1:9/")), CometdTransport)


@pytest.mark.parametrize("service", ["customer-support", "a/b", "chat_2.x"])
def test_a_service_names_the_channel(service):
    """As it stands in the address."""
    assert CometdOptions(service=service).service == service


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("service", ""),
        ("service", 5),
        ("service", "a b"),
        ("service", "/x"),
        ("service", "x/*"),
        ("max_network_delay", 0),
        ("max_network_delay", True),
        ("max_network_delay", math.inf),
        ("max_network_delay", math.nan),
        ("max_message_size", 10),
        ("max_message_size", 1e6),
        ("dialect", object()),
    ],
)
def test_a_wrong_option_is_named_with_its_value(name, value):
    """Nothing is sent."""
    with pytest.raises(OptionError, match=name) as caught:
        CometdOptions(**{name: value})
    if name != "dialect":
        assert repr(value) in str(caught.value)


def test_the_probe_tries_each_step():
    """Connection, upgrade, handshake and a round trip, on both carriers, without opening a chat."""

    async def main():
        async with CometdServer() as server:
            steps = list(await provider.probe(context(server.url)))
            assert [(step.name, step.ok) for step in steps] == [
                ("TCP", True),
                ("WebSocket: upgrade", True),
                ("WebSocket: handshake", True),
                ("WebSocket: latency", True),
                ("long polling: handshake", True),
                ("long polling: latency", True),
            ]
            assert all(step.seconds is not None for step in steps)
            assert not server.operations("requestChat")
            assert not server.clients

    run(main())


def test_the_probe_says_what_fails():
    """And goes on with the rest."""

    async def main():
        async with CometdServer() as server:
            server.refuse_upgrade = 403
            server.http_answer = (404, b"", {})
            steps = list(await provider.probe(context(server.url)))
            assert [(step.name, step.ok) for step in steps] == [
                ("TCP", True),
                ("WebSocket", False),
                ("long polling", False),
            ]
            assert "403" in steps[1].detail
            assert "404" in steps[2].detail
            server.http_answer = None
            server.handshake_error = "403::Handshake denied"
            steps = list(await provider.probe(context(server.url, websockets=False)))
            assert [(step.name, step.ok) for step in steps[1:]] == [
                ("WebSocket", None),
                ("long polling: handshake", False),
            ]
            assert steps[-1].detail == "Handshake denied"

    run(main())


def test_the_probe_of_a_server_that_is_silent_or_breaks_ends():
    """No answer in time is a finding, not an error."""

    async def main():
        async with CometdServer() as server:
            server.silent = True
            steps = list(await provider.probe(context(server.url)))
            assert [(step.name, step.ok) for step in steps] == [
                ("TCP", True),
                ("WebSocket: upgrade", True),
                ("WebSocket", False),
                ("long polling", False),
            ]

    run(main())


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_probe_of_nothing_is_one_failed_step(scheme):
    """There is nothing more to try."""

    async def main():
        async with CometdServer() as server:
            url = server.url.replace("http:", f"{scheme}:")
        (step,) = await provider.probe(context(url))
        assert (step.name, step.ok) == ("TLS" if scheme == "https" else "TCP", False)

    run(main())


def test_the_probe_needs_an_address():
    """An OptionError says so."""

    async def main():
        with pytest.raises(OptionError, match="address"):
            await provider.probe(context(None))

    run(main())
