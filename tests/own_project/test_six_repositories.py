"""From `pip install` to the first verdict in repositories of six styles: commands, lines and seconds, counted.

`python -m pytest -m extra -s tests/own_project/test_six_repositories.py` prints the table of
docs/measured/own_project.md.
"""

from __future__ import annotations

import re
import shlex
import time
from pathlib import Path

import pytest

from own_project.six_repositories import REPOSITORIES, Foreign
from support.project import Project

pytestmark = pytest.mark.extra

#: what comes first everywhere: it is run by whoever set the environment of the tests up
INSTALL = "pip install 'dvc-assay[ready]'"
MOST_COMMANDS = 3
#: fewer and shorter trainings than init writes, to save the tests' time
FEW = ("--set-param", "replicates=2")


@pytest.mark.parametrize("foreign", REPOSITORIES, ids=lambda one: one.kind)
def test_commands_and_lines_to_a_verdict(foreign: Foreign, tmp_path: Path) -> None:
    for package in foreign.packages:
        pytest.importorskip(package)
    project = Project(tmp_path / "theirs", tmp_path / "home")
    project.root.mkdir()
    project.home.mkdir()
    foreign.build(project.root)
    project.git("init", "--quiet")
    project.git("config", "user.name", "Ada")
    project.git("config", "user.email", "ada@localhost")
    project.commit("what we have")
    begun = time.monotonic()
    project.run(*shlex.split(foreign.init))
    lines = edited(project, foreign)
    said = project.dvc(*shlex.split(foreign.run)[1:], *FEW).stdout
    seconds = time.monotonic() - begun
    found = project.read("results/verdict.txt")
    assert re.match(r"(progress|inconclusive|regression|equivalent) ", found), said
    assert "incomparable" not in found and project.metrics["n"] == 2
    commands = [INSTALL, foreign.init, foreign.run]
    assert len(commands) <= MOST_COMMANDS and lines <= foreign.most_lines
    print(f"\n| {foreign.kind} | {len(commands)} | {lines} | {seconds:.0f} | {found.split()[0]} |")


def edited(project: Project, foreign: Foreign) -> int:
    """Make the author's edits; how many lines he has written, as Git counts them, but for empty ones."""
    for name, pairs in foreign.edits.items():
        for old, new in pairs:
            text = project.read(name)
            first, _, last = old.partition("…")
            whole = text[text.index(first) : text.index(last) + len(last)] if last else first
            assert whole in text
            (project.root / name).write_text(text.replace(whole, new, 1), encoding="utf-8")
    added = project.git("diff", "--unified=0").splitlines()
    return sum(bool(re.match(r"\+(?!\+\+ ).*\S", line)) for line in added)
