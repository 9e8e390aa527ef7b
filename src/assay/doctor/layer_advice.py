"""Advice on a model's first bias, and on the order and kind of its layers.

Sources: biases at the prior of the labels: Lin et al. 2017 (ICCV, "focal loss"); BatchNorm in recurrent nets: Laurent
et al. 2016 (ICASSP); LayerNorm there: Ba et al. 2016; dropout and convolutions: Tompson et al. 2015 (CVPR).
"""

from __future__ import annotations

import torch
from torch import Tensor

from assay.doctor import tensor_tree
from assay.doctor.check_results import Contract, Problem
from assay.doctor.data_checks import FEWEST, target_numbers
from assay.doctor.operation_trace import Operation
from assay.doctor.subject import NotApplicableError, Subject

#: distance of the first prediction from the share of labels, in nats
FAR = 0.2
ACTIVATIONS = ("relu", "relu_", "gelu", "silu", "leaky_relu", "elu", "tanh", "sigmoid", "hardswish", "mish")
LINEAR = ("linear", "conv1d", "conv2d", "conv3d")


def bias_at_prior(subject: Subject) -> list[Problem]:
    """The last bias says another share of labels than the data have, and the first steps learn only that."""
    last = _last_linear(subject)
    bias = last.argument(2, "bias")
    if not any(call.name == "cross_entropy" for call in subject.traced.of_loss) or not isinstance(bias, Tensor):
        raise NotApplicableError("no last linear layer with a bias gives logits to cross_entropy")
    labels = torch.as_tensor(target_numbers(subject.train))
    if len(labels) < FEWEST or bool((labels != labels.round()).any()) or float(labels.min()) < 0:
        raise NotApplicableError("targets are no class numbers")
    if int(labels.max()) >= len(bias):
        raise NotApplicableError("targets are no classes of the last layer")
    share = torch.bincount(labels.long(), minlength=len(bias)).double() / len(labels)
    said = bias.detach().double().cpu().log_softmax(0)
    distance = float((torch.xlogy(share, share) - share * said).sum())
    if distance < FAR:
        return []
    reason = "the last bias begins at other shares than those of the labels: the first steps learn only these"
    measured = f"{distance:.2g} nats from the shares of the labels"
    return [_advice([last.module, "model"], reason, "set bias to the logarithm of the shares", measured)]


def _last_linear(subject: Subject) -> Operation:
    output = subject.traced.output
    for call in subject.traced.of_model:
        if call.output is output and call.name == "linear":
            return call
    raise NotApplicableError("the model does not end in a linear layer")


def norm_and_activation(subject: Subject) -> list[Problem]:
    """BatchNorm behind an activation: papers found little difference; before it is what published nets do."""
    made = {id(call.output): call for call in subject.traced.of_model}
    for call in subject.traced.of_model:
        before = made.get(id(call.argument(0, "input")))
        if call.name == "batch_norm" and before is not None and before.name in ACTIVATIONS:
            reason = f"BatchNorm stands behind {before.name}: published nets put it before, though either way works"
            return [_advice([call.module, before.module], reason, "try it between the layer and its activation")]
    return []


def missing_bias(subject: Subject) -> list[Problem]:
    """A layer without a bias that no normalisation follows, which would have one."""
    used: dict[int, list[str]] = {}
    for call in subject.traced.of_model:
        for one in tensor_tree.leaves([*call.args, *call.named.values()]):
            used.setdefault(id(one), []).append(call.name)
    for call in subject.traced.of_model:
        follow = used.get(id(call.output), [])
        if call.name in LINEAR and call.argument(2, "bias") is None and set(follow) & {*ACTIVATIONS}:
            reason = f"a layer without a bias goes straight into {follow[0]}, with no norm that has one"
            return [_advice([call.module], reason, "bias=True")]
    return []


def norm_in_recurrence(subject: Subject) -> list[Problem]:
    """BatchNorm called step by step: its statistics are not those of any step; LayerNorm is usual there."""
    counts: dict[str, int] = {}
    for call in subject.traced.of_model:
        if call.name == "batch_norm" and call.module != "model":
            counts[call.module] = counts.get(call.module, 0) + 1
    again = [name for name, count in counts.items() if count > 2]
    if not again:
        return []
    reason = f"{again[0]} is called {counts[again[0]]} times in one pass: one set of statistics for all steps"
    return [_advice(again, reason, "use LayerNorm, or a BatchNorm for each step")]


def dropout_places(subject: Subject) -> list[Problem]:
    """Plain dropout on feature maps, which neighbours make up for, or as the last operation, on the answers."""
    output, found = subject.traced.output, []
    for call in subject.traced.of_model:
        given = call.argument(0, "input")
        if call.name != "dropout" or not isinstance(given, Tensor) or not float(call.argument(1, "p", 0.5)) > 0:
            continue
        if call.output is output:
            reason = "dropout is the last operation: it sets answers to 0 in training"
            found.append(_advice([call.module], reason, "put it before the last layer"))
        elif given.ndim == 4 and min(given.shape[2:]) > 1:
            reason = "dropout of single values of feature maps: their neighbours still say them"
            found.append(_advice([call.module], reason, "use nn.Dropout2d, which drops whole maps"))
    return found[:1]


def _advice(places: list[str], reason: str, next_step: str, measured: str = "") -> Problem:
    return Problem(places=places, reason=reason, next_step=next_step, measured=measured)


CHECKS = tuple(
    Contract(name, group, 9, look, "advice", "literature")
    for name, group, look in (
        ("bias-at-prior", "start", bias_at_prior),
        ("batchnorm-and-activation", "modes-layers", norm_and_activation),
        ("missing-bias", "modes-layers", missing_bias),
        ("norm-in-recurrence", "modes-layers", norm_in_recurrence),
        ("dropout-places", "modes-layers", dropout_places),
    )
)
