"""What the order of a sequence is to a model: nothing, where its places are not given to attention or means."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from assay.doctor import rehearsal, start_checks, tensor_tree
from assay.doctor.check_results import Contract, Problem
from assay.doctor.example_draws import input_and_target
from assay.doctor.rehearsal_checks import NOTHING, RATES, reach_of
from assay.doctor.subject import NotApplicableError, NotRunError, Subject

#: change of an output, in parts of its largest value, that no rounding makes
MOVED = 1e-4


def order_ignored(subject: Subject) -> list[Problem]:
    """Outputs that stay when the steps of every sequence change places: advice, a warning where nothing is learned."""
    if subject.batch_dim != 0:
        raise NotApplicableError("looked at for batches with examples first")
    sequences = _sequences(subject)
    start_checks.take_steps_if_constant(subject)
    base = subject.outputs(subject.batch)
    if not base or any(one.ndim > 2 for one in base) or not all(bool(one.isfinite().all()) for one in base):
        raise NotApplicableError("outputs are not one row for each example")
    order = torch.randperm(sequences.shape[1], generator=torch.Generator().manual_seed(5))
    if torch.equal(order, order.sort().values):
        order = order.roll(1)
    if not _moves(subject, base, sequences, sequences.roll(1, 0)):
        raise NotApplicableError("outputs do not depend on the sequences")
    if _moves(subject, base, sequences, sequences[:, order]):
        return []
    said = _places_unused(subject, sequences.shape[1]) or _nothing_learned(subject)
    return [
        Problem(
            places=["model"],
            reason="the output stays when the steps of a sequence change places: their order is not used"
            + (", against what the model has or learns" if said else ""),
            measured=said or "no change for steps in another order",
            threshold="a change",
            next_step="add embeddings of positions, or a recurrent layer or convolution, where order matters",
            level="warning" if said else "",
        )
    ]


def _sequences(subject: Subject) -> Tensor:
    """The one input that is (N, T, F) numbers or (N, T) integers."""
    inputs, _ = input_and_target(subject.batch)
    given = [one for one in tensor_tree.leaves(inputs) if one.ndim > 1]
    found = [one for one in given if one.ndim == 3 - (not one.is_floating_point())]
    if subject.forward is not None or len(given) != 1 or len(found) != 1 or found[0].shape[1] < 3:
        raise NotApplicableError("inputs are not one sequence of 3 steps or more for each example")
    return found[0]


def _moves(subject: Subject, base: list[Tensor], own: Tensor, other: Tensor) -> bool:
    batch = tensor_tree.mapped(lambda one: other.contiguous() if one is own else one, subject.batch)
    pairs = zip(base, subject.outputs(batch), strict=True)
    return any(float((one - two).abs().max()) > MOVED * (float(one.abs().max()) + 1e-12) for one, two in pairs)


def _places_unused(subject: Subject, length: int) -> str:
    """An embedding or a parameter of its own, as long as a sequence or longer, that no batch uses; '' without one."""
    subject.model.train()
    names = [(name, one) for name, one in subject.trained if _may_be_places(subject.model, name, one, length)]
    left = subject.without_gradient(names)
    return f"no change for steps in another order, and {left[0][0]} is never used" if left else ""


def _may_be_places(model: nn.Module, name: str, parameter: Tensor, length: int) -> bool:
    """Whether a parameter has a row for each step, and is no weight of another layer of torch."""
    owner = model.get_submodule(name.rpartition(".")[0])
    own = isinstance(owner, nn.Embedding) or not type(owner).__module__.startswith("torch.nn.")
    return own and any(size >= length for size in parameter.shape[:-1])


def _nothing_learned(subject: Subject) -> str:
    """What the program's own steps gained, where it is nothing, also at a usual rate, and the run is over; else ''."""
    try:
        reach = reach_of(subject, subject.batch)
        own = rehearsal.own_arm(subject)
        gained = reach.gained(own.end) if own.finite else math.nan
        if not gained <= NOTHING or not own.settled or subject.planned_steps != len(own.losses):
            return ""
        rule = rehearsal.Adam([one for _, one in subject.trained], RATES[0])
        faster = rehearsal.arm(subject, len(own.losses), rule.step)
    except (NotApplicableError, NotRunError):
        return ""
    if not faster.finite or reach.gained(faster.end) > NOTHING:  # it is the rate, and order may well not matter
        return ""
    return f"{100 * max(gained, 0):.0f} % of the way in {len(own.losses)} steps, the whole run"


CHECKS = (Contract("order-ignored", "mixing", 40, order_ignored, "advice", "counterfactual"),)
