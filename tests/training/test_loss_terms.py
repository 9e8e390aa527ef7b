"""Losses that return several terms by name: their weighed sum trains, and each has a curve."""

from __future__ import annotations

import csv

import pytest
import torch
from miniature import Make
from test_recipe import TASK, Silent, adam, hold, plan_of, project_of, reference
from torch import Tensor, nn

from assay.core.errors import UsageError
from assay.training import model_init
from assay.training.training_loop import Training
from assay.training.vmap import equivalence_check

TERMS = (
    TASK.partition("    def loss")[0]
    + """
    def loss(outputs, targets):
        chances = outputs.log_softmax(-1)
        return {
            "right": -chances.gather(-1, targets.unsqueeze(-1)).mean(),
            "large": outputs.square().mean(),
        }

    def preprocess(inputs):
        return inputs / 16
"""
)


def whole(outputs: Tensor, targets: Tensor) -> Tensor:
    return nn.functional.cross_entropy(outputs, targets) + 0.3 * outputs.square().mean()


@pytest.mark.parametrize("epochs", [10, pytest.param(50, marks=pytest.mark.extra)])
def test_the_weighed_sum_is_what_trains(make: Make, epochs: int) -> None:
    plan = plan_of(project_of(make, TERMS, loss_weights={"large": 0.3}, epochs=epochs))
    hold(plan, lambda number: reference(plan, number, adam, loss=whole))


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


@pytest.mark.parametrize("execution", ["sequential", "fused"])
def test_each_term_has_a_curve_that_the_cache_keeps(make: Make, execution: str) -> None:
    project = make(TERMS, examples=100, train={"loss_weights": {"large": 0.3}})
    cache = str(project.root / "cache")
    project.measure([0, 1], execution=execution, cache=cache)
    curves = project.root / "out" / "curves.csv"
    first = curves.read_text()
    assert len(rows(first)) == 4
    for part in ("train", "validation"):
        for row in rows(first):
            terms = [float(row[f"{part} {name}"]) for name in ("right", "large")]
            assert float(row[f"{part}_loss"]) == pytest.approx(terms[0] + 0.3 * terms[1], rel=1e-4)
    again = project.measure([0, 1], execution=execution, cache=cache)
    assert all(one.reused for one in again.replicates) and curves.read_text() == first


def test_a_checkpoint_holds_them(make: Make) -> None:
    """What a training has seen of its terms comes back with it."""
    plan = plan_of(project_of(make, TERMS, epochs=2))
    training = Training(plan, equivalence_check.fused(plan, [0, 1]), [0, 1], Silent())
    training._epoch(1)
    state = training.state()
    other = Training(plan, equivalence_check.fused(plan, [0, 1]), [0, 1], Silent())
    other.saver.read = lambda log: state  # type: ignore[method-assign, assignment]
    other.resume()
    training.run()
    other.run()
    assert other.curves == training.curves and set(other.curves[0][0].more) == {
        f"{part} {name}" for part in ("train", "validation") for name in ("right", "large")
    }
    assert torch.equal(other.engine.theta, training.engine.theta)


@pytest.mark.parametrize(
    ("source", "weights", "said"),
    [
        (TERMS, {"wide": 1.0}, "train.loss_weights has 'wide', and loss() returns right, large"),
        (TASK, {"right": 1.0}, "has 'right', and loss() returns one number, and no terms by name"),
        (TERMS, {"right": 0.0, "large": 0.0}, "is 0 for every term"),
        (TERMS.replace("outputs.square().mean()", "outputs.square()"), {}, "loss() returns (8, 10) as 'large'"),
    ],
)
def test_weights_of_terms_that_are_not_there_are_refused(make: Make, source: str, weights: dict, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        model_init.check(plan_of(project_of(make, source, loss_weights=weights)))
    assert said in caught.value.sentence
