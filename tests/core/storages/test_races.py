"""RP-14: processes that race for one state."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROUNDS = 500

#: Tries at each line of its input, says who won, and gives the state up at the next line.
RACER = """
import sys
from chat_core import SessionInUseError
from chat_core._storages.file import FileStorage
for line in sys.stdin:
    storage = FileStorage("p", directory=sys.argv[1], max_offline_duration=60.0)
    try:
        storage.acquire()
    except SessionInUseError as error:
        print("lost", int(error.code), flush=True)
        owned = False
    else:
        state = storage.read()
        storage.write({"version": 1, "round": 1 + (state or {"round": 0})["round"]})
        print("won", flush=True)
        owned = True
    sys.stdin.readline()
    if owned:
        storage.release()
    print("released", flush=True)
"""


def test_rp14_two_processes_race_for_one_state_and_one_wins_each_time(tmp_path: Path):
    """500 rounds between two long-lived processes: exactly one owner in each, and no write is lost."""
    racers = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", RACER, str(tmp_path / "state")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    wins = [0, 0]
    try:
        for round_ in range(ROUNDS):
            # In turn, so that neither is always the first to be told.
            order = racers if round_ % 2 else racers[::-1]
            said = {id(racer): answer for racer, answer in zip(order, _ask(order, "go"), strict=True)}
            answers = [said[id(racer)] for racer in racers]
            assert sorted(answers) == ["lost 201", "won"], (round_, answers)
            wins[answers.index("won")] += 1
            assert _ask(racers, "release") == ["released", "released"]
    finally:
        for racer in racers:
            racer.communicate()
    assert sum(wins) == ROUNDS
    assert min(wins) > ROUNDS / 20, wins
    program = (
        "import sys; from chat_core._storages.file import FileStorage\n"
        "print(FileStorage('p', directory=sys.argv[1], max_offline_duration=60.0).read()['round'])"
    )
    result = subprocess.run([sys.executable, "-c", program, str(tmp_path / "state")], capture_output=True, text=True)
    assert result.stdout == f"{ROUNDS}\n", result.stderr


def _ask(racers: list[subprocess.Popen[str]], word: str) -> list[str]:
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write(word + "\n")
        racer.stdin.flush()
    answers = []
    for racer in racers:
        assert racer.stdout is not None
        answers.append(racer.stdout.readline().strip())
    return answers
