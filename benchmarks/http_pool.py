"""Why each session has a connection pool of its own: the cost of a poll, shared pool against own pools.

``python benchmarks/http_pool.py`` lets 50, 200 and 800 pollers post over one httpx pool and over one each, interleaved,
to a server in another process, and prints microseconds of CPU per request, medians of three rounds, and their ratio.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time

import httpx

BODY = json.dumps({"statusCode": 0, "chatEnded": False, "messages": [], "nextPosition": 1}).encode()
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(BODY), BODY)
ROUNDS = 3
REQUESTS = 5
PAUSE = 0.4


async def serve() -> None:
    """Answer every request with the same envelope."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
                )
                await reader.readexactly(length)
                writer.write(ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def poll(transport: httpx.AsyncHTTPTransport, url: httpx.URL, later: float) -> None:
    """Post now and then."""
    await asyncio.sleep(later)
    for _ in range(REQUESTS):
        request = httpx.Request("POST", url, content=b"transcriptPosition=1", extensions={"timeout": {"pool": 60.0}})
        response = await transport.handle_async_request(request)
        await response.aread()
        await response.aclose()
        await asyncio.sleep(PAUSE)


async def cost(sessions: int, port: int, *, shared: bool) -> float:
    """Return microseconds of CPU per request."""
    url = httpx.URL(f"http://127.0.0.1:{port}/")
    limits = httpx.Limits(max_connections=2 * sessions if shared else 4, max_keepalive_connections=None)
    transports = [httpx.AsyncHTTPTransport(limits=limits, verify=False) for _ in range(1 if shared else sessions)]
    began = time.process_time()
    async with asyncio.TaskGroup() as group:
        for number in range(sessions):
            group.create_task(poll(transports[number % len(transports)], url, PAUSE * number / sessions))
    used = time.process_time() - began
    for transport in transports:
        await transport.aclose()
    return used / (sessions * REQUESTS) * 1e6


def main() -> None:
    """Measure and print."""
    server = subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        print("sessions  shared pool  own pools  ratio   (microseconds of CPU per request)")
        for sessions in (50, 200, 800):
            shared, own = [], []
            for _ in range(ROUNDS):
                shared.append(asyncio.run(cost(sessions, port, shared=True)))
                own.append(asyncio.run(cost(sessions, port, shared=False)))
            one, other = statistics.median(shared), statistics.median(own)
            print(f"{sessions:>8}  {one:>11.0f}  {other:>9.0f}  {one / other:>5.1f}")
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve())
    else:
        main()
