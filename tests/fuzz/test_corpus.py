"""Every input that the fuzzer kept, through its target, without the fuzzer."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CODECS = sorted(file.stem for file in (HERE / "targets").glob("[!_]*.py"))


@pytest.mark.parametrize("codec", CODECS)
def test_rp11_the_corpus_of(codec: str):
    """No input raises anything but what the parser documents, and each of the target's own statements holds."""
    target = importlib.import_module(f"fuzz.targets.{codec}")
    inputs = sorted((HERE / "corpus" / codec).iterdir())
    assert inputs, "there is a corpus"
    for file in inputs:
        target.check(file.read_bytes())


def test_the_corpus_is_small():
    """All inputs together fit into a hundred KiB, so that they can stay in the repository."""
    assert sum(file.stat().st_size for file in (HERE / "corpus").rglob("*") if file.is_file()) < 100_000
