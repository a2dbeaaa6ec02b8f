"""The site: it builds without a warning, holds every public name, and every link on it leads somewhere."""

from __future__ import annotations

import fcntl
import importlib
import importlib.util
import inspect
import os
import re
import subprocess
import sys
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
MODULES = (
    *("chat_core", "chat_core.blocking", "chat_core.compat.genesys", "chat_core.fleet", "chat_core.testing"),
    *("chat_sandbox", "chat_sandbox.blocking", "chat_sandbox.pytest", "chat_sandbox.conformance", "chat_gms"),
)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built once for all workers of a run; what it warned of is in ``warnings.txt``."""
    if importlib.util.find_spec("sphinx") is None or importlib.util.find_spec("furo") is None:
        assert os.environ.get("CI") != "true", "CI builds the site: install the extra 'docs'"
        pytest.skip("needs the extra 'docs'")
    place = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent
    with (place / "site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "site").exists():
            (place / "site").mkdir()
            command = (sys.executable, "-m", "sphinx", "-q", "-E", "-c", "docs", "-d", str(place / "doctrees"))
            result = subprocess.run(
                [*command, ".", str(place / "site")], cwd=ROOT, capture_output=True, text=True, timeout=300
            )
            (place / "site" / "warnings.txt").write_text(f"{result.stdout}{result.stderr}", "utf-8")
    return place / "site"


class Page(HTMLParser):
    """What a page links to, what can be linked to, and what it fetches."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.fetched: list[str] = []
        self.feed(file.read_text("utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.anchors.add(given.get("id", ""))
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") not in {"canonical", "search", "index", "next", "prev"}:
            self.fetched.append(given["href"])
        elif "src" in given:
            self.fetched.append(given["src"])


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[Path, Page]:
    return {file: Page(file) for file in site.rglob("*.html")}


def inventory(site: Path) -> set[str]:
    """Return the names of all objects of the reference."""
    packed = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    lines = zlib.decompress(packed).decode("utf-8").splitlines()
    return {line.split()[0] for line in lines if line.split()[1].startswith("py:")}


def test_it_builds_without_a_warning(site: Path):
    """Nitpicky: what a docstring, a signature or a page names is there."""
    assert (site / "warnings.txt").read_text("utf-8") == ""
    assert (site / "docs" / "index.html").exists()


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_in_the_reference(site: Path, module: str):
    """Under the name by which a user imports it."""
    wanted = {f"{module}.{name}" for name in importlib.import_module(module).__all__}
    assert wanted - inventory(site) == set()


@pytest.mark.parametrize(
    "name", ["chat_core.Session", "chat_core.blocking.Session", "chat_sandbox.Sandbox", "chat_sandbox.Agent"]
)
def test_every_method_is_in_the_reference(site: Path, name: str):
    """Inherited ones and properties too."""
    module, _, short = name.rpartition(".")
    kind: Any = getattr(importlib.import_module(module), short)
    found = inventory(site)
    public = [one for one, _ in inspect.getmembers(kind) if not one.startswith("_")]
    assert {f"{name}.{one}" for one in public} - found == set()


def test_a_launcher_shows_every_option(site: Path):
    """Each with what it means."""
    from chat_core._launch.launchers import Options

    text = (site / "docs" / "reference" / "launching.html").read_text("utf-8")
    start = text[text.index('id="chat_core.start_session"') : text.index('id="chat_core.restore_session"')]
    for option in Options.__annotations__:
        assert re.search(rf"<strong>{option}</strong>", start), option


def test_every_signature_can_be_read(site: Path):
    """One that Sphinx cannot parse is shown with the marks of its cross-references, and leads nowhere."""
    for file in (site / "docs" / "reference").glob("*.html"):
        assert not re.search(r"~(chat_|collections)", file.read_text("utf-8")), file.name


def test_every_link_and_anchor_leads_somewhere(site: Path, pages: dict[Path, Page]):
    """On the site; of links to elsewhere only that they are addresses: there is no network in CI."""
    wrong = []
    for file, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme:
                here = parts.hostname in {"127.0.0.1", "localhost"}
                if not parts.hostname or (parts.scheme != "https" and not here):
                    wrong.append((str(file.relative_to(site)), link))
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            anchors = pages[target].anchors if target in pages else set()
            if not target.exists() or (parts.fragment and unquote(parts.fragment) not in anchors):
                wrong.append((str(file.relative_to(site)), link))
    assert wrong == []


def test_nothing_is_fetched_from_elsewhere(site: Path, pages: dict[Path, Page]):
    """No font, no script, no picture, no style: the site works without a network."""
    for file, page in pages.items():
        for address in page.fetched:
            assert not urlsplit(address).netloc, (file, address)
            assert (file.parent / urlsplit(address).path).exists(), (file, address)
    for style in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(https?:)?//", style.read_text("utf-8")), style


def test_whoever_opens_the_folder_gets_the_front_page(site: Path):
    """By a page that leads there."""
    assert 'url=docs/index.html"' in (site / "index.html").read_text("utf-8")
