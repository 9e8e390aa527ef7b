"""What the training of one replicate leaves behind."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from assay.core.schemas import Divergence, Replicate

#: how a record says that a loop of the task's own trained
OWN_LOOP = "task"


@dataclass(frozen=True)
class Point:
    """Losses of one replicate after one epoch (from 1), or what a loop of its own said; NaN where it said nothing."""

    epoch: float
    train: float  # mean over the epoch's batches, in training mode
    validation: float  # mean over the evaluated part, in evaluation mode; over the holdout in a loop of its own
    more: Mapping[str, float] = field(default_factory=dict)  # a holdout, terms, values of a loop of its own


@dataclass
class Outcome:
    """One replicate, trained. `predictions` (N, …) is None while nobody has asked for them."""

    number: int
    seed: int
    execution: str
    seconds: float
    steps: int
    weights: bytes  # in safetensors format: as they are kept, and as they are handed out
    curve: list[Point] = field(default_factory=list)
    predictions: NDArray[np.float32] | None = None
    diverged: Divergence | None = None
    reused: bool = False
    kept_epoch: int | None = None  # whose weights these are, where a holdout chose it just now
    inference: float | None = None  # seconds an example; None where it was predicted by itself, or nobody measured
    recorded: bytes = b""  # what a recorder beside the training took down; b"" where none was there

    def record(self) -> Replicate:
        return Replicate(
            number=self.number,
            seed=self.seed,
            execution=self.execution,
            reused=self.reused,
            seconds=round(self.seconds, 3),
            steps=self.steps,
            diverged=self.diverged,
            inference=None if self.inference is None else float(f"{self.inference:.3g}"),
        )

    @property
    def sentence(self) -> str:
        """One line about it, for the log."""
        head = f"replicate {self.number} (seed {self.seed}): "
        if self.diverged is not None:
            where = self.diverged
            return head + f"diverged at epoch {where.epoch}, step {where.step}: {where.tensor} is not finite"
        if self.reused:
            return head + "taken from the cache"
        last = f", validation loss {self.curve[-1].validation:.4g}" if self.curve else ""
        if self.execution == OWN_LOOP:
            last = "".join(f", {name} {value:.4g}" for name, value in said(self.curve[-1])) if self.curve else ""
            return head + f"a loop of its own, {self.seconds:.2f} s{last}"
        kept = "" if self.kept_epoch is None else f", weights of epoch {self.kept_epoch}"
        return head + f"{self.steps} steps, {self.execution}, {self.seconds:.2f} s{last}{kept}"


def epoch_number(number: float) -> float:
    """A whole number without its point, others as they are."""
    return int(number) if number == int(number) else number


def said(point: Point) -> list[tuple[str, float]]:
    """Names and values of a point that a loop of its own gave."""
    losses = [("train loss", point.train), ("validation loss", point.validation)]
    return [*((name, value) for name, value in losses if not math.isnan(value)), *point.more.items()]
