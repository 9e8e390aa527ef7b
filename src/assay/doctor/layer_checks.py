"""Contracts on layers in training and evaluation: dropout, BatchNorm, buffers."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.utils.data import DataLoader

from assay.doctor import tensor_tree
from assay.doctor.check_results import Contract, Problem
from assay.doctor.operation_trace import placed
from assay.doctor.subject import NotApplicableError, Subject

#: functions of torch that drop at random
DROPOUTS = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")
#: share that is dropped, from which the share that is kept was meant
HARD = 0.85


def dropout_in_evaluation(subject: Subject) -> list[Problem]:
    """Functional dropout without training=self.training goes on dropping when the model is evaluated."""
    subject.model.eval()
    with subject.recorded() as seen, torch.no_grad():
        subject.run(subject.batch)
    found = {}
    for call in seen.calls:
        rate, training = call.argument(1, "p", 0.5), call.argument(2, "training", True)
        attention = call.name == "scaled_dot_product_attention"
        if attention:
            rate, training = call.argument(4, "dropout_p", 0.0), True
        if (attention or call.name in DROPOUTS) and training and float(rate) > 0 and not call.training:
            found[call.module] = Problem(
                places=[call.module],
                reason="dropout goes on in evaluation mode: results differ from call to call and are worse",
                measured=f"{call.name} with p={float(rate):g}",
                threshold="training=self.training",
                next_step="pass training=self.training, or use nn.Dropout",
            )
    return list(found.values())


def drops_everything(subject: Subject) -> list[Problem]:
    """Dropout with p = 1 passes nothing on; from HARD on, what was to be kept is dropped."""
    called = {call.module for call in subject.traced.of_model if call.name in DROPOUTS}
    return [
        Problem(
            places=[placed(name, module)],
            reason=f"dropout with p={module.p:g} sets {100 * module.p:.0f} % to 0 in training",
            measured=f"p={module.p:g}",
            threshold=f"p < {HARD:g}",
            next_step="p is the share that is dropped, not the share that is kept",
            level="" if module.p >= 1 else "warning",
        )
        for name, module in subject.model.named_modules()
        if isinstance(module, _DropoutNd) and module.p >= HARD and placed(name, module) in called
    ]


def moving_buffers(subject: Subject) -> list[Problem]:
    """Evaluating must not change the model: buffers, such as running statistics, stay."""
    subject.model.eval()
    before = {name: one.detach().clone() for name, one in subject.model.named_buffers()}
    with torch.no_grad():
        subject.run(subject.batch)
    moved = [
        name
        for name, one in subject.model.named_buffers()
        if name in before
        and one.shape == before[name].shape
        and one.is_floating_point()
        and not tensor_tree.same(one, before[name])
    ]
    owners = dict(subject.model.named_modules())
    places = list(dict.fromkeys(placed(one.rpartition(".")[0], owners[one.rpartition(".")[0]]) for one in moved))
    if not moved:
        return []
    return [
        Problem(
            places=places,
            reason="evaluation changes the model's buffers, so that validation examples leak into it",
            measured=", ".join(moved[:3]),
            threshold="no buffer changes after model.eval()",
            next_step="update buffers only where self.training",
        )
    ]


def running_statistics(subject: Subject) -> list[Problem]:
    """BatchNorm whose running statistics never follow, or follow the last batch alone."""
    found = []
    for name, module in _batch_norms(subject.model):
        if not module.track_running_stats or not module.training:
            continue
        if module.momentum == 0:
            found.append(
                Problem(
                    places=[placed(name, module)],
                    reason="BatchNorm with momentum=0 never updates what it evaluates with",
                    measured="momentum=0",
                    threshold="more than 0",
                    next_step="use the default of 0.1",
                )
            )
        elif module.momentum is not None and module.momentum >= 0.9:
            found.append(
                Problem(
                    places=[placed(name, module)],
                    reason="BatchNorm's running statistics are those of the last batch: its momentum is 1 − Keras's",
                    measured=f"momentum={module.momentum:g}",
                    threshold="0.1, as torch counts it",
                    next_step=f"use momentum={1 - module.momentum:.3g}",
                    level="warning",
                )
            )
    return found


def last_batch(subject: Subject) -> list[Problem]:
    """A last batch of one example, which BatchNorm refuses where each channel then has one value."""
    loader = subject.train_loader
    norms = [(name, one) for name, one in _batch_norms(subject.model) if one.training or subject.original.training]
    size = loader.batch_size if isinstance(loader, DataLoader) else None
    if not norms or size is None or not isinstance(loader.sampler, Sized):
        raise NotApplicableError("no BatchNorm, or no loader that tells its batch size")
    if loader.drop_last or len(loader.sampler) % size != 1:
        return []
    trace, found = subject.traced, []
    for call in trace.of_model:
        given = call.argument(0, "input")
        if call.name == "batch_norm" and given.numel() // given.shape[1] == size and call.training:
            found.append(call.module)
    if not found or tensor_tree.rows(subject.batch, subject.batch_dim) != size:
        return []
    return [
        Problem(
            places=["train_loader drop_last", *found[:2]],
            reason="the last batch of an epoch has one example, for which BatchNorm raises",
            measured=f"{len(loader.sampler)} examples in batches of {size}",
            threshold="2 examples or more in each batch",
            next_step="drop_last=True, or another batch_size",
        )
    ]


def _batch_norms(model: nn.Module) -> Iterator[tuple[str, Any]]:
    return ((name, one) for name, one in model.named_modules() if isinstance(one, _BatchNorm))


CONTRACTS = (
    Contract("dropout-in-evaluation", "modes-layers", 95, dropout_in_evaluation),
    Contract("dropout-rate", "modes-layers", 95, drops_everything),
    Contract("buffers-in-evaluation", "modes-layers", 90, moving_buffers),
    Contract("running-statistics", "modes-layers", 92, running_statistics),
    Contract("last-batch", "modes-layers", 88, last_batch),
)
