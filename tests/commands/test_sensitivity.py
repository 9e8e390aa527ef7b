"""`assay sensitivity`: what is varied, its price, one experiment a value; what was measured is read again."""

from __future__ import annotations

import json
import random

import pytest

from assay.commands import experiment_grid, grid_price
from assay.commands.experiment_grid import Wanted
from assay.commands.sensitivity import sensitivity
from assay.commands.sensitivity_factors import plan
from assay.core import params_yaml
from assay.core.errors import AssayError
from assay.core.paths import ProjectPaths
from assay.history import look_ledger
from assay.history.attempt_and_family_entries import FamilyEntry
from support.project import Project

PARAMS = """
lr: 0.003
replicates: 3
seed: 1
metric: {name: accuracy}
model: {hidden: 128, layers: 1, dropout: 0.1, keep: 0.9, act: relu, bias: true, slope: 0, sizes: [1, 2]}
train: {optimizer: sgd, momentum: 0.9}
"""


def test_a_step_down_and_a_step_up_of_every_number() -> None:
    found = plan(params_yaml.resolved(PARAMS), [])
    assert found.levels == {
        "lr": [0.001, 0.009],
        "model.hidden": [64, 256],
        "model.layers": [2],
        "model.dropout": [0.05, 0.2],
        "model.keep": [0.8, 0.95],
        "train.epochs": [10, 40],
        "train.batch_size": [32, 128],
        "train.momentum": [0.8, 0.95],
        "train.weight_decay": [0.0001],
        "train.clip": [1.0],
    }
    assert found.left == {
        "model.act": "it is no number",
        "model.bias": "it is no number",
        "model.slope": "it is 0, and its scale is not known",
        "model.sizes": "it is no number",
        "train.optimizer": "it is no number",
        "train.schedule": "it is no number",
    }
    assert found.settings[0] == ("lr", 0.001, "lr=0.001")
    one = plan(params_yaml.resolved(PARAMS), ["model.act=gelu,tanh", "model.slope=0.2,0.1", "lr"])
    option = plan(params_yaml.resolved(PARAMS), ["train.warmup_epochs=1,3"])
    assert option.levels == {"train.warmup_epochs": [1, 3]} and option.centre == {"train.warmup_epochs": 0.0}
    assert one.levels == {"model.act": ["gelu", "tanh"], "model.slope": [0.1, 0.2], "lr": [0.001, 0.009]}


def test_what_the_profile_sets_is_not_varied() -> None:
    """Its overlay wins over any setting: the values would all be the centre again, and nothing would seem to matter."""
    asked = params_yaml.resolved(f"{PARAMS}profile: fast\nprofiles: {{fast: {{train: {{epochs: 4}}}}}}\n")
    found = plan(asked, [])
    assert "train.epochs" not in found.levels and found.left["train.epochs"] == "the profile fast sets it"
    for named in ("train.epochs", "train.epochs=2,8"):
        with pytest.raises(AssayError, match=f"{named} changes nothing: the profile fast sets train.epochs to 4"):
            plan(asked, ["lr", named])


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (["seed"], "seed is no parameter of the strategy; allowed: lr, model.hidden"),
        (["lr", "lr=0.1"], "lr is named twice"),
        (["lr=0.003,0.01"], "holds 0.003, which HEAD has already"),
        (["lr=0.1,"], "is no list of values"),
        (["lr="], "is no list of values"),
        (["model.act"], "model.act has no step of its own: it is no number; allowed: model.act=VALUE,VALUE"),
        (["model.sizes=[1],[2]"], "is no list of values"),
        (["lr=" + ",".join(map(str, range(1, 66)))], "65 values to try"),
    ],
)
def test_refusals(named: list[str], said: str) -> None:
    with pytest.raises(AssayError) as refused:
        plan(params_yaml.resolved(PARAMS), named)
    assert said in refused.value.sentence


def test_values_that_no_run_takes_and_the_price_come_before_anything_trains(_first: Project) -> None:
    said = list[str]()
    with pytest.raises(AssayError, match="lr is 0"):
        sensitivity(_first.root, ["lr=0,0.1"], said.append, Wanted("sensitivity"), dry_run=True)
    assert sensitivity(_first.root, ["lr", "train.epochs"], said.append, Wanted("s", 5), dry_run=True) is None
    assert said[:2] == ["lr: 0.003 against 0.001, 0.009", "train.epochs: 3 against 2, 6"]
    assert said[2].startswith("price: 25 trainings of 5 settings and 2 of the baseline, measured at ")
    assert said[2].endswith(" and 5 starts of DVC")


def measured(project: Project, changes: tuple[str, ...], gain: float, chance: random.Random) -> None:
    """Keep an experiment as a cell's run leaves it: four replicates on the seeds of all cells."""
    layout = ProjectPaths(project.root)
    one = experiment_grid.cell(layout, Wanted("sensitivity", 4), changes)
    common = "accuracy-1.00000000,maximize,0.005,,env,,full"
    rows = [
        "arm,strategy,identity,replicate,seed,status,metric_version,direction,min_effect,worst,environment,same_as,"
    ]
    rows[0] += "profile,accuracy"
    for number in range(4):
        value = 0.8 + number / 50 + gain + chance.gauss(0, 0.001)
        rows.append(f"candidate,candidate,{one.name},{number},{number + 100},ok,{common},{value}")
    (project.root / "results/replicates.csv").write_text("\n".join(rows) + "\n")
    project.git("update-ref", one.ref, project.commit(one.label))
    project.git("reset", "--quiet", "--hard", "HEAD~")


def test_cells_that_are_measured_are_read_and_the_look_is_recorded(project: Project) -> None:
    """No training: the cells stand as experiments already, as after an interruption."""
    chance = random.Random(3)
    for changes, gain in {(): 0.0, ("lr=0.001",): -0.05, ("lr=0.009",): 0.03, ("model.dropout=0",): 0.0}.items():
        measured(project, changes, gain, chance)
    call = ("sensitivity", "lr", "model.dropout=0", "--replicates", "4")
    done = project.assay(*call)
    assert "price: nothing, all 4 settings are measured" in done.stderr
    assert "lr matters: 0.001 is -0.05" in done.stdout and "tune it over 0.003 to 0.027" in done.stdout
    assert "does not matter here, within min_effect: model.dropout" in done.stdout
    assert done.stdout.splitlines()[-1] == "next: assay sweep -S lr=0.0062,0.013,0.027"
    found = json.loads(project.assay(*call, "--json").stdout)
    assert [one["word"] for one in found["factors"]] == ["matters", "does not matter"] and found["n"] == 4
    assert [level["verdict"] for level in found["factors"][0]["levels"]] == ["regression", "progress"]
    assert found["alpha"] == 0.04, "the first look without a plan"
    ledger = look_ledger.kept(project.root)
    assert len([one for one in ledger.looks if one.key.test == "one factor"]) == 1, "read again it is the same look"
    (family,) = ledger.all(FamilyEntry)
    assert (family.command, family.size) == ("sensitivity", 4)


def test_the_price_of_longer_trainings(_first: Project) -> None:
    layout = ProjectPaths(_first.root)
    cells = [experiment_grid.cell(layout, Wanted("s"), (f"train.epochs={n}",)) for n in (3, 300)]
    asked = experiment_grid.asked(layout, cells[0])
    short, both = grid_price.line(layout, cells[:1], asked), grid_price.line(layout, cells, asked)
    assert "price: 3 trainings of 1 settings" in short and "price: 6 trainings of 2 settings" in both
    seconds = [text.partition(" s each: ")[2].partition(",")[0] for text in (short, both)]
    assert seconds[0].endswith(" s") and seconds[1] != seconds[0]


@pytest.mark.extra
def test_a_whole_run(project: Project) -> None:
    before = project.git("status", "--porcelain")
    done = project.assay("sensitivity", "lr=1e-5,1e30", "--replicates", "4")
    assert "lr matters: 1e-05 is -0." in done.stdout and "1e+30 diverges or does not run" in done.stdout
    assert "lr=1e+30 does not run: train: all 4 replicates diverged" in done.stdout
    assert project.git("status", "--porcelain") == before
    again = project.assay("sensitivity", "lr=1e-5,1e30", "--replicates", "4")
    assert again.stdout.splitlines()[:4] == done.stdout.splitlines()[:4]
    assert again.stderr.count("running ") == 1, "what failed is asked again, what is measured is not"
