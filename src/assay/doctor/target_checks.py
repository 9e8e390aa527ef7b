"""Contracts between the loss and the targets: shapes, ranges, class numbers and class weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from assay.doctor.check_results import Contract, Problem
from assay.doctor.data_checks import target_numbers
from assay.doctor.example_draws import input_and_target
from assay.doctor.operation_trace import Operation, producer
from assay.doctor.subject import NotApplicableError, Subject

#: last operation of a model → least and largest value that it can give
RANGES = {"Sigmoid": (0.0, 1.0), "Softmax": (0.0, 1.0), "Tanh": (-1.0, 1.0), "Relu": (0.0, math.inf)}
#: least ratio of class counts at which weights can be told from their inverse
UNEVEN = 1.5


def broadcasts(subject: Subject) -> list[Problem]:
    """(N, 1) against (N,) makes an (N, N) table: every example is compared with every target."""
    trace = subject.traced
    output, target = trace.output, trace.target
    if not isinstance(output, Tensor) or not isinstance(target, Tensor):
        raise NotApplicableError("output and target are not one tensor each")
    shapes = (tuple(output.shape), tuple(target.shape))
    size = output.shape[0] if output.ndim else 0
    if size < 3 or set(shapes) != {(size,), (size, 1)} or not target.is_floating_point():
        return []
    free = output.detach().clone().requires_grad_()
    shaped = output.detach().reshape(target.shape).requires_grad_()
    if not _row_moves_others(subject, free, target) or _row_moves_others(subject, shaped, target):
        return []
    return [
        Problem(
            places=["loss", "model"],
            reason="output and target broadcast against each other: each example is compared with every target",
            measured=f"{shapes[0]} and {shapes[1]}",
            threshold="equal shapes",
            next_step="output.squeeze(-1), or target.unsqueeze(-1)",
        )
    ]


def metric_broadcasts(subject: Subject) -> list[Problem]:
    """The metric must be the same for equal shapes."""
    if subject.metric is None:
        raise NotApplicableError("no metric was given")
    output, target = subject.traced.output, subject.traced.target
    if not isinstance(output, Tensor) or not isinstance(target, Tensor):
        raise NotApplicableError("output and target are not one tensor each")
    size = output.shape[0] if output.ndim else 0
    if size < 3 or {tuple(output.shape), tuple(target.shape)} != {(size,), (size, 1)}:
        return []
    given = float(subject.metric(output.detach(), target))
    right = float(subject.metric(output.detach().reshape(target.shape), target))
    if math.isclose(given, right, rel_tol=1e-4, abs_tol=1e-7):
        return []
    return [
        Problem(
            places=["metric"],
            reason="the metric broadcasts output against target and gives another number",
            measured=f"{given:.4g} for {tuple(output.shape)} and {tuple(target.shape)}",
            threshold=f"{right:.4g} for equal shapes",
            next_step="give both the same shape before the metric",
        )
    ]


def reachable_range(subject: Subject) -> list[Problem]:
    """A last sigmoid, tanh or ReLU that cannot reach the targets of a loss that is least at output = target."""
    trace = subject.traced
    output, target = trace.output, trace.target
    if not isinstance(output, Tensor) or not isinstance(target, Tensor) or output.shape != target.shape:
        raise NotApplicableError("output and target are not of one shape")
    last = producer(output)
    if last not in RANGES or not target.is_floating_point():
        return []
    if last == "Softmax" and output.ndim == 2 and output.shape[1] > 1 and _many_hot(target):
        return _one_in_all(subject, output, target)
    low, high = RANGES[last]
    margin = 0.05 * float(target.float().std(correction=0))
    outside = ((target < low - margin) | (target > high + margin)).float().mean()
    if float(outside) < 0.01 or float(subject.loss(target.clone(), target)) > 1e-6:
        return []
    return [
        Problem(
            places=[_last_module(trace.of_model, output), "train_loader targets"],
            reason=f"the model ends in a {last.lower()} that cannot reach the targets",
            measured=f"{100 * float(outside):.0f} % of the targets outside of [{low:g}, {high:g}]",
            threshold="all within",
            next_step="leave the last activation out, or scale the targets into its range",
        )
    ]


def _one_in_all(subject: Subject, output: Tensor, target: Tensor) -> list[Problem]:
    """Shares that sum to 1 against targets that have several labels, or none."""
    sums = target.sum(1)
    unreachable = float((sums != 1).float().mean())
    if unreachable < 0.05 or float(subject.loss(target.clone(), target)) > 1e-6:
        return []
    return [
        Problem(
            places=["model", "loss"],
            reason="a softmax shares 1 among all labels, and examples have several labels or none",
            measured=f"{100 * unreachable:.0f} % of the targets do not sum to 1",
            threshold="all",
            next_step="use a sigmoid, or binary_cross_entropy_with_logits on raw outputs",
        )
    ]


def binary_range(subject: Subject) -> list[Problem]:
    """binary_cross_entropy_with_logits takes any target; beyond [0, 1] it has no lower bound."""
    found = []
    for call in _calls(subject, "binary_cross_entropy_with_logits"):
        target = call.argument(1, "target")
        if isinstance(target, Tensor) and (float(target.min()) < -1e-6 or float(target.max()) > 1 + 1e-6):
            found.append(
                Problem(
                    places=["train_loader targets", "loss"],
                    reason="binary cross-entropy has no lower bound for targets outside of [0, 1]",
                    measured=f"targets from {float(target.min()):g} to {float(target.max()):g}",
                    threshold="[0, 1]",
                    next_step="give targets of 0 and 1",
                )
            )
    return found[:1]


def class_probabilities(subject: Subject) -> list[Problem]:
    """Targets of cross_entropy that are probabilities must sum to 1 (or to 0, where an example is masked)."""
    found = []
    for call in _calls(subject, "cross_entropy"):
        target = call.argument(1, "target")
        if not isinstance(target, Tensor) or not target.is_floating_point() or target.ndim < 2:
            continue
        sums = target.sum(1)
        odd = ((sums - 1).abs() > 0.01) & (sums.abs() > 0.01)
        if float(odd.float().mean()) > 0.5 and _many_hot(target):
            found.append(
                Problem(
                    places=["loss", "train_loader targets"],
                    reason="cross_entropy is given several classes at once, as multi-label targets are",
                    measured=f"targets sum to {float(sums.float().mean()):.3g} an example",
                    threshold="1",
                    next_step="use binary_cross_entropy_with_logits, or divide by the sum",
                )
            )
    return found[:1]


def ignored_class(subject: Subject) -> list[Problem]:
    """An ignore_index that is one of the classes of a plain classification."""
    found = []
    for call in _calls(subject, "cross_entropy", "nll_loss"):
        given, target, index = call.argument(0, "input"), call.argument(1, "target"), _ignore_index(call)
        plain = isinstance(target, Tensor) and target.ndim == 1 and given.ndim == 2 and not target.is_floating_point()
        own = input_and_target(subject.batch)[1]
        plain = plain and isinstance(own, Tensor) and own.ndim == 1  # no sequences that were flattened
        if plain and 0 <= index < given.shape[1] and index != subject.pad_id and bool((target == index).any()):
            found.append(
                Problem(
                    places=["loss"],
                    reason=f"ignore_index={index} is a class: its examples are never learned",
                    measured=f"{int((target == index).sum())} of {len(target)} targets are ignored",
                    threshold="0",
                    next_step="leave ignore_index at -100",
                )
            )
    return found[:1] or _counted_by_metric(subject)


def _counted_by_metric(subject: Subject) -> list[Problem]:
    """Targets of many places an example: an ignored number is a class where the user's metric looks at it."""
    output, target = subject.traced.output, subject.traced.target
    if subject.metric is None or not isinstance(output, Tensor) or not isinstance(target, Tensor):
        return []
    dense = output.ndim == target.ndim + 1 >= 3 and output[:, 0].shape == target.shape
    for call in _calls(subject, "cross_entropy", "nll_loss"):
        index = _ignore_index(call)
        if (
            not dense
            or not 0 <= index < output.shape[1]
            or index == subject.pad_id
            or not bool((target == index).any())
        ):
            continue
        output = output.detach()
        other = torch.where((target == index).unsqueeze(1), -output, output)
        one, two = (float(subject.metric(each, target)) for each in (output, other))
        if not math.isclose(one, two, rel_tol=1e-6, abs_tol=1e-9):
            return [
                Problem(
                    places=["loss"],
                    reason=f"ignore_index={index} is a class that the metric counts: it is never learned",
                    measured=f"{int((target == index).sum())} of {target.numel()} targets are ignored",
                    threshold="0",
                    next_step="leave ignore_index at -100, or leave these targets out of the metric, too",
                )
            ]
    return []


def class_weights(subject: Subject) -> list[Problem]:
    """Weights that grow with the number of examples, where they are meant to balance them."""
    labels = _labels(subject)
    for call in _calls(subject, "cross_entropy", "nll_loss", "binary_cross_entropy_with_logits"):
        binary = call.name == "binary_cross_entropy_with_logits"
        weight = call.named.get("pos_weight") if binary else call.argument(2, "weight")
        if not subject.traced.is_target(call.argument(1, "target")):
            continue
        if not isinstance(weight, Tensor) or weight.ndim > 1 or weight.numel() != (1 if binary else weight.numel()):
            continue
        counts = torch.bincount(labels, minlength=2 if binary else weight.numel()).double()
        if len(counts) != (2 if binary else weight.numel()) or bool((counts == 0).any()):
            raise NotApplicableError("not every class was seen, or labels are no class numbers")
        if binary:
            weight = torch.stack([torch.ones_like(weight.reshape(())), weight.reshape(())])
        if float(counts.max() / counts.min()) >= UNEVEN and _proportional(weight.double().cpu(), counts):
            return [
                Problem(
                    places=["loss"],
                    reason="class weights are proportional to the counts of classes: they favour what is frequent",
                    measured=", ".join(f"{one:.3g}" for one in weight.tolist()[:6]),
                    threshold="inversely proportional to " + ", ".join(f"{one:g}" for one in counts.tolist()[:6]),
                    next_step="use one divided by the counts",
                )
            ]
    return []


def _proportional(weight: Tensor, counts: Tensor) -> bool:
    """Whether log weight is log count plus a number, up to a tenth."""
    if bool((weight <= 0).any()):
        return False
    difference = weight.log() - counts.log()
    spread = float((difference - difference.mean()).abs().max())
    return spread <= 0.1 * float(counts.log().max() - counts.log().min())


def _labels(subject: Subject) -> Tensor:
    values = torch.as_tensor(target_numbers(subject.train))
    if bool((values != values.round()).any()) or float(values.min()) < 0:
        raise NotApplicableError("labels are no class numbers")
    return values.long()


def _row_moves_others(subject: Subject, free: Tensor, target: Tensor) -> bool:
    """Whether the target of the first example moves the gradient at the outputs of others."""
    other = target.clone()
    other[0] = target[1] + 3 * target.std(correction=0) + 1
    one, two = (torch.autograd.grad(subject.loss(free, given).sum(), free)[0] for given in (target, other))
    scale = float(one.abs().max()) + 1e-12
    return float((one[1:] - two[1:]).abs().max()) > 1e-4 * scale


def _many_hot(target: Tensor) -> bool:
    return bool(((target == 0) | (target == 1)).all())


def _calls(subject: Subject, *names: str) -> list[Operation]:
    found = [call for call in subject.traced.of_loss if call.name in names]
    if not found:
        raise NotApplicableError(f"the loss does not call {' or '.join(names)}")
    return found


def _ignore_index(call: Operation) -> int:
    place = 4  # input, target, weight, size_average, ignore_index
    return int(call.argument(place, "ignore_index", -100))


def _last_module(calls: list[Operation], output: Tensor) -> str:
    return next((call.module for call in reversed(calls) if call.output is output and call.module), "model")


CONTRACTS = (
    Contract("loss-broadcasts", "loss-contract", 97, broadcasts),
    Contract("metric-broadcasts", "loss-contract", 97, metric_broadcasts),
    Contract("output-range", "loss-contract", 75, reachable_range),
    Contract("binary-target-range", "loss-contract", 96, binary_range),
    Contract("class-probabilities", "loss-contract", 96, class_probabilities),
    Contract("ignored-class", "loss-contract", 96, ignored_class),
    Contract("class-weights", "loss-contract", 92, class_weights),
)
