"""`assay fidelity` as text: what the fast profile tells of the full one, and what to do where it is not known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

#: groups that are named one by one
NAMED = 6


class Certified(Protocol):
    """The numbers of a certificate."""

    @property
    def settings(self) -> int: ...
    @property
    def pairs(self) -> int: ...
    @property
    def separated(self) -> int: ...
    @property
    def alike(self) -> float: ...
    @property
    def share(self) -> float | None: ...
    @property
    def share_ci(self) -> tuple[float, float]: ...
    @property
    def correlation(self) -> float | None: ...
    @property
    def correlation_ci(self) -> tuple[float, float]: ...
    @property
    def dropped(self) -> float | None: ...
    @property
    def dropped_ci(self) -> tuple[float, float]: ...
    @property
    def speed_up(self) -> float | None: ...
    @property
    def word(self) -> str: ...


def text(
    certified: Certified | None,
    names: tuple[str, str],
    conditions: tuple[str, str],
    alone: Sequence[str],
    left: Mapping[str, str],
) -> str:
    """`names`: full, fast; `conditions`: baseline, metric version. `alone` and `left` as in `commands.fidelity`."""
    full, fast = names
    lines = list(_numbers(certified, names, conditions)) if certified else []
    if certified is None:
        lines.append(f"unmeasured: fewer than two settings are kept under both {full} and {fast}")
    elif certified.word == "measured":
        lines.append(f"certified: verdicts under {fast} say so, under these conditions alone")
    else:
        lines.append(f"too few settings: an interval is wider than 0.5, so verdicts under {fast} say no more than that")
    lines += [f"left out: {name}: {why}" for name, why in list(left.items())[:NAMED]]
    if len(left) > NAMED:
        lines.append(f"left out: {len(left) - NAMED} more")
    if certified is None or certified.word != "measured":
        if alone:
            lines.append(
                f"next: assay fidelity --measure {len(alone)} --dry-run, for what is kept in one profile alone"
            )
        else:
            lines.append("next: assay sweep -S lr=1e-3,3e-3,1e-2,3e-2, then assay fidelity --measure 4 --dry-run")
    return "\n".join(lines)


def _numbers(one: Certified, names: tuple[str, str], conditions: tuple[str, str]) -> list[str]:
    full, fast = names
    baseline, version = conditions
    lines = [f"{fast} for {full}: {one.settings} settings in both, against {baseline}, {version}"]
    if one.share is None:
        lines.append(f"{full} separates none of {one.pairs} pairs, so there is no order to keep")
    else:
        told = f"{full} separates {one.separated} of {one.pairs} pairs; {fast} orders {one.alike:g} of them alike"
        lines.append(f"{told}: {one.share:.0%} {_percent(one.share_ci)}")
    if one.correlation is None or one.dropped is None:
        lines.append("correlation of true means: not known, fewer than four settings or no spread between them")
    else:
        low, high = one.correlation_ci
        lines.append(f"correlation of true means: {one.correlation:.2f} [{low:.2f}, {high:.2f}]")
        chance = f"{one.dropped:.1%} {_percent(one.dropped_ci)}"
        lines.append(f"the better half by {fast} lacks the best of {one.settings} with a chance of {chance}")
    speed = "not known here" if one.speed_up is None else f"{one.speed_up:.1f} times faster"
    lines.append(f"a training under {fast}: {speed}")
    return lines


def _percent(ends: tuple[float, float]) -> str:
    return f"[{ends[0]:.0%}, {ends[1]:.0%}]"
