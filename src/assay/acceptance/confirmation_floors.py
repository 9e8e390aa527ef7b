"""The floor of a confirmation on splits drawn anew: fitted again on each of them, as the candidate is trained again.

Covers: which floor is hardest to beat there, a second person's labels among them. Not covered: one part for all
replicates, where a floor is the number that the experiment's record has.
"""

from __future__ import annotations

from pathlib import Path

from assay.baseline import trivial_baselines
from assay.core.errors import UsageError
from assay.core.params_yaml import Judge
from assay.metrics import split_scores
from assay.metrics.floor_scores import PredictionForm
from assay.metrics.scored_arm import Ruler
from assay.metrics.split_scores import JudgedExamples
from assay.replicates.split_examples import SplitParts, padded
from assay.stats import verdict_rule
from assay.stats.compare_arms import MeasuredArm


def hardest(
    folder: Path,
    parts: SplitParts,
    candidate: MeasuredArm,
    ruler: Ruler,
    judged: JudgedExamples,
    wanted: PredictionForm,
    judge: Judge,
) -> MeasuredArm:
    """The best floor on the splits of `candidate`. What is fitted is left in `folder`.

    `judge`: where params.yaml may name a person's score and a value to beat. Raises UsageError where there is no floor.
    """
    numbers = [int(number) for number, _ in candidate.replicates]
    ids, made, absent = trivial_baselines.of_splits((parts.train(one), parts.evaluated(one)) for one in numbers)
    trivial_baselines.write(folder, padded(ids), made, absent)
    found = split_scores.of_folder(folder, ruler, judged, wanted, judge.human, "run the command again").each
    each = {name: [one[ruler.decides] for one in scores] for name, scores in found.items()}
    given = {"given score of a person": judge.human, "given value": judge.floor}
    each |= {name: [value] * len(numbers) for name, value in given.items() if value is not None}
    if not each:
        raise UsageError("no floor can be scored on fresh splits", hint="judge.floor: VALUE in params.yaml")
    means = {name: sum(values) / len(values) for name, values in each.items()}
    values = each[verdict_rule.best(means, ruler.metric.direction)]
    return MeasuredArm(list(zip(numbers, values, strict=True)), candidate.overlap)
