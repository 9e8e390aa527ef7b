"""Where the numbers of a comparison come from, and numbers computed again from predictions.

A record of results can be edited, and dvc.lock proves nothing: `dvc commit -f` renews its hashes. Covers: telling
numbers that were computed here from those that only stand in a record, scoring both arms and the floors of a record
anew. Not covered: comparing (`commands.compare`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assay.commands import check_evaluation_setup
from assay.commands import compare_sides as sides
from assay.commands.check_evaluation_setup import Today
from assay.commands.compare_sides import SideSource
from assay.core.errors import IncomparableError, UsageError
from assay.core.paths import LOCK
from assay.history import cached_predictions
from assay.history.cached_predictions import CachedArm, NotAtHandError
from assay.metrics.task_metrics import Metric
from assay.runtime import dvc_cache_dir, git, project_root
from assay.stats import verdict_rule
from assay.stats.strategy_replicates import Member, MetricConditions, ReplicateGroup

#: where numbers come from: scored again in this call, by an `evaluate` on this machine, a record alone, a foreign file
RESCORED, HERE, RECORDED, GIVEN = "rescored", "here", "recorded", "given"
#: a floor that left no predictions
HUMAN = "human"
HINT = "dvc exp pull origin NAME for an experiment, else dvc fetch --all-commits"


def origin(source: SideSource, again: Rescoring | None) -> str:
    """Where the numbers of `source` come from."""
    record = bool(source.commit) and source.is_record
    if record and again:
        return RESCORED
    if source.computed_here:
        return HERE
    return RECORDED if record else GIVEN


@dataclass(frozen=True)
class Rescoring:
    """Today's ruler, and the cache that holds predictions."""

    root: Path
    cache: Path
    today: Today

    def metric(self, source: SideSource, name: str) -> Metric:
        """The metric called so. Raises IncomparableError where the record was made with another ruler than today's."""
        recorded = source.table["metric_version"][0]
        if recorded != self.today.version:
            raise IncomparableError(
                f"{source.name} was measured under {recorded}, and today's metric version is {self.today.version}",
                hint=f"git switch --detach {source.commit[:12]}, or assay rescore",
            )
        metrics = self.today.ruler.metrics
        if name not in metrics:
            raise UsageError(f"--rescore knows no metric {name!r}", allowed=", ".join(metrics))
        return metrics[name]

    def group(self, source: SideSource, name: str, arm: str, recorded: ReplicateGroup) -> ReplicateGroup:
        """All replicates of one arm, from its predictions and its own record alone.

        `recorded`: the same as the table has it, which says version and direction.
        """
        metric, found = self.metric(source, name), self._kept(source, arm)
        assert found.arm.measurement is not None  # `kept.read` gives no other
        measured, said = found.arm.measurement, recorded.ruler
        ruler = MetricConditions(said.metric_version, measured.profile, found.arm.environment.key, said.direction)
        seeds = {one.number: str(one.seed) for one in measured.replicates}
        values = self.today.measured(found, metric).replicates
        blocks = found.arm.environment.blocks(seeds) or {}
        members = tuple(
            Member(value, seeds[int(number)], ruler, blocks.get(int(number), "")) for number, value in values
        )
        return ReplicateGroup(found.arm.name if arm == "baseline" else source.name, members)

    def floors(self, source: SideSource, name: str) -> dict[str, float]:
        """Value of each floor that the record names and that left predictions; a human's is given in params.yaml."""
        metric, today, lock = self.metric(source, name), self.today, self._lock(source)
        pairs = zip(source.table["arm"], source.table["strategy"], strict=True)
        named = [floor for arm, floor in pairs if arm == "floor" and floor != HUMAN]
        found = {
            one: today.value(*cached_predictions.floor(self.cache, lock, one), metric, f"floor {one}") for one in named
        }
        human = today.asked.judge.human if name == today.ruler.decides else None
        return found if human is None else {**found, HUMAN: human}

    def _kept(self, source: SideSource, arm: str) -> CachedArm:
        try:
            found = cached_predictions.read(self.cache, self._lock(source), arm)
        except NotAtHandError as error:
            raise NotAtHandError(f"{source.name}: {error.problem}", hint=HINT) from error
        if found is None:
            raise UsageError(f"{source.name} records no predictions of its {arm}", hint="dvc exp run")
        return found

    def _lock(self, source: SideSource) -> bytes:
        return git.read(self.root, source.commit, LOCK) or b""


def rescoring(root: Path) -> Rescoring:
    """Today's ruler, whose code runs now: for `--rescore` alone. Raises as `present_ruler.load` does."""
    return Rescoring(root, dvc_cache_dir.folder(root), check_evaluation_setup.load(project_root.find(root)))


def group(
    source: SideSource, metric: str, direction: str, arm: str, again: Rescoring | None, *, finished_only: bool = False
) -> tuple[ReplicateGroup, Sequence[str]]:
    """One side, scored again where that is asked and it is a record; then with a caution where the record says else."""
    recorded = sides.group(source, metric, direction, arm, finished_only=finished_only)
    if again is None or origin(source, again) != RESCORED:
        return recorded, ()
    computed = again.group(source, metric, arm, recorded)
    return computed, _edited(f"{source.name}, {arm}", recorded.values, computed.values)


def best_floor(source: SideSource, metric: str, direction: str, again: Rescoring | None) -> tuple[str, float] | None:
    """Name and value of the best floor, scored again where that is asked."""
    if again is None or origin(source, again) != RESCORED:
        return sides.best_floor(source, metric, direction)
    found = again.floors(source, metric)
    best = verdict_rule.best(found, direction) if found else ""
    return (best, found[best]) if found else None


def _edited(name: str, recorded: Sequence[float], computed: Sequence[float]) -> list[str]:
    """A caution where a record says other numbers than its predictions score."""
    same = len(recorded) == len(computed) and np.allclose(recorded, computed, rtol=0, atol=1e-9)
    return [] if same else [f"results/replicates.csv of {name} is not what its predictions score; these count"]
