"""Targets at the loss, against those that the loader gave with the same inputs."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from assay.doctor import autograd_graph
from assay.doctor.check_results import Problem
from assay.doctor.loop_checks import LoopCheck, LoopMonitor
from assay.doctor.loop_state import Loop
from assay.doctor.subject import NotApplicableError, NotRunError

#: pairs that are needed before targets are said to say nothing
ENOUGH = 200
#: most pairs that are kept
MOST = 20_000
#: standard errors within which an association counts as none
NONE = 4.0


class TargetMonitor(LoopMonitor):
    """Pairs of the loader's target and the loss's, for batches that reach the model as the loader gave them.

    Equal targets settle it. Else classes are compared with classes and numbers with numbers, of the same shape: labels
    made by the loop itself (noise, rotations, another range) have other shapes, ranges or inputs and are left alone.
    """

    def __init__(self, loop: Loop) -> None:
        super().__init__(loop)
        self.equal = 0
        self.pairs: list[tuple[Tensor, Tensor]] = []
        self.line = ""
        self.count = 0

    def checks(self) -> list[LoopCheck]:
        return [LoopCheck("targets-at-the-loss", "data", 96, self._look)]

    def backward_begins(self, loss: Any) -> None:
        batch, call = self.loop.batch, self.loop.call
        if self.equal or loss is None or batch is None or call is None or self.count >= MOST:
            return
        self.loop.targets = self.loop.targets or autograd_graph.saved_targets(loss)
        given = [one for one in batch.tensors if one.ndim]
        inputs = [one for one in given if any(_same(one, other) for other in call.tensors)]
        if not inputs:
            return
        rest = [one for one in given if not any(one is other for other in inputs)]
        found: list[tuple[Tensor, Tensor]] = []
        for _, target in self.loop.targets:
            if any(_same_values(one, target) for one in given):
                self.equal += 1
                self.pairs.clear()
                return
            found += [(one, target) for one in rest if _comparable(one, target)]
        if len(found) == 1:
            own, target = (one.detach().flatten().cpu().double() for one in found[0])
            self.pairs.append((own.clone(), target.clone()))
            self.count += own.numel()
            self.line = self.loop.backward_line

    def _look(self) -> list[Problem]:
        if self.equal:
            return []
        if not self.pairs:
            raise NotApplicableError("no loss of torch's with targets that could be compared with a loader's")
        if self.count < ENOUGH:
            raise NotRunError(f"fewer than {ENOUGH} targets were seen")
        own, target = (torch.cat(one) for one in zip(*self.pairs, strict=True))
        if bool((own == own[0]).all()):
            raise NotApplicableError("the loader's targets are all equal")
        constant = bool((target == target[0]).all())
        if not constant and _associated(own, target):
            return []
        what = f"always {float(target[0]):g}" if constant else "independent of them"
        return [
            Problem(
                places=[self.line, "train_loader targets"],
                reason=f"the targets at the loss say nothing of the loader's: they are {what}",
                measured=f"{self.count} targets of the loader beside those at the loss",
                threshold="targets that depend on the loader's",
                next_step="give the loss the targets of the same batch, in the same order",
            )
        ]


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether an input of the model is the loader's: the same memory, or equal values."""
    return one.data_ptr() == other.data_ptr() or _same_values(one, other)


def _same_values(one: Tensor, other: Tensor) -> bool:
    if one.numel() != other.numel() or one.numel() == 0 or one.layout != torch.strided:
        return False
    mine, theirs = one.detach().flatten(), other.detach().flatten()
    return torch.equal(mine.to(theirs.device, theirs.dtype), theirs)


def _comparable(own: Tensor, target: Tensor) -> bool:
    """Classes of the same range and numbers of the same shape."""
    if own.numel() != target.numel() or own.squeeze().shape != target.squeeze().shape:
        return False
    if own.is_floating_point() != target.is_floating_point():
        return False
    return own.is_floating_point() or (own.ndim == 1 and int(target.min()) >= 0 and int(own.min()) >= 0)


def _associated(own: Tensor, target: Tensor) -> bool:
    whole = bool((own == own.round()).all()) and bool((target == target.round()).all())
    classes = torch.unique(own), torch.unique(target)
    if whole and len(classes[0]) <= 50 and len(classes[1]) <= 50:
        if not set(classes[1].tolist()) <= set(classes[0].tolist()):
            raise NotApplicableError("the loss's classes are not the loader's")
        return _information(own, target, classes)
    x, y = own - own.mean(), target - target.mean()
    scale = float(x.norm() * y.norm())
    return scale == 0 or abs(float(x @ y)) / scale * math.sqrt(len(x)) > NONE


def _information(own: Tensor, target: Tensor, classes: tuple[Tensor, Tensor]) -> bool:
    """Whether two classes tell of each other: the statistic of independence (G) beyond what chance gives."""
    table = torch.zeros(len(classes[0]), len(classes[1]), dtype=torch.double)
    places = torch.searchsorted(classes[0], own), torch.searchsorted(classes[1], target)
    table.index_put_(places, torch.ones(len(own), dtype=torch.double), accumulate=True)
    expected = table.sum(1, keepdim=True) * table.sum(0, keepdim=True) / table.sum()
    statistic = 2 * float(torch.xlogy(table, table / expected).sum())
    freedom = max((table.shape[0] - 1) * (table.shape[1] - 1), 1)
    if len(own) < 10 * freedom:
        raise NotRunError(f"too few targets for {len(classes[0])} classes")
    return statistic > freedom + NONE * math.sqrt(2 * freedom)
