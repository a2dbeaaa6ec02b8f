"""The command ``chat-sandbox``."""

from __future__ import annotations

import argparse
import ipaddress
import sys
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(prog="chat-sandbox", description="A Genesys-like chat server for demos and tests.")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve until interrupted")
    serve.add_argument("--host", default="127.0.0.1", help="where to listen (default: 127.0.0.1)")
    serve.add_argument("--port", type=int, default=8080, help="0 takes a free one (default: 8080)")
    serve.add_argument(
        "--agent", default="echo", metavar="echo|none|FILE", help="who answers: echo, nobody, or a JSON script of steps"
    )
    given = parser.parse_args(arguments)
    if not _is_loopback(given.host):
        print(  # noqa: T201 - this is a command
            f"chat-sandbox: warning: {given.host} is not loopback; the sandbox has no access control", file=sys.stderr
        )
    import asyncio  # noqa: PLC0415 - not for --help

    try:
        return asyncio.run(_serve(given))
    except KeyboardInterrupt:
        return 130
    except (OSError, ValueError) as error:
        print(f"chat-sandbox: {error}", file=sys.stderr)  # noqa: T201 - this is a command
        return 1


async def _serve(given: argparse.Namespace) -> int:
    import asyncio  # noqa: PLC0415 - not for --help
    import signal  # noqa: PLC0415

    from chat_sandbox.agents import AgentFunction, echo, read_script  # noqa: PLC0415
    from chat_sandbox.sandbox import Sandbox  # noqa: PLC0415

    agent: AgentFunction | None = None
    if given.agent == "echo":
        agent = echo
    elif given.agent != "none":
        agent = read_script(Path(given.agent))
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Sandbox(host=given.host, port=given.port, agent=agent) as sandbox:
        print(f"CometD: {sandbox.cometd_url}", flush=True)  # noqa: T201 - this is a command
        print(f"REST:   {sandbox.rest_url}", flush=True)  # noqa: T201
        await stop.wait()
    return 0


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    sys.exit(main())
