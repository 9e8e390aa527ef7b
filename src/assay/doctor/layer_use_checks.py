"""Contracts on how a forward pass uses what a model has: results thrown away, one layer for many, norms, states cut.

Each looks at one forward pass, or at the structure of the model. Not covered: layers that only some batches use.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from assay.doctor import rehearsal, tensor_tree
from assay.doctor.check_results import Contract, Problem
from assay.doctor.layer_checks import DROPOUTS
from assay.doctor.operation_trace import placed
from assay.doctor.subject import NotApplicableError, Subject

#: operations that only look at an output in another shape or type
VIEWS = ("squeeze", "unsqueeze", "view", "reshape", "flatten", "float", "to", "contiguous", "clone", "permute")
#: calls of one module in a forward pass from which it is a cell that goes along a sequence
CALLS = 3


def thrown_away(subject: Subject) -> list[Problem]:
    """Parameters of modules that were called, and that move neither an output nor the loss: the result is not used."""
    subject.model.train()
    names = subject.without_gradient(subject.trained)
    called = _called(subject)
    suspects = [(name, one) for name, one in names if name.rpartition(".")[0] in called]
    if not suspects or _moves(subject, [one for _, one in suspects]):
        return []
    return [
        Problem(
            places=[name for name, _ in suspects[:2]] + ["model"],
            reason="the forward pass goes through here, and nothing of it reaches an output or the loss",
            measured=f"{len(suspects)} parameters without a gradient, which move nothing",
            threshold="none",
            next_step="look for a result that is not assigned (x = layer(x)), or a parameter that is never added",
        )
    ]


def _called(subject: Subject) -> set[str]:
    """Dotted names of modules that the first batch goes through; '' is the model."""
    found: set[str] = set()
    handles = [
        module.register_forward_pre_hook(lambda _module, _given, name=name: found.add(name))
        for name, module in subject.model.named_modules()
    ]
    try:
        with torch.no_grad():
            subject.run(subject.batch)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _moves(subject: Subject, parameters: list[nn.Parameter]) -> bool:
    """Whether other values of the parameters move an output or the loss, at equal random numbers."""
    before = _said(subject)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for one in parameters:
            one.add_(torch.randn(one.shape, generator=generator).to(one))
    return not tensor_tree.same(before, _said(subject))


def _said(subject: Subject) -> list[Tensor]:
    subject.model.train()
    with rehearsal.buffers_kept(subject.model):
        return subject.said(subject.batch)


def repeated_module(subject: Subject) -> list[Problem]:
    """One layer with parameters that stands several times in a ModuleList or Sequential, as `[layer] * 4` makes it."""
    for name, module in subject.model.named_modules():
        if not isinstance(module, nn.ModuleList | nn.Sequential):
            continue
        counts = Counter(id(one) for one in module if any(each.requires_grad for each in one.parameters()))
        most = max(counts.values(), default=1)
        if most > 1:
            return [
                Problem(
                    places=[placed(name, module)],
                    reason="one layer stands several times in a list of layers: all of them share its weights",
                    measured=f"{most} of {len(module)} are one layer",
                    threshold="a layer of its own at each place",
                    next_step="make each anew: [Layer() for _ in range(n)]; to share on purpose, call one in a loop",
                )
            ]
    return []


def untrained_norms(subject: Subject) -> list[Problem]:
    """BatchNorm that stays in evaluation mode while training, with the statistics it was made with: it does nothing."""
    subject.model.train()
    called = _called(subject)
    found = [
        placed(name, one)
        for name, one in subject.model.named_modules()
        if isinstance(one, _BatchNorm) and not one.training and name in called and _as_made(one)
    ]
    if not found:
        return []
    return [
        Problem(
            places=found,
            reason="BatchNorm stays in evaluation mode in training, and has seen no batch: it normalises nothing",
            measured="running mean 0 and variance 1, no batches",
            threshold="statistics of a trained model, or training mode",
            next_step="load trained statistics before freezing them, or let train() reach these layers",
        )
    ]


def _as_made(module: Any) -> bool:
    if not module.track_running_stats or module.num_batches_tracked is None or int(module.num_batches_tracked):
        return False
    return not bool(module.running_mean.any()) and bool((module.running_var == 1).all())


def dropout_last(subject: Subject) -> list[Problem]:
    """Dropout on the output itself: predictions of 0 in training, and nothing that could make up for them."""
    trace = subject.traced
    made = {id(call.output): call for call in trace.of_model if isinstance(call.output, Tensor)}
    for output in tensor_tree.leaves(trace.output):
        call = made.get(id(output))
        while call is not None and call.name in VIEWS:
            call = made.get(id(call.argument(0, "input")))
        if call is None or call.name not in DROPOUTS or not call.argument(2, "training", True):
            continue
        rate = float(call.argument(1, "p", 0.5))
        if rate > 0:
            return [
                Problem(
                    places=[call.module],
                    reason="dropout is the last layer: the model's answers themselves are set to 0 in training",
                    measured=f"p={rate:g}",
                    threshold="no dropout behind the last layer that learns",
                    next_step="put it before the last linear layer",
                )
            ]
    return []


def cut_states(subject: Subject) -> list[Problem]:
    """A cell that is called along a sequence and given its own last state without its graph, at every step."""
    for name, calls in _calls_of_cells(subject).items():
        cut = [_cut(earlier[1], later[0]) for earlier, later in pairwise(calls)]
        if len(calls) >= CALLS and all(cut):
            return [
                Problem(
                    places=[name, "model"],
                    reason="the state goes on from step to step without its graph: no gradient goes through time",
                    measured=f"{len(cut)} of {len(cut)} steps cut",
                    threshold="some steps, as truncated backpropagation does",
                    next_step="take detach() out of the loop over time, and put it between batches",
                )
            ]
    return []


Call = tuple[list[Tensor], list[Tensor]]


def _calls_of_cells(subject: Subject) -> dict[str, list[Call]]:
    """What each module with parameters was given and returned, call by call, in training mode."""
    found: dict[str, list[Call]] = defaultdict(list)

    def note(name: str) -> Any:
        def hook(_module: nn.Module, given: Any, output: Any) -> None:
            found[name].append((list(tensor_tree.leaves(given)), list(tensor_tree.leaves(output))))

        return hook

    subject.model.train()
    handles = [one.register_forward_hook(note(place)) for place, one in _with_parameters(subject.model)]
    try:
        subject.run(subject.batch)
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        raise NotApplicableError("no module inside of the model has parameters")
    return found


def _with_parameters(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, one in model.named_modules():
        if name and any(each.requires_grad for each in one.parameters()):
            yield placed(name, one), one


def _cut(made: list[Tensor], given: list[Tensor]) -> bool:
    """Whether an output comes back as an input that shares its memory and has lost its graph."""
    addresses = {one.data_ptr() for one in made if one.requires_grad and one.numel()}
    return any(not one.requires_grad and one.numel() and one.data_ptr() in addresses for one in given)


CONTRACTS = (
    Contract("result-unused", "modes-layers", 83, thrown_away, "warning"),
    Contract("layer-repeated", "modes-layers", 87, repeated_module, "warning"),
    Contract("norm-untrained", "modes-layers", 91, untrained_norms, "warning"),
    Contract("dropout-last", "modes-layers", 82, dropout_last, "warning"),
    Contract("state-cut", "optimisation", 87, cut_states, "warning"),
)
