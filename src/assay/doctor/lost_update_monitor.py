"""What gets lost on the way from a batch to a step: forward and backward passes, rates, parameters, modes."""

from __future__ import annotations

from collections import Counter
from typing import Any

from torch import Tensor, nn

from assay.doctor import tensor_tree, user_frames
from assay.doctor.check_results import Problem
from assay.doctor.loop_checks import LoopCheck, LoopMonitor
from assay.doctor.loop_state import Loop, RootCall, WatchedOptimizer
from assay.doctor.mode_monitor import depends_on_mode
from assay.doctor.subject import NotApplicableError, NotRunError

#: passes or steps of which a fault must be seen
ENOUGH = 3
#: passes from which shares say something, and the share of lost ones that is no accident
MANY, SHARE = 10, 0.6
#: share of the largest rate that is nothing, and of the planned run for which it has to be
NOTHING, MOST = 1e-3, 0.5


class PassageMonitor(LoopMonitor):
    """Passes that no step uses, rates that vanish, parameters that were unfrozen for nothing, modes of evaluation."""

    EVENTS = ("cleared",)

    def __init__(self, loop: Loop) -> None:
        super().__init__(loop)
        self.trained_on: set[int] = set()
        self.evaluated, self.evaluated_at, self.in_evaluation = 0, "", 0
        self.forwards, self.reached, self.forward_at = 0, 0, ""
        self.pending = self.used = self.dropped = 0
        self.dropped_at, self.closure = "", False
        self.pending_of: list[str] = []
        self.weights: list[Tensor] = []
        self.changed = 0
        self.used_of: Counter[str] = Counter()
        self.dropped_of: Counter[str] = Counter()
        self.rates: dict[int, tuple[float, int | None, str]] = {}
        self.frozen: set[int] | None = None
        self.unfrozen: dict[str, int] = {}
        self.unfrozen_steps, self.unfrozen_at = 0, ""
        self.root: nn.Module | None = None

    def checks(self) -> list[LoopCheck]:
        return [
            LoopCheck("unfrozen-not-held", "optimisation", 95, self._unfrozen),
            LoopCheck("evaluated-in-training", "modes-layers", 93, self._evaluated, level="warning"),
            LoopCheck("gradients-dropped", "optimisation", 91, self._gradients, level="warning"),
            LoopCheck("losses-dropped", "optimisation", 91, self._losses, level="warning"),
            LoopCheck("rate-vanishes", "optimisation", 88, self._vanishing, level="warning"),
        ]

    def called(self, call: RootCall) -> None:
        batch = self.loop.batch
        if batch is None or not call.addresses & {one.data_ptr() for one in batch.tensors if one.numel()}:
            return
        if self.root is None:
            self.root = self.loop.root
        if self.trained_on and id(batch.loader) not in self.trained_on:
            self.in_evaluation += not call.training
            if call.training and not call.with_gradient:
                self.evaluated += 1
                self.evaluated_at = user_frames.place()
        if call.training and call.with_gradient and batch.loader is not self.loop.val_loader:
            output = next((one for one in tensor_tree.leaves(call.output) if one.requires_grad), None)
            if output is not None:
                self.forwards += 1
                self.forward_at = user_frames.place()
                output.register_hook(self._used)  # type: ignore[no-untyped-call]

    def _used(self, _gradient: Tensor) -> None:
        self.reached += 1

    def backward_ended(self) -> None:
        self.pending += 1
        if len(self.loop.series) > 1 and self.loop.close(self.loop.steps):  # else the line is that of an earlier pass
            self.pending_of.append(self.loop.backward_line)
            self.weights = self._weights()

    def _weights(self) -> list[Tensor]:
        """What tells of a change of the weights: the smallest parameter of each optimizer."""
        held = [one.parameters for one in self.loop.all_watched() if one.parameters]
        return [min(each, key=Tensor.numel).detach().clone() for each in held]

    def _count(self, into: Counter[str]) -> None:
        """Count pending backward passes by their lines."""
        into.update(set(self.pending_of))
        self.pending_of.clear()

    def event(self, name: str, arguments: tuple[Any, ...], result: Any) -> None:
        if self.pending_of and not tensor_tree.same(self._weights(), self.weights):
            self.pending_of.clear()  # used by hand, as where weights are moved up the gradient first
        self._count(self.dropped_of)
        if self.pending and self.loop.full:
            self.dropped += self.pending
            self.dropped_at = user_frames.place()
        self.pending = 0

    def step_begins(self, held: WatchedOptimizer) -> None:
        self.used += self.pending
        self._count(self.used_of)
        self.changed += held.scaled_by not in (None, 1.0)
        self.pending, self.closure = 0, self.closure or held.closure
        optimizer = held.reference() if held.reference is not None else None
        if optimizer is not None:
            rate = max((float(group.get("lr", 0.0)) for group in optimizer.param_groups), default=0.0)
            self.note_rate(held, held.steps, rate)

    def note_rate(self, held: WatchedOptimizer, step: int, rate: float) -> None:
        """The largest rate of an optimizer, and since which step it is next to nothing."""
        largest, dead, _ = self.rates.get(id(held), (0.0, None, ""))
        largest = max(largest, rate)
        dead = None if rate > NOTHING * largest else step if dead is None else dead
        self.rates[id(held)] = (largest, dead, held.line)

    def step_ended(self, held: WatchedOptimizer) -> None:
        batch, training = self.loop.batch, held.root is None or held.root.training
        if batch is not None and batch.loader is not None and training:
            self.trained_on.add(id(batch.loader))
        if held.root is None or not self.loop.close(held.steps - 1):
            return
        if self.frozen is None:
            self.frozen = {id(one) for one in held.root.parameters() if not one.requires_grad}
        if self.frozen:
            lost = self._lost(held.root)
            if lost:
                self.unfrozen_steps += 1
                self.unfrozen, self.unfrozen_at = lost, held.line
                self.root = held.root

    def _lost(self, root: nn.Module) -> dict[str, int]:
        """Names and identities of parameters that were frozen, have a gradient now, and that no optimizer holds."""
        held = {id(one) for each in self.loop.all_watched() for one in each.parameters}
        return {
            name: id(one)
            for name, one in root.named_parameters()
            if id(one) in (self.frozen or ()) and one.requires_grad and one.grad is not None and id(one) not in held
        }

    # the checks

    def _unfrozen(self) -> list[Problem]:
        held = {id(one) for each in self.loop.all_watched() for one in each.parameters}
        lost = [name for name, known in self.unfrozen.items() if known not in held]
        if self.unfrozen_steps < ENOUGH or not lost:
            return []
        return [
            Problem(
                places=[self.unfrozen_at, *lost[:2]],
                reason="parameters were unfrozen during the run, and no optimizer holds them: they never move",
                measured=f"{len(lost)} parameters with a gradient in {self.unfrozen_steps} steps that were looked at",
                threshold="0",
                next_step="call optimizer.add_param_group when you unfreeze, or give it all parameters from the start",
            )
        ]

    def _evaluated(self) -> list[Problem]:
        if self.root is None or not depends_on_mode(self.root):
            raise NotApplicableError("the model computes the same in both modes, or is not known")
        if self.evaluated < ENOUGH or self.in_evaluation:
            return []
        return [
            Problem(
                places=[self.evaluated_at],
                reason="batches of another loader are evaluated in training mode: dropout goes on, and BatchNorm "
                "takes their statistics",
                measured=f"{self.evaluated} forward passes without gradient",
                threshold="evaluation mode",
                next_step="call model.eval() before evaluating, and model.train() after it",
            )
        ]

    def _gradients(self) -> list[Problem]:
        if len(self.loop.series) > 1 and self.loop.seen == 1 and self.loop.scaled is None and not self.closure:
            return self._one_of_several()
        self._of_one_loss()
        if self.used < ENOUGH or self.dropped < MANY or self.dropped < SHARE * (self.dropped + self.used):
            return []
        return [
            Problem(
                places=[self.dropped_at],
                reason="most gradients are cleared before a step uses them: only the last batch of several counts",
                measured=f"{self.dropped} of {self.dropped + self.used} backward passes",
                threshold="none",
                next_step="call zero_grad() after step(), once for each step",
            )
        ]

    def _one_of_several(self) -> list[Problem]:
        """A loss whose gradients are always cleared before the step, beside another that is used."""
        lost = [line for line, count in self.dropped_of.items() if count >= ENOUGH and not self.used_of[line]]
        if not lost or max(self.used_of.values(), default=0) < ENOUGH:
            return []
        if self.changed >= ENOUGH:
            raise NotApplicableError("gradients are changed before the step: others may have been added by hand")
        return [
            Problem(
                places=[lost[0], self.dropped_at],
                reason="the gradients of one of several losses are always cleared before a step uses them",
                measured=f"all {self.dropped_of[lost[0]]} backward passes that were looked at",
                threshold="none",
                next_step="call zero_grad() once, before the first backward() of a step",
            )
        ]

    def _losses(self) -> list[Problem]:
        self._of_one_loss()
        lost = self.forwards - self.reached
        if self.reached < ENOUGH or lost < MANY or lost < SHARE * self.forwards:
            return []
        return [
            Problem(
                places=[self.loop.backward_line, self.forward_at],
                reason="most batches go through the model in training mode, and no backward pass reaches them: only "
                "the last of several counts",
                measured=f"{lost} of {self.forwards} forward passes",
                threshold="none",
                next_step="call backward() and step() inside of the loop over batches, or sum their losses",
            )
        ]

    def _vanishing(self) -> list[Problem]:
        steps = self.loop.steps
        if steps < 2 * MANY:
            raise NotRunError(f"fewer than {2 * MANY} steps")
        return [
            Problem(
                places=[line],
                reason="the learning rate is next to nothing for most of the run: a schedule that counts epochs is "
                "stepped for each batch, or is too short",
                measured=f"from step {dead} of {self.loop.planned} on below {NOTHING:g} of {largest:g}",
                threshold="the second half of the run",
                next_step="call scheduler.step() in the unit in which its length is given",
            )
            for largest, dead, line in self.rates.values()
            if largest > 0 and dead is not None and steps - dead >= MOST * self.loop.planned
        ]

    def _of_one_loss(self) -> None:
        if self.loop.single_series() is None or self.loop.scaled is not None or self.closure:
            raise NotApplicableError("the loop has several losses or optimizers, scales its loss, or uses a closure")
