"""The ledger of looks in a real project: whoever looks pays, wherever it runs and whatever is deleted afterwards."""

from __future__ import annotations

import pytest

from assay.history import look_ledger
from assay.history.look_ledger import Ledger
from support.project import Project


def known(project: Project) -> Ledger:
    return look_ledger.read(project.root)


def evaluated(project: Project, **env: str) -> float:
    """The level of what `evaluate` says now."""
    project.stage("context")
    project.run("assay", "stage", "evaluate", **env)
    level = project.metrics["level"]
    assert isinstance(level, float)
    return level


@pytest.mark.extra
def test_a_redraw_costs_and_nothing_that_is_deleted_is_forgotten(tried: Project) -> None:
    assert tried.metrics["level"] == 0.04
    first = known(tried)
    baseline = tried.git("rev-parse", "strategy/first^{}")
    assert {one.baseline for one in first.looks} == {"floor", baseline}, (
        "and what was looked at before there was a ledger"
    )
    said = tried.dvc("exp", "run", "--temp", "-n", "two", "-S", "seed=2").stdout
    assert "99.1% CI" in said, "a copy of the project writes into the user's repository"
    assert set(first.entries) < set(known(tried).entries)
    tried.dvc("exp", "remove", "-A")
    tried.edit("params.yaml", "test: welch", "test: student")
    assert evaluated(tried) == 0.0009
    tried.edit("params.yaml", "alpha: 0.05", "alpha: 0.06")
    assert evaluated(tried) > 0.0009, "a larger alpha leaves more, and is another look"
    tried.edit("params.yaml", "alpha: 0.06", "alpha: 0.05")
    tried.edit("params.yaml", "test: student", "test: welch")
    tried.edit("params.yaml", "momentum: 0.0", "momentum: 0.00")
    tried.edit("src/tasks/digits/metrics.py", "REVISION = 1", "REVISION = 2")
    before = known(tried)
    assert evaluated(tried) == 0.04, "the same sets, scored again, are the same look"
    assert known(tried) == before


def test_a_look_that_cannot_be_recorded_gives_no_verdict(tried: Project) -> None:
    """A hook that refuses stands for a disk that is full or read-only: `context` refuses before anything trains."""
    hook = tried.root / ".git/hooks/reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        '#!/bin/sh\nif [ "$1" = prepared ] && grep -q refs/assay/looks; then echo no looks here >&2; exit 1; fi\n'
    )
    hook.chmod(0o755)
    refused = tried.stage("context", ok=False)
    assert refused.returncode == 2 and "no look can be recorded in refs/assay/looks" in refused.stderr
    assert "Traceback" not in refused.stderr
    tried.edit("params.yaml", "test: welch", "test: student")
    tried.stage("evaluate")
    said = tried.stage("verdict", ok=False)
    command = "dvc repro -f -s evaluate verdict"
    assert said.stdout.startswith("inconclusive: look not recorded: ") and f"next: {command}" in said.stdout
    assert said.returncode == 2 and said.stderr.endswith(f"{command}\n") and said.stderr.count("\n") == 1
    assert tried.metrics["verdict"] == "inconclusive" and "p" not in tried.metrics
    assert not list((tried.root / ".git").glob("fast_import_crash*"))
    hook.unlink()
    assert "p=" in tried.dvc(*command.split()[1:]).stdout
    assert tried.metrics["level"] == 0.009
