"""Statistics on tables of numbers and categories: codes that differ between parts, answers left in, noise in labels.

Inputs may be several arrays; whole numbers of few kinds count as categories. Covers: validation inputs that training's
probe cannot read, a column that is the label of two classes, targets cut to whole numbers, labels that like examples
contradict. Not covered: tables of numbers alone with three labels or more (`linear_probe_checks`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from assay.doctor import linear_probe_checks
from assay.doctor.check_results import Contract, Problem
from assay.doctor.data_checks import target_numbers
from assay.doctor.data_part_checks import WIDEST, Table
from assay.doctor.example_draws import ExampleDraws, input_and_target
from assay.doctor.linear_probe_checks import FEWEST, LABELS, SIGNAL, hits, standard_columns
from assay.doctor.subject import NotApplicableError, Subject

#: most kinds of a whole number that is a category
KINDS = 64
#: standard deviations above chance of validation by itself, and up to which a probe from training finds nothing there;
#: what it loses at least where it finds less than half
OWN, CARRIED, LOST = 4.0, 1.0, 4.0
#: neighbours, how many of them have to agree, and share of examples whose neighbours do
NEIGHBOURS, AGREE, CLEAR = 10, 8, 0.7
#: share and number of clear examples with another label that are noise
NOISE, NOISY = 0.05, 8
#: how often 0 is as frequent as 1 and -1 on average where fractions were cut off
DOUBLED = 2.0
#: fewest examples of 1 and of -1, and most kinds of targets that were cut
FEW, CUT_KINDS = 8, 40


def inputs_otherwise(subject: Subject) -> list[Problem]:
    """A probe finds labels in either part, and one fitted to training finds none in validation."""
    (ours, labels), (theirs, wanted) = (_part(one) for one in (subject.train, subject.validation))
    parts = _coded(ours, theirs)
    tried = [parts] if len(parts[0]) == 1 else [parts, *zip(*([[one] for one in part] for part in parts), strict=True)]
    signals = [_signals(np.concatenate(one, 1), np.concatenate(two, 1), labels, wanted) for one, two in tried]
    clear = [one for one in signals if one[0] >= SIGNAL and one[1] >= OWN]
    if not clear:
        raise NotApplicableError("a linear probe finds too little in one of the parts")
    signal, own, carried = min(clear, key=lambda one: one[2])
    if carried > CARRIED and (carried > own / 2 or carried > own - LOST):
        return []
    return [
        Problem(
            places=["val_loader inputs", "val_loader dataset"],
            reason="a linear probe tells the labels in either part, and one fitted to training far fewer in "
            "validation: its inputs are coded or transformed otherwise",
            measured=f"{signal:.1f} standard deviations above chance in training, {own:.1f} in validation, "
            f"{carried:.1f} from one to the other",
            threshold=f"{max(CARRIED, min(own / 2, own - LOST)):.1f}",
            next_step="fit encoders, scalers and transforms to training, and apply them to both parts",
        )
    ]


def _signals(ours: Table, theirs: Table, labels: Table, wanted: Table) -> tuple[float, float, float]:
    """What a probe finds in training, in validation, and of training in validation."""
    both = standard_columns(np.concatenate([ours, theirs]))
    count = len(ours)
    return _own(ours, labels), _own(theirs, wanted), hits(both[:count], labels, both[count:], wanted)


def label_column(subject: Subject) -> list[Problem]:
    """A column of two values that is the label of two classes, where the others tell of it, too."""
    rows, labels = _part(subject.train)
    kinds = np.unique(labels)
    numbers, places = _numbers(rows)
    if len(kinds) != 2 or numbers.shape[1] < 2:
        raise NotApplicableError("there are not two labels, or not two columns of numbers")
    found = [
        at
        for at, column in enumerate(numbers.T)
        if len(np.unique(column)) == 2 and abs(abs(np.corrcoef(column, labels)[0, 1]) - 1) < 1e-9
    ]
    if not found:
        return []
    categories = [made for made, (_, whole) in zip(_coded(rows, rows)[0], _columns(rows), strict=True) if whole]
    rest = np.concatenate([np.delete(numbers, found, axis=1), *categories], 1)
    if not rest.shape[1] or _own(rest, labels) < SIGNAL:  # an invented task may well be one column
        return []
    return [
        Problem(
            places=["train_loader inputs", "train_loader targets"],
            reason=f"column {places[found[0]]} of the inputs is the label",
            measured=f"equal in {len(labels)} examples, up to a factor",
            threshold="none",
            next_step="leave the column out",
        )
    ]


def cut_targets(subject: Subject) -> list[Problem]:
    """Numbers that were cut to whole ones: in one part alone, or towards 0, which then is twice as frequent."""
    calls = {one.name for one in subject.traced.of_loss}
    if not calls & {"mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"}:
        raise NotApplicableError("the loss is no distance of torch's")
    ours = target_numbers(subject.train)
    kinds = np.unique(ours)
    whole = bool((ours == ours.round()).all())
    if len(ours) < FEWEST or len(kinds) < 3 or (whole and len(kinds) > CUT_KINDS):
        raise NotApplicableError(f"fewer than {FEWEST} targets, or whole numbers of many kinds")
    other = _validation_whole(subject)
    if other is not None and other != whole:
        cut = "train" if whole else "val"
        said = "whole numbers in one part, fractions in the other"
        return [_cut(cut, "targets of one part were cut to whole numbers", said)]
    zero, one, minus = (int((ours == value).sum()) for value in (0, 1, -1))
    sides = (one + minus) / 2
    if not whole or min(one, minus) < FEW or zero < DOUBLED * sides or _many(ours):
        return []
    said = f"{zero} targets are 0, {one} are 1 and {minus} are -1"
    return [_cut("train", "targets are whole, and twice as many are 0 as stand beside it: fractions were cut", said)]


def _many(ours: Table) -> bool:
    """Whether 0 stands out of a wide spread, as where most examples have nothing to count."""
    rest = ours[ours != 0]
    return float((ours == 0).mean()) > 0.75 or float(np.abs(rest).mean()) > 5


def _cut(part: str, reason: str, measured: str) -> Problem:
    return Problem(
        places=[f"{part}_loader targets"],
        reason=reason,
        measured=measured,
        threshold="fractions, or counts",
        next_step="keep targets as floating-point numbers: .float(), not .long() or int()",
    )


def _validation_whole(subject: Subject) -> bool | None:
    try:
        theirs = target_numbers(subject.validation)
    except NotApplicableError:
        return None
    return bool((theirs == theirs.round()).all()) if len(theirs) >= FEWEST else None


def label_noise(subject: Subject) -> list[Problem]:
    """Examples whose neighbours nearly all have another label, where most neighbours agree."""
    rows, labels = _part(subject.train)
    kinds = np.unique(labels)
    if bool((labels != labels.round()).any()) or not 2 <= len(kinds) <= min(LABELS, len(labels) // 20):
        raise NotApplicableError("targets are no labels with 20 examples each")
    table = torch.as_tensor(standard_columns(np.concatenate(_coded(rows, rows)[0], 1)))
    nearest = torch.cdist(table, table).fill_diagonal_(torch.inf).topk(NEIGHBOURS, largest=False).indices.numpy()
    around = (labels[nearest][:, :, None] == kinds).sum(1)
    clear = around.max(1) >= AGREE
    doubted = np.flatnonzero(clear & (kinds[around.argmax(1)] != labels))
    share = len(doubted) / max(int(clear.sum()), 1)
    if clear.mean() < CLEAR or len(doubted) < NOISY or share < NOISE:
        return []
    numbers = subject.train.indices or list(range(len(labels)))
    named = ", ".join(str(numbers[at]) for at in doubted[:5])
    return [
        Problem(
            places=["train_loader labels"],
            reason=f"labels that examples like them contradict: {named}, …",
            measured=f"{100 * share:.0f} % of {int(clear.sum())} examples whose neighbours agree",
            threshold=f"{100 * NOISE:.0f} %",
            next_step="look at these examples; where they are wrong, mend them, or use label smoothing",
        )
    ]


Rows = list[list[NDArray[Any]]]


def _part(part: ExampleDraws) -> tuple[Rows, Table]:
    """Arrays of each example's inputs, and the targets."""
    if part.examples is None or len(part.examples) < FEWEST:
        raise NotApplicableError(part.why or f"fewer than {FEWEST} examples")
    rows = [_arrays(input_and_target(one)[0]) for one in part.examples]
    shapes = {tuple((one.shape, one.dtype.kind) for one in row) for row in rows}
    if len(shapes) != 1 or not rows[0] or sum(one.size for one in rows[0]) > WIDEST:
        raise NotApplicableError(f"inputs are not arrays of one shape, of at most {WIDEST} numbers")
    return rows, target_numbers(part)


def _arrays(tree: Any) -> list[NDArray[Any]]:
    parts = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list | tuple) else [tree]
    found = [one.detach().cpu().numpy() if isinstance(one, torch.Tensor) else one for one in parts]
    if not all(isinstance(one, np.ndarray) and one.dtype.kind in "fiub" for one in found):
        raise NotApplicableError("inputs are not arrays of numbers")
    return found


def _columns(rows: Rows) -> list[tuple[Table, bool]]:
    """(N, D) columns of each input, and whether they are whole numbers."""
    each = zip(*rows, strict=True)
    return [(np.stack([one.ravel() for one in column]), column[0].dtype.kind != "f") for column in each]


def _coded(rows: Rows, others: Rows) -> tuple[list[Table], list[Table]]:
    """The inputs of two parts as tables of numbers, whole ones of few kinds as one column a kind."""
    made: list[tuple[Table, ...]] = []
    for (ours, whole), (theirs, _) in zip(_columns(rows), _columns(others), strict=True):
        if ours.shape[1] != theirs.shape[1]:
            raise NotApplicableError("inputs of both parts have other shapes")
        kinds = np.unique(ours) if whole else np.empty(0)
        if 2 < len(kinds) <= KINDS and ours.shape[1] * len(kinds) <= WIDEST:
            made.append(tuple((one[:, :, None] == kinds).reshape(len(one), -1) * 1.0 for one in (ours, theirs)))
        else:
            made.append((np.nan_to_num(ours.astype(np.float64)), np.nan_to_num(theirs.astype(np.float64))))
    return [one[0] for one in made], [one[1] for one in made]


def _numbers(rows: Rows) -> tuple[Table, list[int]]:
    """Columns of floating-point numbers, and their places among all."""
    held: list[Table] = []
    places: list[int] = []
    first = 0
    for column, whole in _columns(rows):
        if not whole:
            held.append(np.nan_to_num(column.astype(np.float64)))
            places += range(first, first + column.shape[1])
        first += column.shape[1]
    if not held:
        raise NotApplicableError("no input is of floating-point numbers")
    return np.concatenate(held, 1), places


def _own(table: Table, labels: Table) -> float:
    """What a probe finds in halves that it was not fitted to."""
    table = standard_columns(table)
    order = np.random.Generator(np.random.PCG64(linear_probe_checks.SEED)).permutation(len(labels))
    halves = order[::2], order[1::2]
    found = [hits(table[one], labels[one], table[two], labels[two]) for one, two in (halves, halves[::-1])]
    return sum(found) / math.sqrt(2)


CHECKS = (
    Contract("validation-inputs-otherwise", "data", 85, inputs_otherwise, "warning", "probe"),
    Contract("label-column", "data", 88, label_column, "warning", "exact"),
    Contract("targets-cut", "data", 84, cut_targets, "warning", "statistics"),
    Contract("label-noise", "data", 14, label_noise, "advice", "statistics"),
)
