"""Advice: what works, and is known to work better otherwise. Nothing here is wrong.

Sources: order of dropout and BatchNorm: Li et al. 2019 (CVPR, "variance shift"); decay on biases and norms: He et al.
2019 (CVPR, "Bag of tricks"); momentum: Sutskever et al. 2013 (ICML).
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from assay.doctor import tensor_tree
from assay.doctor.check_results import Contract, Problem
from assay.doctor.data_checks import FEWEST, target_numbers
from assay.doctor.data_part_checks import table_of_inputs
from assay.doctor.example_draws import COPIED_BYTES, bytes_of
from assay.doctor.layer_checks import DROPOUTS
from assay.doctor.operation_trace import Operation
from assay.doctor.state_restoration import seed_all
from assay.doctor.subject import NotApplicableError, Subject

#: operations that map channels linearly
LINEAR = ("linear", "conv1d", "conv2d", "conv3d")
#: operations between dropout and a BatchNorm that it still reaches
THROUGH = (*LINEAR, "relu", "relu_", "gelu", "silu", "flatten", "max_pool2d", "avg_pool2d")
#: share of the most frequent label from which the others are rare
RARE = 0.9


def bias_before_batch_norm(subject: Subject) -> list[Problem]:
    """A bias that the BatchNorm behind it takes away again."""
    for call, before in _feeding_batch_norm(subject):
        if before.name in LINEAR and isinstance(before.argument(2, "bias"), Tensor):
            return [_advice([before.module, call.module], "BatchNorm takes the bias before it away", "use bias=False")]
    return []


def dropout_before_batch_norm(subject: Subject) -> list[Problem]:
    """Dropout before BatchNorm changes the variance in training, and not in evaluation."""
    made = {id(call.output): call for call in subject.traced.of_model}
    for call, before in _feeding_batch_norm(subject):
        seen: Operation | None = before
        for _ in range(4):
            if seen is None or (seen.name not in THROUGH and seen.name not in DROPOUTS):
                break
            if seen.name in DROPOUTS and float(seen.argument(1, "p", 0.5)) > 0:
                reason = "dropout before BatchNorm: its running variance is that with dropout, also in evaluation"
                return [_advice([seen.module, call.module], reason, "put dropout behind the last BatchNorm")]
            seen = made.get(id(seen.argument(0, "input")))
    return []


def decay_on_biases(subject: Subject) -> list[Problem]:
    """Weight decay on biases and norms, which have nothing to gain from it."""
    names = {id(one): name for name, one in subject.plain.named_parameters()}
    for one in subject.optimizers:
        for group in getattr(one, "param_groups", []):
            flat = [names.get(id(each), "") for each in group["params"] if each.ndim <= 1]
            if float(group.get("weight_decay", 0.0)) > 0 and flat:
                reason = f"weight decay is also on {len(flat)} biases and norms"
                return [
                    _advice(["optimizer weight_decay", *filter(None, flat)], reason, "give them a group without it")
                ]
    return []


def plain_sgd(subject: Subject) -> list[Problem]:
    """SGD without momentum."""
    for one in subject.optimizers:
        groups = getattr(one, "param_groups", [])
        if type(one).__name__ == "SGD" and groups and all(not group.get("momentum") for group in groups):
            return [
                _advice(
                    ["optimizer momentum"], "SGD without momentum is slow", "momentum=0.9, with a lower lr, or Adam"
                )
            ]
    return []


def summed_loss(subject: Subject) -> list[Problem]:
    """A loss that grows with the batch: the rate then belongs to one batch size."""
    size = tensor_tree.rows(subject.batch, subject.batch_dim)
    if size is None or size < 4 or size % 2:
        raise NotApplicableError("the batch cannot be halved")
    subject.model.eval()
    output, target = subject.run(subject.batch)
    if not isinstance(output, Tensor) or not isinstance(target, Tensor):
        raise NotApplicableError("output and target are not one tensor each")
    if any(one.ndim <= subject.batch_dim or one.shape[subject.batch_dim] != size for one in (output, target)):
        raise NotApplicableError("output and target have not one row for each example")
    halves = [
        tuple(one.narrow(subject.batch_dim, start, size // 2) for one in (output, target)) for start in (0, size // 2)
    ]
    try:
        whole, parts = float(subject.loss(output, target)), [float(subject.loss(*half)) for half in halves]
    except (RuntimeError, ValueError) as error:
        raise NotApplicableError(f"half a batch does not fit the loss ({type(error).__name__})") from error
    if not abs(whole) > 1e-6 or not math.isclose(whole, sum(parts), rel_tol=1e-4):
        return []
    return [
        _advice(["loss"], "the loss is a sum over the batch: its size, and the rate, depend on it", "take the mean")
    ]


def unused_parameters(subject: Subject) -> list[Problem]:
    """Parameters in the optimizer that no batch gives a gradient."""
    subject.model.train()
    names = [(name, one) for name, one in subject.trained if id(one) in subject.held]
    left = [name for name, _ in subject.without_gradient(names)]
    if not left or len(left) == len(names):
        return []
    return [_advice(left, f"{len(left)} parameters in the optimizer get no gradient from any batch", "leave them out")]


def rare_labels(subject: Subject) -> list[Problem]:
    """One label nearly everywhere: accuracy is then high for a model that says it always."""
    labels = target_numbers(subject.train)
    if len(labels) < FEWEST or bool((labels != labels.round()).any()):
        raise NotApplicableError(f"targets are no labels, or fewer than {FEWEST} examples")
    ((label, count),) = Counter(labels.tolist()).most_common(1)
    if not RARE < count / len(labels) < 1:
        return []
    reason = f"{100 * count / len(labels):.0f} % of the examples have the label {label:g}"
    return [_advice(["train_loader labels"], reason, "judge by a metric of all classes, such as macro F1")]


def constant_columns(subject: Subject) -> list[Problem]:
    """Columns of a table that are the same for all examples."""
    table = table_of_inputs(subject.train)
    if subject.train.examples is None or np.ndim(_first_input(subject)) != 1:
        raise NotApplicableError("examples are no rows of a table")
    still = np.flatnonzero((table == table[0]).all(0))
    if not len(still) or len(still) == table.shape[1]:
        return []
    reason = f"{len(still)} of {table.shape[1]} columns never change, among them column {still[0]}"
    return [_advice(["train_loader inputs"], reason, "leave them out, or look at how they are read")]


def augmented_validation(subject: Subject) -> list[Problem]:
    """Validation examples that differ from draw to draw."""
    loader = subject.val_loader
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
        raise NotApplicableError("there are no validation examples by number")
    if bytes_of(loader.dataset) > COPIED_BYTES:
        raise NotApplicableError("the validation examples are too large to be copied")
    drawn = []
    for seed in (1, 2):
        dataset = copy.deepcopy(loader.dataset)
        seed_all(seed)
        drawn.append([dataset[0]])
    if tensor_tree.same(*drawn):
        return []
    reason = "validation examples are drawn at random, as augmentation does: the score has more noise than it needs"
    return [_advice(["val_loader dataset"], reason, "leave augmentation to training")]


def _first_input(subject: Subject) -> Any:
    assert subject.train.examples is not None
    first = subject.train.examples[0]
    return first[0] if isinstance(first, list | tuple) else torch.zeros(())


def _feeding_batch_norm(subject: Subject) -> Iterator[tuple[Operation, Operation]]:
    made = {id(call.output): call for call in subject.traced.of_model}
    for call in subject.traced.of_model:
        before = made.get(id(call.argument(0, "input")))
        if call.name == "batch_norm" and before is not None:
            yield call, before


def _advice(places: list[str], reason: str, next_step: str) -> Problem:
    return Problem(places=places, reason=reason, next_step=next_step)


CHECKS = tuple(
    Contract(name, group, 10, look, "advice", "literature")
    for name, group, look in (
        ("bias-before-batchnorm", "modes-layers", bias_before_batch_norm),
        ("dropout-before-batchnorm", "modes-layers", dropout_before_batch_norm),
        ("decay-on-biases", "optimisation", decay_on_biases),
        ("plain-sgd", "optimisation", plain_sgd),
        ("summed-loss", "loss-contract", summed_loss),
        ("unused-parameters", "optimisation", unused_parameters),
        ("rare-labels", "data", rare_labels),
        ("constant-columns", "data", constant_columns),
        ("augmented-validation", "data", augmented_validation),
    )
)
