"""The whole client, made so that it lives in the simulation: its network, its disk, its server."""

from __future__ import annotations

import asyncio
import copy
import random
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

from attrs import define, evolve

import chat_transport_cometd
import chat_transport_rest
from chat_core import Capability, TransportContext
from chat_sandbox import ChatTimes, Sandbox
from chat_transport_cometd._carriers.base import Carrier, Wire
from chat_transport_cometd._link import CarrierMaker
from chat_transport_cometd._transport import CometdTransport
from support.simulation.loop import SeededLoop
from support.simulation.network import Host, Network, SimulatedHttp, SimulatedWebSocket

__all__ = ["CARRIERS", "Client", "SimulatedDisk", "client_options", "patient_sandbox"]

CARRIERS: Final = ("cometd-websocket", "cometd-long-polling", "rest")
PATH: Final = "/genesys/cometd"


@define(eq=False)
class SimulatedDisk:
    """A storage that keeps the state as a disk does: what a dead process still wanted to write is not there.

    Attributes:
        slowness: seconds that half a write may take, at most.
    """

    files: dict[str, Any]
    host: Host
    chance: random.Random
    slowness: float = 0.005
    capabilities = frozenset({Capability.PERSISTENT, Capability.OUTBOX})

    async def read(self) -> Mapping[str, Any] | None:
        await asyncio.sleep(self.chance.uniform(0, self.slowness))
        return copy.deepcopy(self.files.get("state"))

    async def write(self, state: Mapping[str, Any] | None) -> None:
        await asyncio.sleep(self.chance.uniform(0, self.slowness))
        if self.host.alive:
            self.files["state"] = copy.deepcopy(state)
        await asyncio.sleep(self.chance.uniform(0, self.slowness))


def patient_sandbox() -> Sandbox:
    """Return a server on the running loop's clock that removes nobody for being silent."""
    clock = asyncio.get_running_loop().time
    return Sandbox(listen=False, clock=clock, times=ChatTimes(removal=1e9, idle_alert=1e9, idle_close=1e9))


def client_options(carrier: str, network: Network, host: Host, *, storage: Any = "memory") -> dict[str, Any]:
    """Return what a launcher is given."""
    http = SimulatedHttp(network, host)
    more: dict[str, Any]
    if carrier == "rest":
        more = {
            "server_url": "https://simulation/genesys/2/chat/customer-support",
            "transport": chat_transport_rest.provider,
            "transport_options": {"http_transport": http, "poll_quick": 2.0, "poll_slow": 10.0},
        }
    else:
        more = {
            "server_url": f"https://simulation{PATH}",
            "transport": _cometd(network, host),
            "disable_websockets": carrier == "cometd-long-polling",
            "transport_options": {"http_transport": http},
        }
    return {"state_storage": storage, "logger": lambda *_: None, "on_exit": "leave", **more}


def _cometd(network: Network, host: Host) -> Any:
    class Simulated(CometdTransport):
        """Has a simulated WebSocket beside the long polling over the injected HTTP transport."""

        def _carriers(self) -> dict[str, CarrierMaker]:
            def websocket(wire: Wire) -> Carrier:
                return SimulatedWebSocket(network, host, PATH, cookies=self._cookies, wire=wire)

            return ({"websocket": websocket} if self._websockets else {}) | super()._carriers()

    def make(context: TransportContext) -> CometdTransport:
        return Simulated(context)

    return evolve(chat_transport_cometd.provider, factory=make)


class Client:
    """A server and a network for one client, for tests that say themselves what befalls them."""

    def __init__(self, carrier: str) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SeededLoop)
        self.carrier = carrier
        self.sandbox = patient_sandbox()
        self.network = Network(lambda: self.sandbox.app, loop.chance)
        self.host = Host()

    def options(self, **more: Any) -> dict[str, Any]:
        """Return what a launcher is given."""
        profile = f"simulated-{id(self)}"  # a test that fails leaves its profile in use
        return {"profile": profile, **client_options(self.carrier, self.network, self.host), **more}

    async def __aenter__(self) -> Self:
        await self.sandbox.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.network.stop()
        await self.sandbox.__aexit__(kind, error, trace)
