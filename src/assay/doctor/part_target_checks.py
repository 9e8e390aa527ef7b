"""Statistics on targets and on what is drawn: scales and shares of both parts, rows never drawn, targets not used.

Covers: validation targets prepared otherwise, labels that training lost, samplers over a sliver of the data, tensors of
a batch that nobody uses, targets several steps ahead, labels that one column gives away.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, SubsetRandomSampler

from assay.doctor import tensor_tree
from assay.doctor.check_results import Contract, Problem
from assay.doctor.data_checks import FEWEST, target_numbers
from assay.doctor.data_part_checks import Table, table_of_inputs
from assay.doctor.example_draws import input_and_target
from assay.doctor.subject import NotApplicableError, Subject

#: factor of the spread, and distance of the means in spreads, of targets that were prepared otherwise
SPREAD, FAR = 5.0, 5.0
#: share of a label in training in parts of validation's, below which labels were lost; fewest expected examples
LOST, EXPECTED = 0.5, 20
#: share of a dataset below which a sampler leaves nearly everything
SLIVER = 0.1
#: spread of a column within a label in parts of the distance of labels, from which it gives the label away
TOLD = 0.15


def targets_scaled_otherwise(subject: Subject) -> list[Problem]:
    """Validation targets of another scale or place than training targets, far beyond what parts of training differ."""
    ours, theirs = target_numbers(subject.train), target_numbers(subject.validation)
    if len(ours) < FEWEST or len(theirs) < FEWEST or len(set(ours.tolist())) < FEWEST // 2:
        raise NotApplicableError(f"targets are few labels, or fewer than {FEWEST} examples")
    spread, other = float(ours.std()), float(theirs.std())
    parts = [*np.array_split(ours, 5), *(ours[fold::5] for fold in range(5))]
    if not spread or not other or not all(math.isfinite(one) for one in (spread, other)):
        raise NotApplicableError("targets are constant, or not finite")
    own_shift = max(abs(float(one.mean()) - float(ours.mean())) for one in parts) / spread
    own_ratio = max(max(float(one.std()) / spread, spread / max(float(one.std()), 1e-300)) for one in parts)
    shift = abs(float(theirs.mean()) - float(ours.mean())) / spread
    ratio = max(other / spread, spread / other)
    if (shift < FAR or shift < 4 * own_shift) and (ratio < SPREAD or ratio < 2 * own_ratio):
        return []
    return [
        Problem(
            places=["val_loader targets", "train_loader targets"],
            reason="validation targets have another scale or place than training targets: they are not prepared alike",
            measured=f"mean {theirs.mean():.3g} and spread {other:.3g}; {ours.mean():.3g} and {spread:.3g} in training",
            threshold=f"within {FAR:g} spreads, and a spread within a factor of {SPREAD:g}",
            next_step="prepare both parts alike, with mean and deviation of the training targets",
        )
    ]


def labels_lost(subject: Subject) -> list[Problem]:
    """A label far rarer in training than in validation, where resampling would have made training more even."""
    ours, theirs = target_numbers(subject.train), target_numbers(subject.validation)
    kinds = sorted(set(theirs.tolist()))
    whole = bool((ours == ours.round()).all()) and 2 <= len(kinds) <= len(theirs) // 8
    if not whole or len(ours) < FEWEST:
        raise NotApplicableError(f"targets are no labels, or fewer than {FEWEST} examples")
    shares, wanted = (np.array([float((part == one).mean()) for one in kinds]) for part in (ours, theirs))
    at = int((shares / wanted).argmin())
    expected = wanted[at] * len(ours)
    error = math.sqrt(wanted[at] * (1 - wanted[at]) * (1 / len(ours) + 1 / len(theirs)))
    if shares[at] >= LOST * wanted[at] or expected < EXPECTED or wanted[at] - shares[at] < 5 * error:
        return []
    if shares[at] == 0 or _evenness(shares) >= _evenness(wanted):  # label-sets; resampled on purpose
        return []
    return [
        Problem(
            places=["train_loader labels", "train_loader dataset"],
            reason=f"label {kinds[at]:g} is far rarer in training than in validation: rows were lost, or relabelled",
            measured=f"{100 * shares[at]:.0f} % of {len(ours)} examples, {100 * wanted[at]:.0f} % in validation",
            threshold=f"{100 * LOST * wanted[at]:.0f} %",
            next_step="look at filters, joins and mappings of labels, and split at random within labels",
        )
    ]


def _evenness(shares: Table) -> float:
    """Entropy of shares."""
    kept = shares[shares > 0] / shares.sum()
    return float(-(kept * np.log(kept)).sum())


def sampler_of_few(subject: Subject) -> list[Problem]:
    """A sampler over fewer than a tenth of the examples, where validation does not hold the rest."""
    loader = subject.train_loader
    sampler = getattr(loader, "sampler", None)
    if not isinstance(loader, DataLoader) or not isinstance(sampler, SubsetRandomSampler):
        raise NotApplicableError("the loader has no SubsetRandomSampler")
    if isinstance(loader.dataset, IterableDataset):
        raise NotApplicableError("the dataset is not read by number")
    size, drawn = len(loader.dataset), set(map(int, sampler.indices))  # type: ignore[arg-type]
    if len(drawn) >= SLIVER * size or getattr(subject.val_loader, "dataset", None) is loader.dataset:
        return []
    return [
        Problem(
            places=["train_loader sampler"],
            reason="the sampler draws a sliver of the training examples, and nothing else uses the rest",
            measured=f"{len(drawn)} of {size} examples",
            threshold=f"{100 * SLIVER:.0f} %",
            next_step="give it range(len(dataset)): not the number of batches, nor indices of another part",
        )
    ]


def target_left(subject: Subject) -> list[Problem]:
    """A tensor of the batch, in the shape of the target, that nobody uses, while the target is the input itself."""
    if subject.forward is None:
        raise NotApplicableError("input and target are told by the batch's order")
    subject.model.eval()
    with torch.no_grad():
        target = subject.run(subject.batch)[1]
    given = list(tensor_tree.leaves(subject.batch))
    if not isinstance(target, Tensor) or len(given) < 2 or not target.is_floating_point():
        raise NotApplicableError("the batch is one tensor, or the target is not one tensor of numbers")
    own = [one for one in given if one.shape == target.shape and torch.equal(one, target)]
    rest = [one for one in given if one.shape == target.shape and not torch.equal(one, target)]
    if len(own) != 1 or len(rest) != 1 or rest[0].dtype != target.dtype:
        return []
    if not _alike(own[0], rest[0]) or _uses(subject, rest[0]):
        return []
    return [
        Problem(
            places=["forward", "train_loader targets"],
            reason="the target is one tensor of the batch, and another of the same shape, close to it, is not used",
            measured=f"shape {tuple(target.shape)}, correlation {_correlation(own[0], rest[0]):.2f}",
            threshold="each used",
            next_step="take the clean one as the target, and the other as the input",
        )
    ]


def _correlation(one: Tensor, two: Tensor) -> float:
    pair = torch.stack([one.flatten().double(), two.flatten().double()])
    return float(torch.corrcoef(pair)[0, 1])


def _alike(one: Tensor, two: Tensor) -> bool:
    return one.numel() > FEWEST and _correlation(one, two) > 0.3


def _uses(subject: Subject, tensor: Tensor) -> bool:
    """Whether output or loss move when a tensor of the batch is turned round."""
    turned = tensor_tree.mapped(lambda one: one.flip(0) if one is tensor else one, subject.batch)
    return not tensor_tree.same(subject.said(subject.batch), subject.said(turned))


def targets_ahead(subject: Subject) -> list[Problem]:
    """Targets that are the input two steps later or more: they were shifted twice."""
    batch = subject.batch
    target = input_and_target(batch)[1] if subject.forward is None else subject.run(batch)[1]
    if not isinstance(target, Tensor) or target.ndim != 2 or target.is_floating_point() or target.shape[1] < 6:
        raise NotApplicableError("the targets are not sequences of integers")
    if len(np.unique(target.cpu().numpy())) < 3:
        raise NotApplicableError("the targets have fewer than 3 values")
    whole = [one for one in tensor_tree.leaves(batch) if one.ndim == 2 and not one.is_floating_point()]
    for one in whole:
        for step in (2, 3):
            kept = min(one.shape[1] - step, target.shape[1])
            if one is not target and kept >= 4 and torch.equal(one[:, step : step + kept], target[:, :kept]):
                if any(torch.equal(each[:, 1 : 1 + kept], target[:, :kept]) for each in whole):
                    return []
                return [
                    Problem(
                        places=["forward" if subject.forward else "train_loader targets", "loss"],
                        reason=f"targets are the inputs {step} steps later: they were shifted more than once",
                        measured=f"input[:, {step}:] is the target",
                        threshold="one step",
                        next_step="shift in one place: the data, the forward pass or the loss",
                    )
                ]
    return []


def label_told(subject: Subject) -> list[Problem]:
    """One column of several that holds each label's own number, up to a little noise."""
    table, labels = table_of_inputs(subject.train), target_numbers(subject.train)
    kinds = sorted(set(labels.tolist()))
    whole = bool((labels == labels.round()).all()) and 3 <= len(kinds) <= len(labels) // 8
    if not whole or not 2 <= table.shape[1] <= 200:
        raise NotApplicableError("targets are not three labels or more, or inputs are no table")
    means = np.array([table[labels == one].mean(0) for one in kinds])
    within = np.max([table[labels == one].std(0) for one in kinds], axis=0)
    gaps = np.abs(np.diff(np.sort(means, axis=0), axis=0)).min(0)
    found = np.flatnonzero((gaps > 0) & (within < TOLD * gaps))
    if not len(found):
        return []
    return [
        Problem(
            places=["train_loader inputs", "train_loader labels"],
            reason=f"column {found[0]} of the inputs has a value of its own for each label: it gives the answer away",
            measured=f"{within[found[0]]:.2g} within a label, {gaps[found[0]]:.2g} between two",
            threshold=f"{1 / TOLD:.0f} times nearer",
            next_step="leave out what is only known afterwards",
        )
    ]


CONTRACTS = (Contract("targets-ahead", "data", 90, targets_ahead, "warning"),)
CHECKS = (
    Contract("validation-targets-otherwise", "data", 89, targets_scaled_otherwise, "warning", "statistics"),
    Contract("labels-lost", "data", 77, labels_lost, "warning", "statistics"),
    Contract("sampler-of-few", "data", 91, sampler_of_few, "warning", "exact"),
    Contract("target-left", "data", 88, target_left, "warning", "exact"),
    Contract("label-told", "data", 87, label_told, "warning", "statistics"),
)
