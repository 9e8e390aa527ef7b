"""Gradients between backward passes and steps: cleared when they should be, and still there when they are used."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from assay.doctor import user_frames
from assay.doctor.check_results import Problem
from assay.doctor.loop_checks import LoopCheck, LoopMonitor
from assay.doctor.loop_state import Loop, WatchedOptimizer, gradient_norms, total
from assay.doctor.subject import NotApplicableError, NotRunError

#: steps in a row of which a fault must be seen
ENOUGH = 3
#: steps without any gradient after which an optimizer is said to hold other parameters
NEVER = 6
#: share of the gradient that clipping leaves, from which on nearly nothing is left
NOTHING = 1e-3

#: address and version of a gradient: no reference, which would keep its memory
Mark = tuple[int, int]


@dataclass
class GradientNotes:
    """What is known of one optimizer's gradients. A mark is a gradient and its version when it was last seen."""

    uncleared: dict[int, Mark] = field(default_factory=dict)
    after_backward: dict[int, Mark] = field(default_factory=dict)
    norms: list[Tensor] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    in_a_row: Counter[str] = field(default_factory=Counter)
    lines: dict[str, list[str]] = field(default_factory=dict)
    ratios: list[float] = field(default_factory=list)
    line: str = ""
    parameters: list[str] = field(default_factory=list)

    def saw(self, what: str, happened: bool, *lines: str) -> None:
        self.counts[f"{what} looked"] += 1
        self.in_a_row[what] = self.in_a_row[what] + 1 if happened else 0
        if happened:
            self.counts[what] += 1
            self.lines[what] = [one for one in lines if one]
        if self.in_a_row[what] >= ENOUGH:
            self.counts[f"{what} proved"] += 1


class GradientMonitor(LoopMonitor):
    """Gradients not cleared, cleared or dropped before the step, clipped away, or never there."""

    EVENTS = ("cleared", "unscaled", "scaler step begins", "scaler step ended")

    def __init__(self, loop: Loop) -> None:
        super().__init__(loop)
        self.ended: list[GradientNotes] = []
        self.cleared_at = ""
        self.unscaled: set[int] = set()
        self.early: Counter[str] = Counter()

    def checks(self) -> list[LoopCheck]:
        return [
            LoopCheck("gradients-not-cleared", "optimisation", 98, self._not_cleared),
            LoopCheck("gradients-before-step", "optimisation", 97, self._before_step),
            LoopCheck("gradients-never", "optimisation", 96, self._never),
            LoopCheck("clipped-before-unscaling", "optimisation", 96, self._clipped_early),
            LoopCheck("clipped-to-nothing", "optimisation", 90, self._clipped_away),
        ]

    def _of(self, held: WatchedOptimizer) -> GradientNotes:
        if held.gradients is None:
            held.gradients = GradientNotes()
            self.ended.append(held.gradients)
        found: GradientNotes = held.gradients
        return found

    def event(self, name: str, arguments: tuple[Any, ...], result: Any) -> None:
        if name == "cleared":
            self.cleared_at = user_frames.place()
        elif name in ("unscaled", "scaler step begins") and len(arguments) > 1 and self.loop.full:
            held = self.loop.watched(arguments[1])
            # a step unscales by itself where nobody has done it before
            if held is not None and id(held) not in self.unscaled and arguments[0].is_enabled():
                if self.loop.close(held.steps):
                    self._scaled_gradients(held)
                self.unscaled.add(id(held))
        elif name == "scaler step ended":
            self.unscaled.clear()

    def _scaled_gradients(self, held: WatchedOptimizer) -> None:
        notes = self._of(held)
        marks = notes.after_backward
        changed = [i for i, mark in marks.items() if not _is_marked(held.parameters[i], mark)]
        if not changed or not notes.norms:
            return
        now, before = total(gradient_norms(_gradients(held))), total(notes.norms)
        if 0 < now < 0.999 * before and before < float("inf"):
            self.early[user_frames.place()] += 1

    def backward_begins(self, loss: Any) -> None:
        for held in self.loop.all_watched():
            if not self.loop.close(held.steps):
                continue
            notes = self._of(held)
            if all(one.grad is None for one in held.parameters):
                held.backwards = 0  # whatever was there is cleared, with or without a step
            same = [(i, mark) for i, mark in notes.uncleared.items() if _is_marked(held.parameters[i], mark)]
            # `grad.data.zero_()` leaves the version as it is
            norms = gradient_norms([one for i, _ in same if (one := held.parameters[i].grad) is not None])
            notes.uncleared = {i: mark for (i, mark), norm in zip(same, norms, strict=True) if norm.item()}

    def backward_ended(self) -> None:
        for held in self.loop.all_watched():
            if not self.loop.close(held.steps):
                continue
            notes = self._of(held)
            marks = _marks(held.parameters)
            notes.uncleared = {i: marks[i] for i in notes.uncleared if i in marks}
            if marks.items() - notes.after_backward.items():
                held.backwards += 1
            notes.after_backward = marks
            notes.norms = gradient_norms(_gradients(held))

    def step_begins(self, held: WatchedOptimizer) -> None:
        notes = self._of(held)
        if held.closure or not held.steps or not self.loop.close(held.steps):
            return
        notes.line = held.line
        before = total(notes.norms)
        some = before != 0
        unchanged = _marks(held.parameters) == notes.after_backward
        left = before if unchanged else total(gradient_norms(_gradients(held)))
        held.gradient_norm = left
        held.scaled_by = left / before if some else None
        gone = held.backwards > 0 and some and left == 0
        notes.saw("gone", gone, self.cleared_at or held.line, held.line)
        notes.saw("never", not some and left == 0, held.line, held.made_at)
        if some and not gone and id(held) not in self.unscaled and self.loop.scaled is None:
            notes.ratios.append(left / before)

    def step_ended(self, held: WatchedOptimizer) -> None:
        if not self.loop.close(held.steps) and not self.loop.close(held.steps - 1):
            return
        notes = self._of(held)
        if held.backwards and held.steps > 1 and self.loop.close(held.steps - 1):
            notes.saw("uncleared", bool(notes.uncleared), held.line, self.loop.backward_line)
            if notes.uncleared:
                notes.parameters = held.named([held.parameters[i] for i in notes.uncleared])
        notes.uncleared = _marks(held.parameters)
        notes.after_backward = dict(notes.uncleared)

    # the checks

    def _proved(self, what: str) -> list[GradientNotes]:
        return [one for one in self.ended if one.counts[f"{what} proved"]]

    def _not_cleared(self) -> list[Problem]:
        return [
            Problem(
                places=[*one.lines["uncleared"], *one.parameters[:1]],
                reason="gradients are not cleared between steps: each step goes along the sum of all gradients so far",
                measured=f"{one.counts['uncleared']} of {one.counts['uncleared looked']} steps",
                threshold="none",
                next_step="call optimizer.zero_grad() once for each step, before backward()",
            )
            for one in self._proved("uncleared")
        ]

    def _before_step(self) -> list[Problem]:
        return [
            Problem(
                places=one.lines["gone"],
                reason="gradients are cleared between backward() and step(): the step has nothing to go by",
                measured=f"{one.counts['gone']} of {one.counts['gone looked']} steps",
                threshold="none",
                next_step="clear gradients before backward(), or after step()",
            )
            for one in self._proved("gone")
            if one.counts["gone"] >= 0.5 * one.counts["gone looked"]
        ]

    def _never(self) -> list[Problem]:
        losses = [one.values for one in self.loop.series.values()]
        if losses and not any(map(any, losses)):
            raise NotApplicableError("the loss is exactly 0")
        return [
            Problem(
                places=one.lines["never"],
                reason="no parameter of the optimizer ever has a gradient: the loss does not reach what it holds",
                measured=f"{one.counts['never']} of {one.counts['never looked']} steps",
                threshold="a gradient in at least one",
                next_step="make the optimizer from the parameters of the model that trains, and call backward()",
            )
            for one in self.ended
            if one.counts["never"] >= NEVER and one.counts["never"] == one.counts["never looked"]
        ]

    def _clipped_early(self) -> list[Problem]:
        return [
            Problem(
                places=[line],
                reason="gradients are clipped while they are still multiplied by the scaler",
                measured=f"{count} steps",
                threshold="none",
                next_step="call scaler.unscale_(optimizer) before clipping",
            )
            for line, count in self.early.items()
            if count >= ENOUGH
        ]

    def _clipped_away(self) -> list[Problem]:
        found = []
        for one in self.ended:
            few = [ratio for ratio in one.ratios if ratio < NOTHING]
            if len(few) >= 10 and len(few) >= 0.9 * len(one.ratios) and not self._progress():
                found.append(
                    Problem(
                        places=[one.line],
                        reason="clipping leaves nearly nothing of the gradient, and the loss does not fall",
                        measured=f"{sorted(few)[len(few) // 2]:.1e} of its norm",
                        threshold=f"more than {NOTHING:g}, or a loss that falls",
                        next_step="clip at a larger norm, such as the median of what you measure",
                    )
                )
        return found

    def _progress(self) -> bool:
        series = self.loop.single_series()
        if series is None or len(series.values) < 20:
            raise NotRunError("the loop has several losses, or too few steps")
        count = max(len(series.values) // 5, 5)
        first, last = sum(series.values[:count]) / count, sum(series.values[-count:]) / count
        return last < 0.9 * first if first > 0 else last < first


def _gradients(held: WatchedOptimizer) -> list[Tensor]:
    found = (one.grad for one in held.parameters)
    return [one for one in found if one is not None and one.layout == torch.strided]


def _marks(parameters: list[nn.Parameter]) -> dict[int, Mark]:
    """Index of each parameter with a dense gradient → its mark."""
    found = enumerate(one.grad for one in parameters)
    return {i: (one.data_ptr(), one._version) for i, one in found if one is not None and one.layout == torch.strided}


def _is_marked(parameter: nn.Parameter, mark: Mark) -> bool:
    gradient = parameter.grad
    return gradient is not None and (gradient.data_ptr(), gradient._version) == mark
