"""Contracts on what may not reach what: one example another, the future the past, padding the result."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler

from assay.doctor import start_checks, tensor_tree
from assay.doctor.check_results import Contract, Problem
from assay.doctor.example_draws import input_and_target
from assay.doctor.subject import NotApplicableError, Subject

#: examples of a batch that are tried with each other
FEW = 8
#: change of an output, in parts of its largest value, that no rounding makes
MOVED = 1e-4


def between_examples(subject: Subject) -> list[Problem]:
    """In evaluation, changing one example must change no other example's output."""
    batch, size = _few(subject)
    refuse_coupled(subject, size)
    start_checks.take_steps_if_constant(subject)
    if not uses_targets(subject, batch):
        raise NotApplicableError("the loss does not use the targets: it may compare examples with each other")
    base = subject.outputs(batch)
    if not tensor_tree.same(base, subject.outputs(batch)):
        raise NotApplicableError("the output differs from call to call")
    checked = [at for at, one in enumerate(base) if has_rows(one, size, subject.batch_dim)]
    if not checked:
        raise NotApplicableError("no output has a row for each example")
    mixed = [at for at in checked if _others_move(subject, batch, base, at, size)]
    if not mixed:
        return []
    place = _first_mixing_module(subject, batch, size)
    return [
        Problem(
            places=[place, "model"] if place != "model" else ["model"],
            reason="one example's input changes another example's output, also in evaluation mode",
            measured="outputs of other examples change with example 0 or 1",
            threshold="no change",
            next_step="look for a mean, softmax or view over the batch dimension, or batch_first left out",
        )
    ]


def between_batches(subject: Subject) -> list[Problem]:
    """State that one batch leaves for the next, where batches come in a shuffled order."""
    loader = subject.train_loader
    if not isinstance(loader, DataLoader) or not isinstance(loader.sampler, RandomSampler):
        raise NotApplicableError("batches do not come in a shuffled order: state may be meant to go on")
    if not subject.copied or len(subject.train.batches) < 2:
        raise NotApplicableError("the model cannot be copied, or there is one batch")
    first, kept = subject.model, []
    try:
        for before in subject.train.batches[:2]:
            subject.model = copy.deepcopy(first)
            subject.outputs(before)
            kept.append(subject.outputs(subject.train.batches[0]))
    finally:
        subject.model = first
    if tensor_tree.same(*kept) or not all(bool(one.isfinite().all()) for one in kept[0]):
        return []
    return [
        Problem(
            places=["model"],
            reason="the output of a batch depends on the batch before it, also in evaluation mode",
            measured="outputs differ behind two different batches",
            threshold="no change",
            next_step="begin each batch with a fresh state, as h = torch.zeros(...)",
        )
    ]


def along_time(subject: Subject) -> list[Problem]:
    """Where the target is the input one step later, no output may depend on later inputs: they are the answer."""
    if subject.batch_dim != 0:
        raise NotApplicableError("looked at for batches with examples first")
    batch, _ = _few(subject)
    target = input_and_target(batch)[1] if subject.forward is None else subject.run(batch)[1]
    inputs, itself = _shifted_pair(batch, target)
    if itself:
        start_checks.take_steps_if_constant(subject)
    base = subject.outputs(batch)
    length = target.shape[1]
    if not base or base[0].ndim < 3 or base[0].shape[:2] != target.shape[:2]:
        raise NotApplicableError("the output has no row for each example and step")
    cut = length // 2
    later = inputs.detach().clone()
    later[:, cut:] = inputs.roll(1, 0)[:, cut:].flip(1)
    if torch.equal(later, inputs):
        raise NotApplicableError("all examples are alike")
    changed = tensor_tree.mapped(lambda one: later if one is inputs else one, batch)
    moved = (subject.outputs(changed)[0] - base[0]).abs()
    scale = float(base[0].abs().max()) + 1e-12
    blind = float(moved[:, : cut - 1].max()) <= MOVED * scale
    if itself:
        return _own_answer(subject, batch) if blind and float(moved.max()) > MOVED * scale else []
    if blind:
        return []
    return [
        Problem(
            places=["model", "forward"],
            reason="the target is the next input, and outputs depend on later inputs: the model sees the answer",
            measured=f"outputs before step {cut} change with inputs from step {cut} on",
            threshold="no change",
            next_step="pass a causal mask (is_causal=True), or pad convolutions on the left alone",
        )
    ]


def from_padding(subject: Subject) -> list[Problem]:
    """More padding at the end must not change the result of a model that is given a mask or lengths."""
    if subject.pad_id is None or subject.batch_dim != 0:
        raise NotApplicableError("pad_id was not given")
    if any(isinstance(one, nn.Conv1d | nn.Conv2d | nn.RNNBase) for one in subject.model.modules()):
        raise NotApplicableError("convolutions and recurrent layers may see padding by choice")
    batch, _ = _few(subject)
    inputs, target = input_and_target(batch)
    if not isinstance(inputs, Tensor) or inputs.is_floating_point() or inputs.ndim != 2 or subject.forward is not None:
        raise NotApplicableError("inputs are not one (N, T) tensor of integers")
    if not bool((inputs == subject.pad_id).any()):
        raise NotApplicableError("no padding in the first batch")
    wide = bool((inputs[:, -1] == subject.pad_id).any())
    if not wide:
        raise NotApplicableError("padding is not at the end")
    try:
        one, two = (subject.outputs((each, target))[0] for each in (inputs, _padded(inputs, subject.pad_id)))
    except Exception as error:
        if not _masks(subject):
            why = "of a fixed length and masks nothing: padding is part of each example"
            raise NotApplicableError(f"the model is {why}") from error
        short, rows = _cropped(inputs, subject.pad_id)
        inputs = inputs[rows]
        given = tensor_tree.mapped(lambda each: each[rows], target)
        two = subject.outputs((inputs, given))[0]
        one, inputs = subject.outputs((short, given))[0], short
    if one.ndim > 2:
        two = two[:, : one.shape[1]]
        one, two = one[inputs != subject.pad_id], two[inputs != subject.pad_id]
    if float((one - two).abs().max()) <= 1e-3 * (float(one.abs().max()) + 1e-12):
        return []
    return [
        Problem(
            places=["model", "forward"],
            reason="more padding at the end changes the result: padding is counted",
            measured=f"change {float((one - two).abs().max()):.2g}",
            threshold="rounding",
            next_step="pass a key padding mask, and leave padding out of means and sums",
        )
    ]


def _masks(subject: Subject) -> bool:
    """Whether the model fills masked places, or gives a mask to attention."""
    for call in subject.traced.of_model:
        if call.name.startswith("masked_fill"):
            return True
        if call.name == "multi_head_attention_forward" and call.named.get("key_padding_mask") is not None:
            return True
        if call.name == "scaled_dot_product_attention" and call.argument(3, "attn_mask") is not None:
            return True
    return False


def _padded(inputs: Tensor, pad: int) -> Tensor:
    return torch.cat([inputs, inputs.new_full((len(inputs), 2), pad)], 1)


def _cropped(inputs: Tensor, pad: int) -> tuple[Tensor, Tensor]:
    """For models of a fixed length: the shorter half of examples, with one step of padding left, and which they are."""
    lengths = (inputs != pad).sum(1)
    longest = int(lengths.median())
    if longest + 3 > inputs.shape[1]:
        raise NotApplicableError("longer inputs do not fit the model, and there is little padding")
    rows = (lengths <= longest).nonzero().flatten()
    return inputs[rows, : longest + 1], rows


def _few(subject: Subject) -> tuple[Any, int]:
    size = tensor_tree.rows(subject.batch, subject.batch_dim)
    if size is None:
        raise NotApplicableError("not every tensor of the batch has its examples along batch_dim")
    if size < 3:
        raise NotApplicableError("the batch has fewer than 3 examples")
    declared = getattr(subject.train_loader, "batch_size", None)
    if isinstance(declared, int) and size != min(declared, _length(subject.train_loader.dataset) or declared):
        raise NotApplicableError("the first dimension is not the loader's batch size; pass batch_dim=")
    return tensor_tree.first_rows(subject.batch, FEW, subject.batch_dim), min(size, FEW)


def uses_targets(subject: Subject, batch: Any) -> bool:
    """Whether the loss moves when targets are given to other examples."""
    with torch.no_grad():
        output, target = subject.run(batch)
        one = subject.loss(output, target)
        dim = subject.batch_dim
        other = subject.loss(output, tensor_tree.mapped(lambda each: each.roll(1, dim) if each.ndim else each, target))
    return not torch.equal(one, other)


def _length(dataset: Any) -> int | None:
    try:
        return len(dataset)
    except TypeError:
        return None


def refuse_coupled(subject: Subject, size: int) -> None:
    """Raise NotApplicableError for what compares examples on purpose: graphs, tables of pairs, batch statistics."""
    whole = tensor_tree.rows(subject.batch, subject.batch_dim) or size
    inputs = input_and_target(subject.batch)[0]
    for one in tensor_tree.leaves(inputs):
        if one.ndim == 2 and one.shape[0] == one.shape[1] == whole:
            raise NotApplicableError("an input is a table over pairs of examples, as in a graph")
    for name, one in (*subject.model.named_buffers(), *subject.model.named_parameters()):
        if one.ndim >= 2 and one.shape[0] == one.shape[1] == whole and "weight" not in name:
            raise NotApplicableError(f"{name} is a table over pairs of examples")
    for module in subject.model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None:
            raise NotApplicableError("BatchNorm without running statistics normalises over the batch on purpose")


def has_rows(output: Tensor, size: int, batch_dim: int) -> bool:
    if output.ndim <= batch_dim or output.shape[batch_dim] != size or not output.is_floating_point():
        return False
    return not (output.ndim == 2 and output.shape[0] == output.shape[1])  # a table of pairs


def _others_move(subject: Subject, batch: Any, base: list[Tensor], at: int, size: int) -> bool:
    """Whether rows other than the changed one move, for each of two changed examples."""
    dim, output = subject.batch_dim, base[at]
    scale = float(output.abs().max()) + 1e-12
    for row in (0, 1):
        other = subject.outputs(tensor_tree.with_row(batch, row, size - 1, dim))[at]
        rest = torch.tensor([index for index in range(size) if index != row], device=output.device)
        difference = (other - output).index_select(dim, rest)
        if not bool(difference.isfinite().all()) or float(difference.abs().max()) <= MOVED * scale:
            return False
    return True


def _first_mixing_module(subject: Subject, batch: Any, size: int) -> str:
    """The first module in whose output another example's row moves with example 0."""
    runs = []
    for given in (batch, tensor_tree.with_row(batch, 0, size - 1, subject.batch_dim)):
        subject.model.eval()
        with subject.recorded() as seen, torch.no_grad():
            subject.run(given)
        runs.append([(call.module, call.output) for call in seen.calls])
    for (module, one), (_, two) in zip(*runs, strict=False):
        if not isinstance(one, Tensor) or not isinstance(two, Tensor) or one.shape != two.shape:
            continue
        if has_rows(one, size, subject.batch_dim):
            rest = (two - one).narrow(subject.batch_dim, 1, size - 1).abs().max()
            if float(rest) > MOVED * (float(one.abs().max()) + 1e-12):
                return module or "model"
    return "model"


def _shifted_pair(batch: Any, target: Any) -> tuple[Tensor, bool]:
    """An integer input (N, T) that is the target one step earlier, or the target itself (True)."""
    if not isinstance(target, Tensor) or target.ndim != 2 or target.is_floating_point() or target.shape[1] < 4:
        raise NotApplicableError("the targets are not sequences of integers")
    for one in tensor_tree.leaves(batch):
        if one is target or one.ndim != 2 or one.is_floating_point() or len(set(one.flatten().tolist())) <= 2:
            continue
        later = one[:, 1:]
        if torch.equal(later, target) or (one.shape == target.shape and torch.equal(later, target[:, :-1])):
            return one, False
    for one in tensor_tree.leaves(batch):
        if torch.equal(one, target) and len(set(one.flatten().tolist())) > 2:
            return one, True
    raise NotApplicableError("no input is the target one step earlier")


def _own_answer(subject: Subject, batch: Any) -> list[Problem]:
    """For a model that looks back alone: the answer at a step is the input of that step, unless the loss shifts."""
    with torch.no_grad():
        output, target = subject.run(batch)
        other = target.clone()
        other[:, 0] = target[:, 0].roll(1, 0)
        shifted = torch.equal(subject.loss(output, target), subject.loss(output, other))
    if shifted or torch.equal(other, target):
        return []
    return [
        Problem(
            places=["forward" if subject.forward else "train_loader targets", "train_loader targets", "loss"],
            reason="the target of each step is the input of that step: the model learns to repeat it, not what is next",
            measured="targets and inputs are equal, and the loss counts the first step",
            threshold="targets one step later",
            next_step="give inputs tokens[:, :-1] and targets tokens[:, 1:], or shift inside of the loss",
        )
    ]


CONTRACTS = (
    Contract("examples-mixed", "mixing", 84, between_examples),
    Contract("state-between-batches", "mixing", 86, between_batches),
    Contract("future-seen", "mixing", 92, along_time),
    Contract("padding-counted", "mixing", 78, from_padding),
)
