"""Which examples a change fixed or broke, which no arm has right, and where seeds disagree; what stands for them."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from assay.core.case_records import CasesRecord
from assay.core.schemas import Divergence
from assay.metrics import example_cases, task_metrics
from assay.metrics.scored_arm import Ruler, Scored
from assay.metrics.task_metrics import Metric
from assay.ready import metrics as ready
from assay.report import cases_text
from assay.stats import variance_components
from support.scored_arms import scored

READY = task_metrics.read(ready, "ready")
CLASSES = ["cat", "dog", "<b>"]


def voting(right: list[list[int]], targets: np.ndarray, name: str) -> Scored:
    """Replicates that have each example right where `right` (R, N) says so, else predict the next class."""
    table = np.array(right)
    labels = np.where(table == 1, targets, (targets + 1) % 3)
    made = np.eye(3, dtype=np.float32)[labels]
    made[:, 0, :] *= 1 - np.arange(len(table))[:, None] * 1e-3  # no two replicates are the same
    return scored(name, made)


TARGETS = np.array([0, 1, 2, 0, 1])
#: always right; fixed; broken; wrong in both; a tie before, which is wrong, and right afterwards
BEFORE = [[1, 0, 1, 0, 1], [1, 0, 1, 0, 0], [1, 0, 1, 1, 1], [1, 0, 1, 0, 0]]
AFTER = [[1, 1, 0, 0, 1], [1, 1, 0, 0, 1], [1, 0, 1, 0, 1]]


def record(
    metric: Metric,
    before: Scored | None,
    after: Scored,
    targets: np.ndarray,
    classes: list[str] | None,
    floor: tuple[str, np.ndarray] | None = None,
) -> CasesRecord:
    ids = np.array([f"{row:032x}" for row in range(len(targets))])
    ruler = Ruler({metric.name: metric}, metric.name, {}, ids, targets)
    return example_cases.find(ruler, after, before, floor, classes).record(f"{metric.name}-1.00000000")


def listed(found: CasesRecord) -> dict[str, list[int]]:
    return {one.name: [int(each, 16) for each in one.ids] for one in found.lists}


def test_majorities_decide_and_a_tie_is_wrong() -> None:
    before, after = voting(BEFORE, TARGETS, "baseline"), voting(AFTER, TARGETS, "candidate")
    found = record(READY["accuracy"], before, after, TARGETS, CLASSES)
    assert found.rule == "right_or_wrong" and (found.baseline_n, found.candidate_n) == (4, 3)
    assert listed(found) == {"fixed": [1, 4], "broken": [2], "wrong": [3], "split": [4, 1, 2, 3]}
    cases = {int(case.id, 16): case for case in found.cases}
    assert 0 not in cases and len(found.cases) == 4, "each example once"
    assert (cases[2].before, cases[2].after, cases[2].label) == (1.0, 0.3333, "<b>")
    assert msgspec.to_builtins(cases[2].predicted_before) == [{"label": "<b>", "share": 1.0}]
    assert msgspec.to_builtins(cases[2].predicted_after) == [
        {"label": "cat", "share": 0.6667},
        {"label": "<b>", "share": 0.3333},
    ]
    known = variance_components.new_examples(*(np.array(each, dtype=float) for each in (BEFORE, AFTER)), paired=False)
    assert (known.fixed, known.broken) == (2, 1), "the verdict's own line counts the same"


def test_the_luck_line_says_what_two_groups_would_give() -> None:
    before, after = voting(BEFORE, TARGETS, "baseline"), voting(AFTER, TARGETS, "candidate")
    found = record(READY["accuracy"], before, after, TARGETS, CLASSES)
    line = cases_text.luck_line(found)
    assert line.startswith(
        "2 fixed, 1 broken of 5 examples against baseline; by luck alone, between 3 and 4 replicates of one strategy: "
    )
    assert line.count("[") == 2
    few = record(READY["accuracy"], voting(BEFORE[:2], TARGETS, "baseline"), after, TARGETS, CLASSES)
    assert cases_text.luck_line(few).endswith("by luck alone: unknown: 2 and 3 replicates, and it takes 3 in each arm")
    alone = record(READY["accuracy"], None, after, TARGETS, CLASSES)
    assert cases_text.luck_line(alone) == "2 of 5 examples wrong; nothing to compare with"
    assert listed(alone) == {"fixed": [], "broken": [], "wrong": [3, 2], "split": [1, 2]}
    assert all(case.before is msgspec.UNSET for case in alone.cases)


def test_a_floor_is_what_there_was_before_and_has_no_seeds() -> None:
    """As the verdict's line on new examples counts."""
    floor = np.eye(3)[[0, 2, 2, 1, 1]]
    found = record(READY["accuracy"], None, voting(AFTER, TARGETS, "candidate"), TARGETS, CLASSES, ("linear", floor))
    assert listed(found) == {"fixed": [1], "broken": [2], "wrong": [3], "split": [1, 2]} and found.baseline_n == 0
    line = cases_text.luck_line(found)
    assert (
        line
        == "1 fixed, 1 broken of 5 examples against floor linear; by luck alone: unknown: floor linear has no seeds"
    )
    assert msgspec.to_builtins(found.cases[0].predicted_before) == [{"label": "<b>", "share": 1.0}]


def test_probabilities_decide_where_the_metric_scores_otherwise() -> None:
    """Log loss has scores of its own, and classes are still right or wrong."""
    before, after = voting(BEFORE, TARGETS, "baseline"), voting(AFTER, TARGETS, "candidate")
    found = record(READY["log_loss"], before, after, TARGETS, CLASSES)
    assert found.rule == "right_or_wrong" and found.rule_text.startswith("right: the most probable class is the label")
    assert listed(found)["fixed"] == [1, 4]


def test_one_where_less_is_better_is_wrong() -> None:
    missed = Metric("missed", ready.accuracy, "minimize", per_example=lambda t, p: 1 - ready.correct(t, p))
    before, after = voting(BEFORE, TARGETS, "baseline"), voting(AFTER, TARGETS, "candidate")
    found = record(missed, before, after, TARGETS, CLASSES)
    assert "missed gives 0" in found.rule_text and listed(found)["fixed"] == [1, 4]


def test_values_are_better_or_worse_and_luck_does_not_apply() -> None:
    targets = np.zeros(4)
    before = scored("baseline", np.array([[1.0, 2.0, 0.0, 3.0], [1.0, 2.0, 0.5, 3.0]]))
    after = scored("candidate", np.array([[0.5, 2.5, 0.25, 1.0], [0.25, 2.5, 0.25, 1.0]]))
    found = record(READY["mae"], before, after, targets, None)
    assert found.rule == "scores" and "mae is lower; examples are not right or wrong here" in found.rule_text
    assert listed(found) == {"better": [3, 0], "worse": [1]}
    assert found.luck is msgspec.UNSET and str(found.luck_unknown).startswith("not applicable")
    assert cases_text.luck_line(found) == ""
    first = found.cases[0]
    assert (first.label, first.before, first.after) == ("0", 3.0, 1.0)
    assert msgspec.to_builtins(first.predicted_after) == [{"label": "1", "share": 1.0}]


def test_without_scores_of_examples_it_says_so() -> None:
    found = record(READY["r2"], None, scored("candidate", np.ones((3, 4))), np.arange(4.0), None)
    assert found.rule == "none" and found.lists == [] and "r2 has no per_example" in found.rule_text


def test_the_number_of_a_script_has_no_cases() -> None:
    found = example_cases.without_predictions("accuracy", "accuracy-1.reported.00000000")
    assert (found.rule, found.lists, found.cases) == ("none", [], []) and "no predictions" in found.rule_text
    assert cases_text.luck_line(found) == ""


def test_masks_have_scores_and_no_label() -> None:
    targets = np.zeros((2, 3), dtype=np.int64)
    probabilities = np.stack([np.full((2, 3, 2), 0.5), np.tile([0.2, 0.8], (2, 3, 1))])
    better = np.stack([np.tile([0.9, 0.1], (2, 3, 1)), np.tile([0.8, 0.2], (2, 3, 1))])
    found = record(READY["iou"], scored("baseline", probabilities), scored("candidate", better), targets, ["off", "on"])
    assert found.rule in ("scores", "right_or_wrong") and found.cases[0].label is msgspec.UNSET
    assert found.cases[0].predicted_after is msgspec.UNSET


@pytest.mark.parametrize("diverged", ["baseline", "candidate"])
def test_an_arm_without_replicates_leaves_the_other(diverged: str) -> None:
    right = {"baseline": BEFORE, "candidate": AFTER}
    arms = {name: voting(right[name], TARGETS, name) for name in right}
    lost = arms[diverged]
    broken = [
        msgspec.structs.replace(one, diverged=Divergence(epoch=1, step=1, tensor="loss")) for one in lost.replicates
    ]
    arms[diverged] = Scored(lost.arm, broken, lost.predictions, lost.scores)
    found = record(READY["accuracy"], arms["baseline"], arms["candidate"], TARGETS, CLASSES)
    assert str(found.luck_unknown) == "unknown: there is nothing to compare with"
    assert listed(found) == (
        {} if diverged == "candidate" else listed(record(READY["accuracy"], None, arms["candidate"], TARGETS, CLASSES))
    )


def test_at_most_forty_of_a_list_and_all_are_counted() -> None:
    targets = np.arange(300) % 3

    def make(right: int, name: str) -> Scored:
        return voting([[right] * 300] * 3, targets, name)

    found = record(READY["accuracy"], make(0, "baseline"), make(1, "candidate"), targets, CLASSES)
    fixed = found.lists[0]
    assert (fixed.count, len(fixed.ids), len(found.cases)) == (300, 40, 40)
