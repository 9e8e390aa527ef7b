"""Schedules of the step size, after an optional warm-up: pure functions of the step.

As torch and transformers have them, to the last step: `k` counts from 0, the warm-up rises from 0 (its first step moves
nothing), and the schedule begins when it is over.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from assay.core.params_yaml import Train

#: one-cycle begins so many times below its peak, and ends so many times below that: torch's defaults
BEGIN, END = 25.0, 1e4


@dataclass(frozen=True)
class Schedule:
    """Step sizes of one training. Covers `per_epoch` steps in each of `settings.epochs`."""

    lr: float
    settings: Train
    per_epoch: int

    @cached_property
    def steps(self) -> int:
        return self.settings.epochs * self.per_epoch

    @cached_property
    def warmup(self) -> int:
        """Steps of the warm-up."""
        return round(self.settings.warmup_epochs * self.per_epoch)

    def rate(self, step: int) -> float:
        """Step size at `step`, 1 to `steps`."""
        k = step - 1
        if k < self.warmup:
            return self.lr * k / self.warmup
        return _SHAPES[self.settings.schedule](self, k - self.warmup, self.steps - self.warmup)


def _constant(plan: Schedule, k: int, steps: int) -> float:
    return plan.lr


def _linear(plan: Schedule, k: int, steps: int) -> float:
    low = plan.settings.min_lr
    return low + (plan.lr - low) * (steps - k) / steps


def _cosine(plan: Schedule, k: int, steps: int) -> float:
    """From `lr` to `min_lr` (Loshchilov & Hutter 2017, eq. 5)."""
    low = plan.settings.min_lr
    if not low:
        return plan.lr * 0.5 * (1 + math.cos(math.pi * k / steps))
    return low + (plan.lr - low) * 0.5 * (1 + math.cos(math.pi * k / steps))


def _onecycle(plan: Schedule, k: int, steps: int) -> float:
    """Up to `lr` and down again, both as half a cosine (Smith & Topin 2018; as torch's OneCycleLR)."""
    first, last = plan.lr / BEGIN, plan.lr / BEGIN / END
    peak, end = plan.settings.pct_start * steps - 1, steps - 1
    if k <= peak:
        return _between(first, plan.lr, k / peak if peak else 1.0)
    return _between(plan.lr, last, (k - peak) / (end - peak) if end > peak else 1.0)


def _between(one: float, other: float, share: float) -> float:
    return other + (one - other) / 2 * (1 + math.cos(math.pi * share))


def _step(plan: Schedule, k: int, steps: int) -> float:
    settings = plan.settings
    assert settings.step_epochs is not None
    return float(plan.lr * settings.gamma ** (k // (settings.step_epochs * plan.per_epoch)))


def _restarts(plan: Schedule, k: int, steps: int) -> float:
    """A cosine after another, each `restart_mult` times as long (Loshchilov & Hutter 2017, section 3)."""
    settings = plan.settings
    assert settings.restart_epochs is not None
    length = settings.restart_epochs * plan.per_epoch
    while k >= length:
        k, length = k - length, length * settings.restart_mult
    return settings.min_lr + (plan.lr - settings.min_lr) * 0.5 * (1 + math.cos(math.pi * k / length))


_SHAPES: dict[str, Callable[[Schedule, int, int], float]] = {
    "constant": _constant,
    "linear": _linear,
    "cosine": _cosine,
    "onecycle": _onecycle,
    "step": _step,
    "restarts": _restarts,
}
