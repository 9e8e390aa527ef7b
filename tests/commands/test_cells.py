"""Cells: which of them train together, what is kept where nothing was to be run, what killed commands left."""

from __future__ import annotations

import os
import subprocess

import pytest

from assay.commands import experiment_grid, scratch_experiment
from assay.core.errors import IncomparableError, UsageError
from assay.core.paths import CachePaths, ProjectPaths
from assay.runtime import git, timing
from assay.scratch.scratch_repo import failed
from support.project import Project


def together(project: Project, *settings: tuple[str, ...]) -> list[list[tuple[str, ...]]]:
    """Settings of each family."""
    layout = ProjectPaths(project.root)
    made = [experiment_grid.cell(layout, experiment_grid.Wanted("sweep"), each) for each in settings]
    return [[one.settings for one in family] for family in experiment_grid._families(layout, made)]


def test_what_trains_together(fresh: Project) -> None:
    slow, fast = ("lr=0.001",), ("lr=0.01", "train.weight_decay=0.1")
    assert together(fresh, slow, fast) == [[slow, fast]]
    wide = [(*each, "model.hidden=96") for each in (slow, fast)]
    assert together(fresh, slow, *wide, fast) == [[slow, fast], [tuple(sorted(each)) for each in wide]]
    assert together(fresh, slow) == []
    more = [(*each, "replicates=5") for each in (slow, fast)]
    assert [len(family) for family in together(fresh, *more, slow, fast)] == [2, 2]


@pytest.mark.parametrize("other", ["profile=fast", "seed=5", "judge.test=paired", "split.validation=0.3"])
def test_what_the_base_does_not_have_is_left_to_the_runs(fresh: Project, other: str) -> None:
    """Training ahead has HEAD's request: replicates under another one, no run would ever find."""
    assert together(fresh, ("lr=0.001", other), ("lr=0.01", other)) == []


def test_what_yaml_may_hold(fresh: Project) -> None:
    fresh.edit("params.yaml", "  layers: 1", '  note: {text: "\U0001f600", 0: a}\n  layers: 1')
    fresh.commit("any letters, any keys")
    assert len(together(fresh, ("lr=0.001",), ("lr=0.01",))) == 1


def test_where_nothing_was_to_be_run_the_base_is_the_experiment(fresh: Project) -> None:
    layout = ProjectPaths(fresh.root)
    for key in ("name", "email"):  # as a first run leaves it; this machine may know nobody
        fresh.git("config", f"user.{key}", "somebody")
    one = experiment_grid.cell(layout, experiment_grid.Wanted("sweep"), ("lr=0.003",))
    scratch_experiment.keep_base(layout, one)
    assert git.resolve(fresh.root, f"{one.ref}^") == one.base
    assert fresh.git("rev-parse", f"{one.ref}^{{tree}}") == fresh.git("rev-parse", "HEAD^{tree}")


def test_only_what_dead_commands_left_is_removed(fresh: Project) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    folder = CachePaths(fresh.root).root / "cells"
    left, mine = folder / f"12345678-ahead-12345678-{ended.pid}", folder / f"12345678-sweep-12345678-{os.getpid()}"
    for one in (left, mine):
        one.mkdir(parents=True)
    scratch_experiment.tidy(ProjectPaths(fresh.root))
    assert not left.exists() and mine.exists()


def test_of_several_sentences_the_one_that_tells_is_taken() -> None:
    said = "assay: floors: No space left; next: free some\nassay: baseline: the floors failed; next: see the line above"
    assert (
        failed("lr=1 does not run", said, "correct it").sentence
        == "lr=1 does not run: floors: No space left; next: free some"
    )


def test_a_lost_folder_of_times_costs_no_result(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv(timing.ASKED, str(tmp_path / "gone"))
    timing.mark("interpreter")
    timing.write("train")


def kept(project: Project, setting: str, row: str) -> experiment_grid.Cell:
    """A cell that was run: its metric's row in results/rulers.csv says `row` after the key and the terms."""
    made = experiment_grid.cell(ProjectPaths(project.root), experiment_grid.Wanted("sweep"), (setting,))
    (project.root / "results").mkdir(exist_ok=True)
    (project.root / "results/replicates.csv").write_text(
        "arm,metric_version,accuracy\ncandidate,accuracy-1.5f3c9a2e,0.9\n"
    )
    (project.root / "results/rulers.csv").write_text(
        f"metric,key,direction,min_effect,worst,packages,unseen\naccuracy,accuracy-1.5f3c9a2e,maximize,0,,{row}\n"
    )
    project.git("update-ref", made.ref, project.commit(setting))
    project.git("reset", "--quiet", "--hard", "HEAD~")
    return made


def test_cells_under_other_packages_of_the_metric_are_not_subtracted(fresh: Project) -> None:
    layout = ProjectPaths(fresh.root)
    made = [kept(fresh, "lr=0.1", "numpy 1,"), kept(fresh, "lr=0.2", "numpy 1,"), kept(fresh, "lr=0.3", "numpy 2,")]
    found = experiment_grid.measure(layout, made, print)
    assert experiment_grid.version(found[:2]) == "accuracy-1.5f3c9a2e"
    with pytest.raises(UsageError, match="the metrics of the cells imported numpy 1 and numpy 2"):
        experiment_grid.version(found)
    with pytest.raises(IncomparableError, match=r"was computed from w\.npy"):
        experiment_grid.measure(layout, [kept(fresh, "lr=0.4", "numpy 1,w.npy")], print)
