"""What linear probes find: labels that belong to other inputs, and targets that stand among the inputs."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from assay.doctor.check_results import Contract, Problem
from assay.doctor.data_checks import target_numbers
from assay.doctor.data_part_checks import Table, table_of_inputs
from assay.doctor.subject import NotApplicableError, Subject

#: fewest examples of a part, most columns of the probe, most labels
FEWEST, COLUMNS, LABELS = 64, 64, 100
#: standard deviations of the probe's hits from which there is a signal, and up to which there is none: for an error, a
#: warning
SIGNAL, NONE, LITTLE = 6.0, 2.0, 3.0
#: most columns of a narrow table with its products
PRODUCTS = COLUMNS
#: columns of a wide input are mixed by chance
SEED = 23


def permuted_labels(subject: Subject) -> list[Problem]:
    """A signal in validation and none in training: training's labels or targets belong to other inputs."""
    ours, theirs = _signal(subject, "train"), _signal(subject, "validation")
    if theirs < SIGNAL and ours < SIGNAL:
        raise NotApplicableError("a linear probe finds no signal in either part")
    if theirs >= SIGNAL and ours <= NONE:
        place, other, level = "train", "validation", "error"
    elif ours >= SIGNAL and theirs <= LITTLE and _carried(subject) <= LITTLE:
        place, other, level = "val", "training", "warning"
    else:
        return []
    shift = _shift(subject) if place == "train" else 0
    return [
        Problem(
            places=[f"{place}_loader targets", f"{place}_loader dataset"],
            reason=f"a linear probe tells the labels of {other} from their inputs, and none of these: they belong to "
            + (f"inputs {abs(shift)} places further" if shift else "other inputs"),
            measured=f"{min(ours, theirs):.1f} standard deviations above chance, {max(ours, theirs):.1f} in {other}",
            threshold=f"{SIGNAL:g}",
            next_step="shuffle inputs and labels together, by one order",
            level=level,
        )
    ]


def targets_among_inputs(subject: Subject) -> list[Problem]:
    """A column of the inputs that is the target, up to a factor and an offset."""
    table, targets = table_of_inputs(subject.train), target_numbers(subject.train)
    if len(set(targets.tolist())) < 3 or table.shape[1] < 2:
        raise NotApplicableError("targets have fewer than 3 values, or inputs one column: they may agree by right")
    centred = table - table.mean(0)
    aim = targets - targets.mean()
    sizes = np.sqrt((centred**2).sum(0)) * math.sqrt(float((aim**2).sum()))
    with np.errstate(invalid="ignore", divide="ignore"):
        likeness = np.nan_to_num(np.abs(aim @ centred) / sizes)
    found = np.flatnonzero(likeness > 1 - 1e-9)
    if not len(found) or _without(table, targets, found) < SIGNAL:  # an invented task may well be one column
        return []
    return [
        Problem(
            places=["train_loader inputs", "train_loader targets"],
            reason=f"column {found[0]} of the inputs is the target",
            measured=f"correlation 1 over {len(targets)} examples",
            threshold="less than 1",
            next_step="leave the column out",
        )
    ]


def _without(table: Table, targets: Table, columns: NDArray[np.intp]) -> float:
    """What the other columns say of the target, in standard deviations above chance."""
    rest = standard_columns(np.delete(table, columns, axis=1))
    half = len(rest) // 2
    return hits(rest[:half], targets[:half], rest[half:], targets[half:]) if rest.shape[1] else 0.0


def _signal(subject: Subject, name: str, shift: int = 0) -> float:
    """Hits of a probe on halves that it was not fitted to, in standard deviations above chance."""
    part = subject.train if name == "train" else subject.validation
    table, labels = _bent(table_of_inputs(part)), target_numbers(part)
    if len(labels) < FEWEST:
        raise NotApplicableError(f"fewer than {FEWEST} examples of a part")
    labels = np.roll(labels, shift)
    order = np.random.Generator(np.random.PCG64(SEED)).permutation(len(labels))
    halves = order[::2], order[1::2]
    found = [hits(table[one], labels[one], table[two], labels[two]) for one, two in (halves, halves[::-1])]
    return sum(found) / math.sqrt(2)


def _carried(subject: Subject) -> float:
    """Hits on validation of a probe that was fitted to training."""
    ours, theirs = table_of_inputs(subject.train), table_of_inputs(subject.validation)
    if ours.shape[1] != theirs.shape[1]:
        raise NotApplicableError("inputs of both parts have other shapes")
    both = _bent(np.concatenate([ours, theirs]))
    count = len(ours)
    return hits(both[:count], target_numbers(subject.train), both[count:], target_numbers(subject.validation))


def _shift(subject: Subject) -> int:
    """By how many places training's labels are shifted; 0 where that is not what happened."""
    return next((step for step in (1, -1) if _signal(subject, "train", step) >= SIGNAL), 0)


def standard_columns(table: Table) -> Table:
    """(N, ≤ COLUMNS) standardised columns, mixed by chance where there are more."""
    table = np.nan_to_num(table)
    spread = table.std(0)
    table = (table - table.mean(0)) / np.where(spread > 0, spread, 1.0)
    if table.shape[1] > COLUMNS:
        mix = np.random.Generator(np.random.PCG64(SEED)).standard_normal((table.shape[1], COLUMNS))
        table = table @ mix / math.sqrt(table.shape[1])
    return table


def _bent(table: Table) -> Table:
    """Standardised columns, and of a narrow table all products of two: signals that no single column carries."""
    table = standard_columns(table)
    one, two = np.triu_indices(table.shape[1])
    if len(one) + table.shape[1] > min(PRODUCTS, len(table) // 4):
        return table
    return np.concatenate([table, standard_columns(table[:, one] * table[:, two])], 1)


def hits(table: Table, labels: Table, others: Table, wanted: Table) -> float:
    """A ridge regression of `labels`, by its hits on `wanted`, in standard deviations above chance."""
    kinds = np.unique(labels)
    if len(kinds) < 2:
        raise NotApplicableError("fewer than two labels")
    whole = bool((labels == labels.round()).all()) and len(kinds) <= min(LABELS, len(labels) // 8)
    aims = (labels[:, None] == kinds).astype(np.float64) if whole else labels[:, None]
    made = ridge(table, aims, others)
    if whole:
        hit = kinds[made.argmax(1)] == wanted
        chance = float((kinds[made.argmax(1)][:, None] == wanted).mean())
        return float(hit.sum() - chance * len(hit)) / math.sqrt(max(chance * (1 - chance) * len(hit), 1e-9))
    with np.errstate(invalid="ignore"):
        likeness = np.nan_to_num(np.corrcoef(made[:, 0], wanted)[0, 1])
    return float(likeness) * math.sqrt(len(wanted))


def ridge(table: Table, aims: Table, others: Table) -> NDArray[np.float64]:
    mean = aims.mean(0)
    size = table.T @ table + len(table) * 0.1 * np.eye(table.shape[1])
    found: NDArray[np.float64] = others @ np.linalg.solve(size, table.T @ (aims - mean)) + mean
    return found


CHECKS = (
    Contract("labels-permuted", "data", 87, permuted_labels, "error", "probe"),
    Contract("targets-among-inputs", "data", 88, targets_among_inputs, "warning", "statistics"),
)
