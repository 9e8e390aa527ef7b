"""What `assay guard` found: one line a mode, and one that sums up."""

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
