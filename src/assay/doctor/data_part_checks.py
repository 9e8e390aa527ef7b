"""Checks of examples by what they say: sentinels, targets among inputs, labels and scales of both parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from assay.doctor.check_results import Contract, Problem
from assay.doctor.data_checks import FEWEST, target_numbers
from assay.doctor.example_draws import ExampleDraws, input_and_target
from assay.doctor.subject import NotApplicableError, Subject

Table = NDArray[np.float64]
#: numbers that stand for a value which is missing
SENTINELS = (-999.0, -9999.0, -99999.0, 9999.0, 99999.0)
#: most numbers of an example that are looked at one by one
WIDEST = 4096
#: factor between the sizes of training and validation inputs that is no chance
APART = 10.0
#: standard deviations between the means of both parts, on average over columns
FAR = 2.0
#: most examples of a part that are compared with each other, and distance of near copies in parts of the usual one
NEIGHBOURS, NEAR = 512, 0.05
#: examples of a label in validation that training never has
UNKNOWN = 3
#: examples of a label that validation would have at training's share, from which having none is no chance
LEFT_OUT = 20
#: factor between the spreads of training and validation columns that preparation makes, and what folds may differ by
SPREAD, FOLDS = 2.0, 1.25
#: columns from which a median says something
FEWEST_COLUMNS = 4


def sentinels(subject: Subject) -> list[Problem]:
    """Columns in which a number such as -999 stands for what is missing, far from all others."""
    table = table_of_inputs(subject.train)
    for value in SENTINELS:
        held = table == value
        share = held.mean(0)
        others = np.where(held, 0.0, np.abs(np.nan_to_num(table))).max(0)
        found = np.flatnonzero((share > 0) & (share < 0.9) & (held.sum(0) >= 2) & (others < abs(value) / 10))
        if len(found):
            return [
                Problem(
                    places=["train_loader inputs"],
                    reason=f"column {found[0]} holds {value:g} among numbers far smaller: a missing value as a number",
                    measured=f"{100 * share[found[0]]:.0f} % are {value:g}, the others at most {others[found[0]]:.3g}",
                    threshold="no such number",
                    next_step="fill it from training rows, and add a column that says where it was missing",
                )
            ]
    return []


def several_labels(subject: Subject) -> list[Problem]:
    """Equal inputs with different labels, where inputs are too rich to repeat by chance."""
    table, labels = table_of_inputs(subject.train), target_numbers(subject.train)
    if len({*table[:FEWEST].ravel().tolist()}) < FEWEST or bool((labels != labels.round()).any()):
        raise NotApplicableError("inputs have few values, or labels are no whole numbers: repeats are natural")
    seen: dict[bytes, set[float]] = {}
    for row, label in zip(table, labels.tolist(), strict=True):
        seen.setdefault(row.tobytes(), set()).add(label)
    torn = sum(len(seen[row.tobytes()]) > 1 for row in table)
    if torn < 0.05 * len(table):
        return []
    return [
        Problem(
            places=["train_loader labels", "train_loader dataset"],
            reason="equal inputs have different labels: no model can learn both",
            measured=f"{torn} of {len(table)} examples",
            threshold="5 %",
            next_step="look at how inputs and labels are joined",
        )
    ]


def label_sets(subject: Subject) -> list[Problem]:
    """Labels of validation that training never shows."""
    for part in (subject.train, subject.validation):
        if part.examples is None or len(part.examples) < FEWEST:
            raise NotApplicableError(part.why or f"fewer than {FEWEST} examples")
    ours, theirs = (target_numbers(part) for part in (subject.train, subject.validation))
    if bool((ours != ours.round()).any()) or len(set(ours.tolist())) > len(ours) // 8:
        raise NotApplicableError("targets are no labels")
    unknown = {one: n for one, n in Counter(theirs.tolist()).items() if one not in set(ours.tolist()) and n >= UNKNOWN}
    if not unknown:
        return _labels_left_out(ours, theirs)
    label, count = max(unknown.items(), key=lambda pair: pair[1])
    return [
        Problem(
            places=["val_loader labels", "train_loader labels"],
            reason=f"validation has the label {label:g}, which training never has",
            measured=f"{count} of {len(theirs)} validation examples, 0 of {len(ours)} training examples",
            threshold="labels that training has",
            next_step="number labels in one way for both parts, and split so that each part has all",
        )
    ]


def _labels_left_out(ours: Table, theirs: Table) -> list[Problem]:
    """The highest labels, frequent in training, are not in validation, and no other is: labels were numbered anew."""
    known, seen = sorted(set(ours.tolist())), sorted(set(theirs.tolist()))
    label = known[-1]
    count = len(theirs) * float((ours == label).mean())
    if seen != known[: len(seen)] or not 2 <= len(seen) < len(known) or count < LEFT_OUT:
        return []
    return [
        Problem(
            places=["val_loader labels", "train_loader labels"],
            reason=f"validation never has the label {label:g}, the highest in training and frequent there: "
            "another class is missing and labels are numbered anew, or this one is missing",
            measured=f"0 of {len(theirs)} examples",
            threshold=f"about {count:.0f}, as in training",
            next_step="number labels in one way for both parts, and split so that each part has all",
        )
    ]


def scaled_otherwise(subject: Subject) -> list[Problem]:
    """Validation inputs of another size than training inputs, by far more than folds of training differ."""
    ours, theirs = table_of_inputs(subject.train), table_of_inputs(subject.validation)
    if ours.shape[1] != theirs.shape[1] or len(theirs) < FEWEST:
        raise NotApplicableError(f"inputs of both parts have other shapes, or fewer than {FEWEST} examples")
    ours, theirs = np.nan_to_num(ours), np.nan_to_num(theirs)
    sizes = [float(np.sqrt((ours[fold::5] ** 2).mean())) for fold in range(5)]
    own, other = float(np.sqrt((ours**2).mean())), float(np.sqrt((theirs**2).mean()))
    if not own or not other or max(sizes) > 2 * min(sizes):
        raise NotApplicableError("inputs are zero, or folds of training differ in size themselves")
    ratio = other / own
    if 1 / APART < ratio < APART:
        return _spread_otherwise(ours, theirs)
    return [
        Problem(
            places=["val_loader inputs", "train_loader inputs"],
            reason="validation inputs have another scale than training inputs",
            measured=f"{ratio:.3g} times the size; folds of training lie within {min(sizes):.3g} to {max(sizes):.3g}",
            threshold=f"less than {APART:g} times, either way",
            next_step="prepare both parts alike, with statistics of the training part",
        )
    ]


def _spread_otherwise(ours: Table, theirs: Table) -> list[Problem]:
    """A warning where most columns of validation spread twice or half as much as in any fold of training."""
    spread = ours.std(0)
    kept = spread > 0
    if kept.sum() < FEWEST_COLUMNS:
        return []

    def factor(part: Table) -> float:
        return float(np.median(part.std(0)[kept] / spread[kept]))

    folds = [factor(ours[fold::5]) for fold in range(5)] + [factor(one) for one in np.array_split(ours, 5)]
    found = factor(theirs)
    if max(folds) > FOLDS or min(folds) < 1 / FOLDS or 1 / SPREAD < found < SPREAD:
        return []
    return [
        Problem(
            places=["val_loader inputs", "train_loader inputs"],
            reason="validation inputs spread otherwise than training inputs: they are not normalised alike",
            measured=f"{found:.2g} times the spread, in the median column; folds of training lie within "
            f"{min(folds):.2g} to {max(folds):.2g}",
            threshold=f"less than {SPREAD:g} times, either way",
            next_step="prepare both parts alike, with statistics of the training part",
            level="warning",
        )
    ]


def far_validation(subject: Subject) -> list[Problem]:
    """Validation inputs whose means lie far from training's, by far more than parts of training in a row do."""
    ours, theirs = table_of_inputs(subject.train), table_of_inputs(subject.validation)
    if ours.shape[1] != theirs.shape[1]:
        raise NotApplicableError("inputs of both parts have other shapes")
    ours, theirs = np.nan_to_num(ours), np.nan_to_num(theirs)
    spread = np.where(ours.std(0) > 0, ours.std(0), np.inf)
    shift, *folds = (
        float((np.abs(part.mean(0) - ours.mean(0)) / spread).mean()) for part in (theirs, *np.array_split(ours, 5))
    )
    if shift < FAR or shift < 4 * max(folds):
        return []
    return [
        Problem(
            places=["val_loader inputs", "train_loader inputs"],
            reason="validation inputs lie far from training inputs",
            measured=f"{shift:.1f} standard deviations a column; parts of training differ by {max(folds):.1f} at most",
            threshold=f"{FAR:g}",
            next_step="prepare both parts alike; where the world has changed, validate on what comes next",
        )
    ]


def near_copies(subject: Subject) -> list[Problem]:
    """Validation inputs that lie next to a training input, far nearer than training inputs lie to each other."""
    ours, theirs = (torch.as_tensor(table_of_inputs(one)[:NEIGHBOURS]) for one in (subject.train, subject.validation))
    if ours.shape[1] != theirs.shape[1] or not bool(ours.isfinite().all() and theirs.isfinite().all()):
        raise NotApplicableError("inputs of both parts have other shapes, or are not finite")
    spread = ours.std(0, correction=0)
    ours, theirs = ours / spread.where(spread > 0, 1.0), theirs / spread.where(spread > 0, 1.0)
    usual = torch.cdist(ours, ours).fill_diagonal_(torch.inf).amin(1)
    nearest = torch.cdist(theirs, ours).amin(1)
    share = float(((nearest > 0) & (nearest < NEAR * usual.median())).double().mean())
    if share < 0.02 or share < 2 * float((usual < NEAR * usual.median()).double().mean()):
        return []
    return [
        Problem(
            places=["val_loader dataset", "train_loader dataset"],
            reason="validation inputs are nearly those of training: crops, frames or rounded copies of the same things",
            measured=f"{100 * share:.0f} % of {len(theirs)} lie within {100 * NEAR:g} % of the usual distance",
            threshold="2 %",
            next_step="split by what the examples are taken from (person, film, place), not by example",
        )
    ]


def table_of_inputs(part: ExampleDraws) -> Table:
    """(N, D) inputs, where an example has one array of floating-point numbers."""
    if part.examples is None or len(part.examples) < FEWEST:
        raise NotApplicableError(part.why or f"fewer than {FEWEST} examples")
    rows = [_array(input_and_target(one)[0]) for one in part.examples]
    if any(row is None or row.shape != _shape(rows) for row in rows):
        raise NotApplicableError("inputs are not one array of floating-point numbers, of one shape")
    if len(_flat(rows[0])) > WIDEST:
        raise NotApplicableError(f"inputs have more than {WIDEST} numbers")
    return np.stack([_flat(row) for row in rows])


def _flat(row: NDArray[Any] | None) -> Table:
    assert row is not None
    return row.astype(np.float64).ravel()


def _shape(rows: Sequence[NDArray[Any] | None]) -> tuple[int, ...]:
    return () if rows[0] is None else rows[0].shape


def _array(value: Any) -> NDArray[Any] | None:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy() if value.layout == torch.strided else None
    return value if isinstance(value, np.ndarray) and value.dtype.kind == "f" else None


CONTRACTS = (Contract("validation-scaled-otherwise", "data", 91, scaled_otherwise),)
CHECKS = (
    Contract("validation-far", "data", 74, far_validation, "warning", "statistics"),
    Contract("sentinels", "data", 70, sentinels, "warning", "statistics"),
    Contract("several-labels", "data", 72, several_labels, "warning", "statistics"),
    Contract("label-sets", "data", 86, label_sets, "warning", "statistics"),
    Contract("near-copies", "data", 13, near_copies, "advice", "statistics"),
)
