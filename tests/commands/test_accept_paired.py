"""A declared paired design is confirmed paired: both arms on the same fresh seeds."""

from __future__ import annotations

import csv
import io

import pytest

from assay.acceptance.confirmation_attempt import recorded_pairs
from assay.acceptance.confirmation_run import fresh_seeds
from assay.history.experiments import read
from assay.history.strategy_status import fold
from assay.stats.compare_arms import MeasuredArm
from assay.stats.confirmation_rule import confirm, level, replicates
from support.project import Project


@pytest.mark.extra
def test_a_paired_experiment_is_confirmed_on_shared_fresh_seeds(project: Project) -> None:
    project.git("config", "user.name", "Ada Lovelace")
    project.git("config", "user.email", "ada@example.org")
    project.dvc("exp", "run", "-S", "lr=0.02", "-S", "judge.test=paired", "-S", "replicates=5", "-n", "pair")
    dry = project.assay("accept", "pair", "pair", "--dry-run").stdout
    commit = project.git("for-each-ref", "--format=%(objectname)", "refs/exps/*/*/pair")
    pairs = recorded_pairs(project.root, commit, "accuracy")
    assert pairs.pairs == 5 and f"if pairs correlate at least {pairs.least:+.2f} (measured {pairs.measured:+.2f}" in dry
    n = replicates(level(1), 5, pairs=pairs.least)  # as many as find +2 sd
    seeds = fresh_seeds(1, n, 1, paired=True)
    assert f"candidate {seeds.candidate}–{seeds.candidate + n - 1}, strategy/first the same" in dry
    said = project.assay("accept", "pair", "pair")
    assert "paired t p=" in said.stdout + said.stderr
    assert "pairs correlate r=" in said.stdout + said.stderr
    found = fold(read(project.root).tags).strategies["pair"].accepted
    assert found.seeds == seeds
    assert (seeds.purpose, seeds.candidate) == ("paired-confirmation", seeds.baseline)
    assert found.schema == 1
    rows = list(csv.DictReader(io.StringIO(project.git("show", "strategy/pair:results/confirmation.csv"))))
    drawn = {arm: [int(row["replicate"]) for row in rows if row["arm"] == arm] for arm in ("baseline", "candidate")}
    assert drawn["baseline"] == drawn["candidate"] == list(range(seeds.candidate, seeds.candidate + n))
    assert {row["purpose"] for row in rows} == {"paired-confirmation"}
    values = {arm: [float(row["accuracy"]) for row in rows if row["arm"] == arm] for arm in drawn}
    again = confirm(
        *(MeasuredArm([*enumerate(values[arm])]) for arm in ("baseline", "candidate")), "maximize", 1, test="paired"
    )
    assert (again.method, again.p) == ("paired t", found.confirmation.p)
    assert again.correlation == pytest.approx(found.confirmation.correlation)
    selected = [float(row["accuracy"]) for row in project.replicates("candidate")]
    assert selected != values["candidate"], "fresh seeds"
