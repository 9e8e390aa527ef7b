"""Contracts on a model as it starts: it runs, its output depends on its input, its layers can become different."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from assay.doctor import tensor_tree
from assay.doctor.check_results import Contract, Problem
from assay.doctor.operation_trace import Operation, placed, producer
from assay.doctor.subject import NotApplicableError, NotRunError, Subject

STEPS = 3
#: operations between two linear layers that leave the pair linear once the model is evaluated
LINEAR_BETWEEN = ("dropout", "dropout1d", "dropout2d", "identity")


def constant_output(subject: Subject) -> list[Problem]:
    """The same output for all inputs, still after three steps on a copy: zero heads and LoRA recover, dead nets not."""
    outputs = subject.outputs(subject.batch)
    if not outputs or not _differ(subject.batch, subject.batch_dim):
        raise NotApplicableError("the first batch holds no two different examples")
    if not _constant(outputs, subject.batch_dim):
        return []
    if subject.budget < STEPS:
        raise NotRunError(f"the budget allows {subject.budget} rehearsal steps, this takes {STEPS}")
    if not subject.trained:
        raise NotApplicableError("the model has no parameter to train")
    take_steps(subject)
    if not _constant(subject.outputs(subject.batch), subject.batch_dim):
        return []
    return [
        Problem(
            places=["model"],
            reason=f"the output is the same for every input, also after {STEPS} steps on a copy",
            measured=f"spread {_spread(outputs[0], subject.batch_dim):.1e} between examples",
            threshold="more than rounding",
            next_step="look for dead units, a factor of 0, a saturated activation or a softmax over one value",
        )
    ]


def equal_rows(subject: Subject) -> list[Problem]:
    """Units of a layer with equal weights and equal gradients stay equal for ever."""
    suspects = [(name, one) for name, one in subject.trained if _rows_equal(one)]
    if not suspects:
        return []
    if subject.budget < STEPS:
        raise NotRunError(f"the budget allows {subject.budget} rehearsal steps, this takes {STEPS}")
    subject.model.train()
    used = subject.gradients(subject.batch, [one for _, one in suspects])
    take_steps(subject)
    found = [name for (name, one), gradient in zip(suspects, used, strict=True) if gradient is not None]
    stuck = [name for name, one in suspects if name in found and _rows_equal(one)]
    return [
        Problem(
            places=[name],
            reason=f"all units of {name} have equal weights and equal gradients: they stay one unit for ever",
            measured=f"equal rows before and after {STEPS} steps",
            threshold="rows that differ",
            next_step="initialise it at random, e.g. nn.init.kaiming_uniform_(weight)",
        )
        for name in stuck
    ]


def one_value(subject: Subject) -> list[Problem]:
    """A softmax over one value is always 1, a norm of one value always its bias."""
    trace, found = subject.traced, []
    for call in trace.operations:
        found += list(_softmax_of_one(call, trace.output))
    for name, module in subject.model.named_modules():
        if isinstance(module, nn.LayerNorm) and torch.Size(module.normalized_shape).numel() == 1:
            found.append(_always(placed(name, module), "a LayerNorm over one value is always its bias"))
    for call in trace.of_model:
        if call.name == "group_norm" and _group_size(call) == 1:
            found.append(_always(call.module, "a GroupNorm over one value a group is always its bias"))
    return found


def stacked_linear(subject: Subject) -> list[Problem]:
    """Two linear layers in a row, neither a bottleneck, make one linear map."""
    calls = subject.traced.of_model
    names = {id(one): name for name, one in subject.model.named_parameters()}
    consumers = Counter(id(one) for call in calls for one in tensor_tree.leaves([*call.args, *call.named.values()]))
    made = {id(call.output): call for call in calls if isinstance(call.output, Tensor)}
    read_out = {id(one) for one in tensor_tree.leaves(subject.traced.output)}
    found = []
    for call in calls:
        first = _linear_before(call, made, consumers, read_out)
        if first is None:
            continue
        pair = [names.get(id(one.argument(1, "weight")), "") for one in (first, call)]
        if not all(pair) or not all(one.argument(1, "weight").requires_grad for one in (first, call)):
            continue
        owners = [name.rpartition(".")[0] for name in pair]
        if owners[0].rpartition(".")[0] != owners[1].rpartition(".")[0] or not _full_rank(first, call):
            continue
        found.append(
            Problem(
                places=[call.module, first.module],
                reason=f"{owners[0]} and {owners[1]} follow each other without a nonlinearity: one linear map",
                next_step="put an activation between them, or leave one of them out",
            )
        )
    return found


def take_steps_if_constant(subject: Subject) -> None:
    """Move the copy away from a start at which nothing shows, such as a head of zeros, as far as the budget allows."""
    first = subject.outputs(subject.batch)[:1]
    shown = not first or first[0].ndim <= subject.batch_dim or _spread(first[0], subject.batch_dim) > 0
    if not shown and subject.budget >= STEPS and subject.trained:
        take_steps(subject)


def take_steps(subject: Subject) -> None:
    """A few steps on the copy."""
    subject.model.train()
    for step in range(STEPS):
        subject.step(subject.train.batches[step % len(subject.train.batches)], step)


def _spread(output: Tensor, batch_dim: int) -> float:
    first = output.narrow(batch_dim, 0, 1)
    return float((output - first).abs().max()) if output.is_floating_point() else 0.0


def _constant(outputs: list[Tensor], batch_dim: int) -> bool:
    """Whether every output has the same row for all examples."""
    if not all(one.ndim > batch_dim and one.shape[batch_dim] > 1 and one.is_floating_point() for one in outputs):
        raise NotApplicableError("not every output has a row for each example")
    if not all(bool(one.isfinite().all()) for one in outputs):
        raise NotApplicableError("the output is not finite")
    return all(_spread(one, batch_dim) <= 1e-7 * float(one.abs().max()) for one in outputs)


def _differ(batch: object, batch_dim: int) -> bool:
    return any(
        one.ndim > batch_dim and not torch.equal(one, one.narrow(batch_dim, 0, 1).expand_as(one))
        for one in tensor_tree.leaves(batch)
    )


def _rows_equal(weight: Tensor) -> bool:
    return weight.ndim > 1 and weight.shape[0] > 1 and torch.equal(weight, weight[:1].expand_as(weight))


def _always(place: str, reason: str) -> Problem:
    return Problem(places=[place], reason=reason, next_step="normalise over the features, or leave it out")


def _softmax_of_one(call: Operation, output: object) -> Iterator[Problem]:
    given = call.argument(0, "input")
    if not isinstance(given, Tensor) or given.ndim == 0:
        return
    if call.name == "cross_entropy" and given.ndim > 1 and given.shape[1] == 1:
        yield Problem(
            places=["loss", "model"],
            reason="cross_entropy over one class is 0 whatever the model says",
            measured=f"logits {tuple(given.shape)}",
            threshold="two classes or more",
            next_step="give the last layer an output for each class, or use binary_cross_entropy_with_logits",
        )
    if call.name not in ("softmax", "log_softmax"):
        return
    dim = call.argument(1, "dim")
    ends = any(one is call.output or producer(one) in ("Softmax", "LogSoftmax") for one in tensor_tree.leaves(output))
    alike = any(one.shape == given.shape for one in tensor_tree.leaves(output))
    if isinstance(dim, int) and given.shape[dim] == 1 and ends and alike:
        yield Problem(
            places=[call.module],
            reason=f"{call.name} over one value is always {1 if call.name == 'softmax' else 0}",
            measured=f"shape {tuple(given.shape)}, dim {dim}",
            threshold="two values or more",
            next_step="use a sigmoid for one output, or another dim",
        )


def _group_size(call: Operation) -> int:
    given, groups = call.argument(0, "input"), call.argument(1, "num_groups")
    return int(given[0].numel() // groups)


def _linear_before(
    call: Operation, made: dict[int, Operation], consumers: Counter[int], read_out: set[int]
) -> Operation | None:
    """The linear layer whose output alone feeds this one, past dropout."""
    if call.name not in ("linear", "conv2d"):
        return None
    given = call.argument(0, "input")
    while True:
        before = made.get(id(given))
        if before is None or consumers[id(given)] != 1 or id(given) in read_out:
            return None
        if before.name == call.name:
            return before
        if before.name not in LINEAR_BETWEEN:
            return None
        given = before.argument(0, "input")


def _full_rank(first: Operation, second: Operation) -> bool:
    """Whether the layer between is no bottleneck (a factorisation on purpose), nor a separable convolution."""
    one, two = first.argument(1, "weight"), second.argument(1, "weight")
    if first.name == "conv2d":
        square = all(weight.shape[2] == weight.shape[3] > 1 for weight in (one, two))
        grouped = two.shape[1] != one.shape[0] or one.shape[1] != first.argument(0, "input").shape[-3]
        if not square or grouped:
            return False
    return int(one.shape[0]) >= min(int(one.shape[1]), int(two.shape[0]))


CONTRACTS = (
    Contract("constant-output", "start", 40, constant_output),
    Contract("equal-rows", "start", 70, equal_rows),
    Contract("one-value", "start", 90, one_value),
    Contract("stacked-linear", "start", 50, stacked_linear),
)
