"""What the classes refuse, and what they report; each case is a run of pytest of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

HEAD = """
import pytest
from chat_core import StorageProvider
from chat_core.testing import StorageConformance, TransportConformance


class Forgetful:
    def __init__(self, context):
        self.state = None

    def read(self):
        return self.state or None

    def write(self, state):
        self.state = state


forgetful = StorageProvider(name="forgetful", summary="takes an empty state for none", factory=Forgetful)
"""


def run(place: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (place / "test_plugin.py").write_text(HEAD + textwrap.dedent(code), "utf-8")
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", *arguments, str(place)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=place,
    )


REFUSED = {
    "an overridden check": (
        """
        class TestIt(StorageConformance):
            provider = "memory"

            def test_st003_nothing_is_none(self):
                pass
        """,
        'A check cannot be replaced; where it does not hold, say so: deviations = {"ST-003"',
    ),
    "a removed check": (
        """
        class TestIt(StorageConformance):
            provider = "memory"
            test_st003_nothing_is_none = None
        """,
        "overrides test_st003_nothing_is_none",
    ),
    "a check overridden by a mixin": (
        """
        class Mixin:
            def test_st003_nothing_is_none(self):
                pass

        class TestIt(Mixin, StorageConformance):
            provider = "memory"
        """,
        "overrides test_st003_nothing_is_none",
    ),
    "a hook of pytest": (
        """
        class TestIt(StorageConformance):
            provider = "memory"

            def pytest_generate_tests(self, metafunc):
                pass
        """,
        "defines pytest_generate_tests, which is the suite's own",
    ),
    "no provider": ("class TestIt(StorageConformance):\n    pass\n", 'write provider = "name" in the class'),
    "a fixture for a provider": (
        """
        class TestIt(StorageConformance):
            @pytest.fixture
            def provider(self):
                return "memory"
        """,
        "a fixture cannot take its place",
    ),
    "an unknown deviation": (
        'class TestIt(StorageConformance):\n    provider = "memory"\n    deviations = {"ST-999": "why"}\n',
        "there is no check 'ST-999' for a storage",
    ),
    "a deviation without a reason": (
        'class TestIt(StorageConformance):\n    provider = "memory"\n    deviations = {"ST-004": " "}\n',
        "ST-004 needs a reason",
    ),
    "a deviation about secrets": (
        'class TestIt(StorageConformance):\n    provider = "memory"\n    deviations = {"ST-025": "we like it"}\n',
        "there is no deviating from it",
    ),
    "an unknown level": (
        'class TestIt(StorageConformance):\n    provider = "memory"\n    level = "some"\n',
        'level must be "must" or "all"',
    ),
    "a transport without a harness": (
        'class TestIt(TransportConformance):\n    provider = "rest"\n',
        "write harness = MyHarness",
    ),
}


@pytest.mark.parametrize("what", list(REFUSED))
def test_it_is_refused_where_the_class_is_made(what: str):
    """No test runs with a suite that was cut, and the sentence says what to write."""
    code, words = REFUSED[what]
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", HEAD + textwrap.dedent(code)], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("TypeError: ")
    assert words in last


def test_a_check_that_does_not_hold_is_a_failing_test(tmp_path: Path):
    """The test names the requirement, and the report at the end counts it."""
    result = run(tmp_path, "class TestIt(StorageConformance):\n    provider = forgetful\n", "-k", "st003 or st004")
    assert result.returncode == 1
    assert "an empty state: what was read back is not what was written" in result.stdout
    assert "ST-004 MUST: Nested objects and lists, empty ones" in result.stdout
    assert (
        "storage forgetful does not conform to chat-core's suite 1.0: 1 of 2 checks passed, 39 not run" in result.stdout
    )


def test_a_part_of_the_checks_is_not_taken_for_the_whole(tmp_path: Path):
    """After ``pytest -k`` the line does not say that the plugin conforms."""
    code = 'class TestIt(StorageConformance):\n    provider = "memory"\n    report = "report.json"\n'
    result = run(tmp_path, code, "-k", "st003")
    assert result.returncode == 0
    assert "storage memory (chat-core 0.1.0) was not wholly held to chat-core's suite 1.0: 1 of 1" in result.stdout
    assert json.loads((tmp_path / "report.json").read_text("utf-8"))["conforms"] is False


def test_a_declared_deviation_is_no_failure_and_is_reported(tmp_path: Path):
    """It stands in the report with its reason, in the terminal and in the file."""
    code = """
    class TestIt(StorageConformance):
        provider = forgetful
        deviations = {"ST-004": "no state is ever empty", "ST-009": "as above"}
        report = "report.json"
    """
    result = run(tmp_path, code)
    assert result.returncode == 0, result.stdout
    assert "ST-004  MUST    DEVIATION   no state is ever empty" in result.stdout
    assert "storage forgetful conforms to chat-core's suite 1.0:" in result.stdout
    assert "2 deviation" in result.stdout
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert report["conforms"] is True
    verdicts = {one["id"]: (one["verdict"], one["message"]) for one in report["checks"]}
    assert verdicts["ST-004"] == ("deviation", "no state is ever empty")
    assert verdicts["ST-003"] == ("pass", "")
    assert verdicts["ST-016"][0] == "not bound"


def test_a_deviation_that_holds_is_a_failure(tmp_path: Path):
    """It would hide the day on which it breaks again."""
    code = 'class TestIt(StorageConformance):\n    provider = forgetful\n    deviations = {"ST-003": "once"}\n'
    result = run(tmp_path, code, "-k", "st003")
    assert result.returncode == 1
    assert "the requirement is met: remove it" in result.stdout


def test_what_is_recommended_only_warns_at_the_level_must(tmp_path: Path):
    """A SHOULD that is not met is shown and is no failure."""
    code = """
    class Quick(Forgetful):
        blocking = False

    class TestIt(StorageConformance):
        provider = StorageProvider(name="quick", summary="undeclared", factory=Quick)
        level = "must"
    """
    result = run(tmp_path, code, "-k", "st024 or st003")
    assert result.returncode == 0, result.stdout
    assert "ST-024  SHOULD  WARN" in result.stdout
    assert run(tmp_path, code.replace('"must"', '"all"'), "-k", "st024 or st003").returncode == 1


SKIPS = {
    "a mark": ("@pytest.mark.skip\n", ""),
    "a condition": ("@pytest.mark.skipif(True, reason='not today')\n", ""),
    "xfail": ("@pytest.mark.xfail(run=False)\n", ""),
    "a fixture": ("", "    @pytest.fixture(autouse=True)\n    def no(self):\n        pytest.skip('not today')\n"),
}


@pytest.mark.parametrize("how", list(SKIPS))
def test_a_skipped_check_is_a_failure(how: str, tmp_path: Path):
    """Whatever is done to skip the checks, the run is not green."""
    before, within = SKIPS[how]
    result = run(
        tmp_path, f"{before}class TestIt(StorageConformance):\n    provider = 'memory'\n{within}", "-k", "st003"
    )
    assert result.returncode == 1, result.stdout
    assert "was skipped from outside the suite" in result.stdout


def test_a_storage_that_skips_is_a_failure(tmp_path: Path):
    """pytest.skip inside the plugin is an error like any other."""
    code = """
    class Shy(Forgetful):
        def read(self):
            pytest.skip("not today")

    class TestIt(StorageConformance):
        provider = StorageProvider(name="shy", summary="skips", factory=Shy)
    """
    result = run(tmp_path, code, "-k", "st003")
    assert result.returncode == 1, result.stdout


def test_a_plugin_that_does_not_load_fails_every_check(tmp_path: Path):
    """The reason is the one that 'chat-core plugins' shows."""
    result = run(tmp_path, 'class TestIt(StorageConformance):\n    provider = "nowhere"\n', "-k", "st003")
    assert result.returncode == 1
    assert "no storage of that name is installed" in result.stdout
