"""Makes the table of promises from the tests that prove them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

TESTS = Path(__file__).parents[1] / "tests"

#: Number, what is promised, and whether it is proven on every transport.
PROMISES: dict[int, tuple[str, bool]] = {
    1: (
        (
            "**No silent gap.** After any reconnect or restore every transcript event above the last delivered one reaches each reader before any newer one, or "
            "`ContinuityLost` stands in its place and says why."
        ),
        True,
    ),
    2: (
        "**No duplicate** within one owner's log, by index alone. Across `kill -9` hand-over is at least once: at most the last 200 ms again.",
        True,
    ),
    3: ("**One order** over all indexed events. Typing is ephemeral and marked so.", True),
    4: (
        (
            "**No guess about a send.** A message whose answer was lost is looked for in the transcript and sent again only if it is absent. At most one copy, "
            'provided the server commits within the settle time (2 s); `resend="never"` removes that risk and says `unknown`. Starting a chat, notices and files are never repeated.'
        ),
        True,
    ),
    5: (
        "**Sends keep their order**, in a bounded outbox that is saved before the wire where the storage keeps it.",
        True,
    ),
    6: (
        "**State is saved as it changes**, replaced atomically; an unreadable state is an error, never a silent new chat.",
        False,
    ),
    7: (
        "**A dead peer is found**, one-way loss included, within heartbeat and time-out; the position is checked each 60 s even while all seems well.",
        True,
    ),
    8: (
        (
            "**Reconnecting is polite**: capped exponential back-off with full jitter, one attempt in flight, `Retry-After` and the server's advice honoured, from WebSocket to long polling "
            "and back; it never gives up while the server may hold the chat, unless `give_up_after` says so."
        ),
        True,
    ),
    9: (
        "**Closing is bounded** (5 s) and clean; cancelled at any await, nothing is left. A cancelled start leaves the chat that it may have opened.",
        True,
    ),
    10: ("**Secrets and message text never leak** into logs, reprs, exceptions or files that others can read.", True),
    11: (
        "**Hostile input is bounded**: size after decompression, nesting, length of batches, headers, redirects.",
        True,
    ),
    12: ("**A bad handler hurts nobody**: raising, blocking, cancelling.", False),
    13: ("**Clocks**: durations are monotonic; a day's skew or a suspended machine changes no result.", False),
    14: ("**One owner**: two processes never drive one session.", False),
    15: ("**The end is announced once**, whatever its path, also when it happened while away.", True),
}

CARRIERS = ("cometd-websocket", "cometd-long-polling", "rest")
_NUMBER = re.compile(r"rp(\d\d)")


@frozen(kw_only=True)
class Proof:
    """A test.

    Attributes:
        name: of the function.
        fact: the first line of its docstring.
        file: where, from the folder of tests.
        everywhere: whether it is run on each carrier.
    """

    name: str
    fact: str
    file: str
    everywhere: bool


def proofs() -> dict[int, list[Proof]]:
    """Return the tests of each promise."""
    found: dict[int, list[Proof]] = {number: [] for number in PROMISES}
    for file in sorted(TESTS.rglob("test_*.py")):
        for number, proof in _in(file):
            found[number].append(proof)
    return found


def _in(file: Path) -> Iterator[tuple[int, Proof]]:
    tree = ast.parse(file.read_text("utf-8"))
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_rp"):
            continue
        everywhere = any("every_carrier" in ast.unparse(decorator) for decorator in node.decorator_list)
        fact = (ast.get_docstring(node) or "").split("\n")[0]
        name = file.relative_to(TESTS).as_posix()
        for number in sorted({int(number) for number in _NUMBER.findall(node.name)}):
            yield number, Proof(name=node.name, fact=fact, file=name, everywhere=everywhere)


def page() -> str:
    """Return the page of promises.

    Raises:
        ValueError: a promise has no test, or none on a transport where it needs one.
    """
    found = proofs()
    rows, lists = [], []
    for number, (promise, everywhere) in PROMISES.items():
        tests = found[number]
        if not tests or (everywhere and not any(one.everywhere for one in tests)):
            raise ValueError(f"RP-{number} has no test{' on each carrier' if everywhere else ''}")
        where = "CometD over WebSocket and long polling, REST" if everywhere else "the core"
        rows.append(f"| [RP-{number}](#rp-{number}) | {promise} | {where} | {len(tests)} |")
        facts = "\n".join(f"| `{one.name}` | {one.fact} | {one.file} |" for one in tests)
        lists.append(f"### RP-{number}\n\n| test | what it states | in tests/ |\n| --- | --- | --- |\n{facts}\n")
    return f"""# Promises

What chat-core promises, and the tests that prove it. Made by `docs/generate.py` from the tests themselves; all of them run in CI. A promise without a test, or without
one on each transport where it must hold, stops the page from being made.

| promise | in words | proven on | tests |
| --- | --- | --- | --- |
{chr(10).join(rows)}

The figures: an early event waits 250 ms for the one before it; a gap is given up after 10 s without an answer; the outbox settles for 2 s; reconnecting waits
`U(0, min(30, 0.5 * 2**n))` seconds, the count beginning anew after 30 s of stability.

Beside the single tests there are 100,000 seeded schedules on the machine that judges order and gaps, and 2,000 seeded worlds with the whole client, on virtual time, in each CI
run (`tests/simulation`); each mechanism is taken away in a test of its own, which then sees a promise break (`tests/simulation/test_mechanisms.py`). What takes longer is
[measured](measured.md).

## The tests

{chr(10).join(lists)}"""
