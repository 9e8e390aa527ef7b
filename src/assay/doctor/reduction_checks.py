"""Contract on losses of several terms: one that is summed over the batch beside one that is its mean."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from assay.doctor import tensor_tree
from assay.doctor.check_results import Contract, Problem
from assay.doctor.loss_term_checks import terms_of
from assay.doctor.subject import NotApplicableError, Subject

#: how near to 1 or 2 a term of the whole batch lies in terms of its halves: a mean, a sum
NEAR = 0.15
#: fewest examples of a batch
FEWEST = 8


def _half(start: int, count: int, one: Tensor) -> Tensor:
    """`count` rows from `start`; a number of its own stays as it is."""
    return one.narrow(0, start, count) if one.ndim else one


def terms_alike(subject: Subject) -> list[Problem]:
    """Terms over the batch must all be means, or all sums: else the batch size weighs them against each other."""
    size = tensor_tree.rows(subject.batch, subject.batch_dim)
    if size is None or size < FEWEST or size % 2 or subject.batch_dim != 0:
        raise NotApplicableError("the batch cannot be halved")
    halves = [tensor_tree.mapped(partial(_half, start, size // 2), subject.batch) for start in (0, size // 2)]
    whole = _terms(subject, subject.batch)
    try:
        parts = [_terms(subject, one) for one in halves]
    except (RuntimeError, ValueError, IndexError) as error:
        raise NotApplicableError(f"half a batch does not fit ({type(error).__name__})") from error
    if len(whole) < 2 or any(len(one) != len(whole) for one in parts):
        raise NotApplicableError("the loss is not a sum of several terms")
    kinds = [_kind(*each) for each in zip(whole, *parts, strict=True)]
    if "sum" not in kinds or "mean" not in kinds:
        return []
    summed, mean = kinds.index("sum"), kinds.index("mean")
    return [
        Problem(
            places=["loss"],
            reason=f"term {summed + 1} of the loss is a sum over the batch and term {mean + 1} a mean: the batch size "
            "weighs them against each other",
            measured=f"{whole[summed]:.3g} and {whole[mean]:.3g}; of half a batch {parts[0][summed]:.3g} and "
            f"{parts[0][mean]:.3g}",
            threshold="all means, or all sums",
            next_step="sum over the parts of an example, and take the mean over examples, in each term",
        )
    ]


def _terms(subject: Subject, batch: object) -> list[float]:
    subject.model.eval()
    with subject.recorded() as seen, torch.no_grad():
        output, target = subject.run(batch)
        value = subject.loss(output, target)
    return [float(one) for one in terms_of(seen.calls, value)]


def _kind(whole: float, one: float, two: float) -> str:
    """`sum`, `mean`, or '' for what is the same for all batches, changes its sign, or is neither."""
    middle = (one + two) / 2
    if one == two or min(whole, one, two) <= 0 <= max(whole, one, two):
        return ""
    return "mean" if abs(whole / middle - 1) < NEAR else "sum" if abs(whole / middle - 2) < NEAR else ""


CONTRACTS = (Contract("terms-reduced-alike", "loss-contract", 86, terms_alike, "warning"),)
