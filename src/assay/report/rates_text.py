"""`assay rates` as text: the loss at every rate, the plateau, the edge, and what to train in full."""

from __future__ import annotations

from collections.abc import Sequence

from tabulate import tabulate

from assay.stats.rate_range import RateRange

#: columns of the bar
_BAR = 30


def text(found: RateRange, now: float, notes: Sequence[str] = (), follows: bool = False) -> str:
    """`now`: the rate of HEAD; `notes`: of decay and batch size; `follows`: whether whole trainings follow anyway."""
    finite = [mean for mean in found.means.values() if mean is not None]
    low, high = min(finite), finite[0]  # the smallest rate has hardly moved
    rows = [
        (f"{rate:.3g}", _loss(mean), _bar(mean, low, high), _mark(found, rate)) for rate, mean in found.means.items()
    ]
    table = tabulate(rows, ("lr", "loss", "", ""), disable_numparse=True)
    lines = [table, "", f"range, not choice: {found.low:.2g} to {found.high:.2g} is as good after a few steps"]
    if found.edge is not None:
        lines.append(f"edge: from {found.edge:.2g} on training breaks")
    for side in found.open:
        option = "--from" if side == "low" else "--to"
        lines.append(f"the range is open at its {side} end: look farther with {option}")
    if not found.low <= now <= found.high:
        lines.append(f"HEAD's {now:g} lies outside of it")
    lines += notes
    if not follows:
        rates = ",".join(f"{rate:g}" for rate in found.confirm if rate != now)
        lines.append(f"next: assay rates --confirm, or assay sweep -S lr={rates}: whole trainings choose")
    return "\n".join(lines)


def confirmed(found: RateRange, chosen: float | None) -> str:
    """What whole trainings say beside the few steps; `chosen`: the rate that ended best, None where none finished."""
    if chosen is None:
        return f"none of the rates finished; the few steps liked {found.best:.2g} best"
    return f"in full lr {chosen:g} ends best of those trained; after a few steps it was {found.best:.2g}"


def _loss(mean: float | None) -> str:
    return "diverged" if mean is None else f"{mean:.4g}"


def _bar(mean: float | None, low: float, high: float) -> str:
    if mean is None or high <= low or mean >= high:
        return ""
    return "█" * round(_BAR * (high - mean) / (high - low))


def _mark(found: RateRange, rate: float) -> str:
    return "best" if rate == found.best else "plateau" if found.low <= rate <= found.high else ""
