"""Do two revisions train alike? Their traces, mode by mode, up to the first tensor that differs.

Covers: the first difference in order of mode, step and tensor; parameters whose value changed although a few
steps cannot show it; modes that came or went. Not covered: where traces come from, and how far k steps see:
what happens only later in training is no part of a trace.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from assay.changes.strategy_diff import Changes, changes
from assay.core.trace_records import ModeTrace

Sources = Mapping[str, str]


@dataclass(frozen=True)
class Guarded:
    """One mode in both revisions.

    `state` is `unchanged`; `changed`: the first different state is the one after `step` steps (0: before the
    first), in `tensor`; `parameters`: equal for k steps, though a value differs; `new` or `gone` in the second
    revision; `unsteady`: the first revision differs from itself; `excepted`: said to change, not trained.
    """

    mode: str
    state: str
    step: int | None = None
    tensor: str = ""
    explained: tuple[str, ...] = ()  # parameters and files that differ

    @property
    def held(self) -> bool:
        """Whether nothing speaks against "this mode did not change"."""
        return self.state in ("unchanged", "new", "excepted")


def first_difference(before: ModeTrace, after: ModeTrace) -> tuple[int, str] | None:
    """Step and tensor at which two traces part; a tensor that only one of them has is a difference."""
    for step, (old, new) in enumerate(zip(before.states, after.states, strict=False)):
        for tensor in [*old, *(name for name in new if name not in old)]:
            if old.get(tensor) != new.get(tensor):
                return step, tensor
    shorter = min(len(before.states), len(after.states))
    return None if len(before.states) == len(after.states) else (shorter, "number of steps")


def guarded(mode: str, before: ModeTrace, after: ModeTrace, old: Sources, new: Sources) -> Guarded:
    """One mode that both revisions have; `old` and `new` are the sources that its training reaches."""
    found = changes(before.parameters, after.parameters, old, new)
    parted = first_difference(before, after)
    if parted is not None:
        return Guarded(mode, "changed", *parted, _explained(found))
    values = tuple(map(str, found.changed))
    return Guarded(mode, "parameters", None, "", values) if values else Guarded(mode, "unchanged")


def _explained(found: Changes) -> tuple[str, ...]:
    files = [f"code: {file}" for file in found.code if not file.cosmetic]
    return (*map(str, (*found.changed, *found.introduced, *found.removed)), *files)


def ordered(before: Collection[str], after: Collection[str]) -> list[str]:
    """All modes: those of the first revision in its order, then the new ones."""
    return [*before, *(mode for mode in after if mode not in before)]
