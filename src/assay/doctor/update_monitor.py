"""Updates: optimizers made anew in each step, skipped by a scaler, or fed with a sum that is not divided."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from assay.doctor import user_frames
from assay.doctor.check_results import Problem
from assay.doctor.loop_checks import LoopCheck, LoopMonitor
from assay.doctor.loop_state import Loop, WatchedOptimizer

#: optimizers in a row for the same parameters, each of which made one step
REMADE = 10
#: updates in a row that a scaler may skip
SKIPPED = 10
#: steps with the same accumulation that are proof enough
ENOUGH = 3
#: torch's number of `reduction="mean"`
MEAN = 1


class UpdateMonitor(LoopMonitor):
    """Whether each step is the step that was meant."""

    EVENTS = ("scaler step begins", "scaler step ended")

    def __init__(self, loop: Loop) -> None:
        super().__init__(loop)
        self.last_parameters: list[int] = []
        self.fresh = 0
        self.remade: list[str] = []
        self.steps_before = 0
        self.skipped = 0
        self.most_skipped = 0
        self.scaler_line = ""
        self.means = 0
        self.accumulated: dict[int, int] = {}
        self.lines: list[str] = []

    def checks(self) -> list[LoopCheck]:
        return [
            LoopCheck("optimizer-made-anew", "optimisation", 94, self._made_anew, level="warning"),
            LoopCheck("updates-skipped", "optimisation", 93, self._updates_skipped, "warning", without_steps=True),
            LoopCheck("accumulation-divided", "optimisation", 91, self._not_divided, level="warning"),
        ]

    def event(self, name: str, arguments: tuple[Any, ...], result: Any) -> None:
        if name == "scaler step begins":
            self.steps_before = sum(one.steps for one in self.loop.all_watched())
        elif name == "scaler step ended":
            made = sum(one.steps for one in self.loop.all_watched()) > self.steps_before
            self.skipped = 0 if made else self.skipped + 1
            if self.skipped > self.most_skipped:
                self.most_skipped = self.skipped
                self.scaler_line = user_frames.place()

    def backward_begins(self, loss: Tensor | None) -> None:
        if loss is None or not self.loop.close(self.loop.steps):
            return
        top = _below_scaling(loss, self.loop.scaled is not None)
        reduction = getattr(top, "_saved_reduction", None)
        mean = reduction == MEAN if reduction is not None else top is not None and top.name() == "MeanBackward0"
        self.means += mean

    def step_begins(self, held: WatchedOptimizer) -> None:
        count, means, self.means = 1, self.means, 0
        if not self.loop.close(held.steps):
            return
        batches = held.backwards
        undivided = batches > 1 and batches == means == max(self.loop.drawn.values(), default=0)
        if undivided and not held.adaptive and held.gradient_norm is not None and held.scaled_by in (None, 1.0):
            count, self.lines = batches, [self.loop.backward_line, held.line]
        self.accumulated[count] = self.accumulated.get(count, 0) + 1

    def step_ended(self, held: WatchedOptimizer) -> None:
        parameters = [id(one) for one in held.parameters]
        anew = held.steps == 1 and parameters == self.last_parameters and held.remembers
        self.fresh = self.fresh + 1 if anew else 0
        if self.fresh >= REMADE:
            self.remade = [held.made_at or held.line, held.line]
        self.last_parameters = parameters

    def _made_anew(self) -> list[Problem]:
        if not self.remade:
            return []
        return [
            Problem(
                places=self.remade,
                reason="the optimizer is made anew in each step, so that its momentum and its averages are lost",
                measured=f"{self.fresh or REMADE} new optimizers in a row",
                threshold=f"fewer than {REMADE}",
                next_step="make it once, before the loop",
            )
        ]

    def _updates_skipped(self) -> list[Problem]:
        if self.most_skipped <= SKIPPED:
            return []
        return [
            Problem(
                places=[self.scaler_line],
                reason="the scaler skips one update after the other: every gradient overflows",
                measured=f"{self.most_skipped} in a row",
                threshold=f"at most {SKIPPED}",
                next_step="look for NaN in the loss, call scaler.update() in each step, or use bfloat16",
            )
        ]

    def _not_divided(self) -> list[Problem]:
        return [
            Problem(
                places=self.lines,
                reason="gradients of several batches are added and not divided by their number: the rate is as many "
                "times larger",
                measured=f"{count} batches a step, each with the mean of its loss",
                threshold="loss / batches, before backward()",
                next_step=f"(loss / {count}).backward()",
            )
            for count, steps in self.accumulated.items()
            if count > 1 and steps >= max(ENOUGH, 0.8 * sum(self.accumulated.values()))
        ]


def _below_scaling(loss: Tensor, scaler: bool) -> Any:
    """The node that made the loss, below the multiplication of a scaler."""
    node = loss.grad_fn
    if scaler and node is not None and node.name().startswith("MulBackward") and node.next_functions:
        return node.next_functions[0][0]
    return node
