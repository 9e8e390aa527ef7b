"""What `assay guard` found: one line a mode, or a replicate, and one that sums up."""

from __future__ import annotations

from collections.abc import Sequence

from tabulate import tabulate

from assay.changes.trace_diff import Guarded


def text(base: str, head: str, steps: int, modes: Sequence[Guarded]) -> str:
    """`base` and `head` as the user knows them; `steps` as asked for."""
    rows = [(one.mode, _STATES[one.state], _detail(one, steps, base, head)) for one in modes]
    table = tabulate(rows, ("mode", "state", "why"), tablefmt="plain", disable_numparse=True)
    return f"{base} → {head}, {steps} steps on CPU\n{table}\n{summary(modes)}"


def summary(modes: Sequence[Guarded]) -> str:
    """One sentence: what held, or the first that did not."""
    broken = [one.mode for one in modes if not one.held]
    if broken:
        return f"not held: {', '.join(broken)}"
    traced = [one.mode for one in modes if one.state == "unchanged"]
    return f"held: {', '.join(traced)}" if traced else "nothing was compared"


_STATES = {
    "unchanged": "unchanged",
    "changed": "CHANGED",
    "parameters": "CHANGED",
    "gone": "GONE",
    "unsteady": "UNSTEADY",
    "new": "new",
    "excepted": "excepted",
}


def _detail(one: Guarded, steps: int, base: str, head: str) -> str:
    because = " · ".join(one.explained)
    if one.state == "changed":
        when = "before the first step" if one.step == 0 else f"after step {one.step}"
        return f"{one.tensor} differs {when}: {because or 'neither parameters nor sources explain it'}"
    return {
        "unchanged": "bitwise equal after every step",
        "parameters": f"{because}, which {steps} steps do not show",
        "gone": f"{head} does not have it",
        "unsteady": f"{one.tensor} of {base} differs from itself after step {one.step}: not reproducible",
        "new": f"{base} does not have it",
        "excepted": "meant to change, not compared",
    }[one.state]


#: number and seed of a replicate, the first tensor that differs ("" for none), whether the experiment repeats itself
WeightsRow = tuple[int, int, str, bool | None]


def same_weights(
    title: str,
    differs: Sequence[str],
    code: Sequence[str],
    environment: Sequence[str],
    replicates: Sequence[WeightsRow],
) -> str:
    """Replicates of an experiment, trained anew by other code."""
    lines = [title]
    for heading, found in (("code", code), ("environment", environment), ("not the same", differs)):
        if found:
            lines.append(f"{heading}: {' · '.join(found)}")
    if replicates:
        rows = [
            (number, seed, _state(tensor, repeats), _told(tensor, repeats))
            for number, seed, tensor, repeats in replicates
        ]
        lines.append(tabulate(rows, ("replicate", "seed", "state", "why"), tablefmt="plain", disable_numparse=True))
    return "\n".join([*lines, _summed_up(differs, environment, replicates)])


def _state(tensor: str, repeats: bool | None) -> str:
    if not tensor:
        return "unchanged"
    return "CHANGED" if repeats else "UNSTEADY"


def _told(tensor: str, repeats: bool | None) -> str:
    if not tensor:
        return "all weights and predictions bitwise equal"
    return f"{tensor} differs" if repeats else f"{tensor} differs, also when the experiment's own code trains again"


def _summed_up(differs: Sequence[str], environment: Sequence[str], replicates: Sequence[WeightsRow]) -> str:
    if differs:
        return "not held: other parameters or data, so nothing was trained"
    broken = [row for row in replicates if row[2]]
    if not broken:
        return f"held: {len(replicates)} of {len(replicates)} replicates"
    if not any(row[3] for row in broken):
        why = "in today's environment" if environment else "on this machine, or is not reproducible"
        return f"not held: nothing is proved, as the experiment's own code gives other weights {why}"
    return f"not held: {len(broken)} of {len(replicates)} replicates"
