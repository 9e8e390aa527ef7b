"""`assay ablate`: cells on shared seeds, kept as experiments, gone on with after an interruption."""

from __future__ import annotations

import json

import pytest

from assay.commands.ablate import _judged
from assay.commands.experiment_grid import Row
from assay.history.experiments import read
from support.project import Project

CHANGES = ("-S", "lr=0.02", "-S", "model.hidden=96")


@pytest.mark.extra
def test_cells_share_seeds_are_kept_and_are_not_run_twice(ready: Project) -> None:
    """The work tree has edits of its own, a branch is one of the changes, and one cell is lost in between."""
    ready.git("stash", "--quiet")
    ready.git("switch", "--quiet", "-c", "wide")
    ready.edit("src/tasks/digits/learning.py", "from __future__", "# wide\nfrom __future__")
    ready.edit("params.yaml", "hidden: 64", "hidden: 96")
    ready.commit("wide")
    ready.git("switch", "--quiet", "main")
    ready.edit("params.yaml", "epochs: 3", "epochs: 5")
    before = ready.git("status", "--porcelain")
    found = ready.assay("ablate", "-S", "lr=0.02", "--branch", "wide", "--json")
    report = json.loads(found.stdout)
    assert set(report["cells"]) == {"baseline", "lr=0.02", "wide", "lr=0.02 wide"}
    assert {len(values) for values in report["cells"].values()} == {3} and report["lost"] == 0
    assert {effect["kind"] for effect in report["effects"]} >= {"main", "interaction", "alone"}
    assert ready.git("status", "--porcelain") == before
    cells = {item.name: item for item in read(ready.root).experiments if item.name.startswith("ablate-")}
    assert len(cells) >= 3
    lost = next(item for item in cells.values() if item.base == ready.git("rev-parse", "HEAD"))
    ready.git("update-ref", "-d", f"refs/exps/{lost.base[:2]}/{lost.base[2:]}/{lost.name}")
    again = ready.assay("ablate", "-S", "lr=0.02", "--branch", "wide", "--json")
    assert json.loads(again.stdout) == report
    assert 1 <= sum(line.startswith("running ") for line in again.stderr.splitlines()) <= 2
    assert any(line.endswith(f"is measured: {name}") for name in cells for line in again.stderr.splitlines())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-S", "lr=0.1"], "the changes are lr=0.1; allowed: two or three different ones"),
        ([], "the changes are none; allowed: two or three"),
        (["-S", "lr=0.1", "-S", "lr=0.1"], "allowed: two or three different ones"),
        (["-S", "lr", "-S", "model.hidden=96"], "-S lr is no setting; allowed: KEY=VALUE"),
        (["-S", "lr=0.1", "--branch", "nowhere"], "there is no branch 'nowhere'; allowed: main"),
    ],
)
def test_refusals(ready: Project, arguments: list[str], said: str) -> None:
    found = ready.assay("ablate", *arguments, ok=False)
    assert found.returncode == 2 and said in found.stderr


def test_a_change_that_changes_nothing_is_refused_before_anything_trains(ready: Project) -> None:
    """It came as effects of +0.0000 [-inf, +inf]."""
    ready.git("stash", "--quiet")
    ready.git("switch", "--quiet", "-c", "empty")
    ready.git("commit", "--quiet", "--allow-empty", "--message", "nothing")
    ready.git("switch", "--quiet", "main")
    for change, said in {
        "-S lr=3e-3": "-S lr=3e-3 changes nothing: HEAD has that value already",
        "-S model.dropout=0.10": "-S model.dropout=0.10 changes nothing",
        "--branch empty": "--branch empty changes nothing: HEAD has all of it already",
    }.items():
        found = ready.assay("ablate", *change.split(), "-S", "model.hidden=96", ok=False)
        assert found.returncode == 2 and said in found.stderr and found.stderr.count("\n") == 1
    found = ready.assay("ablate", *CHANGES, "--name", "a/b", ok=False)
    assert found.returncode == 2 and "--name 'a/b' is no name for experiments; allowed: " in found.stderr
    assert not [one.name for one in read(ready.root).experiments if one.name.startswith(("ablate", "a/b"))]


@pytest.mark.extra
def test_a_cell_that_does_not_run_says_why(ready: Project) -> None:
    ready.git("stash", "--quiet")
    found = ready.assay("ablate", "-S", "lr=-1", "-S", "lr=-2", ok=False)
    assert found.returncode == 2 and len(found.stderr.splitlines()[-1]) < 400
    assert "lr=-1 does not run: " in found.stderr and "lr is -1" in found.stderr


@pytest.mark.parametrize(("worst", "lost"), [("", 1), ("0.0", 0)])
def test_a_diverged_replicate_is_left_out_or_the_worst_value(worst: str, lost: int) -> None:
    common = {"metric_version": "accuracy-1.00000000", "direction": "maximize", "min_effect": "0", "worst": worst}

    def rows(value: float, diverged: str) -> list[Row]:
        seeds = {str(seed): f"{value + seed / 100}" for seed in range(4)} | ({diverged: ""} if diverged else {})
        return [
            {"arm": "candidate", "replicate": seed, "accuracy": text, "status": "ok" if text else "diverged", **common}
            for seed, text in seeds.items()
        ]

    found = _judged({(): rows(0.5, ""), ("a",): rows(0.6, "2"), ("b",): rows(0.7, ""), ("a", "b"): rows(0.8, "")}, 0.05)
    assert found.lost == lost
    assert found.cells[("a",)] == pytest.approx([0.6, 0.61, 0.63] if lost else [0.6, 0.61, 0.0, 0.63])
    assert found.cells[("b",)] == pytest.approx([0.7, 0.71, 0.73] if lost else [0.7, 0.71, 0.72, 0.73])
