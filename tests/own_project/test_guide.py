"""The guide's first verdict, as it stands there: its commands in a new folder print what the page shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from support import console, pages
from support.project import Project

pytestmark = pytest.mark.extra  # two runs of a whole project

PAGE = pages.ROOT / "docs/guide/first-verdict.md"


def test_first_verdict(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    folder, home = tmp_path / "first", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    project = Project(folder, home)
    project.git("init", "--quiet")
    project.git("config", "user.name", "Ada")
    project.git("config", "user.email", "ada@localhost")
    assert [line for line in pages.blocks(PAGE)[0].text.splitlines() if line.startswith("assay")] == [
        "assay init --template loop"
    ]
    project.assay("init", "--template", "loop")
    shown = list(console.commands(text))
    assert [one.command.split()[:3] for one in shown] == [["dvc", "exp", "run"]] * 2
    for one in shown:
        done = project.run(*shlex.split(one.command))
        assert not console.difference((*one.lines, console.ANY), done.stdout.splitlines())
    name = re.findall(r"Ran experiment\(s\): (\S+)", done.stdout)[0]
    said = project.assay("accept", name, "wide", "--dry-run").stdout
    assert "price" in said or "replicates" in said
