"""A sensitivity as text: every value against the centre, then in words what matters and where to tune it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from tabulate import tabulate

from assay.report.comparison_text import decimals, number, p_value
from assay.stats.arm_comparison import Comparison
from assay.stats.one_factor import IDLE, MATTERS, Factor, FactorLevel

#: parameters that a next step names: few matter, and few can be tuned together
TUNED = 3


def text(
    factors: Sequence[Factor], metric: str, n: int, alpha: float, min_effect: float, failed: Mapping[str, str]
) -> str:
    """`n`: seeds that all values share; `failed`: setting → why it did not run."""
    known = [level.alone for one in factors for level in one.levels if level.alone]
    digits = max((decimals(alone) for alone in known), default=4)
    rows = [
        (one.key, _value(one, level), *_numbers(level, digits), level.verdict)
        for one in factors
        for level in one.levels
    ]
    heads = ("parameter", "value", f"{metric} delta", f"{100 * (1 - alpha):.4g}% CI", "p (Holm)", "verdict")
    table = tabulate(rows, heads, disable_numparse=True)
    said = [f"against HEAD on {n} shared seeds, paired; p over all {len(rows)} values", *_words(factors, digits)]
    if any(level.beside for one in factors for level in one.levels):
        said.append("with lr beside it: at the best rates for reading; shown where one rate beats all of the other's")
    if min_effect <= 0:
        said.append("min_effect is 0: that a parameter does not matter cannot be shown; name the smallest difference")
    held = [line for one in factors for level in one.levels for line in _held(level)]
    return "\n".join([table, "", *said, *held, *failed.values(), f"next: {_next(factors)}"])


def _value(one: Factor, level: FactorLevel) -> str:
    beside = f" ({level.beside})" if level.beside else ""
    return f"{written(one.centre)} → {written(level.value)}{beside}"


def _held(level: FactorLevel) -> Iterator[str]:
    """Why nothing can be said of a value, where something holds it back."""
    if level.alone is not None and level.alone.reason:
        yield f"{level.key}={written(level.value)}: nothing can be said: {level.alone.reason}"


def _numbers(level: FactorLevel, digits: int) -> tuple[str, str, str]:
    if level.alone is None or level.alone.delta is None:
        return "–", "–", "–"
    return number(level.alone.delta, digits, "+"), _interval(level.alone, digits), p_value(level.p_holm)


def _interval(alone: Comparison, digits: int) -> str:
    if not math.isfinite(alone.ci[0]):
        return "–"
    low, high = (number(end, digits, "+") for end in alone.ci)
    return f"[{low}, {high}]"


def _words(factors: Sequence[Factor], digits: int) -> Iterator[str]:
    for one in factors:
        if one.word == MATTERS:
            yield f"{one.key} matters: {_how(one, digits)}"
    if idle := [one.key for one in factors if one.word == IDLE]:
        yield f"does not matter here, within min_effect: {', '.join(idle)}"
    for one in factors:
        if one.word not in (MATTERS, IDLE):
            bound = max((level.bound for level in one.levels), default=math.inf)
            within = f", it is below {number(bound, digits)}" if math.isfinite(bound) else ""
            yield f"{one.key}: no effect is shown{within}"


def _how(one: Factor, digits: int) -> str:
    """What its values do, and where to tune it."""
    parts = []
    for level in one.levels:
        if level.verdict == "fails":
            parts.append(f"{written(level.value)} diverges or does not run")
        elif level.verdict in ("progress", "regression") and level.alone:
            beside = f" ({level.beside})" if level.beside else ""
            parts.append(f"{written(level.value)} is {number(level.alone.delta, digits, '+')}{beside}")
    where = f"; tune it over {written(one.range[0])} to {written(one.range[1])}" if one.range else ""
    return ", ".join(parts) + where


def _next(factors: Sequence[Factor]) -> str:
    """The command for the parameters that matter most."""
    asked = [f"-S {one.key}={','.join(values)}" for one in factors if one.word == MATTERS and (values := _grid(one))]
    if asked:
        return f"assay sweep {' '.join(asked[:TUNED])}"
    return "tune none of them; more seeds (--replicates) or wider steps (KEY=LOW,HIGH) would show smaller effects"


def _grid(one: Factor) -> list[str]:
    """Values over the range that is worth tuning, the centre itself left out."""
    if one.range is None:
        return [written(level.value) for level in one.levels if level.verdict == "progress"]
    low, high = (float(end) for end in one.range if isinstance(end, int | float))
    whole = all(isinstance(end, int) for end in (*one.range, one.centre))
    steps = [low * (high / low) ** share for share in _SHARES] if low > 0 else [low + (high - low) * s for s in _SHARES]
    values = [written(round(step) if whole else float(f"{step:.2g}")) for step in steps]
    return [value for value in dict.fromkeys(values) if value != written(one.centre)]


_SHARES = (0.0, 1 / 3, 2 / 3, 1.0)


def written(value: object) -> str:
    """A value as `-S` takes it, floats to six figures."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value:.6g}" if isinstance(value, float) else str(value)
