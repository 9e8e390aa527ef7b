"""The floor of a confirmation on splits drawn anew: fitted again on each of them, as the candidate is trained again.

Covers: which floor is hardest to beat there. Not covered: one part for all replicates, where a floor is the number that
the experiment's record has.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assay.baseline import trivial_baselines
from assay.core.errors import UsageError
from assay.metrics import split_scores
from assay.metrics.floor_scores import PredictionForm
from assay.metrics.scored_arm import Ruler
from assay.metrics.split_scores import JudgedExamples
from assay.replicates.split_examples import SplitParts, padded
from assay.runtime import npy_files
from assay.stats import verdict_rule
from assay.stats.compare_arms import MeasuredArm


def hardest(
    folder: Path, parts: SplitParts, candidate: MeasuredArm, ruler: Ruler, given: Sequence[float | None]
) -> MeasuredArm:
    """The best floor on the splits of `candidate`, whose predictions are in `folder`. `given`: values to beat from
    params.yaml. Raises UsageError where there is none."""
    numbers = [int(number) for number, _ in candidate.replicates]
    predicted = npy_files.read(folder / "predictions.npy")
    classes = parts.validation.classes
    wanted = PredictionForm(predicted.shape[1:], None if classes is None else len(classes), scored=False)
    ids, made, absent = trivial_baselines.of_splits((parts.train(one), parts.evaluated(one)) for one in numbers)
    trivial_baselines.write(work := folder.parent / "floors", padded(ids), made, absent)
    judged = JudgedExamples.read(parts.labelled)
    found = split_scores.of_folder(work, ruler, judged, wanted, "run the command again").each
    each = {name: [one[ruler.decides] for one in scores] for name, scores in found.items()}
    each |= {f"given {place}": [value] * len(numbers) for place, value in enumerate(given) if value is not None}
    if not each:
        raise UsageError("no floor can be scored on fresh splits", hint="judge.floor: VALUE in params.yaml")
    means = {name: sum(values) / len(values) for name, values in each.items()}
    values = each[verdict_rule.best(means, ruler.metric.direction)]
    return MeasuredArm(list(zip(numbers, values, strict=True)), candidate.overlap)
