"""Symptoms of a run as a whole: a loss that is 0, jumps or stays, outputs that explode or collapse, overconfidence.

Each is said at the end, of the whole run, and only where learning has failed by the numbers: a symptom that fires
before learning has begun cries wolf.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from assay.doctor import tensor_tree
from assay.doctor.check_results import Problem
from assay.doctor.loop_checks import LoopCheck, LoopMonitor
from assay.doctor.loop_state import Loop, LossSeries, RootCall, WatchedOptimizer
from assay.doctor.subject import NotApplicableError, NotRunError

#: steps of a run that is long enough for a symptom
LONG_ENOUGH = 100
#: share of the way to the least loss that has to be gained
GAINED = 0.1
#: steps at the beginning with a loss of exactly 0
ZEROS = 10
#: batches of one evaluation that are looked at
EVALUATED = 50
#: losses whose median is what the next as many are compared with
BLOCK = 25
#: batches whose targets are kept
LABELS = 60


@dataclass
class Evaluation:
    """Sums over one evaluation of the model on labelled batches, as tensors."""

    loss: Any = 0.0
    right: Any = 0.0
    confidence: Any = 0.0
    count: int = 0
    batches: int = 0

    def mean(self, value: Any) -> float:
        return float(value) / self.count


@dataclass
class LossRange:
    """From the loss of the best constant output to the least loss, for targets as they were seen."""

    constant: float
    least: float


class SymptomMonitor(LoopMonitor):
    """Symptoms, gated: told only at the end of a run in which little was learned."""

    EVENTS = ("mode",)

    def __init__(self, loop: Loop) -> None:
        super().__init__(loop)
        self.largest: list[tuple[int, float]] = []
        self.predicted: list[set[int]] = []
        self.labels: list[Tensor] = []
        self.kinds: set[str] = set()
        self.evaluations: list[Evaluation] = []
        self.open: Evaluation | None = None

    def checks(self) -> list[LoopCheck]:
        return [
            LoopCheck("loss-zero", "in-flight", 85, self._zero, level="warning"),
            LoopCheck("one-class", "in-flight", 75, self._one_class, level="warning"),
            LoopCheck("outputs-explode", "in-flight", 74, self._explode, level="warning"),
            LoopCheck("loss-spikes", "in-flight", 76, self._spikes, level="warning"),
            LoopCheck("no-progress", "in-flight", 60, self._no_progress, level="warning"),
            LoopCheck("overconfident", "in-flight", 59, self._overconfident, level="warning"),
        ]

    def called(self, call: RootCall) -> None:
        if call.with_gradient and not self.loop.close(self.loop.steps):
            return
        output = next(tensor_tree.leaves(call.output), None)
        if output is None or not output.is_floating_point() or not output.numel():
            return
        output = output.detach()
        if call.with_gradient:
            self.largest.append((self.loop.steps, float(output.abs().max())))
            if output.ndim == 2 and output.shape[1] > 1:
                self.predicted.append(set(output.argmax(1).tolist()))
        elif not call.training:
            self._evaluate(output)

    def backward_begins(self, loss: Any) -> None:
        self.open = None
        if loss is None or len(self.labels) >= LABELS or not self.loop.close(self.loop.steps):
            return
        targets = self.loop.targets
        node = targets[0][0] if len(targets) == 1 else None
        top = loss.grad_fn if self.loop.scaled is None else loss.grad_fn.next_functions[0][0]
        weighted = any(getattr(node, name, None) is not None for name in ("_saved_weight", "_saved_pos_weight"))
        if node is None or node is not top or getattr(node, "_saved_reduction", None) != 1 or weighted:
            self.kinds.add("other")
            return
        self.kinds.add(node.name())
        self.labels.append(targets[0][1].detach().cpu().clone())

    # the way to the least loss

    def _series(self) -> LossSeries:
        series = self.loop.single_series()
        if series is None:
            raise NotApplicableError("the loop has several losses or optimizers")
        if len(series.values) < LONG_ENOUGH:
            raise NotRunError(f"fewer than {LONG_ENOUGH} losses")
        if self.loop.planned_steps is not None and self.loop.steps < self.loop.planned_steps:
            raise NotRunError(f"{self.loop.steps} of {self.loop.planned_steps} planned steps were made")
        if not np.isfinite(series.values).all():
            raise NotApplicableError("the loss is not finite")
        return series

    def _range(self) -> LossRange:
        if len(self.kinds) != 1 or not self.labels:
            raise NotApplicableError("the loss is not the mean of one of torch's own over known targets")
        kind = next(iter(self.kinds))
        labels = torch.cat([one if one.ndim else one[None] for one in self.labels])
        if kind.startswith("NllLoss"):
            shares = torch.bincount(labels[labels >= 0].flatten()).double()
            shares = shares[shares > 0] / shares.sum()
            return LossRange(float(-(shares * shares.log()).sum()), 0.0)
        values = labels.double()
        if kind.startswith("MseLoss"):
            return LossRange(float(values.var(0, unbiased=False).mean()), 0.0)
        if kind.startswith("BinaryCrossEntropy"):
            return LossRange(float(_entropy(values.mean(0)).mean()), float(_entropy(values).mean()))
        raise NotApplicableError("the least loss is not known")

    def _stuck(self) -> str:
        """What was measured where the run as a whole has learned nothing; '' where it has."""
        series, way = self._series(), self._range()
        losses = np.asarray(series.values)
        third = len(losses) // 3
        middle, last = losses[third : 2 * third], losses[2 * third :]
        length = way.constant - way.least
        if length < 1e-6:
            raise NotApplicableError("a constant output is already the best")
        gained = (way.constant - last.mean()) / length
        error = (middle.var() / len(middle) + last.var() / len(last)) ** 0.5
        # slow, but steady progress shows between the first third and the last
        if gained >= GAINED or max(middle.mean(), losses[:third].mean()) - last.mean() >= 2 * error:
            return ""
        return f"{max(gained, 0):.1%} of the way from {way.constant:.4g} (a constant output) to {way.least:.4g}"

    def _no_progress(self) -> list[Problem]:
        stuck = self._stuck()
        if not stuck:
            return []
        return [
            Problem(
                places=[self._series().line],
                reason="the whole run is hardly better than a constant output, and its last third no better than the "
                "one before",
                measured=stuck,
                threshold=f"{GAINED:.0%}, or a last third that is better by two standard errors",
                next_step="examine(model, loss, optimizer, train_loader), then other rates",
            )
        ]

    def _one_class(self) -> list[Problem]:
        stuck = self._stuck()
        last = self.predicted[-ZEROS:]
        if len(last) < ZEROS:
            raise NotApplicableError("outputs are not one row of classes for each example")
        classes = set().union(*last)
        labels = torch.cat([one.flatten() for one in self.labels]) if self.labels else torch.zeros(0)
        if not stuck or len(classes) > 1 or labels.is_floating_point() or len(torch.unique(labels)) < 2:
            return []
        share = float(torch.bincount(labels[labels >= 0]).max()) / len(labels)
        if share > 0.9:
            raise NotApplicableError("nearly all labels are one class")
        return [
            Problem(
                places=[self._series().line, "model"],
                reason=f"every example is predicted as class {classes.pop()}",
                measured=f"in the last {len(last)} batches; the largest class has {share:.0%} of the labels",
                threshold="more than one class",
                next_step="examine(model, loss, optimizer, train_loader), then a lower rate",
            )
        ]

    def _explode(self) -> list[Problem]:
        series = self._series()
        if len(self.largest) < 10:
            raise NotApplicableError("the model's outputs were not seen")
        first = self.largest[0][1]
        last = float(np.median([value for _, value in self.largest[-10:]]))
        losses = np.asarray(series.values)
        now = losses[-10:].mean()
        # the very first outputs are not seen where the model was found at the first step
        if last < 1e3 or (last < 100 * first and now < 10 * abs(losses[0])) or now < losses[0]:
            return []
        return [
            Problem(
                places=[series.line, "model"],
                reason="the model's outputs explode, and the loss is no lower than at the start",
                measured=f"largest output {first:.3g} at the start, {last:.3g} at the end",
                threshold="less than 100 times larger, or a loss that falls",
                next_step="a lower rate, or clipping",
            )
        ]

    def _spikes(self) -> list[Problem]:
        series = self._series()
        losses = np.asarray(series.values)
        blocks = losses[: len(losses) // BLOCK * BLOCK].reshape(-1, BLOCK)
        usual = np.abs(np.median(blocks, axis=1))[:-1]
        peaks = blocks[1:].max(axis=1)
        above = (peaks > 10 * usual) & (peaks > abs(losses[:10].mean()))
        jumps = [int(one + 1) * BLOCK + int(blocks[one + 1].argmax()) for one in np.flatnonzero(above)]
        if len(jumps) < 3 or losses.min() < 0:
            return []
        return [
            Problem(
                places=[series.line],
                reason="the loss jumps again and again, above where it began",
                measured=f"{len(jumps)} times, at losses {', '.join(map(str, jumps[:5]))}",
                threshold="fewer than 3 times",
                next_step="clip_grad_norm_, a lower rate or a warm-up; look at the examples of those batches",
            )
        ]

    def _zero(self) -> list[Problem]:
        if not self.loop.series:
            raise NotApplicableError("no backward pass was seen")
        return [
            Problem(
                places=[series.line],
                reason="the loss is exactly 0 from the start: nothing can be learned",
                measured=f"the first {len(series.values)} losses" if len(series.values) < 100 else "the first losses",
                threshold="a loss above 0",
                next_step="look at the number of outputs, at masks and at the targets",
            )
            for series in self.loop.series.values()
            if len(series.values) >= ZEROS and not any(series.values[: max(ZEROS, len(series.values) // 2)])
        ]

    # evaluations

    def event(self, name: str, arguments: tuple[Any, ...], result: Any) -> None:
        root = self.loop.root
        if root is not None and arguments and arguments[0] is root and root.training:
            self.open = None

    def step_ended(self, held: WatchedOptimizer) -> None:
        self.open = None

    def _evaluate(self, output: Tensor) -> None:
        batch = self.loop.batch
        if batch is None or output.ndim != 2 or output.shape[1] < 2:
            return
        if self.loop.val_loader is not None and batch.loader is not self.loop.val_loader:
            return
        labels = [
            one for one in batch.tensors if one.shape == output.shape[:1] and one.dtype == torch.long and one.numel()
        ]
        if len(labels) != 1 or int(labels[0].max()) >= output.shape[1] or int(labels[0].min()) < 0:
            return
        if self.open is None:
            self.open = Evaluation()
            self.evaluations.append(self.open)
        if self.open.batches >= EVALUATED:
            return
        chances = output.float().softmax(1)
        target = labels[0].to(output.device)
        self.open.loss = self.open.loss + F.cross_entropy(output.float(), target, reduction="sum")
        self.open.right = self.open.right + (output.argmax(1) == target).sum()
        self.open.confidence = self.open.confidence + chances.max(1).values.sum()
        self.open.count += len(target)
        self.open.batches += 1

    def _overconfident(self) -> list[Problem]:
        seen = [one for one in self.evaluations if one.count >= 20]
        if len(seen) < 5:
            raise NotApplicableError("fewer than 5 evaluations of class outputs on a DataLoader's labels were seen")
        losses = [one.mean(one.loss) for one in seen]
        rights = [one.mean(one.right) for one in seen]
        best = int(np.argmin(losses))
        later = losses[best:]
        now, right = float(np.mean(later[-3:])), float(np.mean(rights[-3:]))
        chance = (right * (1 - right) / seen[-1].count) ** 0.5
        if len(later) < 4 or now < 1.25 * losses[best] or right < rights[best] + max(chance, 0.005):
            return []
        last = seen[-1]
        gap = last.mean(last.confidence) - rights[-1]
        series = next(iter(self.loop.series.values()), None)
        return [
            Problem(
                places=["" if series is None else series.line, "val_loader"],
                reason="validation's loss rises while its accuracy rises: the model gets more right and too sure",
                measured=f"loss {losses[best]:.3g} → {now:.3g}, accuracy {rights[best]:.3g} → {right:.3g}, "
                f"confidence beyond accuracy {gap:+.3g}",
                threshold="a loss within a quarter of its least",
                next_step="choose by the metric that counts; label smoothing, or a temperature fitted on validation",
            )
        ]


def _entropy(share: Tensor) -> Tensor:
    share = share.clamp(0, 1)
    return -(torch.xlogy(share, share) + torch.xlogy(1 - share, 1 - share))
