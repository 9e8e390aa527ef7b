"""Why nothing is learned: units that are dead or saturated, gradients that vanish or explode from layer to layer.

All but tiny_batches and saturated_start are gated: looked at only where the doctor's own Adam does not learn a few
examples either, as such units and gradients are common in programs that train.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from assay.doctor.check_results import Contract, Problem
from assay.doctor.operation_trace import Operation
from assay.doctor.rehearsal_checks import NOTHING, memorised, reach_of
from assay.doctor.subject import NotApplicableError, Subject

#: share of a layer's units, and of its values, from which it is dead or saturated
MOST = 0.9
#: fewest units of a layer that is judged
UNITS = 4
#: how near to its limits a saturated activation stands, in parts of its range
NEAR = 1e-3
#: the same where the slope is a tenth, and share of the values from which a layer begins so
FLAT, HALF = 0.02, 0.5
#: weight on one of many places from which attention is sharp
SHARP = 0.9
#: factor between gradients of the first and the last layers
APART = 1e6
SATURATING = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "sigmoid_": (0.0, 1.0), "tanh_": (-1.0, 1.0)}


def dead_units(subject: Subject) -> list[Problem]:
    """Layers of ReLU whose units are 0 for all examples."""
    _nothing_learned(subject)
    found = []
    for call in _activations(subject, "relu", "relu_"):
        share = float((call.output == 0).flatten(1).float().mean())
        dead = float((call.output == 0).all(0).float().mean())
        if dead >= MOST:
            found.append(
                _problem(call, "units are 0 for every example", f"{100 * dead:.0f} % dead, {100 * share:.0f} % 0")
            )
    return found[:1]


def saturated_units(subject: Subject) -> list[Problem]:
    """Layers of sigmoid or tanh whose values stand at their limits, where the slope is next to 0."""
    _nothing_learned(subject)
    found = []
    for call in _activations(subject, *SATURATING):
        low, high = SATURATING[call.name]
        near = NEAR * (high - low)
        share = float(((call.output < low + near) | (call.output > high - near)).float().mean())
        if share >= MOST:
            found.append(_problem(call, f"{call.name} stands at its limits", f"{100 * share:.0f} % of the values"))
    return found[:1]


def saturated_start(subject: Subject) -> list[Problem]:
    """Two layers or more of tanh or sigmoid that begin at their limits, where they hardly learn."""
    found: dict[str, tuple[Operation, float]] = {}
    for call in _activations(subject, *SATURATING):
        low, high = SATURATING[call.name]
        near = FLAT * (high - low)
        share = float(((call.output < low + near) | (call.output > high - near)).float().mean())
        if share >= HALF and call.output is not subject.traced.output:
            found.setdefault(call.module, (call, share))
    if len(found) < 2:
        return _sharp_attention(subject)
    call, share = next(iter(found.values()))
    return [
        Problem(
            places=[*found][:3],
            reason=f"{call.name} begins at its limits in {len(found)} layers: their first weights are too large",
            measured=f"{100 * share:.0f} % of the values",
            threshold=f"{100 * HALF:.0f} %",
            next_step="use torch's own initialisation, or nn.init.xavier_normal_",
        )
    ]


def _sharp_attention(subject: Subject) -> list[Problem]:
    """A softmax inside of an untrained model that begins with nearly all weight on one of many values."""
    for call in subject.traced.of_model:
        made = call.output
        if call.name != "softmax" or not isinstance(made, Tensor) or made is subject.traced.output or made.ndim < 3:
            continue
        dim = call.argument(1, "dim", -1)
        rows = made.detach().movedim(dim if isinstance(dim, int) else -1, -1)
        open_rows = rows[(rows > 0).sum(-1) >= UNITS]  # of masked ones, few are left
        if len(open_rows) < UNITS or float((open_rows.amax(-1) > SHARP).float().mean()) < HALF:
            continue
        reach = reach_of(subject, subject.batch)
        subject.reset()
        subject.model.train()
        with torch.no_grad():
            start = float(subject.value(subject.batch))
        if reach.gained(start) > NOTHING:
            raise NotApplicableError("the model was trained before: its attention may be sharp")
        share = float((open_rows.amax(-1) > SHARP).float().mean())
        return [
            Problem(
                places=[call.module or "model", "model"],
                reason="attention begins with all its weight on one place: the scores are too large to learn from",
                measured=f"more than {SHARP:g} on one of {rows.shape[-1]} in {100 * share:.0f} % of the rows",
                threshold=f"{100 * HALF:.0f} %",
                next_step="divide scores by the square root of the head's width",
            )
        ]
    return []


def gradients_by_layer(subject: Subject) -> list[Problem]:
    """Gradients that shrink or grow a millionfold from layer to layer."""
    _nothing_learned(subject)
    subject.model.train()
    names = [(name, one) for name, one in subject.trained if one.ndim > 1]
    gradients = subject.gradients(subject.batch, [one for _, one in names])
    sizes = {
        name: float(one.double().norm() / max(float(weight.detach().double().norm()), 1e-12))
        for (name, weight), one in zip(names, gradients, strict=True)
        if one is not None and bool((one != 0).any())
    }
    if len(sizes) < 3:
        raise NotApplicableError("fewer than three layers with a gradient")
    least, most = min(sizes, key=lambda name: sizes[name]), max(sizes, key=lambda name: sizes[name])
    ratio = sizes[most] / sizes[least]
    if not ratio > APART:  # also where it is not a number
        return []
    return [
        Problem(
            places=[least, most],
            reason="gradients differ by more than a million from layer to layer: some layers cannot move",
            measured=f"{sizes[least]:.1e} of the weight at {least}, {sizes[most]:.1e} at {most}",
            threshold=f"factor {APART:.0e}",
            next_step="use another initialisation, residual connections or normalisation",
        )
    ]


def _nothing_learned(subject: Subject) -> None:
    if memorised(subject).best > NOTHING:
        raise NotApplicableError("a few examples are learned")


def _activations(subject: Subject, *names: str) -> Iterator[Operation]:
    for call in subject.traced.of_model:
        output = call.output
        if call.name in names and isinstance(output, Tensor) and output.ndim > 1 and output[0].numel() >= UNITS:
            yield call


def _problem(call: Operation, what: str, measured: str) -> Problem:
    return Problem(
        places=[call.module],
        reason=f"nothing is learned, and here {what}",
        measured=measured,
        threshold=f"{100 * MOST:.0f} %",
        next_step="look at the layer's first weights and biases, and at the scale of the inputs",
    )


def tiny_batches(subject: Subject) -> list[Problem]:
    """BatchNorm in training with so few values a channel that its statistics are noise."""
    found = {}
    for call in subject.traced.of_model:
        given = call.argument(0, "input")
        if call.name == "batch_norm" and isinstance(given, Tensor) and bool(call.argument(5, "training", False)):
            values = given.numel() // given.shape[1]
            if 1 < values <= 4:
                found[call.module] = Problem(
                    places=[call.module, "train_loader batch_size"],
                    reason="BatchNorm takes mean and variance of a handful of values: they are noise",
                    measured=f"{values} values a channel",
                    threshold="more than 4",
                    next_step="use larger batches, GroupNorm or LayerNorm",
                )
    return list(found.values())[:1]


SOURCE = "gated symptom"
CHECKS = (
    Contract("dead-units", "modes-layers", 35, dead_units, "warning", SOURCE),
    Contract("saturated-units", "modes-layers", 36, saturated_units, "warning", SOURCE),
    Contract("saturated-start", "start", 44, saturated_start, "warning", "statistics"),
    Contract("gradients-by-layer", "optimisation", 34, gradients_by_layer, "warning", SOURCE),
    Contract("tiny-batches", "modes-layers", 80, tiny_batches, "warning", "exact"),
)
