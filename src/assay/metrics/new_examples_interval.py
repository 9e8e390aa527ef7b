"""What an evaluation says about new examples, from the predictions of both sides.

Covers: the scores per example behind them. Not covered: the interval itself (`stats.variance_components`).
"""

from __future__ import annotations

import numpy as np

from assay.metrics import result_tables, task_metrics
from assay.metrics.result_files import Evaluated
from assay.metrics.scored_arm import Array
from assay.stats import variance_components, verdict_rule
from assay.stats.arm_comparison import Comparison
from assay.stats.compare_arms import PAIRED
from assay.stats.variance_components import NewExamples


def interval(found: Evaluated, result: Comparison, test: str) -> NewExamples | None:
    """The interval over new examples; None where the metric is no mean of a score per example, or replicates
    have validation examples of their own: the verdict itself is then about new ones."""
    metric, candidate = found.ruler.metric, found.candidate
    if metric.per_example is None or candidate.own_examples or not len(candidate.finite):
        return None
    after = result_tables.shares(candidate, found.ruler)
    if not np.allclose(after.mean(axis=1), candidate.values(metric.name), rtol=0, atol=1e-9):
        return None
    before = _baseline_scores(found)
    if before is None:
        return None
    paired = test == PAIRED and before.shape == after.shape
    if result.baseline.fixed and before.ndim > 1:  # no seed moves it: one row speaks for all, as for a floor
        before, paired = before[0], False
    if result.candidate.fixed:
        after, paired = after[0], False
    return variance_components.new_examples(before, after, paired=paired)


def _baseline_scores(found: Evaluated) -> Array | None:
    """Per-example scores of what the candidate was compared with: (R, N), or (N,) for a floor."""
    if found.baseline is not None:
        return result_tables.shares(found.baseline, found.ruler) if len(found.baseline.finite) else None
    scores = {name: score[found.ruler.decides] for name, score in found.floors.items()}
    best = verdict_rule.best(scores, found.ruler.metric.direction)
    predictions = found.floor_predictions.get(best)  # a person's score left none
    if predictions is None:
        return None
    return task_metrics.per_example(found.ruler.metric, found.ruler.targets, predictions, f"floor {best}")
