"""Update rules: SGD with momentum, Adam, AdamW, RMSProp, AdaGrad, as functions of flat tensors; clipping.

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
#: what is added to the denominator where `train.eps` is not set: as in torch.optim
EPS = {"adam": 1e-8, "adamw": 1e-8, "rmsprop": 1e-8, "adagrad": 1e-10}


@dataclass(frozen=True)
class Rule:
    """An update rule: the state it keeps per parameter, and the update itself, in place."""

    slots: tuple[str, ...]
    update: Callable[[Tensor, Tensor, Slots, float, int], None]

    def start(self, theta: Tensor) -> Slots:
        return {name: torch.zeros_like(theta) for name in self.slots}


def rule(settings: Train, weight_decay: float | None = None) -> Rule:
    """The rule that `train.optimizer` names, with `weight_decay` in place of the section's own."""
    decay = settings.weight_decay if weight_decay is None else weight_decay
    eps = settings.eps or EPS.get(settings.optimizer, 0.0)
    match settings.optimizer:
        case "sgd":
            return sgd(settings.momentum, decay, nesterov=settings.nesterov)
        case "rmsprop":
            return rmsprop(settings.momentum, decay, settings.alpha, eps)
        case "adagrad":
            return adagrad(decay, eps)
    decoupled = settings.optimizer == "adamw"
    return adam(decay, decoupled=decoupled, first=settings.beta1, second=settings.beta2, epsilon=eps)


def sgd(momentum: float, weight_decay: float, *, nesterov: bool = False) -> Rule:
    """Stochastic gradient descent, optionally with heavy-ball momentum (Sutskever et al. 2013, eq. 1–2, without lr).

    With `nesterov` the step looks ahead along the momentum (the same, eq. 3–4).
    """

    def update(theta: Tensor, grad: Tensor, slots: Slots, lr: float, step: int) -> None:
        if weight_decay:
            grad = grad.add(theta, alpha=weight_decay)
        if momentum:
            kept = slots["momentum"].mul_(momentum).add_(grad)
            grad = grad.add(kept, alpha=momentum) if nesterov else kept
        theta.add_(grad, alpha=-lr)

    return Rule(("momentum",) if momentum else (), update)


def adam(
    weight_decay: float, *, decoupled: bool, first: float = 0.9, second: float = 0.999, epsilon: float = 1e-8
) -> Rule:
    """Adam (Kingma & Ba 2015, algorithm 1); with `decoupled` weight decay AdamW (Loshchilov & Hutter 2019, alg. 2)."""

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


def rmsprop(momentum: float, weight_decay: float, alpha: float, epsilon: float) -> Rule:
    """RMSProp (Tieleman & Hinton 2012, lecture 6.5), optionally with momentum of the scaled gradient."""

    def update(theta: Tensor, grad: Tensor, slots: Slots, lr: float, step: int) -> None:
        if weight_decay:
            grad = grad.add(theta, alpha=weight_decay)
        square = slots["square"].mul_(alpha).addcmul_(grad, grad, value=1 - alpha)
        scale = square.sqrt().add_(epsilon)
        if momentum:
            theta.add_(slots["momentum"].mul_(momentum).addcdiv_(grad, scale), alpha=-lr)
        else:
            theta.addcdiv_(grad, scale, value=-lr)

    return Rule(("square", "momentum") if momentum else ("square",), update)


def adagrad(weight_decay: float, epsilon: float) -> Rule:
    """AdaGrad (Duchi et al. 2011, fig. 1, diagonal)."""

    def update(theta: Tensor, grad: Tensor, slots: Slots, lr: float, step: int) -> None:
        if weight_decay:
            grad = grad.add(theta, alpha=weight_decay)
        square = slots["square"].addcmul_(grad, grad, value=1)
        theta.addcdiv_(grad, square.sqrt().add_(epsilon), value=-lr)

    return Rule(("square",), update)


def clip(grad: Tensor, largest: float | Tensor) -> None:
    """Scale each lane of `grad` (lanes, parameters) down to the norm `largest`, in place (Pascanu et al. 2013, alg. 1).

    A tensor (lanes, 1) holds a norm for each lane, and gives the bytes of one number for all; infinity scales nothing.
    A norm of `grad` that is NaN scales nothing, so that the first non-finite gradient can still be named.
    """
    norms = torch.linalg.vector_norm(grad, dim=1, keepdim=True)
    # A number divided by a tensor is the tensor's reciprocal times it, to torch; a tensor by a tensor is not.
    grad.mul_(((norms + 1e-6).reciprocal_() * largest).clamp_(max=1.0).nan_to_num_(nan=1.0))
