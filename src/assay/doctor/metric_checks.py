"""Contracts on the metric: what it says of perfect predictions, and of the same predictions given to other examples."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from assay.doctor.check_results import Contract, Problem
from assay.doctor.loss_alone_checks import Alone, alone
from assay.doctor.subject import NotApplicableError, Subject

#: share of the spread of all values by which a metric must leave the perfect one behind
MARGIN = 0.01
#: logit of a perfect prediction
SURE = 10.0
#: difference between a metric of all and its mean over batches, in parts of it
APART = 0.02
#: least share of rows whose targets differ after they were moved
DIFFERENT = 0.3


def against_perfect(subject: Subject) -> list[Problem]:
    """Perfect predictions must have the best value, whichever way the metric counts; percent is right."""
    given, best = _perfect(subject)
    perfect = _value(subject, best, given.target)
    others = [_value(subject, one, given.target) for one in _imperfect(given, best)]
    if not all(map(math.isfinite, (perfect, *others))):
        raise NotApplicableError("the metric of perfect or of wrong predictions is not finite")
    low, high = min(others), max(others)
    margin = MARGIN * (high - low)
    if not low + margin < perfect < high - margin:
        return []
    return [
        Problem(
            places=["metric"],
            reason="the metric of perfect predictions is neither its largest nor its smallest value",
            measured=f"{perfect:.4g} for perfect predictions, {low:.4g} and {high:.4g} for others",
            threshold="none better than perfect",
            next_step="look at the axis of argmax, at a missing abs() or square, and at what it is divided by",
        )
    ]


def pairs_predictions(subject: Subject) -> list[Problem]:
    """A metric that is the same when perfect predictions are given to other examples: it broadcasts, or pools."""
    given, best = _perfect(subject)
    order = torch.argsort(given.target.flatten(1).double().sum(1) if given.target.ndim > 1 else given.target)
    moved = torch.empty_like(order)
    moved[order] = order.roll(len(order) // 2)
    differ = (given.target[moved] != given.target).flatten(1).any(1) if given.target.ndim > 1 else None
    differ = given.target[moved] != given.target if differ is None else differ
    if float(differ.float().mean()) < DIFFERENT:
        raise NotApplicableError("most examples of the first batch have the same target")
    right, wrong = (_value(subject, one, given.target) for one in (best, best[moved]))
    if right != wrong and not math.isclose(right, wrong, rel_tol=1e-6, abs_tol=1e-9):
        return []
    if _value(subject, best, given.target[:1].expand_as(given.target).clone()) == right:
        raise NotApplicableError("the metric does not use the targets")
    return [
        Problem(
            places=["metric"],
            reason="the metric is the same for perfect predictions and for those of other examples",
            measured=f"{right:.4g} for both",
            threshold="a difference",
            next_step="give predictions and targets the same shape, and compare row by row before the mean",
        )
    ]


def over_batches(subject: Subject) -> list[Problem]:
    """A metric of all examples that is no mean over batches, as those of ranks, shares and squares are not."""
    if subject.metric is None:
        raise NotApplicableError("no metric was given")
    subject.model.eval()
    pairs = []
    with torch.no_grad():
        for batch in subject.train.batches:
            pairs.append(subject.run(batch))
    if len(pairs) < 2 or not all(isinstance(one, Tensor) and one.ndim for pair in pairs for one in pair):
        raise NotApplicableError("fewer than two batches, or output and target are not one tensor each")
    if subject.batch_dim != 0 or len({one.shape[1:] for one, _ in pairs}) > 1:
        raise NotApplicableError("outputs of batches cannot be joined")
    whole = _value(subject, *(torch.cat(side) for side in zip(*pairs, strict=True)))
    parts = [_value(subject, *pair) for pair in pairs]
    mean = sum(parts) / len(parts)
    if math.isclose(whole, mean, rel_tol=APART, abs_tol=1e-6):
        return []
    return [
        Problem(
            places=["metric"],
            reason="the metric of all examples is another number than its mean over batches",
            measured=f"{whole:.4g} of {len(pairs)} batches together, {mean:.4g} on average",
            threshold=f"{100 * APART:g} %",
            next_step="collect outputs and targets of all batches, and call the metric once",
        )
    ]


def _value(subject: Subject, output: Tensor, target: Tensor) -> float:
    assert subject.metric is not None
    try:
        return float(subject.metric(output, target))
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise NotApplicableError(f"the metric refuses such predictions ({type(error).__name__})") from error


def _perfect(subject: Subject) -> tuple[Alone, Tensor]:
    """The first batch, and the outputs that say its targets: logits, probabilities or values, as the model's are."""
    if subject.metric is None:
        raise NotApplicableError("no metric was given")
    given = alone(subject)
    output, target = given.output, given.target
    if given.rows != 0 or given.target_rows != 0:
        raise NotApplicableError("examples do not stand first")
    if not target.is_floating_point() and output.ndim == 2 and target.ndim == 1 and output.shape[1] > 1:
        if not 0 <= int(target.min()) <= int(target.max()) < output.shape[1]:
            raise NotApplicableError("targets are no classes of the output")
        logits = SURE * torch.nn.functional.one_hot(target, output.shape[1]).to(output)
        return given, _as(output, logits)
    if target.numel() != output.numel():
        raise NotApplicableError("what a perfect output would be is not known")
    values = target.reshape(output.shape).to(output)
    binary = bool(((values == 0) | (values == 1)).all())
    if binary and bool(((output < 0) | (output > 1)).any()):
        return given, SURE * (2 * values - 1)
    return given, values


def _as(output: Tensor, logits: Tensor) -> Tensor:
    """Logits in the form of `output`: as they are, as probabilities or as their logarithms."""
    ones = torch.ones(len(output), dtype=output.dtype, device=output.device)
    if bool((output >= 0).all()) and torch.allclose(output.sum(1), ones, atol=1e-3):
        return logits.softmax(1)
    if bool((output <= 0).all()) and torch.allclose(output.exp().sum(1), ones, atol=1e-3):
        return logits.log_softmax(1)
    return logits


def _imperfect(given: Alone, best: Tensor) -> list[Tensor]:
    """Predictions that are worse: the model's own, those of other examples, and numbers that are off."""
    found = [given.output, best.roll(1, 0), best.flip(0)]
    if given.target.is_floating_point():
        spread = best.std(correction=0)
        found += [best + spread, best - spread]
    return found


CONTRACTS = (
    Contract("metric-perfect", "loss-contract", 89, against_perfect),
    Contract("metric-pairs", "loss-contract", 90, pairs_predictions, "warning"),
)
CHECKS = (Contract("metric-over-batches", "loss-contract", 12, over_batches, "advice", "counterfactual"),)
