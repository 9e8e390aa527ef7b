"""The loss at the start against that of a model that says nothing, and whether the program's own steps lower it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from assay.doctor import rehearsal
from assay.doctor.check_results import Contract, Problem
from assay.doctor.loss_checks import LOGIT_LOSSES
from assay.doctor.subject import NotApplicableError, NotRunError, Subject

#: loss at the start in units of the loss at zero logits, from which it is a warning, and from which an error
HIGH, WRONG = 2.0, 5.0
#: the same after the program's own first steps, where it is a fault however fast the loss came down
HOPELESS = 20.0


def loss_at_start(subject: Subject) -> list[Problem]:
    """A loss far above that of zero logits, which says nothing, and steps of the user's own that do not mend it."""
    trace = subject.traced
    if not any(call.name in (*LOGIT_LOSSES, "log_softmax") for call in trace.of_loss):
        raise NotApplicableError("the loss does not take logits")
    if not isinstance(trace.output, Tensor):
        raise NotApplicableError("the output is not one tensor")
    subject.model.train()
    rehearsal.without_dropout(subject.model)
    output, target = subject.run(subject.batch)
    start, zero = (float(subject.loss(one, target).detach()) for one in (output, torch.zeros_like(output)))
    if not math.isfinite(start) or zero < 1e-3:
        raise NotApplicableError(f"the loss is {start:.3g}, and {zero:.3g} at zero logits")
    if start < HIGH * zero:
        return []
    own = rehearsal.own_arm(subject)
    half_way = own.end < (HIGH * zero + start) / 2 and own.end < 0.8 * start
    low = own.end < HIGH * zero or (half_way and own.end < max(WRONG * zero, min(start / 4, HOPELESS * zero)))
    if own.finite and low:
        return []
    if own.finite and rehearsal.cut_short(subject) and (half_way or start < WRONG * zero):
        raise NotRunError(f"{len(own.losses)} steps, all that the budget allows, do not show whether the loss falls")
    return [
        Problem(
            places=["model", "train_loader inputs"],
            reason="the loss at the start is far above that of a model that says nothing, and does not come down",
            measured=f"{start:.3g} at the start, {own.end:.3g} after {len(own.losses)} steps of the program's own",
            threshold=f"{HIGH:g} times the loss of {zero:.3g} at zero logits",
            next_step="scale the inputs, or make the last layer's first weights smaller",
            level="advice" if _tied(subject) else "error" if start >= WRONG * zero else "",
        )
    ]


def _tied(subject: Subject) -> bool:
    """Whether the last layer's weights are those of an embedding: torch makes them large, and they come down late."""
    embedded = {id(one.weight) for one in subject.model.modules() if isinstance(one, nn.Embedding)}
    others = (one for one in subject.model.modules() if not isinstance(one, nn.Embedding))
    return any(id(weight) in embedded for one in others for weight in one._parameters.values())


CHECKS = (Contract("loss-at-start", "start", 45, loss_at_start, "warning", "counterfactual"),)
