"""Updates of all lanes by groups of parameters: L1, freezing for a while, own step sizes, weight decay or none.

With one group of everything it is the rule itself, operation for operation.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from assay.core.params_yaml import Train
from assay.training import optimizers
from assay.training.optimizers import Slots
from assay.training.parameter_groups import ParameterGroup


class ParameterUpdate:
    """How `theta` (lanes, width) is updated by its gradient."""

    def __init__(self, settings: Train, groups: Sequence[ParameterGroup], per_epoch: int) -> None:
        """`per_epoch`: steps of an epoch, for groups that are trained from a later epoch on."""
        self.rule = optimizers.rule(settings)
        self.spared = optimizers.rule(settings, 0.0)  # for parameters that do not decay
        self.l1 = settings.l1
        self.groups = list(groups)
        self.per_epoch = per_epoch
        self.plain = all(one.rate == 1 and one.decays and one.first_epoch == 1 for one in groups)

    def start(self, theta: Tensor) -> Slots:
        return self.rule.start(theta)

    def prepare(self, theta: Tensor, grad: Tensor, step: int) -> None:
        """Complete `grad` in place before it is clipped: what L1 adds, nothing for what is still frozen."""
        if self.l1:
            for one in self.groups:
                if one.decays:
                    part = slice(one.start, one.end)
                    grad[:, part].add_(theta[:, part].sign(), alpha=self.l1)
        if not self.plain:
            for one in self.groups:
                if self._steps(one, step) < 1:
                    grad[:, one.start : one.end] = 0.0

    def apply(self, theta: Tensor, grad: Tensor, slots: Slots, lr: float, step: int) -> None:
        """One step (from 1) in place."""
        if self.plain:
            self.rule.update(theta, grad, slots, lr, step)
            return
        for one in self.groups:
            steps = self._steps(one, step)
            if steps >= 1:
                part = slice(one.start, one.end)
                rule = self.rule if one.decays else self.spared
                kept = {name: slot[:, part] for name, slot in slots.items()}
                rule.update(theta[:, part], grad[:, part], kept, lr * one.rate, steps)

    def _steps(self, group: ParameterGroup, step: int) -> int:
        """Steps that the group has taken with this one: a rule counts from where it began to train."""
        return step - (group.first_epoch - 1) * self.per_epoch
