"""Settings trained together: each run finds its replicates, byte for byte those that it would have trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from miniature import Make, Project

from assay.ahead import arms
from assay.ahead.settings import ahead
from assay.keeping import answers
from assay.keeping import sample as samples
from assay.learning import choose, memory
from assay.words import params
from assay.words.records import Measurement, MeasureRequest

RATES = [{"lr": 0.003}, {"lr": 0.01}, {"lr": 0.03, "train.weight_decay": 0.1}]


def run_ahead(project: Project, changes: list[dict], **more: object) -> int:
    cache = str(project.root / "cache")
    return ahead(project.request([0, 1, 2], "ahead", cache=cache, **more), project.root, changes)


def setting(project: Project, change: dict) -> None:
    project.set(lr=change["lr"], train={"weight_decay": change.get("train.weight_decay", 0.0)})


@pytest.mark.parametrize(
    "train",
    [
        {"optimizer": "adamw", "schedule": "cosine"},
        {"optimizer": "adam", "clip": 0.5},
        {"optimizer": "sgd", "momentum": 0.9},
    ],
    ids=lambda given: given["optimizer"],
)
def test_each_setting_ends_as_it_would_alone(make: Make, train: dict) -> None:
    """To the last bit in float32, dropout included; and the run that asks trains nothing."""
    project = make(model={"dropout": 0.2}, train={"epochs": 2, "batch_size": 32, **train})
    assert run_ahead(project, RATES, execution="fused") == 9
    for number, change in enumerate(RATES):
        setting(project, change)
        alone = project.measure([0, 1, 2], f"alone{number}", execution="fused")
        found = project.measure([0, 1, 2], f"found{number}", execution="fused", cache=str(project.root / "cache"))
        assert not any(one.reused for one in alone.replicates) and all(one.reused for one in found.replicates)
        assert {one.execution for one in found.replicates} == {"fused"}
        for replicate in range(3):
            assert project.weights(replicate, f"alone{number}") == project.weights(replicate, f"found{number}")
        assert np.array_equal(project.predictions(f"alone{number}"), project.predictions(f"found{number}"))
        curves = [(project.root / f"{name}{number}" / "curves.csv").read_text() for name in ("alone", "found")]
        assert curves[0] == curves[1]


def test_only_what_no_cache_holds_and_what_is_alike_trains(make: Make) -> None:
    project = make()
    cache = str(project.root / "cache")
    setting(project, RATES[0])
    project.measure([0, 1], cache=cache, execution="fused")
    assert run_ahead(project, [*RATES, {"lr": 0.01, "model.hidden": 16}], execution="fused") == 1 + 3 + 3
    assert run_ahead(project, RATES, execution="fused") == 0
    assert run_ahead(project, [{"lr": 0.5}], execution="fused") == 0, "a single setting is its own run's business"


def test_what_is_not_fused_is_left_to_the_runs(make: Make) -> None:
    project = make()
    assert run_ahead(project, RATES, execution="sequential") == 0
    looped = make(
        """
        import numpy as np

        def fit(params, data, seed):
            return lambda inputs: np.full((len(inputs), 10), 0.1, dtype=np.float32)
        """
    )
    assert run_ahead(looped, RATES, execution="fused") == 0


def test_a_setting_that_diverges_leaves_the_others_alone(make: Make) -> None:
    project = make(train={"epochs": 2, "batch_size": 32, "optimizer": "sgd"})
    changes = [{"lr": 0.01}, {"lr": 1e30}]
    assert run_ahead(project, changes, execution="fused") == 6
    cache = str(project.root / "cache")
    project.set(lr=0.01)
    calm = project.measure([0, 1, 2], "calm", execution="fused", cache=cache)
    project.measure([0, 1, 2], "alone", execution="fused")
    assert all(one.reused and one.diverged is None for one in calm.replicates)
    assert [project.weights(n, "calm") for n in range(3)] == [project.weights(n, "alone") for n in range(3)]


class Arms:
    """A candidate and a baseline of one project, differing in step size, purpose and numbers."""

    def __init__(self, project: Project, **more: object) -> None:
        self.project = project
        fixed = {"cache": str(project.root / "cache"), "execution": "auto", **more}
        self.candidate = project.request([0, 1, 2], "candidate", **fixed)
        self.baseline = project.request([20000, 20001, 20002], "baseline", purpose="baseline", **fixed)
        self.settings = {"candidate": {"lr": 0.03}, "baseline": {"lr": 0.003}}

    def train(self, *named: str) -> list[str]:
        """What training `named` ahead says."""
        said: list[str] = []
        asked = [
            arms.Arm(
                getattr(self, name),
                params.changed((self.project.root / "params.yaml").read_bytes(), self.settings[name]),
            )
            for name in named
        ]
        sample = samples.read(*asked[0])
        arms.train(self.project.root, asked, sample, self.project.root / "scratch", said.append)
        return said


def found(monkeypatch: pytest.MonkeyPatch, way: choose.Way) -> None:
    """`auto` finds `way`, whatever this machine is doing."""
    monkeypatch.setattr(choose, "way", lambda *_asked: way)


def answered(project: Project, asked: MeasureRequest) -> Path:
    """The log of the answer that the cache gives alone."""
    settings = answers.requested(asked, project.root)
    assert answers.at_hand(asked, settings, samples.read(asked, settings)) is not None
    return Path(asked.log)


def test_both_arms_in_one_training_end_as_each_alone(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make(model={"dropout": 0.2})
    both = Arms(project)
    with monkeypatch.context() as patched:
        found(patched, choose.Way(chunk=6, seconds=1.0))
        assert both.train("candidate", "baseline") == ["together"]
    for name in ("candidate", "baseline"):
        setting(project, both.settings[name])
        asked = getattr(both, name)
        more = {"purpose": asked.purpose, "execution": "fused"}
        kept = project.measure(asked.replicates, f"{name}-kept", cache=asked.cache, **more)
        project.measure(asked.replicates, f"{name}-alone", **more)
        assert all(one.reused for one in kept.replicates)
        for number in asked.replicates:
            assert project.weights(number, f"{name}-kept") == project.weights(number, f"{name}-alone")
        assert np.array_equal(project.predictions(f"{name}-kept"), project.predictions(f"{name}-alone"))
        told = answered(project, asked).read_text().splitlines()
        assert told[0] == "both arms were trained together, ahead of their stages:" and "train loss" in told[1]


@pytest.mark.parametrize("way", [choose.Way(chunk=3, seconds=1.0), choose.Way(chunk=1, seconds=1.0)], ids=str)
def test_the_candidate_beside_another_baseline(make: Make, monkeypatch: pytest.MonkeyPatch, way: choose.Way) -> None:
    both = Arms(make())
    found(monkeypatch, way)
    assert both.train("candidate") == ["beside"]
    assert all(one.reused for one in measured(both).replicates)


def measured(both: Arms) -> Measurement:
    setting(both.project, both.settings["candidate"])
    return both.project.measure([0, 1, 2], "again", cache=both.candidate.cache)


@pytest.mark.parametrize(
    ("way", "free"),
    [
        (choose.Way(chunk=6, seconds=31.0), 2**33),
        (choose.Way(chunk=6), 2**33),
        (choose.Way(chunk=3, workers=2, seconds=5.0), 2**33),
        (choose.Way(chunk=1, seconds=1.0), 2**10),
    ],
    ids=["long", "nobody timed it", "in processes", "no memory"],
)
def test_what_would_cost_the_other_arm_is_left(
    make: Make, monkeypatch: pytest.MonkeyPatch, way: choose.Way, free: int
) -> None:
    both = Arms(make())
    found(monkeypatch, way)
    monkeypatch.setattr(memory, "available", lambda device: free)
    assert both.train("candidate", "baseline") == ["apart"]
    assert not any(one.reused for one in measured(both).replicates)


def test_a_way_that_was_asked_for_and_a_loop_of_the_tasks_own_are_left(make: Make) -> None:
    assert Arms(make(), execution="fused").train("candidate", "baseline") == []
    looped = "def fit(params, data, seed):\n    raise RuntimeError('nobody may call this')\n"
    assert Arms(make(looped)).train("candidate", "baseline") == []
