"""Settings trained together: each run finds its replicates, byte for byte those that it would have trained."""

from __future__ import annotations

import numpy as np
import pytest
from miniature import Make, Project

from assay.ahead.settings import ahead

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
