"""Samples: the numbers of one arm, checked, and brought to a scale on which arithmetic is safe.

Covers: refusing what is no finite number, diverged replicates, mean and spread, rounding noise that
must not pass for spread. Not covered: what the numbers say (`hypothesis_tests`, `arm_comparison`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from assay.core.errors import UsageError

LARGEST = 1e300
#: Differences below this many units in the last place of the largest value are rounding, not spread.
ROUNDING = 8 * float(np.finfo(np.float64).eps)

Values = NDArray[np.float64]


@dataclass(frozen=True)
class ArmScores:
    """One arm: the metric of each finite replicate (n,), and how many diverged.

    `fixed`: a known number, no sample. `repeats`: so many runs gave one number and count as one; 0 where none did.
    `blocks`: what each run belongs to, such as a class of machine, (n,); empty where all belong together.
    """

    values: Values
    diverged: int = 0
    fixed: bool = False
    repeats: int = 0
    blocks: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float | None:
        """None without a finite replicate."""
        if not self.n:
            return None
        first = float(self.values[0])  # equal values keep their exact mean
        return first + float(np.mean(self.values - first))

    @property
    def variance(self) -> float | None:
        """Unbiased; 0 for a fixed value and for spread that is only rounding; None for fewer than two values.

        In blocks that within them, pooled: what a class of machine adds to all of its runs is no spread of a strategy.
        """
        if self.fixed:
            return 0.0
        if self.n - self.lost < 2:
            return None
        spread = sum(_squares(self.values - self.values[0], self.blocks)) / (self.n - 1 - self.lost)
        return 0.0 if math.sqrt(spread) <= ROUNDING * float(np.max(np.abs(self.values))) else spread

    @property
    def in_blocks(self) -> Values:
        """(n,) without what a block adds to all of its runs: these values may be put in an order."""
        names = np.array(self.blocks)
        means = {name: np.mean(self.values[names == name]) for name in set(self.blocks)}
        return self.values - np.array([means[name] for name in self.blocks]) if self.blocks else self.values

    @property
    def lost(self) -> int:
        """Degrees of freedom that the means of blocks take beside that of all."""
        return max(0, len(set(self.blocks)) - 1)

    @property
    def as_one_sample(self) -> tuple[float | None, float]:
        """Variance and n of a sample without blocks whose mean is known as well, by as many degrees of freedom.

        Each of the blocks, which are of one size, may have a spread of its own: degrees of freedom after Satterthwaite.
        """
        variance = self.variance
        if not self.lost or not variance:
            return variance, self.n
        squares = np.array(_squares(self.values - self.values[0], self.blocks))
        shares = squares / np.sum(squares)
        df = (self.n / len(squares) - 1) / float(np.sum(np.square(shares)))
        return variance * (df + 1) / self.n, df + 1

    @property
    def sd(self) -> float | None:
        variance = self.variance
        return None if variance is None or self.fixed else math.sqrt(variance)

    def scaled(self, exponent: int) -> ArmScores:
        """The same arm in units of 2**-exponent, exactly."""
        return replace(self, values=np.ldexp(self.values, exponent))

    def counted(self, entered: int, fixed: bool) -> ArmScores:
        """With runs that are all alike taken for what they are: one run, or with `fixed` one known value.

        A script that ignores its seed prints one number as often as it is asked. Single ties are data: a metric on a
        grid repeats itself. The last `entered` values stand for diverged runs, and were not measured.
        """
        finite = replace(self, values=self.values[: self.n - entered])
        if self.fixed or not finite.n or (finite.n > 1 and finite.variance):
            return self
        if fixed and not entered:
            return ArmScores(self.values[:1], self.diverged, fixed=True)
        if finite.n < 2:
            return self
        return ArmScores(np.append(self.values[:1], self.values[finite.n :]), self.diverged, repeats=finite.n)


def _squares(values: Values, blocks: Sequence[str]) -> list[float]:
    """Sum of squares of each block around its mean; of all values without blocks."""
    names = np.array(blocks) if blocks else np.zeros(len(values))
    parts = (values[names == name] for name in np.unique(names))
    return [float(np.sum(np.square(part - np.mean(part)))) for part in parts]


def mean_and_sd(values: Sequence[float] | Values) -> tuple[float | None, float | None]:
    """Mean and sample standard deviation of (n,) values, as they are recorded; None where n is too small for them."""
    mean = float(np.mean(values)) if len(values) else None
    return mean, float(np.std(values, ddof=1)) if len(values) > 1 else None


def sample(arm: str, values: float | Sequence[float] | Values, diverged: int, worst: float | None) -> ArmScores:
    """The checked sample of `arm`. A bare number is a fixed value; with `worst`, diverged replicates enter as it.

    Raises UsageError naming the first entry that is not a finite number of at most 1e300.
    """
    fixed = np.ndim(values) == 0
    numbers = _numbers(arm, [values] if fixed else values)
    if diverged < 0 or (fixed and diverged):
        raise UsageError(f"{arm} has {diverged} diverged replicates", allowed="0 or more, and 0 for a fixed value")
    if worst is not None and diverged:
        numbers = np.append(numbers, np.full(diverged, _numbers("worst", [worst])[0]))
    if not len(numbers) and not diverged:
        raise UsageError(f"{arm} is empty", allowed="at least one replicate")
    return ArmScores(numbers, diverged, fixed)


def first_masked(values: object) -> int | None:
    """Index of the first masked number, whose mask NumPy would drop without a word; None where nothing is masked."""
    if isinstance(values, np.ma.MaskedArray):
        hidden = np.flatnonzero(np.ma.getmaskarray(values))
        return int(hidden[0]) if len(hidden) else None
    listed = enumerate(values) if isinstance(values, list | tuple) else ()
    return next((index for index, one in listed if one is np.ma.masked), None)


def _numbers(arm: str, values: object) -> Values:
    masked = first_masked(values)
    if masked is not None:
        raise UsageError(
            f"replicate {masked + 1} of {arm} is masked",
            allowed="numbers, none of them masked",
            hint="leave it out and count it as diverged",
        )
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{arm} holds something that is not a number ({error})", allowed="finite numbers") from error
    if numbers.ndim != 1:
        raise UsageError(f"{arm} has {numbers.ndim} dimensions", allowed="one number per replicate")
    bad = np.flatnonzero(~(np.abs(numbers) <= LARGEST))
    if len(bad):
        raise UsageError(
            f"replicate {bad[0] + 1} of {arm} is {numbers[bad[0]]}",
            allowed=f"finite numbers between -{LARGEST:g} and {LARGEST:g}",
            hint="leave it out and count it as diverged",
        )
    return numbers


def exponent(*numbers: Values) -> int:
    """The power of two that brings the largest absolute value near 1; 0 where all are 0."""
    largest = max((float(np.max(np.abs(part))) for part in numbers if len(part)), default=0.0)
    return -math.frexp(largest)[1] if largest else 0
