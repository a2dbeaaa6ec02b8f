"""Why HTTP travels over connections of our own: a POST over httpx's transport, and over ours.

``python benchmarks/http_request.py`` posts over both in turns, to a server in another process, and prints microseconds
of CPU per request, medians of nine rounds, and the ratio with its spread.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from chat_gms.http11 import Http11Transport

ROUNDS = 9
REQUESTS = 200
TIMEOUTS = dict.fromkeys(("connect", "read", "write", "pool"), 10.0)


async def cost(transport: Any, url: httpx.URL) -> float:
    """Return microseconds of CPU per request."""
    began = time.process_time()
    for _ in range(REQUESTS):
        request = httpx.Request("POST", url, content=b"x" * 230, extensions={"timeout": TIMEOUTS})
        response = await transport.handle_async_request(request)
        async for _piece in response.stream:
            pass
        await response.aclose()
    return (time.process_time() - began) / REQUESTS * 1e6


async def compare(url: httpx.URL) -> None:
    """Measure in turns and print."""
    theirs, ours = httpx.AsyncHTTPTransport(verify=False), Http11Transport(httpx, context=None)
    rounds = [(await cost(theirs, url), await cost(ours, url)) for _ in range(ROUNDS + 1)][1:]
    ratios = [mine / other for other, mine in rounds]
    print("httpx  ours  ratio   (microseconds of CPU per request)")
    one, other = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"{one:>5.0f} {other:>5.0f}  {statistics.median(ratios):.2f} [{min(ratios):.2f} .. {max(ratios):.2f}]")
    await theirs.aclose()
    await ours.aclose()


def main() -> None:
    """Measure."""
    program = Path(__file__).with_name("http_pool.py")
    server = subprocess.Popen([sys.executable, str(program), "serve"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        asyncio.run(compare(httpx.URL(f"http://127.0.0.1:{int(server.stdout.readline())}/")))
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    main()
