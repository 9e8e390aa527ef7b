"""Update rules: SGD with momentum, Adam, AdamW, as functions of flat tensors; schedules and clipping.

Written out rather than taken from `torch.optim`, because constructing any of its optimizers imports the
compiler (0.9 s), and because one call here updates all replicates: every tensor is (lanes, parameters).
The operations follow `torch.optim` (single tensor, not fused) in kind and order, so that results agree.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from assay.core.params_yaml import Train

Slots = dict[str, Tensor]


@dataclass(frozen=True)
class Rule:
    """An update rule: the state it keeps per parameter, and the update itself, in place."""

    slots: tuple[str, ...]
    update: Callable[[Tensor, Tensor, Slots, float, int], None]

    def start(self, theta: Tensor) -> Slots:
        return {name: torch.zeros_like(theta) for name in self.slots}


def rule(settings: Train) -> Rule:
    """The rule that `train.optimizer` names."""
    if settings.optimizer == "sgd":
        return sgd(settings.momentum, settings.weight_decay)
    return adam(settings.weight_decay, decoupled=settings.optimizer == "adamw")


def sgd(momentum: float, weight_decay: float) -> Rule:
    """Stochastic gradient descent, optionally with heavy-ball momentum (Sutskever et al. 2013, eq. 1–2, without lr)."""

    def update(theta: Tensor, grad: Tensor, slots: Slots, lr: float, step: int) -> None:
        if weight_decay:
            grad = grad.add(theta, alpha=weight_decay)
        if momentum:
            grad = slots["momentum"].mul_(momentum).add_(grad)
        theta.add_(grad, alpha=-lr)

    return Rule(("momentum",) if momentum else (), update)


def adam(weight_decay: float, *, decoupled: bool) -> Rule:
    """Adam (Kingma & Ba 2015, algorithm 1); with `decoupled` weight decay AdamW (Loshchilov & Hutter 2019, alg. 2)."""
    first, second, epsilon = 0.9, 0.999, 1e-8

    def update(theta: Tensor, grad: Tensor, slots: Slots, lr: float, step: int) -> None:
        mean, square = slots["mean"], slots["square"]
        if weight_decay and decoupled:
            theta.mul_(1 - lr * weight_decay)
        elif weight_decay:
            grad = grad.add(theta, alpha=weight_decay)
        mean.lerp_(grad, 1 - first)
        square.mul_(second).addcmul_(grad, grad, value=1 - second)
        correction = math.sqrt(1 - second**step)
        denominator = square.sqrt().div_(correction).add_(epsilon)
        theta.addcdiv_(mean, denominator, value=-lr / (1 - first**step))

    return Rule(("mean", "square"), update)


def step_size(lr: float, schedule: str, step: int, steps: int) -> float:
    """Step size at `step` (1 to `steps`): constant, or a cosine from `lr` to 0 (Loshchilov & Hutter 2017, eq. 5)."""
    return lr if schedule == "constant" else lr * 0.5 * (1 + math.cos(math.pi * (step - 1) / steps))


def clip(grad: Tensor, largest: float | Tensor) -> None:
    """Scale each lane of `grad` (lanes, parameters) down to the norm `largest`, in place (Pascanu et al. 2013, alg. 1).

    A tensor (lanes, 1) holds a norm for each lane, and gives the bytes of one number for all; infinity scales nothing.
    A norm of `grad` that is NaN scales nothing, so that the first non-finite gradient can still be named.
    """
    norms = torch.linalg.vector_norm(grad, dim=1, keepdim=True)
    # A number divided by a tensor is the tensor's reciprocal times it, to torch; a tensor by a tensor is not.
    grad.mul_(((norms + 1e-6).reciprocal_() * largest).clamp_(max=1.0).nan_to_num_(nan=1.0))
