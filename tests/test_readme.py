"""README and CI say the same, and every link in the documentation leads somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from support.project import create

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands() -> list[str]:
    """The lines of the README's section with the two commands."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## Two commands")[1].split("\n## ")[0]
    return [block.strip() for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL)]


def test_two_commands_of_one_line_each() -> None:
    assert len(commands()) == 2
    assert not [command for command in commands() if "\n" in command]


def test_ci_runs_the_readmes_test_command_last() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").strip().splitlines()
    assert lines[-1] == commands()[1]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not broken


def walkthrough() -> list[str]:
    """The commands of the README's day, in order."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## A day with it")[1].split("\n## ")[0]
    blocks = re.findall(r"```console\n(.*?)```", section, re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def test_the_walkthrough_runs(tmp_path: Path) -> None:
    """Every command of the day ends well, and leaves the tags and the baseline that the README shows."""
    project = create(tmp_path, small=False)
    project.git("config", "user.name", "Ada")
    project.git("config", "user.email", "ada@localhost")
    said = ""
    for command in walkthrough():
        program, *arguments = shlex.split(command)
        run = {"dvc": project.dvc, "assay": project.assay}[program]
        said += run(*arguments).stdout
    assert project.git("tag", "--list").split() == ["strategy/longer", "strategy/mlp"]
    assert "baseline: strategy/longer" in project.read("params.yaml")
    assert "changed against strategy/mlp: train.epochs 20 → 40" in said
