"""What a measurement look by look will cost, and what it can see: said before anything trains.

Covers: trainings that are left, seconds by what earlier runs took and by the looks of this call, the smallest effect
that the last look finds. Not covered: when to stop (`stats.stopping_rule`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from assay.commands import measured_before
from assay.commands.measured_before import MeasuredBefore
from assay.commands.try_setup import TriedIdea
from assay.runtime.progress_line import duration
from assay.stats import sample_size, sequential_testing
from assay.stats.compare_arms import RESAMPLED


@dataclass
class LookPrice:
    """Trainings and seconds of the looks to come. `done`: replicates of the candidate that are at hand."""

    idea: TriedIdea
    known: MeasuredBefore
    done: int
    began: float = field(default_factory=time.monotonic)
    beside: float = 0.0  # seconds of a look that are no training, as the last one had them

    def trainings(self, n: int) -> tuple[int, int]:
        """Of the candidate and of the baseline, until both have n replicates."""
        against = max(0, n - max(self.known.baseline, self.done)) if self.idea.baseline.commit else 0
        return max(0, n - self.done), against

    def seconds(self, n: int) -> float | None:
        """Until both arms have n replicates; None where nothing was measured yet."""
        if self.known.seconds is None:
            return None
        return sum(self.trainings(n)) * self.known.seconds + self.beside

    def spent(self) -> float:
        """Seconds since this call began."""
        return time.monotonic() - self.began

    def looked(self, n: int, took: float) -> None:
        """Note that a look at n took so many seconds: the next estimate rests on it."""
        trained = sum(self.trainings(n))
        each = self.known.seconds if self.known.seconds is not None else took / max(1, trained)
        self.beside = max(0.0, took - trained * each)
        self.known = MeasuredBefore(each, self.known.sd, max(self.known.baseline, n))
        self.done = max(self.done, n)


def price(idea: TriedIdea, done: int) -> LookPrice:
    known = measured_before.find(idea.layout, [idea.cell.ref] if done else [], idea.asked, idea.baseline.commit)
    return LookPrice(idea, known, done)


def lines(found: LookPrice) -> list[str]:
    """What it will cost and what it can see, in words."""
    idea, last = found.idea, found.idea.plan[-1]
    candidate, baseline = found.trainings(last)
    counts = f"{candidate} trainings of the candidate" + (f" and {baseline} of the baseline" if baseline else "")
    each = found.known.seconds
    if each is None:
        cost = f"price: at most {counts}; how long one takes is not known yet, the first look will tell"
    else:
        whole = duration(each * (candidate + baseline))
        cost = f"price: at most {counts}, measured at {each:.2g} s each: {whole}, less where it ends early"
    return [cost, _sees(idea, found.known.sd, last)]


def _sees(idea: TriedIdea, sd: float | None, n: int) -> str:
    if sd is None:
        return "the smallest difference that shows is not known yet: nothing was measured under this metric"
    judge = idea.asked.judge
    level = sequential_testing.levels(judge.alpha, idea.plan)[-1] if judge.looks else judge.alpha
    split, fixed = idea.asked.split, not idea.baseline.commit
    overlap = split.validation / (1 - split.validation - split.test) if judge.test == RESAMPLED else None
    size = sample_size.smallest_effect(sd, n, level, judge.test, fixed_value=fixed, overlap=overlap)
    if size is None:
        return f"n={n} can show no difference by judge.test: {judge.test}"
    return f"n={n} finds a difference of {size:.3g} ({size / sd:.1f} sd) with 80 % power"
