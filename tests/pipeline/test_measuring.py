"""Seeds, profiles, designs and diverged replicates: what is measured, and what is never subtracted."""

from __future__ import annotations

import csv
import json
from typing import Literal

import pytest

from assay.commands import sweep
from assay.commands.experiment_grid import Cell
from assay.core import params_yaml
from assay.training.random_streams import Streams
from support.project import CHECKOUT, Project
from support.weights import digests


def test_same_seed_same_weights(project: Project) -> None:
    before = digests(project)
    assert any(name.endswith(".safetensors") for name in before)
    for stage in ("baseline", "train"):
        project.stage(stage)
    assert digests(project) == before
    project.edit("params.yaml", "seed: 1 ", "seed: 2 ")
    project.stage("train")
    after = digests(project, "models/candidate")
    assert not set(after.values()) & set(before.values())


@pytest.mark.extra
def test_fast_is_cheaper_and_never_meets_full(project: Project) -> None:
    full = json.loads(project.read("arms/candidate.json"))["measurement"]["replicates"]
    project.edit("params.yaml", "profile: full", "profile: fast")
    for stage in ("train", "evaluate", "verdict"):
        said = project.stage(stage).stdout
    assert "incomparable: profile: baseline full, candidate fast" in said
    assert project.metrics["verdict"] == "incomparable" and "p" not in project.metrics
    fast = json.loads(project.read("arms/candidate.json"))["measurement"]["replicates"]
    assert 2 <= full[0]["steps"] / fast[0]["steps"] <= 10

    project.dvc("repro", "--quiet")  # the mend: both arms under one profile
    assert project.metrics["profile"] == "fast" and project.metrics["verdict"] == "same"

    # The default itself, by the work it does: epochs × share of the examples.
    content = (CHECKOUT / "params.yaml").read_bytes()
    work = {name: params_yaml.resolved(content, name).train for name in ("full", "fast")}
    costs = {name: train.epochs * train.sample for name, train in work.items()}
    assert 2 <= costs["full"] / costs["fast"] <= 10


def seeds(project: Project, arm: str) -> list[int]:
    return [int(row["seed"]) for row in project.replicates(arm)]


def test_paired_arms_share_seeds(project: Project) -> None:
    assert not set(seeds(project, "baseline")) & set(seeds(project, "candidate"))
    project.edit("params.yaml", "test: welch", "test: paired")
    project.edit("params.yaml", "lr: 0.003", "lr: 0.01")
    for stage in ("context", "baseline", "train", "evaluate", "verdict"):
        said = project.stage(stage).stdout
    assert seeds(project, "baseline") == seeds(project, "candidate")
    assert seeds(project, "baseline") == [Streams(1, "paired", number).display for number in range(3)]
    assert "paired" in said.lower() and project.metrics["verdict"] != "incomparable"


def test_against_the_floor_any_test_will_do(project: Project) -> None:
    project.edit("params.yaml", "baseline: strategy/first", "baseline: floor")
    for stage in ("context", "baseline"):
        project.stage(stage)
    for test in ("student", "paired", "permutation"):
        text = project.read("params.yaml")
        project.edit("params.yaml", "test: welch", f"test: {test}")
        assert "vs floor linear" in project.judged(), test
        (project.root / "params.yaml").write_text(text, encoding="utf-8")


@pytest.mark.extra
def test_diverged_replicates_are_results(project: Project) -> None:
    """About half of the seeds start from weights that overflow."""
    project.edit(
        "src/tasks/digits/learning.py",
        "    return nn.Sequential(*stack, nn.Linear(width, outputs))",
        "    if torch.rand(()) < 0.5:\n"
        "        nn.init.constant_(stack[1].weight, 1e38)\n"
        "    return nn.Sequential(*stack, nn.Linear(width, outputs))",
    )
    project.edit("params.yaml", "replicates: 3", "replicates: 6")
    for stage in ("context", "baseline", "train"):
        project.stage(stage)
    said = project.judged()
    rows = project.replicates("candidate")
    gone = [row for row in rows if row["status"] == "diverged"]
    assert 0 < len(gone) < 6 == len(rows)
    assert all(row["accuracy"] == "" for row in gone) and all(row["accuracy"] for row in rows if row not in gone)
    assert f"candidate diverged {len(gone)} of 6" in said
    assert f"{len(gone)} of 6 replicates diverged: look for a bug before tuning; next: assay doctor\n" in said
    assert said.endswith("next: assay doctor\n")
    metrics = json.loads(project.read("results/metrics.json"), parse_constant=lambda name: pytest.fail(name))
    assert (metrics["verdict"], metrics["diverged"], metrics["n"]) == ("inconclusive", len(gone), 6 - len(gone))
    log = project.read("results/candidate.log")
    for row in gone:
        assert f"(seed {row['seed']}): diverged at epoch 1, step 1: " in log, log
    assert len(list((project.root / "models/candidate").glob("*.safetensors"))) == 6 - len(gone)

    # A worst value lets them enter, where the baseline names one: today's alone would be laxer than what was accepted.
    project.commit("weights that overflow")
    name_a_worst_value(project, of="strategy/first")
    for stage in ("context", "baseline", "evaluate"):
        project.stage(stage)
    entered = project.metrics
    assert entered["n"] == 6 and entered["diverged"] == len(gone)
    assert entered["accuracy"] - entered["baseline"] == pytest.approx(entered["delta"])  # type: ignore[operator]
    assert entered["delta"] < -0.1  # type: ignore[operator]
    assert_all_ways_agree(project, "welch")

    # In a paired design they stay in their places.
    project.edit("params.yaml", "test: welch", "test: paired")
    for stage in ("context", "baseline", "train", "evaluate"):
        project.stage(stage)
    paired = project.metrics
    assert paired["n"] == 6 and paired["diverged"] > 0  # type: ignore[operator]
    assert paired["accuracy"] - paired["baseline"] == pytest.approx(paired["delta"])  # type: ignore[operator]
    assert_all_ways_agree(project, "paired")


def name_a_worst_value(project: Project, of: str) -> None:
    """Move the tag `of` to a commit whose metric, and record of it, names one; the branch gets the same metric."""
    metric, worse = '"min_effect": 0.005', '"min_effect": 0.005, "worst": 0.0'
    project.git("switch", "--quiet", "--detach", of)
    project.edit("src/tasks/digits/metrics.py", metric, worse)
    rows = list(csv.DictReader(project.read("results/rulers.csv").splitlines()))
    with (project.root / "results/rulers.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "worst": "0.0" if row["metric"] == "accuracy" else row["worst"]} for row in rows)
    project.commit("a worst value")
    project.git("tag", "--delete", of)
    project.tag(of)
    project.git("switch", "--quiet", "main")
    project.edit("src/tasks/digits/metrics.py", metric, worse)
    project.commit("the same worst value")


def assert_all_ways_agree(project: Project, test: Literal["welch", "paired"]) -> None:
    """`dvc exp run`, `assay compare` and `assay sweep` give one verdict on one table."""
    said = project.metrics
    compared = json.loads(project.assay("compare", "results/replicates.csv", "--test", test, "--json").stdout)
    rows = [row for arm in ("baseline", "candidate") for row in project.replicates(arm)]
    cell = Cell(("x",), "", ("x",), "x")
    swept = sweep._judged({cell: rows}, {}, params_yaml.Judge(test=test), {}, fixed=False).tried[0].alone
    assert compared["candidate"]["diverged"] == swept.candidate.diverged == said["diverged"]
    assert compared["candidate"]["n"] == swept.candidate.n == said["n"] == 6
    assert compared["verdict"] == swept.verdict and compared["entered"] and swept.entered
    assert (compared["delta"], compared["p"]) == (swept.delta, swept.p)
    assert swept.delta == pytest.approx(said["delta"]), test


def test_when_all_diverge_training_fails(project: Project) -> None:
    project.edit("src/tasks/digits/learning.py", "/ 16.0", "/ 16.0 * torch.inf")
    done = project.stage("train", ok=False)
    assert done.returncode == 2 and "all 3 replicates diverged" in done.stderr and "Traceback" not in done.stderr
    with (project.root / "results/replicates.csv").open(encoding="utf-8") as stream:
        assert len(list(csv.DictReader(stream))) > 3, "the last good results are still there"
