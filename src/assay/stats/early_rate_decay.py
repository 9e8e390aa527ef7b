"""Whether a schedule lowers the step size too early, told from the loss curves of whole trainings.

Covers: a loss that still fell when the decay began, and that stands still once the step size is small. Pure. Not
covered: what a later decay would bring, which only a training can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.stats.difference_estimate import one_sample

Array = NDArray[np.float64]
#: share of the epochs over which a slope is taken
WINDOW = 0.1
#: fall that is lost by small step sizes, at the old pace, as a share of all that the loss fell: from here on
LOST = 0.1
#: pace under the small step size over the pace before, up to here
STILL = 0.2


@dataclass(frozen=True)
class EarlyDecay:
    """`before`, `after`: what the loss falls an epoch, when the decay begins and under a small step size.

    `lost`: what it would have fallen at the old pace meanwhile, as a share of all that it fell.
    """

    begins: int  # last epoch of at least half the largest step size
    small: int  # first epoch of at most a tenth of it
    epochs: int
    before: float
    after: float
    lost: float


def early_decay(curves: Sequence[Sequence[float]], shares: Sequence[float]) -> EarlyDecay | None:
    """`curves`: validation loss of each replicate after each epoch, (R, E); `shares`: step size of each epoch over the
    largest one, (E,). None where the decay is not shown to be too early: with fewer than two replicates or two epochs
    of small steps nothing is."""
    losses, size = np.asarray(curves, float), np.asarray(shares, float)
    if losses.ndim != 2 or losses.shape[0] < 2 or losses.shape[1] != len(size) or not np.isfinite(losses).all():
        return None
    epochs, top = len(size), int(np.argmax(size))
    falling = np.flatnonzero((size < 0.5) & (np.arange(epochs) > top))
    tiny = np.flatnonzero((size <= 0.1) & (np.arange(epochs) > top))
    window = max(1, round(WINDOW * epochs))
    if not len(falling) or len(tiny) < 2 or falling[0] <= window or (size[tiny[0] :] > 0.1).any():
        return None
    begins, small = int(falling[0]) - 1, int(tiny[0])
    slopes = (losses[:, begins - window] - losses[:, begins]) / window
    after = float(np.mean(losses[:, small] - losses[:, -1])) / (epochs - 1 - small)
    before, fell = float(np.mean(slopes)), float(np.mean(losses[:, 0] - losses.min(axis=1)))
    lost = before * (epochs - small) / fell if fell > 0 else 0.0
    spread = float(np.var(slopes, ddof=1))
    shown = before > 0 and (spread == 0 or float(one_sample(before, spread, len(slopes)).p) <= 0.05)
    if not shown or lost < LOST or after > STILL * before:
        return None
    return EarlyDecay(begins + 1, small + 1, epochs, before, after, lost)
