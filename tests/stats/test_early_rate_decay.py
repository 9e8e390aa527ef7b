"""A decay that comes too early, told from curves; what theory expects of the rate where the batch size changes."""

from __future__ import annotations

import math

import pytest

from assay.commands import batch_size_rates, rates_early_decay
from assay.core import params_yaml
from assay.stats.early_rate_decay import early_decay

STEP = [1.0] * 8 + [0.1] * 12


def curve(seed: int, falls_until: int, epochs: int = 20) -> list[float]:
    """A loss that falls by 0.1 an epoch and stands still afterwards; seeds differ a little."""
    return [
        2.5 - 0.1 * min(epoch, falls_until) + 0.01 * seed + 0.002 * ((epoch * (seed + 3)) % 5)
        for epoch in range(epochs)
    ]


def test_a_loss_that_stands_still_because_the_steps_are_small() -> None:
    found = early_decay([curve(seed, 8) for seed in range(3)], STEP)
    assert found is not None and (found.begins, found.small, found.epochs) == (8, 9, 20)
    assert 0.08 < found.before < 0.12 and abs(found.after) < 0.01 and found.lost > 1


@pytest.mark.parametrize(
    ("curves", "shares"),
    [
        ([curve(seed, 4) for seed in range(3)], STEP),  # it stood still before
        ([curve(seed, 20) for seed in range(3)], STEP),  # it goes on falling
        ([curve(0, 8)], STEP),  # one training
        ([curve(seed, 8) for seed in range(3)], [1.0] * 20),  # no decay
        ([curve(seed, 8) for seed in range(3)], [1.0] * 19 + [0.1]),  # one epoch of small steps
        ([curve(seed, 8) for seed in range(3)], [1.0] * 8 + [0.1] * 6 + [1.0] * 6),  # it restarts
        ([[math.nan] * 20] * 3, STEP),
        ([[1.0] * 19] * 3, STEP),
        (
            [[2.0 - 0.1 * epoch * (1, -1, 0.2)[seed] for epoch in range(20)] for seed in range(3)],
            STEP,
        ),  # seeds disagree
    ],
)
def test_nothing_is_told_of(curves: list[list[float]], shares: list[float]) -> None:
    assert early_decay(curves, shares) is None


def asked(train: str, lr: float = 0.01) -> params_yaml.Params:
    return params_yaml.resolved(f"{{lr: {lr}, replicates: 3, seed: 1, metric: {{name: a}}, train: {{{train}}}}}")


def test_step_sizes_of_each_schedule() -> None:
    step = rates_early_decay.step_sizes(asked("epochs: 6, schedule: step, step_epochs: 2, gamma: 0.1"))
    assert step == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert rates_early_decay.step_sizes(asked("epochs: 4, schedule: linear")) == pytest.approx(
        [0.875, 0.625, 0.375, 0.125]
    )
    cosine = rates_early_decay.step_sizes(asked("epochs: 10, schedule: cosine, warmup_epochs: 2"))
    assert cosine[0] == 0.25 and cosine[2] > 0.98 and cosine[-1] < 0.02
    onecycle = rates_early_decay.step_sizes(asked("epochs: 10, schedule: onecycle"))
    assert max(onecycle) == pytest.approx(onecycle[2], abs=0.1) and onecycle[-1] < 0.02
    assert rates_early_decay.step_sizes(asked("epochs: 4, schedule: restarts, restart_epochs: 2")) == []
    assert set(rates_early_decay.step_sizes(asked("epochs: 4"))) == {1.0}


def test_what_theory_expects_is_said_and_nothing_is_rescaled() -> None:
    before, sgd = asked("batch_size: 64"), asked("batch_size: 256, optimizer: sgd")
    said = batch_size_rates.note(before, asked("batch_size: 256"))
    assert said.startswith("train.batch_size 64 → 256 at the same lr 0.01: theory expects lr 0.02 (by the root")
    assert "up to 0.04; nothing is rescaled" in said
    assert "expects lr 0.04 (in proportion" in batch_size_rates.note(asked("optimizer: sgd"), sgd)
    assert batch_size_rates.note(before, before) == ""
    assert batch_size_rates.note(before, asked("batch_size: 256", lr=0.02)) == "", (
        "who changes the rate has thought of it"
    )
