"""The tutorial: from an empty directory and with an environment of its own, every file and every command as printed."""

from __future__ import annotations

import os
from pathlib import Path

from support import walkthrough
from support.workshop import ROOT, Workshop


def test_the_tutorial_works_as_printed(workshop: Workshop, tmp_path: Path):
    """What ``pip install`` fetches is this checkout's wheels; everything else is as on a user's machine."""
    wheels = {wheel.name.split("-")[0].replace("_", "-"): wheel for wheel in workshop.wheels.glob("*.whl")}
    constraints = tmp_path / "constraints.txt"
    # A constraint by address does not cover a requirement with extras, which is how chat-gms is asked for.
    lines = [f"{name} @ {wheel.as_uri()}\n" for name, wheel in wheels.items() if name != "chat-gms"]
    constraints.write_text("".join(lines), "utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    page = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
    commands = [step for step in walkthrough.steps(page) if isinstance(step, walkthrough.Command)]
    assert commands[4].line == "pip install -q chat-core chat-transport-cometd chat-sandbox pytest"
    (tmp_path / "empty").mkdir()
    walkthrough.do(
        walkthrough.with_free_ports(page),
        tmp_path / "empty",
        {
            **kept,
            "PIP_CONSTRAINT": str(constraints),
            "PIP_FIND_LINKS": str(workshop.wheels),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",  # a newer pip is nothing that a page can show
            "XDG_STATE_HOME": str(tmp_path / "state"),
        },
    )
