"""Contracts on the loss alone: free outputs in place of the model's, and targets that move one example at a time.

Covers: which outputs a target moves, the axis of classes, what perfect outputs cost. Not covered: whether the model can
give such outputs (`target_checks`), and losses that compare examples with each other on purpose, which are left alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from assay.doctor.check_results import Contract, Problem
from assay.doctor.state_restoration import seed_all
from assay.doctor.subject import LossTrace, NotApplicableError, Subject

#: rows whose targets are changed, one at a time; fewest rows
TRIED, FEWEST = 4, 4
#: most columns of targets that are tried by themselves
COLUMNS = 8
#: sizes of perfect outputs
SIZES = (0.0, 1.0, 3.0, 10.0, 30.0, 100.0)
#: share of the loss at zero outputs that perfect outputs may cost
FLOOR = 0.05
#: operations that only look at the output in another shape or type
SAME_AXES = ("float", "double", "to", "contiguous", "clone", "detach", "dropout")
#: what the target of an example moves, where that is wrong
WRONGLY = {
    "others": "the target of an example moves other outputs than its own: outputs and targets are paired wrongly",
    "all": "the target of one example moves all outputs alike: the loss compares pooled outputs and targets",
}


@dataclass(frozen=True)
class Alone:
    """The loss of one batch by its outputs and targets: `output` is free, `rows` are its dimension of examples."""

    output: Tensor
    target: Tensor
    rows: int
    target_rows: int
    loss: Callable[[Tensor, Tensor], Tensor]

    def slope(self, target: Tensor) -> Tensor:
        """Gradient at the free output, examples first."""
        free = self.output.clone().requires_grad_()
        value = self.loss(free, target)
        if not value.requires_grad:
            raise NotApplicableError("the loss has no gradient")
        (found,) = torch.autograd.grad(value, free, allow_unused=True)
        if found is None or not bool(found.isfinite().all()):
            raise NotApplicableError("the gradient at the output is not finite, or there is none")
        return found.movedim(self.rows, 0)

    def values(self, output: Tensor, target: Tensor | None = None) -> float:
        with torch.no_grad():
            return float(self.loss(output, self.target if target is None else target))

    def moved(self, row: int) -> tuple[Tensor, int] | None:
        """The target in which `row` has another example's, and at how many places it differs; None where none does."""
        first = self.target.movedim(self.target_rows, 0)
        counts = [int((first[at] != first[row]).sum()) for at in range(len(first))]
        best = max(range(len(first)), key=counts.__getitem__)
        if not counts[best]:
            return None
        other = self.target.clone()
        other.movedim(self.target_rows, 0)[row] = first[best]
        return other, counts[best]


def alone(subject: Subject) -> Alone:
    """The loss of the first batch. Raises NotApplicableError where output or target is not one tensor with rows."""
    subject.model.train()
    with torch.no_grad():
        output, target = subject.run(subject.batch)
    if not isinstance(output, Tensor) or not isinstance(target, Tensor) or not output.is_floating_point():
        raise NotApplicableError("output and target are not one tensor each")
    if target.is_floating_point() and not bool(target.isfinite().all()):
        raise NotApplicableError("targets are not finite")
    if target.ndim == 0 or target.numel() == 0 or not bool(output.isfinite().all()):
        raise NotApplicableError("there are no rows of targets, or the output is not finite")
    target_rows = subject.batch_dim if target.ndim > subject.batch_dim else 0
    size = target.shape[target_rows]
    found = [at for at, count in enumerate(output.shape) if count == size]
    rows = subject.batch_dim if subject.batch_dim in found else found[0] if found else -1
    if rows < 0 or size < FEWEST:
        raise NotApplicableError(f"the output has no row for each target, or there are fewer than {FEWEST}")

    def loss(given: Tensor, aim: Tensor) -> Tensor:
        seed_all()
        try:
            value = subject.loss(given, aim)
        except (RuntimeError, ValueError, IndexError) as error:
            raise NotApplicableError(f"the loss refuses other outputs or targets ({type(error).__name__})") from error
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise NotApplicableError("the loss is not one number")
        return value.reshape(())

    return Alone(output.detach().clone(), target.detach().clone(), rows, target_rows, loss)


def pairs(subject: Subject) -> list[Problem]:
    """A target must move the gradient of its own output: not that of another example, nor that of all alike."""
    given = alone(subject)
    kinds = _kinds(given)
    told = [kind for kind in kinds if kind]
    if len(told) < 2 or len(set(told)) > 1 or told[0] not in WRONGLY:
        return _weighs_all(given)
    return [
        Problem(
            places=["loss", "forward"],
            reason=WRONGLY[told[0]],
            measured=f"targets of {len(kinds)} examples changed, one at a time",
            threshold="the example's own output moves",
            next_step="compare rows that belong together: look at view, transpose, roll and mean before the loss",
        )
    ]


def _weighs_all(given: Alone) -> list[Problem]:
    """A column of the targets that scales the gradients of all examples alike: weights that broadcast."""
    target = given.target
    if target.ndim != 2 or not target.is_floating_point() or target.shape == given.output.shape or given.target_rows:
        return []
    base = given.slope(target)
    for column in range(min(target.shape[1], COLUMNS)):
        row = int((target[:, column] - target[0, column]).abs().argmax())
        if target[row, column] == target[0, column]:
            continue
        other = target.clone()
        other[0, column] = target[row, column]
        slope = given.slope(other)
        size = float(base.abs().max())
        moved = float((slope - base).abs().max()) > 1e-4 * size
        # its own row has to move in another way than the rest
        if moved and float(base[0].abs().max()) > 1e-3 * size and float(_unlike(base, slope)) <= 1e-5 * size:
            return [
                Problem(
                    places=["loss", "forward"],
                    reason=f"column {column} of the targets scales the gradients of all examples alike: weights "
                    "broadcast against losses",
                    measured="one example's number changed, and all gradients by one factor",
                    threshold="the example's own gradient, by another factor",
                    next_step="give weights and losses one shape: weight.squeeze(-1) * loss",
                )
            ]
    return []


def _kinds(given: Alone) -> list[str]:
    """What the targets of a few rows move, as `_kind` says it."""
    base = given.slope(given.target)
    if float(base.abs().max()) == 0:  # outputs so large that the loss is flat
        given = replace(given, output=0.01 * given.output)
        base = given.slope(given.target)
    scale = float(base.abs().max())
    if scale == 0:
        raise NotApplicableError("the gradient at the output is 0")
    return [_kind(given, base, row, scale) for row in range(min(TRIED, len(base)))]


def _kind(given: Alone, base: Tensor, row: int, scale: float) -> str:
    """What the target of one row moves: `own`, `others` (as much as one row, elsewhere), `all` (alike), or ''."""
    changed = given.moved(row)
    if changed is None:
        return ""
    slope = given.slope(changed[0])
    moved = (slope - base).abs()
    share = moved.reshape(len(moved), -1).amax(1) / scale
    if float(share.max()) <= 1e-5:
        return ""
    rest = torch.tensor([at for at in range(len(base)) if at != row], device=base.device)
    if float(share[row]) > 1e-5 and float((share - share[row]).abs().max()) <= 1e-3 * float(share[row]):
        return "all"
    if float(_unlike(base[rest], slope[rest])) <= 1e-4 * scale:  # up to a factor, as weights and means over masks make
        return "own"
    places = moved > 1e-5 * scale
    if given.target.ndim < places.ndim:  # classes are no places of targets
        axis = _class_axis(given)
        places = places.movedim(0, given.rows).any(axis).movedim(given.rows - (axis < given.rows), 0)
    elsewhere = int(places[rest].sum())
    return "others" if elsewhere and int(places.sum()) == changed[1] else ""


def _class_axis(given: Alone) -> int:
    """The dimension of the output that the targets do not have: 1, or the last."""
    without = [at for at in range(given.output.ndim) if at != given.rows]
    others = sorted(given.target.shape)
    fitting = [at for at in without if sorted((*given.output.shape[:at], *given.output.shape[at + 1 :])) == others]
    return fitting[-1] if fitting else without[-1]


def class_axis(subject: Subject) -> list[Problem]:
    """Classes that stand last, as a linear layer leaves them, and a softmax or cross_entropy over another dimension."""
    trace = subject.traced
    output, target = trace.output, trace.target
    if not isinstance(output, Tensor) or not isinstance(target, Tensor) or output.ndim < 3:
        raise NotApplicableError("the output is not one tensor of three dimensions or more")
    if target.is_floating_point() or tuple(output.shape[:-1]) != tuple(target.shape) or not _made_by_linear(trace):
        raise NotApplicableError("targets are no class numbers, one for each row that a last linear layer gives")
    for call in trace.of_loss:
        given, dim = call.argument(0, "input"), call.argument(1, "dim")
        if not isinstance(given, Tensor) or given.data_ptr() != output.data_ptr() or given.stride() != output.stride():
            continue  # transposed or flattened before
        over = 1 if call.name == "cross_entropy" else dim if call.name in ("softmax", "log_softmax") else None
        if given.shape == output.shape and isinstance(over, int) and over % given.ndim != given.ndim - 1:
            return [
                Problem(
                    places=["loss", "forward"],
                    reason=f"{call.name} takes dimension {over % given.ndim} for the classes, and they stand last",
                    measured=f"output {tuple(output.shape)}, targets {tuple(target.shape)}",
                    threshold="the last dimension",
                    next_step="flatten(0, 1) both, or output.movedim(-1, 1) for cross_entropy; dim=-1 for softmax",
                )
            ]
    return []


def _made_by_linear(trace: LossTrace) -> bool:
    made = {id(call.output): call for call in trace.of_model}
    one = made.get(id(trace.output))
    while one is not None and one.name in SAME_AXES:
        one = made.get(id(one.argument(0, "input")))
    return one is not None and one.name == "linear"


def floor(subject: Subject) -> list[Problem]:
    """Perfect outputs must cost next to nothing, and less than the opposite ones."""
    given = alone(subject)
    signs = _signs(given)
    if set(_kinds(given)) - {""} != {"own"}:
        raise NotApplicableError("the loss compares examples with each other")
    zero, *costs = (given.values(size * signs) for size in SIZES)
    against = given.values(-SIZES[-1] * signs)
    if not all(map(math.isfinite, (zero, against, *costs))):
        raise NotApplicableError("the loss of zero outputs, or of perfect ones, is not finite")
    if min(costs) > zero + 1e-6 * abs(zero) and against < zero - max(abs(zero), 1.0) and of_logits(given):
        return [
            Problem(
                places=["loss"],
                reason="the loss rises as outputs become right, and falls without end as they become wrong",
                measured=f"{costs[1]:.3g} for outputs of {SIZES[2]:g} at the right class, {zero:.3g} at zero",
                threshold="less than at zero",
                next_step="look at the sign: the logarithm of a probability is negative",
            )
        ]
    if zero <= 0:
        raise NotApplicableError("the loss of zero outputs is not above 0")
    falls = all(later <= earlier * (1 + 1e-6) for earlier, later in zip([zero, *costs], costs, strict=False))
    if not falls or costs[-1] <= FLOOR * zero or costs[-1] > costs[-3] + FLOOR * zero:
        return []
    return [
        Problem(
            places=["loss"],
            reason="the loss has a floor: even perfect outputs, however large, do not come below it",
            measured=f"{costs[-1]:.3g} for perfect outputs, {zero:.3g} for outputs of zero",
            threshold=f"{FLOOR * zero:.3g}",
            next_step="leave out the softmax, sigmoid or clamp on outputs before the loss applies its own",
        )
    ]


def of_logits(given: Alone) -> bool:
    """Whether a number added to all outputs changes nothing, as behind a softmax."""
    one, other = (given.values(given.output + shift) for shift in (0.0, 3.0))
    return math.isclose(one, other, rel_tol=1e-4, abs_tol=1e-6)


def _signs(given: Alone) -> Tensor:
    """(rows, …) 1 where the target says yes and -1 elsewhere, for a loss that wants logits."""
    output, target = given.output, given.target
    if target.shape == output.shape and target.is_floating_point():
        if not bool(((target == 0) | (target == 1)).all()):
            raise NotApplicableError("targets are no classes")
        return (2 * target - 1).to(output)
    if output.ndim != 2 or target.ndim != 1 or given.rows != 0 or not 0 <= float(target.min()) <= float(target.max()):
        raise NotApplicableError("the output has not one row of classes for each target")
    if target.is_floating_point() or int(target.max()) >= output.shape[1]:
        raise NotApplicableError("targets are no classes of the output")
    return 2 * torch.nn.functional.one_hot(target, output.shape[1]).to(output) - 1


def _unlike(one: Tensor, other: Tensor) -> Tensor:
    """Largest difference that no common factor explains."""
    size = (one * one).sum()
    factor = (one * other).sum() / size if float(size) > 0 else torch.ones_like(size)
    return (other - factor * one).abs().max()


CONTRACTS = (
    Contract("loss-pairs", "loss-contract", 91, pairs),
    Contract("class-axis", "loss-contract", 96, class_axis),
    Contract("loss-floor", "loss-contract", 88, floor),
)
