"""The look that an evaluation takes: which replicates of whom, under which test and metric.

Covers: what makes it the look it is. Not covered: what it costs (`stats.alpha_budget`), recording it
(`history.look_ledger`).
"""

from __future__ import annotations

from msgspec import UNSET

from assay.core.params_yaml import Params
from assay.metrics.scored_arm import Scored
from assay.metrics.task_metrics import Metric
from assay.stats.alpha_budget import LookEntry, LookKey, metric_label
from assay.stats.hypothesis_tests import IN_PAIRS

FLOOR = "floor"


def asked(
    candidate: Scored, baseline: Scored | None, params: Params, names: tuple[str, tuple[str, ...]], metric: Metric
) -> LookEntry:
    """The look at `candidate`, which is called `names`, against `baseline` or the floor; with no price yet.

    Against the floor it says by which terms of `metric` it judges: no baseline's record does.
    """
    numbers = [one.number for one in baseline.replicates] if baseline else []
    key = LookKey(
        candidate=candidate.replicates[0].seed,
        against=baseline.replicates[0].seed if baseline else None,
        n=len(candidate.replicates),
        test=params.judge.test,
        alpha=params.judge.alpha,
        plan=tuple(params.judge.looks),
        metric=metric_label(params.metric.name, params.metric.options),
    )
    return LookEntry(
        identity=names[0],
        formerly=names[1],
        baseline=baseline.arm.commit if baseline else FLOOR,
        environment=(baseline or candidate).arm.environment.key,
        place=min(numbers) if baseline and params.judge.test not in IN_PAIRS else None,
        key=key,
        level=0.0,
        spends=0.0,
        direction=UNSET if baseline else metric.direction,
        min_effect=UNSET if baseline else metric.min_effect,
        worst=UNSET if baseline else metric.worst,
    )
