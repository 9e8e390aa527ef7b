"""What `assay compare` runs and what it believes: a stranger's clone runs nothing, edited numbers open no gate."""

from __future__ import annotations

import csv
import io
import json
import py_compile
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from assay.metrics import ran_on_this_machine
from support.project import Project

METRICS = "src/tasks/digits/metrics.py"


def test_a_clone_runs_nothing_unless_it_is_asked_to(project: Project, tmp_path: Path) -> None:
    """Also one that brings the validation part, DVC's cache and everything under .dvc/tmp along."""
    ran = project.home / "ran"
    project.edit(METRICS, "REVISION = 1", f"REVISION = 1\nopen({str(ran)!r}, 'w').close()")
    for forced in ("data/split/validation", ".dvc/tmp/assay", ".dvc/cache/files"):
        project.git("add", "--force", forced)
    project.commit("a gift")
    ran.unlink(missing_ok=True)
    clone = Project(tmp_path / "clone", project.home)
    project.git("clone", "--quiet", str(project.root), str(clone.root))
    for command in (["compare", "HEAD"], ["status"], ["log", "--all"], ["cache"]):
        told = clone.assay(*command).stdout
        assert not ran.exists(), command
        assert command[0] != "compare" or "--rescore" in next(
            line for line in told.splitlines() if "new examples" in line
        )
    clone.assay("compare", "HEAD", "--rescore", ok=False)
    assert ran.exists()


def _package(task: Path) -> None:
    (task / "metrics").mkdir()


def _library(task: Path) -> None:
    (task / "metrics.abi3.so").write_bytes(b"anything")


def _shadow(task: Path) -> None:
    (task.parents[1] / "queue.py").write_text("")


def _bytecode(task: Path) -> None:
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(str(task / "metrics.py"), invalidation_mode=mode, doraise=True)


def _helper(task: Path) -> None:
    (task / "helper.py").write_text("x = 2\n")


@pytest.mark.parametrize("change", [_package, _library, _shadow, _bytecode, _helper])
def test_code_is_known_by_all_that_an_import_would_execute(tmp_path: Path, change: Callable[[Path], None]) -> None:
    """A library or package in its place, a module called as one of Python's, bytecode that nobody checks."""
    task = tmp_path / "src/tasks/digits"
    task.mkdir(parents=True)
    (task / "metrics.py").write_text("from tasks.digits.helper import x\n")
    (task / "helper.py").write_text("x = 1\n")
    before = ran_on_this_machine.metrics_code(tmp_path, "digits")
    (task / "learning.py").write_text("")
    (task / "learning.py").unlink()
    assert ran_on_this_machine.metrics_code(tmp_path, "digits") == before
    change(task)
    assert ran_on_this_machine.metrics_code(tmp_path, "digits") != before


def _forge(project: Project) -> None:
    """Every candidate far better, in the table and in the metrics, with hashes that fit."""
    rows = list(csv.DictReader(io.StringIO(project.read("results/replicates.csv"))))
    for row in rows:
        if row["arm"] == "candidate":
            row["accuracy"] = str(float(row["accuracy"]) + 0.7)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    (project.root / "results/replicates.csv").write_text(text.getvalue())
    edited = {**project.metrics, "accuracy": 0.99, "delta": 0.3, "ci_low": 0.2, "ci_high": 0.4, "verdict": "progress"}
    (project.root / "results/metrics.json").write_text(json.dumps(edited))
    project.dvc("commit", "--force", "--quiet", "evaluate")


@pytest.mark.extra
def test_edited_numbers_open_no_gate(tried: Project) -> None:
    """Not those of `compare`, and not that of `accept`: neither believes hashes in dvc.lock."""
    here = json.loads(tried.assay("compare", "tried", "--json").stdout)
    assert here["origins"] == {"tried": "here"}
    tried.git("switch", "--quiet", "--create", "laxer")
    rulers = tried.root / "results/rulers.csv"
    rulers.write_text(rulers.read_text().replace("minimize", "maximize"))
    tried.commit("what is worse counts as better")
    assert json.loads(tried.assay("compare", "HEAD", "--json").stdout)["origins"] == {"HEAD": "recorded"}
    tried.git("switch", "--quiet", "main")
    tried.git("checkout", "--quiet", "laxer", "--", ".")
    tried.git("checkout", "--quiet", "main", "--", "results/rulers.csv")
    tried.git("reset", "--quiet")
    tried.git("switch", "--quiet", "--create", "forged")
    tried.edit("params.yaml", "lr: 0.02", "lr: 0.0001")
    tried.dvc("repro", "--quiet")
    honest = tried.metrics["verdict"]
    assert honest != "progress"
    _forge(tried)
    tried.commit("too good")
    refused = tried.assay("compare", "HEAD", "--require", "progress", ok=False)
    assert refused.returncode == 5 and refused.stdout.startswith("progress")
    assert "judged as recorded: the numbers of HEAD" in refused.stdout
    assert "computed neither in this call nor by an evaluate here; next: assay compare HEAD --rescore" in refused.stderr
    _, *command = shlex.split(refused.stderr.rpartition("next: ")[2])
    again = tried.assay(*command, ok=False)
    assert again.returncode == 5 and again.stdout.startswith(str(honest))
    assert "caution: results/replicates.csv of HEAD, candidate is not what its predictions score" in again.stdout
    given = tried.assay("compare", "results/replicates.csv", "--require", "progress").stdout
    assert "judged as given: the numbers of results/replicates.csv" in given
    tried.git("switch", "--quiet", "main")
    refused = tried.assay("accept", "forged", "cheat", ok=False)
    assert f"the verdict of {tried.git('rev-parse', 'forged')[:12]} is {honest}" in refused.stderr


@pytest.mark.extra
def test_scores_computed_again_are_the_recorded_ones(tried: Project) -> None:
    """Against the measured baseline, another record and the floors: byte for byte the same report."""
    for sides in (["tried"], ["strategy/first"], ["main", "tried", "--test", "paired"]):
        assert tried.assay("compare", *sides, "--rescore").stdout == tried.assay("compare", *sides).stdout
    target = ["compare", "tried", "--target", "0.2", "--require", "progress"]
    assert tried.assay(*target).stdout == tried.assay(*target, "--rescore").stdout


def test_the_terms_are_the_baselines_whatever_the_candidate_or_this_checkout_says(tried: Project) -> None:
    """Neither `min_effect` of today's METRICS nor an edited column of the record; direction and worst value alike."""
    before = json.loads(tried.assay("compare", "tried", "--rescore", "--json").stdout)
    assert (before["min_effect"], before["direction"]) == (0.005, "maximize")
    tried.edit(METRICS, '"min_effect": 0.005', '"min_effect": 0.5')
    again = json.loads(tried.assay("compare", "tried", "--rescore", "--json").stdout)
    assert {key: again[key] for key in before} == before
    tried.git("checkout", "--quiet", "--", METRICS)
    tried.git("switch", "--quiet", "--create", "edited")
    table = tried.root / "results/replicates.csv"
    table.write_text(table.read_text().replace(",maximize,0.005,", ",minimize,0.5,"))
    tried.commit("worse is better, and all is equivalent")
    edited = json.loads(tried.assay("compare", "HEAD", "--rescore", "--json").stdout)
    assert {key: edited[key] for key in ("min_effect", "direction", "delta", "verdict")} == {
        key: before[key] for key in ("min_effect", "direction", "delta", "verdict")
    }
