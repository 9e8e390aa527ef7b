"""Contracts on a batch as a whole: the order of its examples, and what one example gives when it comes alone.

Covers: outputs that depend on the place in the batch, models and collate functions that mix examples which no dimension
of the batch holds apart (graphs, jagged batches). Not covered: one row changed in place (`mixing_checks`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from assay.doctor import mixing_checks, start_checks, tensor_tree
from assay.doctor.check_results import Contract, Problem
from assay.doctor.example_draws import input_and_target
from assay.doctor.subject import NotApplicableError, Subject

#: change of an output, in parts of its largest value, that no rounding makes
MOVED = 1e-3
#: examples of the batch, and how many pairs of them are tried by themselves
FEW, TRIED = 6, 3


def order_of_examples(subject: Subject) -> list[Problem]:
    """Examples in another order must give the same outputs in that order."""
    size = tensor_tree.rows(subject.batch, subject.batch_dim)
    if size is None or size < 3:
        raise NotApplicableError("the batch has no one dimension of 3 examples or more")
    mixing_checks.refuse_coupled(subject, size)
    start_checks.take_steps_if_constant(subject)
    if not mixing_checks.uses_targets(subject, subject.batch):
        raise NotApplicableError("the loss does not use the targets: it may compare examples with each other")
    dim = subject.batch_dim
    base = subject.outputs(subject.batch)
    _refuse_random(subject, subject.batch)
    turned = tensor_tree.mapped(lambda one: one.roll(1, dim) if one.ndim else one, subject.batch)
    other = subject.outputs(turned)
    for one, two in zip(base, other, strict=True):
        if not mixing_checks.has_rows(one, size, dim) or not bool(one.isfinite().all() and two.isfinite().all()):
            continue
        moved = float((one.roll(1, dim) - two).abs().max())
        if moved > MOVED * float(one.abs().max()):
            return [
                Problem(
                    places=["model", "forward"],
                    reason="outputs depend on the place of an example in its batch: in another order they are others",
                    measured=f"change {moved:.2g}, outputs up to {float(one.abs().max()):.2g}",
                    threshold="rounding",
                    next_step="look for positions counted along the batch dimension, as pe[: x.size(0)], or for rows "
                    "that are sorted and not put back",
                )
            ]
    return []


def example_alone(subject: Subject) -> list[Problem]:
    """Two examples must give the same outputs by themselves as among others, where nothing is padded."""
    part = subject.train
    if part.examples is None or part.collate is None or len(part.examples) < FEW:
        raise NotApplicableError(part.why or f"fewer than {FEW} examples, or none by number")
    if subject.batch_dim != 0 or not _plain(subject.model):
        raise NotApplicableError("examples do not stand first, or BatchNorm uses the batch's own statistics")
    together = _collated(subject, list(range(FEW)))
    base = subject.outputs(together)
    _refuse_random(subject, together)
    if not mixing_checks.uses_targets(subject, together):
        raise NotApplicableError("the loss does not use the targets: it may compare examples with each other")
    mixing_checks.refuse_coupled(subject, FEW)
    moved = []
    for at in range(TRIED):
        alone = _collated(subject, [at, at + TRIED])
        apart = _apart(base, _outputs(subject, alone), [at, at + TRIED])
        if apart is None:
            raise NotApplicableError("outputs have no row for each example, or are not finite")
        if apart > MOVED and _padded(together, alone, at):
            raise NotApplicableError("batches are padded to their longest example")
        moved.append(apart)
    if min(moved) <= MOVED:
        return []
    changed = _changed_by_collate(together, _collated(subject, [0, TRIED]))
    return [
        Problem(
            places=["train_loader collate_fn", "train_loader inputs"] if changed else ["model", "forward"],
            reason="examples give other outputs in a small batch than in a large one, also in evaluation mode: "
            + ("batches are scaled or changed by what else is in them" if changed else "examples are mixed"),
            measured=f"change {max(moved):.2g} of the largest output, in {TRIED} of {TRIED} pairs of examples",
            threshold="rounding",
            next_step="scale by statistics of the training part; offset the indices of each graph; keep examples apart",
        )
    ]


def _refuse_random(subject: Subject, batch: Any) -> None:
    subject.model.eval()
    with torch.no_grad():
        made = [list(tensor_tree.leaves(subject.run(batch, seed)[0])) for seed in (0, 0, 1)]
    if not tensor_tree.same(made[0], made[1]) or not tensor_tree.same(made[0], made[2]):
        raise NotApplicableError("the output is random, also in evaluation mode")


def _plain(model: nn.Module) -> bool:
    norms = (one for one in model.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm))
    return all(one.running_mean is not None for one in norms)


def _collated(subject: Subject, places: list[int]) -> Any:
    """A batch of some examples; refused where the collate function draws by chance."""
    part = subject.train
    assert part.examples is not None and part.collate is not None
    made = [part.collate([part.examples[at] for at in places]) for _ in range(2)]
    if not tensor_tree.same(*made):
        raise NotApplicableError("batches are made by chance")
    return made[0]


def _outputs(subject: Subject, batch: Any) -> list[Tensor]:
    try:
        return subject.outputs(batch)
    except Exception as error:
        raise NotApplicableError(f"the model refuses a batch of one ({type(error).__name__})") from error


def _apart(base: list[Tensor], few: list[Tensor], places: list[int]) -> float | None:
    """Largest change of any output of some examples, in parts of it; None where outputs have no rows."""
    found = None
    for one, two in zip(base, few, strict=False):
        if not one.ndim or not two.ndim or len(one) != FEW or len(two) != len(places) or not one.is_floating_point():
            continue
        table = one.shape == (FEW, FEW) and two.shape == (len(places), len(places))
        own = one[places][:, places] if table else one[places]
        if own.shape == two.shape and bool(one.isfinite().all() and two.isfinite().all()):
            found = max(found or 0.0, float((own - two).abs().max()) / (float(one.abs().max()) + 1e-12))
    return found


def _padded(together: Any, alone: Any, at: int) -> bool:
    """Whether tensors that hold one row an example are wider in the large batch."""
    pairs = zip(tensor_tree.leaves(together), tensor_tree.leaves(alone), strict=False)
    return any(one.ndim > 1 and len(one) == FEW and one[at].shape != two[0].shape for one, two in pairs if two.ndim)


def _changed_by_collate(together: Any, alone: Any) -> bool:
    pairs = zip(*(tensor_tree.leaves(input_and_target(one)[0]) for one in (together, alone)), strict=False)
    floats = [(one, two) for one, two in pairs if one.ndim and len(one) == FEW and one.is_floating_point()]
    return any(not torch.allclose(one[0], two[0], equal_nan=True) for one, two in floats)


CONTRACTS = (
    Contract("order-of-examples", "mixing", 85, order_of_examples),
    Contract("example-alone", "mixing", 83, example_alone, "warning"),
)
