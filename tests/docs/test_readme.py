"""What README and docs claim is executed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("**/README.md")])
PAGES = sorted({page for page in PAGES if not {".venv", "build", "node_modules"} & set(page.parts)})


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return what the headings of a page are called in links."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


RUN = "<!-- run: tests/docs/test_readme.py executes this and compares the output -->"


@pytest.mark.parametrize(
    "page", [page for page in PAGES if RUN in page.read_text("utf-8")], ids=lambda page: str(page.relative_to(ROOT))
)
def test_a_program_on_a_page_prints_what_the_page_shows(page: Path):
    """It runs as it stands, and its output is the one beside it."""
    (program,) = blocks(page, "python")
    (output,) = blocks(page, "text")
    result = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert result.stdout == output


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path):
    """Every relative link names a file that is there, and a heading in it, as a repository browser would."""
    for target, _, anchor in (link.partition("#") for link in re.findall(r"\]\(([^)\s]+)", page.read_text("utf-8"))):
        if "://" in target:
            continue
        file = (page.parent / target) if target else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_program_on_a_page_compiles(page: Path):
    """Snippets are Python, with or without an async function around them."""
    for program in blocks(page, "python"):
        flags = __import__("ast").PyCF_ALLOW_TOP_LEVEL_AWAIT
        compile(program, str(page), "exec", flags=flags)


def test_both_tips_of_the_api_page_have_a_page():
    """The API page points to error codes and to controlling the session; so do ours."""
    assert "| 201 |" in (ROOT / "docs" / "error-codes.md").read_text("utf-8")
    assert "send_message" in (ROOT / "docs" / "controlling.md").read_text("utf-8")


def test_generated_pages_are_up_to_date():
    """``docs/generate.py --check`` agrees."""
    result = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr


def test_every_fault_and_figure_of_the_sandbox_stands_on_its_page():
    """And each method of the agent."""
    from attrs import fields

    from chat_sandbox import Agent, ChatTimes, Faults, FilePolicy

    text = (ROOT / "docs" / "testing.md").read_text("utf-8")
    servers_own = {"drop", "forget", "close_port", "open_port", "take", "mangle", "pass_through", "stalled"}
    names = {name for name in {**vars(Faults()), **vars(Faults)} if not name.startswith("_")} - servers_own
    names |= {one.name for kind in (ChatTimes, FilePolicy) for one in fields(kind)}
    names |= {name for name in vars(Agent) if not name.startswith("_")}
    assert {name for name in names if f"`{name}`" not in text} == set()


@pytest.mark.parametrize("name", ["cometd", "rest"])
def test_every_option_of_a_transport_stands_in_its_readme(name: str):
    """Those that all transports share, and its own."""
    from attrs import fields

    from chat_core import Kind
    from chat_core._plugins.registry import registry

    provider, _ = registry().providers(Kind.TRANSPORT)[name]
    text = (ROOT / "plugins" / f"transport_{name}" / "README.md").read_text("utf-8")
    for option in fields(provider.options):
        assert option.name in text, option.name


#: What each program says when all went well.
SAYS = {
    "scripted_customer.py": "answered after",
    "storage_sqlite.py": "afterwards: None",
    "storage_starlette.py": "2 chats, 2 states",
    "view_django.py": "15 answers, 5 chats",
}


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_every_example_runs(example: Path):
    """Against the sandbox, without an argument."""
    result = subprocess.run(
        [sys.executable, "-W", "error", str(example)],
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    assert result.returncode == 0, result.stderr
    assert SAYS[example.name] in result.stdout


@pytest.mark.parametrize("name", ["sqlite", "starlette"])
def test_the_storages_on_the_page_are_those_that_are_executed(name: str):
    """The class on the page is the program's, to the letter."""
    program = (ROOT / "examples" / f"storage_{name}.py").read_text("utf-8")
    shown = [block for block in blocks(ROOT / "docs" / "storages.md", "python") if block.startswith("class ")]
    assert len(shown) == 2
    assert sum(block in program for block in shown) == 1
