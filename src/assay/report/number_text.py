"""Numbers as people read them: figures, probabilities, percent."""

from __future__ import annotations

import math


def percent(share: float) -> str:
    """A bound in percent, rounded up: whole numbers, below 1 % tenths."""
    return f"{math.ceil(1000 * share) / 10:g}" if share < 0.01 else str(math.ceil(100 * share))


def number(value: float | None, digits: int, sign: str = "") -> str:
    """Fixed point within reason, powers of ten beyond it."""
    if value is None:
        return "–"
    if digits > 9 or abs(value) >= 1e7:
        return f"{value:{sign}.3e}"
    return f"{value:{sign}.{digits}f}"


def p_value(p: float) -> str:
    """Two figures as a decimal down to 0.00001, then as a power of ten."""
    if p < 1e-5:
        return f"{p:.0e}"
    return f"{p:.2f}" if p >= 0.1 else f"{p:.{1 - math.floor(math.log10(p))}f}"
