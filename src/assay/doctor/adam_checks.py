"""Settings of Adam that are those of another optimizer, or stand in the wrong order."""

from __future__ import annotations

from collections.abc import Iterator

from assay.doctor.check_results import Contract, Problem
from assay.doctor.subject import NotApplicableError, Subject

#: optimizers that put decay into the gradient, unless told otherwise
COUPLED = ("Adam", "NAdam", "RAdam", "Adamax")
#: decay that is usual in AdamW and far too much here, where it is divided by the size of the gradient
DECAY = 0.05
#: a first beta that is a second one
SLOW = 0.99


def settings(subject: Subject) -> list[Problem]:
    """Betas in the wrong order, and AdamW's decay given to Adam."""
    groups = [
        (type(one).__name__, group)
        for one in subject.optimizers
        for group in getattr(one, "param_groups", [])
        if isinstance(group.get("betas"), tuple | list) and len(group["betas"]) == 2
    ]
    if not groups:
        raise NotApplicableError("no optimizer has two betas")
    return list({one.reason: one for name, group in groups for one in _of_group(name, group)}.values())


def _of_group(name: str, group: dict[str, object]) -> Iterator[Problem]:
    first, second = (float(one) for one in group["betas"])  # type: ignore[attr-defined]
    if first >= SLOW and first > second:
        yield Problem(
            places=["optimizer betas"],
            reason=f"the betas of {name} are swapped: the average of gradients lags behind, that of squares jumps",
            measured=f"({first:g}, {second:g})",
            threshold="the smaller one first",
            next_step=f"betas=({second:g}, {first:g})",
        )
    decay = float(group.get("weight_decay", 0))  # type: ignore[arg-type]
    if name in COUPLED and decay >= DECAY and not group.get("decoupled_weight_decay"):
        yield Problem(
            places=["optimizer weight_decay"],
            reason=f"{name} adds weight decay to the gradient and divides both by its size: such decay rules the step",
            measured=f"{decay:g}",
            threshold=f"less than {DECAY:g}",
            next_step="use AdamW, or a decay of 1e-4",
        )


CONTRACTS = (Contract("adam-settings", "optimisation", 83, settings, "warning"),)
