"""Contracts on how a loader draws: weights of a sampler, and augmentation that leaves targets behind."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, WeightedRandomSampler

from assay.doctor.check_results import Contract, Problem
from assay.doctor.data_checks import target_numbers
from assay.doctor.example_draws import COPIED_BYTES, bytes_of, input_and_target
from assay.doctor.state_restoration import seed_all
from assay.doctor.subject import NotApplicableError, NotRunError, Subject

#: examples that are read several times, and how often
READ, TIMES = 6, 6
#: least ratio of class counts at which weights can be told from their inverse
UNEVEN = 1.5
#: what augmentation does to an image and has to do to its target
MOVES: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda one: one.flip(-1),
    lambda one: one.flip(-2),
    lambda one: one.flip(-1, -2),
    lambda one: one.rot90(1, (-2, -1)),
    lambda one: one.rot90(3, (-2, -1)),
    lambda one: one.transpose(-1, -2),
)


def sampler_weights(subject: Subject) -> list[Problem]:
    """Weights of a sampler that grow with the number of examples, where they are meant to balance classes."""
    sampler = getattr(subject.train_loader, "sampler", None)
    if not isinstance(sampler, WeightedRandomSampler):
        raise NotApplicableError("the loader has no WeightedRandomSampler")
    labels, indices = target_numbers(subject.train), subject.train.indices
    if indices is None or len(sampler.weights) != len(subject.train_loader.dataset):
        raise NotApplicableError("weights are not one an example")
    weights = torch.as_tensor(sampler.weights).double().numpy()[indices]
    kinds, counts = np.unique(labels, return_counts=True)
    if len(kinds) < 2 or len(kinds) > len(labels) // 8 or counts.max() < UNEVEN * counts.min():
        raise NotApplicableError("targets are no labels, or about as frequent as each other")
    each = [weights[labels == one] for one in kinds]
    if any(one.min() <= 0 or one.max() > 1.001 * one.min() for one in each):
        raise NotApplicableError("weights differ within a label, or are 0")
    means = np.log([one.mean() for one in each])
    distance = means - np.log(counts)
    if np.abs(distance - distance.mean()).max() > 0.1 * np.log(counts.max() / counts.min()):
        return []
    return [
        Problem(
            places=["train_loader sampler"],
            reason="the sampler's weights grow with the count of a label: what is frequent is drawn even more",
            measured="weights in the ratio of " + ", ".join(f"{one:g}" for one in counts[:6]),
            threshold="one divided by the counts",
            next_step="give each example 1 / count of its label",
        )
    ]


def moved_alone(subject: Subject) -> list[Problem]:
    """An input that is flipped or turned by chance, while its target of the same height and width stays."""
    loader = subject.train_loader
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
        raise NotApplicableError("the loader has no dataset that is read by number")
    if bytes_of(loader.dataset) > COPIED_BYTES:
        raise NotRunError("the dataset is too large to be copied")
    dataset = copy.deepcopy(loader.dataset)
    alone = together = 0
    for index in range(min(READ, len(dataset))):  # type: ignore[arg-type]
        first, *others = (_maps(_read(dataset, index, time)) for time in range(TIMES))
        for other in others:
            stays, follows = _followed(*first, *other)
            alone, together = alone + stays, together + follows
    if not alone or together:
        return []
    return [
        Problem(
            places=["train_loader dataset", "train_loader inputs"],
            reason="augmentation flips or turns an input and leaves its target as it was",
            measured=f"{alone} of {READ * (TIMES - 1)} pairs of draws",
            threshold="0",
            next_step="draw once, and move input and target alike",
        )
    ]


def _read(dataset: Any, index: int, time: int) -> Any:
    seed_all(1000 * index + time)
    return dataset[index]


def _maps(example: Any) -> tuple[Tensor, Tensor]:
    """Input and target of one example, where both are maps of one height and width."""
    given, target = input_and_target(example)
    if not isinstance(given, Tensor | np.ndarray) or not isinstance(target, Tensor | np.ndarray):
        raise NotApplicableError("input and target are not one array each")
    one, two = torch.as_tensor(given), torch.as_tensor(target)
    if one.ndim < 2 or two.ndim < 2 or one.shape[-2:] != two.shape[-2:] or min(two.shape[-2:]) < 4:
        raise NotApplicableError("targets are no maps of the inputs' height and width")
    return one.clone(), two.clone()


def _followed(one: Tensor, target: Tensor, other: Tensor, after: Tensor) -> tuple[int, int]:
    """Whether the target stays where the input is moved, and whether it follows."""
    if torch.equal(one, other):
        return 0, 0
    for move in MOVES:
        if torch.equal(move(one), other) and not torch.equal(move(target), target):
            return int(torch.equal(target, after)), int(torch.equal(move(target), after))
    return 0, 0


CONTRACTS = (
    Contract("sampler-weights", "data", 92, sampler_weights),
    Contract("targets-left-behind", "data", 93, moved_alone),
)
