"""Contracts between the model's output and the loss: what the loss wants, and what it is given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from assay.doctor import tensor_tree
from assay.doctor.check_results import Contract, Problem
from assay.doctor.operation_trace import Operation, producer
from assay.doctor.subject import NotApplicableError, NotRunError, Subject

#: functions of torch that apply softmax or sigmoid themselves
LOGIT_LOSSES = ("cross_entropy", "binary_cross_entropy_with_logits")
#: squashing operations of autograd, which leave logits in a range
SQUASHED = {"Softmax": "probabilities", "Sigmoid": "values in (0, 1)", "Tanh": "values in (-1, 1)"}
#: losses of torch that are always minimised
SUPERVISED = ("cross_entropy", "nll_loss", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", *LOGIT_LOSSES[1:])


def runs(subject: Subject) -> list[Problem]:
    """Forward pass and loss of one batch, in training mode, must not raise."""
    batch = subject.batch
    if subject.forward is None and not isinstance(batch, list | tuple | torch.Tensor):
        raise NotApplicableError("how this batch is given to the model is a guess; pass forward=")
    subject.model.train()
    try:
        output, target = subject.run(batch)
    except Exception as error:
        hint = "pass forward= where this is a wrong guess"
        raise NotRunError(f"the forward pass raises {_brief(error)}; {hint}") from error
    try:
        subject.loss(output, target)
    except Exception as error:
        if subject.forward is None and isinstance(batch, list | tuple) and len(batch) != 2:
            raise NotRunError(f"the last of {len(batch)} entries is a guess for the targets; pass forward=") from error
        shapes = " and ".join(str(tuple(one.shape)) for one in tensor_tree.leaves([output, target]))
        reason = f"the loss raises {_brief(error)}"
        return [Problem(places=["loss"], reason=reason, measured=shapes, next_step="give the loss what it wants")]
    return []


def wants_logits(subject: Subject) -> list[Problem]:
    """Probabilities (or another squashed output) into a loss that applies softmax or sigmoid itself."""
    found: list[Problem] = []
    for call in subject.traced.of_loss:
        given = call.argument(0, "input")
        if call.name in (*LOGIT_LOSSES, "log_softmax") and isinstance(given, Tensor):
            found += _squashed(call, producer(given))
    return _first(found)


def _squashed(call: Operation, made_by: str) -> Iterator[Problem]:
    if made_by in SQUASHED:
        yield Problem(
            places=["model", "loss"],
            reason=f"{call.name} wants logits and is given {SQUASHED[made_by]}: it can hardly fall",
            measured=made_by.lower(),
            threshold="no activation before the loss",
            next_step=f"leave the last {made_by.lower()} out of the model and use it for predictions alone",
        )
    elif made_by == "LogSoftmax" and call.name == "binary_cross_entropy_with_logits":
        yield Problem(
            places=["model", "loss"],
            reason=f"{call.name} wants logits and is given log-probabilities, which are never positive",
            next_step="leave log_softmax out",
        )
    elif made_by == "LogSoftmax":
        yield Problem(
            places=["model", "loss"],
            reason=f"{call.name} applies log_softmax to log-probabilities once more, which changes nothing",
            next_step="leave log_softmax out of the model, or use nll_loss",
            level="advice",
        )
    elif made_by == "Relu":
        yield Problem(
            places=["model", "loss"],
            reason=f"{call.name} is given logits behind a ReLU: none can be negative, and those at 0 do not learn",
            next_step="leave the last ReLU out",
            level="warning",
        )


def wants_log_probabilities(subject: Subject) -> list[Problem]:
    """Logits or probabilities into nll_loss or kl_div, which want logarithms of probabilities."""
    found = []
    for call in subject.traced.of_loss:
        given = call.argument(0, "input")
        if call.name in ("nll_loss", "kl_div") and isinstance(given, Tensor) and float(given.max()) > 1e-3:
            found.append(
                Problem(
                    places=["loss", "model"],
                    reason=f"{call.name} wants log-probabilities, which are never positive",
                    measured=f"largest input {float(given.max()):.3g}",
                    threshold="0",
                    next_step="put log_softmax before it, or use cross_entropy",
                )
            )
        if call.name == "kl_div":
            found += _kl_target(call)
    return _first(found)


def _kl_target(call: Operation) -> Iterator[Problem]:
    target = call.argument(1, "target")
    if bool(call.named.get("log_target", False)) or not isinstance(target, Tensor):
        return
    if float(target.min()) < -1e-6:
        yield Problem(
            places=["loss"],
            reason="kl_div is given a target that is negative, as logarithms and logits are",
            measured=f"least target {float(target.min()):.3g}",
            threshold="0",
            next_step="give it probabilities, or log_target=True",
        )


def softmax_over_batch(subject: Subject) -> list[Problem]:
    """A softmax along the examples, in the loss or as the last operation of the model."""
    trace = subject.traced
    size = tensor_tree.rows(subject.batch, subject.batch_dim)
    if size is None or size < 2:
        raise NotApplicableError("the batch has no one dimension of examples")
    found = []
    for call in trace.operations:
        given, dim = call.argument(0, "input"), call.argument(1, "dim")
        if call.name not in ("softmax", "log_softmax") or not isinstance(given, Tensor) or not isinstance(dim, int):
            continue
        last = any(one is call.output for one in tensor_tree.leaves(trace.output)) or call in trace.of_loss
        rows = given.ndim == 2 and given.shape[subject.batch_dim] == size != given.shape[1 - subject.batch_dim]
        targets = [one for one in tensor_tree.leaves(trace.target) if one.shape[:1] == (size,)]
        if last and rows and dim % given.ndim == subject.batch_dim and targets and given.shape[1] > 1:
            found.append(
                Problem(
                    places=[call.module if call in trace.of_model else "loss"],
                    reason=f"{call.name} is taken over the examples of the batch, not over the classes",
                    measured=f"dim {dim} of {tuple(given.shape)}",
                    threshold="the dimension of classes",
                    next_step="use dim=-1",
                )
            )
    return _first(found)


def depends_on_output(subject: Subject) -> list[Problem]:
    """The loss must have a gradient with respect to the model's output or its parameters."""
    value = subject.traced.value
    if value.requires_grad:
        return []
    if not subject.trained:
        raise NotApplicableError("the model has no parameter to train")
    outputs = list(tensor_tree.leaves(subject.traced.output))
    attached = any(one.requires_grad for one in outputs)
    return [
        Problem(
            places=["loss" if attached else "model"],
            reason="the loss has no gradient: it is cut by detach, .data, .item(), argmax, rounding or no_grad",
            measured=f"output {'has' if attached else 'has no'} gradient, loss has none",
            next_step="compute the loss from the output with differentiable operations alone",
        )
    ]


def sign(subject: Subject) -> list[Problem]:
    """Minimising the total must lower, not raise, the supervised losses that it is made of."""
    if subject.task and any(word in subject.task.lower() for word in ("gan", "adversarial", "unlearn")):
        raise NotApplicableError(f"the task is {subject.task}: one side may raise a loss")
    trace = subject.traced
    terms = [call for call in trace.of_loss if call.name in SUPERVISED and _needs_gradient(call.output)]
    if not terms or not trace.value.requires_grad or trace.value.numel() != 1:
        raise NotApplicableError("the loss calls no supervised loss function of torch")
    flipped = any(group.get("maximize") for one in subject.optimizers for group in one.param_groups)
    outputs = [call.output for call in terms]
    slopes = torch.autograd.grad(trace.value.sum(), outputs, allow_unused=True, retain_graph=True)
    signed = [one for one in slopes if one is not None and bool((one != 0).any())]
    wrong = signed and all(bool((one >= 0 if flipped else one <= 0).all()) for one in signed)
    if not wrong:
        return []
    place = "optimizer" if flipped else "loss"
    name = terms[0].name
    return [
        Problem(
            places=[place],
            reason=f"training raises {name} instead of lowering it",
            measured="maximize=True" if flipped else f"d total / d {name} < 0",
            threshold="the other sign",
            next_step="take the minus away" if not flipped else "take maximize=True away",
        )
    ]


def _needs_gradient(output: Any) -> bool:
    return isinstance(output, Tensor) and output.requires_grad


def _first(found: list[Problem]) -> list[Problem]:
    """One problem for each reason."""
    return list({one.reason: one for one in reversed(found)}.values())


def _brief(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


CONTRACTS = (
    Contract("loss-runs", "loss-contract", 100, runs),
    Contract("loss-wants-logits", "loss-contract", 95, wants_logits),
    Contract("loss-wants-log-probabilities", "loss-contract", 95, wants_log_probabilities),
    Contract("softmax-over-batch", "loss-contract", 95, softmax_over_batch),
    Contract("loss-gradient", "loss-contract", 80, depends_on_output),
    Contract("loss-sign", "loss-contract", 85, sign),
)
