"""Axes that were mistaken for each other: views in place of permutes, and numbers of two axes read in the wrong order.

Covers: a view or reshape of the forward pass that cuts across axes, inputs whose numbers run on over the ends of their
rows, mirrored or turned examples that belong to another label. Not covered: shapes that fit by chance.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from operator import mul
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from assay.doctor.check_results import Contract, Problem
from assay.doctor.data_checks import target_numbers
from assay.doctor.data_part_checks import table_of_inputs
from assay.doctor.example_draws import input_and_target
from assay.doctor.linear_probe_checks import COLUMNS, FEWEST, SEED, ridge
from assay.doctor.subject import NotApplicableError, Subject

Table = NDArray[np.float64]
#: roughness of neighbours (0 equal, 1 unrelated) below which they are smooth, and by how much another reading has to
#: be smoother
SMOOTH, SMOOTHER = 0.8, 0.75
#: how much rougher rows may be at their ends than inside, where numbers run on; and how much rougher from row to row
RUNS_ON, APART = 1.15, 1.3
#: examples that are read again, and how often
READ, TIMES = 24, 6
#: standard deviations above chance of a probe that is to tell labels; share of a label that goes to one other
SIGNAL, TURNED = 6.0, 0.6


def view_for_permute(subject: Subject) -> list[Problem]:
    """A view or reshape in the forward pass whose new axes cut across the old ones: numbers of several are mixed."""
    for call in subject.traced.of_model:
        given, made = call.argument(0, "input"), call.output
        if call.name not in ("view", "reshape") or not isinstance(given, Tensor) or not isinstance(made, Tensor):
            continue
        if given.numel() and given.is_floating_point() and cuts_across(tuple(given.shape), tuple(made.shape)):
            return [
                Problem(
                    places=[call.module or "model", "model"],
                    reason=f"{call.name} takes numbers of one axis for those of another: axes change places by permute",
                    measured=f"{tuple(given.shape)} read as {tuple(made.shape)}",
                    threshold="axes that are split or joined",
                    next_step="permute or transpose first, then join: x.permute(0, 3, 1, 2).flatten(2)",
                )
            ]
    return []


def cuts_across(given: Sequence[int], made: Sequence[int]) -> bool:
    """Whether a reshape is neither a split nor a join of neighbouring axes.

    Within a stretch of axes that is read anew, either an old end divides no new one and is divided by none, or an axis
    of the old shape (3 long or more) stands at another place.
    """
    old, new = (list(accumulate((one for one in shape if one != 1), mul)) for shape in (given, made))
    common = sorted({1, *old} & {1, *new})
    for low, high in pairwise(common):
        inside = [[one for one in ends if low < one < high] for ends in (old, new)]
        if not inside[0] or not inside[1]:
            continue
        axes = [_axes(low, one, high) for one in inside]
        skewed = len(axes[0]) == len(axes[1]) == 2 and axes[0] == axes[1][::-1] and abs(axes[0][0] - axes[0][1]) == 1
        crossed = any(a % b and b % a for a in inside[0] for b in inside[1])
        moved = sorted(axes[0]) == sorted(axes[1]) and axes[0] != axes[1]
        if not skewed and (crossed or moved):
            return True
    return False


def _axes(low: int, inside: list[int], high: int) -> list[int]:
    ends = [low, *inside, high]
    return [two // one for one, two in pairwise(ends)]


def read_otherwise(subject: Subject) -> list[Problem]:
    """Inputs of two or three axes whose numbers are smooth in another order than that in which they stand."""
    examples = subject.train.examples
    if examples is None or len(examples) < FEWEST:
        raise NotApplicableError(subject.train.why or f"fewer than {FEWEST} examples")
    given = np.stack(_same_shape([input_and_target(one)[0] for one in examples]))
    found = _as_image(given) if given.ndim == 4 else _as_sequence(given)
    if found is None:
        return []
    here, there, shape = found
    return [
        Problem(
            places=["train_loader inputs", "train_loader dataset"],
            reason=f"inputs of {given.shape[1:]} hold numbers in the order of {shape}: reshaped, and not transposed",
            measured=f"neighbours differ by {here:.2f} of unrelated ones, read otherwise by {there:.2f}",
            threshold=f"not {SMOOTHER:g} times smoother otherwise",
            next_step="use permute(2, 0, 1) for pictures, transpose(0, 1) for sequences",
        )
    ]


def _same_shape(inputs: list[Any]) -> list[Table]:
    arrays = [one.detach().cpu().numpy() if isinstance(one, Tensor) else one for one in inputs]
    if not all(isinstance(one, np.ndarray) and one.dtype.kind in "fu" for one in arrays):
        raise NotApplicableError("inputs are not one array of numbers")
    if arrays[0].ndim not in (2, 3) or len({one.shape for one in arrays}) > 1:
        raise NotApplicableError("inputs have not two or three axes, or several shapes")
    return [one.astype(np.float64) for one in arrays]


def _roughness(one: Table, two: Table) -> float:
    """Mean square of differences, in those of unrelated numbers."""
    spread = 2 * float(np.concatenate([one.ravel(), two.ravel()]).var())
    return float(((one - two) ** 2).mean()) / spread if spread > 0 else 1.0


def _as_image(given: Table) -> tuple[float, float, tuple[int, ...]] | None:
    """Channels first, and smooth as height, width, channels."""
    count, channels, height, width = given.shape
    if channels not in (2, 3, 4) or min(height, width) < 6:
        raise NotApplicableError("pictures have not 2 to 4 channels first, and 6 by 6 pixels")
    other = given.reshape(count, height, width, channels)
    here = min(_roughness(given[..., 1:], given[..., :-1]), _roughness(given[..., 1:, :], given[..., :-1, :]))
    there = max(_roughness(other[:, :, 1:], other[:, :, :-1]), _roughness(other[:, 1:], other[:, :-1]))
    return (here, there, (height, width, channels)) if there < SMOOTH and there < SMOOTHER * here else None


def _as_sequence(given: Table) -> tuple[float, float, tuple[int, ...]] | None:
    """Rows whose numbers run on into the next row, smoother than from row to row."""
    rows, width = given.shape[1:]
    if given.ndim != 3 or rows < 4 or not 2 <= width <= rows:
        raise NotApplicableError("sequences have not 4 steps or more, and from 2 numbers a step to as many as steps")
    inside = _roughness(given[:, :, 1:], given[:, :, :-1])
    ends = _roughness(given[:, 1:, 0], given[:, :-1, -1])
    along = _roughness(given[:, 1:], given[:, :-1])
    runs_on = inside < SMOOTH and ends <= RUNS_ON * inside and along > APART * max(inside, ends)
    return (along, ends, (width, rows)) if runs_on else None


Turn = Callable[[Table], Table]
TURNS: dict[str, Turn] = {
    "mirrored left to right": lambda one: one[..., ::-1],
    "mirrored top to bottom": lambda one: one[..., ::-1, :],
    "turned by 90 degrees": lambda one: np.rot90(one, 1, (-2, -1)),
    "turned by 180 degrees": lambda one: np.rot90(one, 2, (-2, -1)),
    "turned by 270 degrees": lambda one: np.rot90(one, 3, (-2, -1)),
}


def label_turned(subject: Subject) -> list[Problem]:
    """Examples that come mirrored or turned by chance, where that makes one label of another."""
    turns = _turns_seen(subject)
    if not turns:
        return []
    pictures, labels = _pictures(subject)
    order = np.random.Generator(np.random.PCG64(SEED)).permutation(len(labels))
    halves = order[::2], order[1::2]
    kinds = np.unique(labels)
    for name in turns:
        made: list[Table] = []
        turned: list[Table] = []
        wanted: list[Table] = []
        for one, two in (halves, halves[::-1]):
            for held, those in ((made, pictures[two]), (turned, TURNS[name](pictures[two]))):
                held.append(_predicted(pictures[one], labels[one], those, kinds))
            wanted.append(labels[two])
        told, other, right = (np.concatenate(each) for each in (made, turned, wanted))
        moved = _moved(told, other, right, kinds)
        if moved is not None:
            label, to, share = moved
            return [
                Problem(
                    places=["train_loader inputs", "train_loader dataset"],
                    reason=f"training examples come {name} by chance, and that makes label {to:g} of label {label:g}",
                    measured=f"a linear probe says {to:g} of {100 * share:.0f} % of the examples of {label:g} once "
                    "they are turned",
                    threshold=f"{100 * TURNED:.0f} %",
                    next_step="leave this augmentation out, or change the label with it",
                )
            ]
    return []


def _turns_seen(subject: Subject) -> list[str]:
    """Names of turns by which readings of one training example differ from each other, exactly."""
    part, dataset = subject.train, getattr(subject.train_loader, "dataset", None)
    if part.indices is None or part.examples is None or dataset is None:
        raise NotApplicableError(part.why or "examples cannot be read by number")
    own = copy.copy(dataset)
    seen: set[str] = set()
    for index in part.indices[:READ]:
        first = _picture(own[index])
        for _ in range(TIMES - 1):
            again = _picture(own[index])
            if not np.array_equal(first, again):
                seen |= {name for name, turn in TURNS.items() if _equal(turn(first), again)}
    return [name for name in TURNS if name in seen]


def _picture(example: Any) -> Table:
    (found,) = _same_shape([input_and_target(example)[0]])
    return found


def _equal(one: Table, other: Table) -> bool:
    return one.shape == other.shape and np.array_equal(one, other)


def _pictures(subject: Subject) -> tuple[Table, Table]:
    """Examples of validation, which come as they are, and their labels."""
    part = subject.validation
    shape = None if not part.examples else _picture(part.examples[0]).shape
    if shape is None or shape[-1] != shape[-2]:
        raise NotApplicableError("validation has no examples, or they are not square")
    table, labels = table_of_inputs(part), target_numbers(part)
    if bool((labels != labels.round()).any()) or not 2 <= len(np.unique(labels)) <= len(labels) // 8:
        raise NotApplicableError("targets are no labels")
    return table.reshape(len(table), *shape), labels


def _predicted(pictures: Table, labels: Table, others: Table, kinds: Table) -> Table:
    """Labels that a ridge regression on coarse pictures says of others."""
    mean, spread = pictures.mean(0), float(pictures.std()) or 1.0
    ours, theirs = (((one - mean) / spread).reshape(len(one), -1) for one in (pictures, others))
    if ours.shape[1] > COLUMNS:  # as many directions as matter most
        _, _, directions = np.linalg.svd(ours, full_matrices=False)
        kept = directions[: min(COLUMNS, len(labels) // 4)].T
        ours, theirs = ours @ kept, theirs @ kept
    aims = (labels[:, None] == kinds).astype(np.float64)
    found: Table = kinds[ridge(ours, aims, theirs).argmax(1)]
    return found


def _moved(told: Table, turned: Table, right: Table, kinds: Table) -> tuple[float, float, float] | None:
    """A label that a turn makes another of, with that label and the share; None where the probe tells too little."""
    chance = float((told[:, None] == right).mean())
    hit = float((told == right).mean())
    if (hit - chance) * len(right) ** 0.5 < SIGNAL * max(chance * (1 - chance), 1e-9) ** 0.5:
        raise NotApplicableError("a linear probe finds too little in validation")
    for label in kinds:
        own = (right == label) & (told == label)
        if own.sum() < 8:
            continue
        others, counts = np.unique(turned[own], return_counts=True)
        most = others[counts.argmax()]
        usual = float((told[right != most] == most).mean())
        if most != label and counts.max() >= max(TURNED, 2 * usual) * own.sum():
            return float(label), float(most), float(counts.max() / own.sum())
    return None


CONTRACTS = (Contract("view-for-permute", "modes-layers", 84, view_for_permute, "warning"),)
CHECKS = (
    Contract("inputs-read-otherwise", "data", 78, read_otherwise, "warning", "statistics"),
    Contract("label-turned", "data", 79, label_turned, "warning", "probe"),
)
