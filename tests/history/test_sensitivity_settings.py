"""`assay sensitivity --settings N`: ranges and price first, measured settings are read; no training."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest
from gitproject import PARAMS

from assay.commands import batch_size_rates, sensitivity_settings
from assay.commands.experiment_grid import Wanted
from assay.core import params_yaml
from assay.core.errors import AssayError
from assay.core.paths import ProjectPaths
from assay.history import look_ledger
from assay.history.attempt_and_family_entries import FamilyEntry

COLUMNS = "arm,strategy,identity,replicate,seed,status,metric_version,profile,direction,min_effect,worst,environment"
NAMED = ("lr", "model.dropout=0,0.5", "train.optimizer=sgd")
GIVEN = PARAMS.replace("train:\n", "model: {dropout: 0.1}\ntrain:\n")


def table(name, values):
    common = "ok,accuracy-1.5f3c9a2e,full,maximize,0.005,,env,"
    rows = [f"candidate,candidate,{name},{n},{n + 9},{common},{value}" for n, value in enumerate(values)]
    return "\n".join([f"{COLUMNS},same_as,accuracy", *rows, ""])


def kept(project, tables):
    """All experiments at once, in one process."""
    lines = []
    for ref, content in tables.items():
        lines.append(f"commit {ref}\ncommitter A <a@b> 1 +0000\ndata 1\nx\nfrom {project.head}")
        lines.append(f"M 100644 inline results/replicates.csv\ndata {len(content)}\n{content}")
    subprocess.run(["git", "-C", project.path, "fast-import", "--quiet"], input="\n".join(lines).encode(), check=True)


@pytest.mark.extra
def test_ranges_and_price_come_first_and_measured_settings_are_read(project, capsys):
    project.commit({"params.yaml": GIVEN})
    said = list[str]()
    assert sensitivity_settings.importance(project.path, NAMED, 64, said.append, Wanted("s"), dry_run=True) is None
    assert said == [
        "lr: 0.00011 to 0.009 (log)",
        "model.dropout: 0 to 0.5",
        "train.optimizer: adam, sgd",
        "price: 130 trainings of 65 settings; how long one takes is not known yet",
    ]
    layout, rng = ProjectPaths(project.path), np.random.default_rng(1)
    design = sensitivity_settings._designed(layout, NAMED, 64, Wanted("sensitivity"))
    assert len(design.cells) == 64 and len({one.name for one in design.all}) == 65
    tables = {}
    for cell, setting in [(design.centre, {"lr": 0.001}), *design.cells.items()]:
        value = 0.9 + 0.02 * np.log10(float(setting["lr"])) + 0.002 * rng.standard_normal()
        tables[cell.ref] = table(cell.name, [value, value + 0.001])
    kept(project, tables)
    assert project.assay("sensitivity", "--settings", "64", *NAMED) == 0
    out = capsys.readouterr()
    assert "price: nothing, all 65 settings are measured" in out.err
    assert "lr matters: the better quarter has 0.00" in out.out and "this much is noise: " in out.out
    assert "not shown to matter over these ranges: " in out.out and "next: assay sweep -S lr=" in out.out
    (family,) = look_ledger.kept(project.path).all(FamilyEntry)
    assert (family.command, family.size) == ("sensitivity", 65)


def test_diverged_and_failed_settings_rank_last(project):
    rows = [
        {"arm": "candidate", "replicate": "0", "status": "ok", "accuracy": "0.5"},
        {"arm": "candidate", "replicate": "1", "status": "diverged", "accuracy": ""},
    ]
    assert (
        sensitivity_settings._score(rows, "accuracy", 1.0) is None
        and sensitivity_settings._score(None, "a", 1.0) is None
    )
    worst = [{**row, "worst": "0.1"} for row in rows]
    assert sensitivity_settings._score(worst, "accuracy", -1.0) == pytest.approx(-0.3)


@pytest.mark.parametrize(
    ("named", "count", "said"),
    [
        ((), 49, "importance from 49 settings; allowed: 50 to 512"),
        ((), 513, "importance from 513 settings"),
        (("train.optimizer=sgd",), 64, "the ranges of train.optimizer hold 2 different settings; allowed: 50 or more"),
        (("train.epochs=21,22",), 64, "hold 3 different settings"),
        (("lr=0,1",), 64, "lr is 0"),
        (("seed",), 64, "seed is no parameter of the strategy"),
    ],
)
def test_refusals(project, named, count, said):
    project.commit({"params.yaml": GIVEN})
    with pytest.raises(AssayError) as refused:
        sensitivity_settings.importance(project.path, named, count, [].append, Wanted("s"), dry_run=True)
    assert said in refused.value.sentence


def test_a_commit_without_the_profile_is_no_obstacle(project):
    layout, commit = ProjectPaths(project.path), project.commit({"params.yaml": GIVEN})
    larger = params_yaml.changed(GIVEN, {"train.batch_size": 256})
    assert "train.batch_size 64 → 256" in batch_size_rates.note_since(layout, commit, larger)
    other = params_yaml.changed(
        GIVEN + "profiles: {full: {}, mine: {}}\n", {"profile": "mine", "train.batch_size": 256}
    )
    assert batch_size_rates.note_since(layout, commit, other) == "" == batch_size_rates.note_since(layout, "", larger)
