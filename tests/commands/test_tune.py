"""`assay tune`: the cells of both arms, the price, what is refused, and what is read again."""

from __future__ import annotations

import json
import random

import pytest

from assay.commands import tune_setup
from assay.commands.experiment_grid import Cell
from assay.commands.tune import tune
from assay.core.errors import AssayError
from assay.core.paths import ProjectPaths
from assay.history import look_ledger
from assay.history.attempt_and_family_entries import FamilyEntry
from support.project import Project


def test_search_seeds_judge_nothing_and_the_baselines_grid_is_its_own(project: Project) -> None:
    layout = ProjectPaths(project.root)
    project.edit("src/tasks/digits/learning.py", "nn.ReLU()", "nn.GELU()")
    made = tune_setup.setup(layout, ["lr=3e-3,1e-2"], None, "tune")
    assert made.who == "your edits" and made.own == ("lr=3e-3",) and not made.itself
    head, accepted = project.git("rev-parse", "HEAD"), project.git("rev-parse", "strategy/first^{commit}")
    low = made.grid[0]
    assert made.search[low].settings == ("baseline=floor", "lr=3e-3", "seed=7920") and made.search[low].base == head
    assert made.fresh[low].settings == ("lr=3e-3",) and made.fresh[low].tree == made.search[low].tree
    assert made.against[low].settings == ("baseline=strategy/first", "lr=3e-3")
    assert (made.against[low].base, made.against[low].tree) == (accepted, "")
    project.edit("src/tasks/digits/learning.py", "nn.GELU()", "nn.Tanh()")
    other = tune_setup.setup(layout, ["lr=3e-3,1e-2"], None, "tune")
    assert other.against == made.against, "measured once for all candidates"
    assert other.fresh[low].name != made.fresh[low].name
    named = tune_setup.setup(layout, ["lr=1e-2,2e-2"], head, "tune")
    assert named.who == head[:12] and named.own is None
    assert named.itself, "whatever the grid sets, it is the baseline"


@pytest.mark.parametrize(
    ("grid", "candidate", "said"),
    [
        (["lr=0.1"], None, "makes 1 different combinations"),
        ([], None, "nothing makes 0 different combinations"),
        (["lr=0,0.1"], None, "lr is 0"),
        (["lr=a,b"], None, "lr is 'a'"),
        (["seed=1,2"], None, "seed is no parameter of the strategy"),
        (["replicates=2,3"], None, "replicates says how an idea is measured"),
        (["lr=" + ",".join(map(str, range(1, 18)))], None, "makes 17 values; allowed: 2 to 16"),
        (["lr=0.1,0.2"], "nobody", "there is no experiment 'nobody'"),
    ],
)
def test_refusals(_first: Project, grid: list[str], candidate: str | None, said: str) -> None:
    with pytest.raises(AssayError) as refused:
        tune_setup.setup(ProjectPaths(_first.root), grid, candidate, "tune")
    assert said in refused.value.sentence


def test_without_an_accepted_strategy_there_is_nothing_to_tune(fresh: Project) -> None:
    with pytest.raises(AssayError, match="there is no baseline to tune: nothing is accepted"):
        tune_setup.setup(ProjectPaths(fresh.root), ["lr=0.1,0.2"], None, "tune")


def test_the_price_comes_first(_first: Project) -> None:
    said = list[str]()
    assert tune(_first.root, ["lr=1e-3,3e-3,1e-2"], None, said.append, "tune", dry_run=True) is None
    assert said[0].endswith("against strategy/first at lr=1e-3, lr=3e-3, lr=1e-2; 11 fresh replicates an arm")
    assert said[1].startswith(
        "price: 53 trainings (9 to search, 11 to judge, 33 of the baseline's grid), up to 27 more"
    )
    assert "; measured at " in said[1] and said[1].endswith(", and 7 starts of DVC or more")


def keep(project: Project, one: Cell, mean: float, n: int, chance: random.Random) -> None:
    """The experiment of a cell as its run leaves it."""
    common = "accuracy-1.00000000,maximize,0.0,,env,,full"
    names = "arm,strategy,identity,replicate,seed,status,metric_version,direction,min_effect,worst,environment,"
    rows = [f"{names}same_as,profile,accuracy"]
    for number in range(n):
        value = mean + chance.gauss(0, 0.01)
        rows.append(f"candidate,candidate,{one.name},{number},{number + 100},ok,{common},{value}")
    (project.root / "results/replicates.csv").write_text("\n".join(rows) + "\n")
    project.git("update-ref", one.ref, project.commit(one.name))
    project.git("reset", "--quiet", "--hard", "HEAD~")


def test_what_is_measured_is_read_and_judged_against_every_value(project: Project) -> None:
    """No training: a gain over the baseline as it stands, and none over the baseline at its best value."""
    made, chance = tune_setup.setup(ProjectPaths(project.root), ["lr=1e-3,3e-3,1e-2"], None, "tune"), random.Random(5)
    low, own, high = made.grid
    for one, mean, n in ((low, 0.7, 3), (own, 0.8, 3), (high, 0.9, 3)):
        keep(project, made.search[one], mean, n, chance)
    keep(project, made.fresh[high], 0.9, 11, chance)
    for one, mean in ((low, 0.7), (own, 0.8), (high, 0.9)):
        keep(project, made.against[one], mean, 11, chance)
    done = project.assay("tune", "lr=1e-3,3e-3,1e-2")
    assert "price: 0 trainings" in done.stderr and "running" not in done.stderr
    assert "chosen on search seeds: lr=1e-2" in done.stderr
    assert "HEAD searched on seeds of their own: lr=1e-3 0.69" in done.stdout
    assert (
        "candidate at lr=1e-2, baseline best at lr=1e-2; it is not shown to beat the baseline at lr=1e-2" in done.stdout
    )
    assert "HEAD: its best value, lr=1e-2, lies on the edge of the grid" in done.stdout
    found = json.loads(project.assay("tune", "lr=1e-3,3e-3,1e-2", "--json").stdout)
    assert (found["verdict"], found["chosen"], found["best"]) == ("inconclusive", "lr=1e-2", "lr=1e-2")
    assert [one["verdict"] for one in found["rivals"]] == ["progress", "progress", "inconclusive"]
    assert found["level"] == 0.04 and found["edges"] == {"HEAD": "lr=1e-2", "strategy/first": "lr=1e-2"}
    ledger = look_ledger.kept(project.root)
    assert len([one for one in ledger.looks if one.key.test == "tuned"]) == 1
    (family,) = ledger.all(FamilyEntry)
    assert (family.command, family.size) == ("tune", 4)


@pytest.mark.extra
def test_a_whole_run(project: Project) -> None:
    project.edit("src/tasks/digits/learning.py", "nn.ReLU()", "nn.ReLU(inplace=False)")
    before = project.git("status", "--porcelain")
    done = project.assay("tune", "lr=1e-5,0.02", "--replicates", "3")
    assert "chosen on search seeds: lr=0.02" in done.stderr and done.stderr.count("running ") == 5
    assert "as accepted" in done.stdout, "its own value is not in the grid, and is a rival as well"
    assert "inconclusive: candidate at lr=0.02, baseline best at lr=0.02" in done.stdout
    assert project.git("status", "--porcelain") == before
    again = project.assay("tune", "lr=1e-5,0.02", "--replicates", "3")
    assert again.stdout == done.stdout and "running " not in again.stderr
