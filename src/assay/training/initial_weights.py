"""First weights in place of those that layers draw: Xavier or Kaiming, and a last bias from the label prior.

Covers: weights of linear layers and convolutions, whose biases begin at 0. Not covered: embeddings, norms and bare
parameters, which stay as model() made them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from assay.core.params_yaml import Params
from assay.ready.target_scale import TargetScale
from assay.training.task_interface import Task

_LAYERS = (nn.Linear, nn.Bilinear, nn.modules.conv._ConvNd)
_RULES: dict[str, Callable[[Tensor], Tensor]] = {
    "xavier_uniform": nn.init.xavier_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
    "kaiming_uniform": partial(nn.init.kaiming_uniform_, nonlinearity="relu"),
    "kaiming_normal": partial(nn.init.kaiming_normal_, nonlinearity="relu"),
}

#: ready losses for which values are probabilities
_OF_CHANCES = ("bce", "kl")


def apply(module: nn.Module, params: Params) -> None:
    """Draw weights (in place) by `train.init` from the global generator: Glorot & Bengio 2010, eq. 16; He et al. 2015,
    eq. 10."""
    name = params.train.init
    if name is None:
        return
    for one in module.modules():
        if isinstance(one, _LAYERS):
            _RULES[name](one.weight)
            if one.bias is not None:
                nn.init.zeros_(one.bias)


def set_target_scale(module: nn.Module, targets: Tensor, classes: int | None) -> None:
    """Give layers that count in the units of values (in place) the mean and spread of `targets` (N, …)."""
    for one in () if classes is not None else module.modules():
        if isinstance(one, TargetScale):
            one.fit(targets)


def set_prior(task: Task, module: nn.Module, params: Params, targets: Tensor, classes: int | None) -> None:
    """Give the last bias (in place) what predicts the frequencies of `targets` (N, …), or their mean.

    Logits of a softmax, for the loss bce of a sigmoid. Raises UsageError where no bias has a number for each output.
    """
    if not params.train.prior_bias:
        return
    wanted = _prior(targets, classes, params.loss.name)
    if any(isinstance(one, TargetScale) for one in module.modules()):
        wanted = torch.zeros_like(wanted)  # that layer begins at the mean
    biases = [one for name, one in module.named_parameters() if name.rpartition(".")[2] == "bias"]
    last = biases[-1] if biases else None
    if last is None or last.shape != wanted.shape:
        found = f"the last bias has {last.numel()} numbers" if last is not None else "no layer has a bias"
        raise task.refuse(f"train.prior_bias sets {wanted.numel()} outputs, and {found}", "a last layer with a bias")
    with torch.no_grad():
        last.copy_(wanted)


def _prior(targets: Tensor, classes: int | None, loss: str) -> Tensor:
    """(K,) outputs that predict how frequent each class is, or the mean of values, which bce and kl take for
    probabilities; one that is not there counts as half an example."""
    if classes is not None:
        counts = torch.bincount(targets[targets >= 0].flatten().cpu(), minlength=classes).double().clamp(min=0.5)
        chances = counts / counts.sum()
    else:
        means = targets.double().reshape(len(targets), -1).mean(0).cpu()
        if loss not in _OF_CHANCES:
            return means
        half = 0.5 / len(targets)
        chances = means.clamp(half, 1 - half)
    return chances.logit() if loss == "bce" else chances.log()
