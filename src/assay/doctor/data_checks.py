"""Contracts on the examples: finite numbers, more than one label, an order that mixes labels, parts without copies."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections import Counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, SequentialSampler

from assay.doctor.check_results import Contract, Problem
from assay.doctor.example_draws import ExampleDraws, input_and_target
from assay.doctor.operation_trace import Operation
from assay.doctor.subject import NotApplicableError, Subject

#: fewer examples than this say nothing of all
FEWEST = 32


def finite(subject: Subject) -> list[Problem]:
    """A number that is not finite among inputs or targets, and a loss that is not finite for it."""
    found = [at for at, one in enumerate(subject.train.examples or subject.train.batches) if not _finite(one)]
    if not found:
        return []
    holder = subject.train.batch_with(found[0]) if subject.train.examples else subject.train.batches[found[0]]
    subject.model.train()
    try:
        if math.isfinite(float(subject.value(holder).detach())):
            return []  # masked, as missing values are
    except (ValueError, RuntimeError):
        pass  # a loss that refuses it
    return [_not_finite(subject, found[0])]


def one_label(subject: Subject) -> list[Problem]:
    """A classification whose examples all have the same label."""
    _classification(subject)
    labels = _class_numbers(subject.train)
    if len(labels) < FEWEST:
        raise NotApplicableError(f"fewer than {FEWEST} examples")
    return [] if len(set(labels)) > 1 else [alike(str(labels[0]), len(labels))]


def alike(label: str, count: int) -> Problem:
    """The problem of `count` examples that all have `label`."""
    return Problem(
        places=["train_loader labels"],
        reason=f"all examples have the label {label}",
        measured=f"1 label in {count} examples",
        threshold="2 or more",
        next_step="look at how labels are read",
    )


def constant_inputs(subject: Subject) -> list[Problem]:
    """All examples with equal inputs, and targets that differ."""
    examples = subject.train.examples
    if examples is None or len(examples) < FEWEST:
        raise NotApplicableError(subject.train.why or f"fewer than {FEWEST} examples")
    inputs, targets = zip(*(input_and_target(one) for one in examples), strict=True)
    if len({_key(one) for one in inputs}) > 1 or len({_key(one) for one in targets}) < 2:
        return []
    return [
        Problem(
            places=["train_loader inputs"],
            reason="all examples have the same inputs, with targets that differ",
            measured=f"1 input in {len(examples)} examples",
            threshold="2 or more",
            next_step="look at how inputs are read: an index that is not used, a factor of 0, an integer division",
        )
    ]


def sorted_labels(subject: Subject) -> list[Problem]:
    """Examples in the order of their labels, never shuffled: whole batches of one label after another."""
    _classification(subject)
    count, size = _read_in_order(subject)
    labels = _class_numbers(subject.train)
    changes = sum(one != other for one, other in itertools.pairwise(labels))
    classes = len(set(labels))
    if classes < 2 or changes != classes - 1 or count / classes < size:
        return []
    return [
        Problem(
            places=["train_loader shuffle"],
            reason="examples are sorted by label and not shuffled: batches hold one label, one class after another",
            measured=f"{changes} changes of label in {len(labels)} examples of {classes} classes",
            threshold="labels mixed",
            next_step="shuffle=True",
        )
    ]


def label_runs(subject: Subject) -> list[Problem]:
    """Examples that are not shuffled and whose labels come in long runs: most batches hold one label."""
    _classification(subject)
    count, size = _read_in_order(subject)
    if subject.train.indices != list(range(count)):
        raise NotApplicableError("not every example was drawn")
    labels = _class_numbers(subject.train)
    batches = [labels[at : at + size] for at in range(0, len(labels) - size + 1, size)]
    alone = sum(len(set(one)) == 1 for one in batches)
    most = max(Counter(labels).values()) / len(labels)
    if size < 4 or len(batches) < 4 or most > 0.7 or alone < len(batches) / 2:
        return []
    return [
        Problem(
            places=["train_loader shuffle"],
            reason="examples are not shuffled, and most batches hold one label",
            measured=f"{alone} of {len(batches)} batches",
            threshold="fewer than half",
            next_step="shuffle=True",
        )
    ]


def copies_across_parts(subject: Subject) -> list[Problem]:
    """Validation examples that are also training examples, beyond the repeats inside training."""
    train, validation = subject.train, subject.validation
    if train.examples is None or validation.examples is None:
        raise NotApplicableError(validation.why if validation.examples is None else train.why)
    ours = Counter(_key(input_and_target(one)[0]) for one in train.examples)
    theirs = [_key(input_and_target(one)[0]) for one in validation.examples]
    if not ours or len(theirs) < FEWEST:
        raise NotApplicableError(f"fewer than {FEWEST} validation examples")
    inside = sum(count for count in ours.values() if count > 1) / sum(ours.values())
    return copied(sum(one in ours for one in theirs), len(theirs), inside)


def copied(shared: int, validation: int, inside: float) -> list[Problem]:
    """The problem of `shared` among `validation` examples, where a share `inside` of training repeats itself."""
    across = shared / validation
    margin = 0.02 + 3 * math.sqrt(max(inside * (1 - inside), 0.01) / validation)
    if across <= inside + margin:
        return []
    return [
        Problem(
            places=["val_loader dataset", "train_loader dataset"],
            reason="validation examples are in the training data, too: the validation score is too good",
            measured=f"{100 * across:.0f} % of {validation} validation examples",
            threshold=f"{100 * (inside + margin):.0f} %, with {100 * inside:.0f} % repeats inside training",
            next_step="split before copying or augmenting, and keep copies of one example in one part",
        )
    ]


def _finite(example: Any) -> bool:
    numbers = (one for one in _values(example) if isinstance(one, torch.Tensor | np.ndarray | float))
    arrays = [torch.as_tensor(one) for one in numbers if not isinstance(one, np.ndarray) or one.dtype.kind in "fc"]
    return all(bool(one.isfinite().all()) for one in arrays if one.is_floating_point())


def _values(tree: Any) -> list[Any]:
    """What stands in nested dicts, lists and tuples."""
    if isinstance(tree, dict):
        return [one for value in tree.values() for one in _values(value)]
    return [one for value in tree for one in _values(value)] if isinstance(tree, list | tuple) else [tree]


def _not_finite(subject: Subject, at: int) -> Problem:
    index = subject.train.indices[at] if subject.train.indices else at
    inputs, _ = input_and_target((subject.train.examples or subject.train.batches)[at])
    place = "targets" if _finite(inputs) else "inputs"
    what = "example" if subject.train.examples else "batch"
    return Problem(
        places=[f"train_loader {place}"],
        reason=f"{what} {index} has a value that is not finite",
        next_step="leave it out, or fill it from training rows",
    )


def _classification(subject: Subject) -> list[Operation]:
    found = [call for call in subject.traced.of_loss if call.name in ("cross_entropy", "nll_loss")]
    if not any(subject.traced.is_target(call.argument(1, "target")) for call in found):
        raise NotApplicableError("the loss does not give the loader's targets to cross_entropy or nll_loss")
    return found


def _read_in_order(subject: Subject) -> tuple[int, int]:
    """Number of examples and size of a batch of a loader that reads its examples as they stand."""
    loader = subject.train_loader
    if not isinstance(loader, DataLoader) or not isinstance(loader.sampler, SequentialSampler) or not loader.batch_size:
        raise NotApplicableError("the loader does not read its examples in their order")
    return len(loader.dataset), loader.batch_size  # type: ignore[arg-type]


def _class_numbers(part: ExampleDraws) -> list[int]:
    return [int(one) for one in target_numbers(part)]


def target_numbers(part: ExampleDraws) -> NDArray[np.float64]:
    """(N,) targets, where they are one number an example."""
    if part.examples is None:
        raise NotApplicableError(part.why)
    try:
        return np.array([float(input_and_target(one)[1]) for one in part.examples])
    except (TypeError, ValueError, RuntimeError) as error:
        raise NotApplicableError("targets are not one number an example") from error


def _key(tree: Any) -> bytes:
    """Hash of an example's numbers and texts."""
    digest = hashlib.blake2b(digest_size=12)
    for one in _values(tree):
        if not isinstance(one, torch.Tensor | np.ndarray | float | int | np.number):
            digest.update(repr(one).encode())
            continue
        array = np.ascontiguousarray(one.detach().cpu().numpy() if isinstance(one, torch.Tensor) else one)
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update((array + 0).tobytes() if array.dtype.kind == "f" else array.tobytes())  # -0.0 is 0.0
    return digest.digest()


CONTRACTS = (
    Contract("finite-data", "data", 94, finite),
    Contract("one-label", "data", 94, one_label),
    Contract("constant-inputs", "data", 94, constant_inputs),
    Contract("sorted-labels", "data", 93, sorted_labels),
    Contract("label-runs", "data", 89, label_runs, "warning"),
    Contract("copies-across-parts", "data", 90, copies_across_parts),
)
