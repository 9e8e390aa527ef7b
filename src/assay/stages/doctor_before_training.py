"""The contracts of the doctor on what is about to train, by the examples that training has in memory already.

`stages.train_doctor` imports this by its name, so that no fingerprint of training reaches the doctor. Covers: contracts
on a fresh model and at most EXAMPLES examples of each part; labels and copies as split's report counted them. Not
covered: what takes rehearsal (`assay doctor`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from torch import Tensor

from assay.doctor import data_checks
from assay.doctor.check_results import Contract, results_of, unseen
from assay.doctor.examine import CONTRACTS, looked, ordered
from assay.doctor.findings import NOT_APPLICABLE, Finding
from assay.stages import task_parts
from assay.training import random_streams
from assay.training.batches import Tensors
from assay.training.training_spec import TrainingPlan

#: most examples that are drawn of each part, and about how many bytes they take
EXAMPLES, BYTES = 512, 2**23
#: fewest examples of a part, for three batches that differ
FEWEST = 3
#: what split's report says, in place of a count
COUNTED = ("one-label", "copies-across-parts")


def examined(plan: TrainingPlan, split_report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Findings as plain values, most telling first. The global generators stay as they are."""
    train, evaluated = (task_parts.some(part, _most(part, plan)) for part in (plan.train, plan.evaluate))
    contracts = {one.name: one for one in CONTRACTS}
    with random_streams.untouched():
        given = task_parts.arguments(plan.task, plan.params, train, evaluated, plan.outputs, plan.classes, plan.device)
        report = looked([one for name, one in contracts.items() if name not in COUNTED], **given)
    found = [*report.findings, *_labels(contracts["one-label"], split_report)]
    found += _copies(contracts["copies-across-parts"], split_report)
    return [asdict(one) for one in ordered(found)]


def _most(part: Tensors, plan: TrainingPlan) -> int:
    if not isinstance(part.inputs, Tensor):
        return EXAMPLES
    one = part.inputs[:1]
    return max(min(EXAMPLES, BYTES // max(one.numel() * one.element_size(), 1)), FEWEST * plan.params.train.batch_size)


def _labels(contract: Contract, report: Mapping[str, Any]) -> list[Finding]:
    counts = {name: count for name, count in report.get("labels", {}).get("train", {}).items() if count}
    if not counts:
        return [unseen(contract, NOT_APPLICABLE, "split counted no labels")]
    total = sum(counts.values())
    few = len(counts) > 1 or total < data_checks.FEWEST
    return results_of(contract, [] if few else [data_checks.alike(next(iter(counts)), total)])


def _copies(contract: Contract, report: Mapping[str, Any]) -> list[Finding]:
    sizes, shared = report.get("sizes", {}), report.get("overlap", {}).get("train-validation", {}).get("inputs")
    if shared is None or sizes.get("validation", 0) < data_checks.FEWEST:
        return [unseen(contract, NOT_APPLICABLE, f"fewer than {data_checks.FEWEST} validation examples")]
    inside = report.get("exact_duplicates_within", 0) / max(sum(sizes.values()), 1)
    return results_of(contract, data_checks.copied(shared, sizes["validation"], inside))
