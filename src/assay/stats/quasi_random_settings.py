"""Settings drawn quasi-randomly from ranges: points of a scrambled Sobol sequence, brought to values of parameters.

Covers: ranges on a logarithmic or linear scale, whole numbers, words. Pure. Not covered: which ranges
(`commands.sensitivity_settings`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import qmc

#: ratio of its ends from which a range is even in its logarithm
LOGARITHMIC = 4.0
#: pieces of the sequence that are looked through for different settings
_PIECES = 4


@dataclass(frozen=True)
class ValueRange:
    """One parameter: from `low` to `high`, or one of `words`. `whole`: whole numbers only."""

    key: str
    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    words: tuple[object, ...] = ()

    @property
    def logarithmic(self) -> bool:
        return self.low > 0 and self.high / self.low >= LOGARITHMIC

    def value(self, unit: float) -> object:
        """The value at a place from 0 to 1, numbers to three figures."""
        if self.words:
            return self.words[min(int(unit * len(self.words)), len(self.words) - 1)]
        if self.logarithmic:
            found = self.low * (self.high / self.low) ** unit
        else:
            found = self.low + (self.high - self.low) * unit
        return round(found) if self.whole else float(f"{found:.3g}")

    def unit(self, value: float) -> float:
        """The place of a number, from 0 to 1; 0.5 in a range of one number."""
        if self.high <= self.low:
            return 0.5
        if self.logarithmic:
            place = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            place = (value - self.low) / (self.high - self.low)
        return min(1.0, max(0.0, place))


def settings(ranges: Sequence[ValueRange], count: int, seed: int) -> list[dict[str, object]]:
    """`count` different settings (fewer where the ranges hold fewer), the same for the same `seed`."""
    sequence = qmc.Sobol(len(ranges), rng=np.random.default_rng(seed))
    piece = math.ceil(math.log2(max(2, count)))
    found: dict[str, dict[str, object]] = {}
    for _ in range(_PIECES):  # whole numbers and words repeat: a longer piece of the sequence has more different ones
        for point in sequence.random(2**piece):
            made = {one.key: one.value(float(unit)) for one, unit in zip(ranges, point, strict=True)}
            found.setdefault(repr(made), made)
            if len(found) == count:
                return list(found.values())
    return list(found.values())
