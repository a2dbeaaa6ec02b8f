"""The template for plugins, copied as its README says."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from support.workshop import ROOT, Workshop

TEMPLATE = ROOT / "examples" / "plugin-template"


def test_the_template_is_a_plugin_once_it_is_copied_and_renamed(workshop: Workshop, tmp_path: Path):
    """The commands of its README; then it is built, installed, found, and conforms under its new name."""
    (commands,) = re.findall(r"```sh\n(.*?)```", (TEMPLATE / "README.md").read_text("utf-8"), re.DOTALL)
    ignored = shutil.ignore_patterns("__pycache__", ".*", "*.egg-info")
    shutil.copytree(TEMPLATE, tmp_path / "plugin-template", ignore=ignored)
    result = subprocess.run(["bash", "-euc", commands], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    package = tmp_path / "chat-storage-vault"
    for file in package.rglob("*"):
        assert "acme" not in file.name
        assert not file.is_file() or "acme" not in file.read_text("utf-8").lower(), file
    workshop.install(package)
    assert re.search(r"chat-storage-vault +0\.1\.0 +ok +storage +vault ", workshop.chat_core("plugins").stdout)
    said = workshop.test(package)
    assert "storage vault (chat-storage-vault 0.1.0) conforms to chat-core's suite" in said
    assert "packaging vault (chat-storage-vault 0.1.0) conforms to chat-core's suite" in said
    workshop.uninstall("chat-storage-vault")
