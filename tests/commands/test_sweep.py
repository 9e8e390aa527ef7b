"""`assay sweep`: one family, experiments that can be accepted, replicates trained together."""

from __future__ import annotations

import json
import re

import pytest

from assay.commands import changes_without_effect, experiment_grid, try_setup, tune_setup
from assay.commands.sweep import combinations, sweep
from assay.core.errors import UsageError
from assay.core.paths import ProjectPaths
from assay.history.experiments import read
from assay.stats.multiple_comparisons import holm
from support.project import Project


@pytest.mark.extra
def test_values_are_judged_as_a_family_and_trained_together(ready: Project) -> None:
    ready.git("stash", "--quiet")
    before = ready.git("status", "--porcelain")
    command = ("sweep", "-S", "lr=0.0029,0.011,1e30", "--name", "step", "--replicates", "4")
    refused = ready.assay("sweep", "-S", "lr=0.003,0.0029", ok=False)
    assert refused.returncode == 2 and "-S lr=0.003 is what strategy/first has already" in refused.stderr
    done = ready.assay(*command, "--json")
    found = json.loads(done.stdout)
    assert "trained 12 replicates of 3 settings together" in done.stderr
    assert found["baseline"] == "strategy/first" and found["metric"] == "accuracy"
    tried = found["tried"]
    assert [one["settings"] for one in tried] == [["lr=0.0029"], ["lr=0.011"]]
    assert [one["p_holm"] for one in tried] == holm([*(one["p"] for one in tried), 1.0])[:2], "what failed was tried"
    assert list(found["failed"]) == ["lr=1e30"] and "all 4 replicates diverged" in found["failed"]["lr=1e30"]
    for one in tried:
        assert one["experiment"].startswith("step-") and one["candidate"]["n"] == one["baseline"]["n"] == 4
        if one["verdict"] in ("progress", "regression"):
            assert one["p_holm"] <= 0.05
    kept = {item.name: item for item in read(ready.root).experiments}
    for one in tried:
        record = json.loads(ready.assay("compare", one["experiment"], "--json").stdout)
        assert (record["delta"], record["p"]) == (one["delta"], one["p"]), "each is an experiment of its own"
        assert kept[one["experiment"]].base == ready.git("rev-parse", "HEAD")
    assert ready.git("status", "--porcelain") == before
    again = ready.assay(*command)
    assert again.stderr.count("is measured: step-") == 2 and again.stderr.count("running") == 1
    assert "lr=1e30 does not run: " in again.stdout
    assert "against strategy/first" in again.stdout and "p (Holm)" in again.stdout


def test_a_parameter_of_the_users_own_stages_is_refused_in_plain_words(fresh: Project) -> None:
    """A cell is judged by what Assay's stages read; that nobody reads the key would be false."""
    stage = "\n  publish:\n    cmd: echo ${shop.port}\n    params: [shop.port]\n    deps: [results/metrics.json]\n"
    for path, more in {"dvc.yaml": stage, "params.yaml": "shop:\n  port: 80\n"}.items():
        (fresh.root / path).write_text(fresh.read(path) + more, encoding="utf-8")
    fresh.commit("a stage of my own")
    for command in ("sweep -S shop.port=81,82", "ablate -S shop.port=81 -S lr=0.01"):
        done = fresh.assay(*command.split(), ok=False)
        assert done.returncode == 2 and "shop.port is read by stages of your own alone" in done.stderr, done.stderr
        assert "next: dvc exp run -S shop.port=VALUE for each value" in done.stderr


def test_the_baseline_itself_is_no_idea(ready: Project) -> None:
    """Asked for by itself it is refused; a grid goes on without it; other code makes the same value an idea."""
    ready.git("stash", "--quiet")
    layout, said = ProjectPaths(ready.root), list[str]()

    def left(*settings: str) -> list[str]:
        made = [
            experiment_grid.cell(layout, experiment_grid.Wanted("sweep"), chosen) for chosen in combinations(settings)
        ]
        return [one.label for one in changes_without_effect.ideas(layout, made, said.append)]

    assert left("lr=0.003,0.01", "model.hidden=64,128")[1:] == ["lr=0.01 model.hidden=64", "lr=0.01 model.hidden=128"]
    assert said == ["lr=0.003 model.hidden=128 is the baseline itself, and is left out"]
    with pytest.raises(UsageError, match="leave 3e-3 out"):
        left("lr=3e-3,0.01")
    ready.edit("src/tasks/digits/learning.py", "nn.ReLU()", "nn.Tanh()")
    ready.commit("another activation")
    assert left("lr=0.003,0.01") == ["lr=0.003", "lr=0.01"]


def test_what_the_profile_sets_is_refused(project: Project) -> None:
    """Each value would be that of the profile again."""
    project.edit("params.yaml", "  full: {}", "  full: {lr: 0.01}")
    project.commit("a profile with a step size of its own")
    layout, values = ProjectPaths(project.root), ["lr=0.02,0.03"]
    for ask in (
        lambda: sweep(project.root, values, print, experiment_grid.Wanted("sweep")),
        lambda: try_setup.idea(layout, ["lr=0.02"], "", "try"),
        lambda: tune_setup.setup(layout, values, None, "tune"),
    ):
        with pytest.raises(UsageError, match=r"lr=0\.02 changes nothing: the profile full sets lr to 0\.01"):
            ask()


def test_combinations() -> None:
    assert combinations(["lr=1e-3,3e-3", "train.weight_decay=0,1e-4"]) == [
        ("lr=1e-3", "train.weight_decay=0"),
        ("lr=1e-3", "train.weight_decay=1e-4"),
        ("lr=3e-3", "train.weight_decay=0"),
        ("lr=3e-3", "train.weight_decay=1e-4"),
    ]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ([], "nothing makes 0 different combinations"),
        (["lr=0.1"], "lr=0.1 makes 1 different combinations"),
        (["lr=0.1,1e-1"], "makes 1 different"),
        (["lr=0.1,"], "-S lr=0.1, is no list of values"),
        (["model.sizes=[1,2],[3]"], "is no list of values"),
        (["lr=0.1,0.2", "lr=0.3"], "-S lr is given 2 times"),
        (["seed=" + ",".join(map(str, range(65)))], "makes 65 different combinations"),
    ],
)
def test_refusals(settings: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        combinations(settings)
