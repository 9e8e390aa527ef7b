"""docs/script.md: its script and its parameters, run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from assay.core.script_section import ReportedResult
from assay.core.task_section import TaskSection
from support.project import CHECKOUT, Project

PAGE = (CHECKOUT / "docs/script.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def documented(tmp_path: Path) -> Project:
    root, home = tmp_path / "project", tmp_path / "home"
    root.mkdir()
    home.mkdir()
    train, scoring = blocks("python")
    project = Project(root, home)
    for name, text in {"train.py": train, "scoring.py": scoring}.items():
        (root / name).write_text(text, encoding="utf-8")
    project.git("init", "--quiet", "--initial-branch=main")
    project.git("config", "user.name", "Ada Lovelace")
    project.git("config", "user.email", "ada@example.org")
    project.commit("start")
    project.assay("init", "--template", "script", "train.py")
    (root / "params.yaml").write_text(blocks("yaml")[0], encoding="utf-8")  # by hand, and not committed
    return project


def test_every_key_is_on_the_page() -> None:
    missing = [name for name in TaskSection.__struct_fields__ if f"`{name}" not in PAGE]
    missing += [
        name for name in ReportedResult.__struct_fields__ if f"result.{name}" not in PAGE and f"`{name}`" not in PAGE
    ]
    assert missing == ["name"]


@pytest.mark.extra
def test_the_page_from_its_first_run_to_an_accepted_strategy(tmp_path: Path) -> None:
    project = documented(tmp_path)
    first = project.dvc("exp", "run", "--name", "plain").stdout
    assert said(first) in PAGE and "nothing to compare with" in first
    assert project.assay("accept", "plain", "plain", ok=False).returncode == 3
    done = project.assay("accept", "plain", "plain", "--first", "--why", "what we have had for years")
    assert lines(done.stderr) in PAGE
    second = project.dvc("exp", "run", "--name", "faster", "-S", "lr=0.05").stdout
    assert said(second) in PAGE and second.count("(reported)") == 1
    assert (project.root / "models/candidate").is_dir() and project.metrics["verdict"] == "progress"
    accepted = project.assay("accept", "faster", "faster")
    assert "closeness (reported)" in accepted.stderr and "opening the sealed test part" not in accepted.stderr
    tag = project.git("cat-file", "tag", "strategy/faster")
    assert "closeness-1.reported." in tag and '"steps: 20"' in tag and "Assay-Test" not in tag
    assert "closeness (reported)" in project.assay("status", ok=False).stdout
    assert "a starting point that claims no gain" in project.assay("log").stdout

    # With another ruler both arms run again, and the metric's change is said.
    project.edit("scoring.py", "1 / (1 + x * x + y * y)", "2 / (1 + x * x + y * y)")
    ruled = project.dvc("exp", "run", "--name", "ruled").stdout
    assert "metric changed against strategy/faster: file scoring.py" in ruled
    assert "candidate and strategy/faster are the same strategy" in ruled, "both arms ran with today's ruler"
    project.git("checkout", "--quiet", "--", "scoring.py")

    # A copy of the project, which DVC makes in its own temporary folder.
    project.dvc("exp", "run", "--temp", "--name", "apart", "-S", "lr=0.1")
    shown = project.assay("compare", "strategy/faster", "apart").stdout
    assert "closeness (reported)" in shown


def said(output: str) -> str:
    """What the last stage printed."""
    return lines(output.partition("assay stage verdict\n")[2].partition("Updating lock file")[0])


def lines(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().split("\n"))
