"""A comparison as text: the two lines that a run prints.

Covers: number formats and the sentence. Not covered: what the numbers mean (`judging`, docs/judge.md).
"""

from __future__ import annotations

import math

from assay.judging.compare import ArmSummary, Comparison


def verdict_lines(
    result: Comparison, metric: str, baseline_name: str, metric_version: str = "", comparisons: int = 0
) -> str:
    """The verdict on two lines, then one line for everything that must not be overlooked.

    `comparisons` counts the verdicts already given against the same baseline; 0 says nothing.
    """
    digits = decimals(result)
    word = f"{result.verdict:<10}"
    indent = " " * len(word)
    versus = f"vs {baseline_name} {arm(result.baseline, digits)}"
    lines = [
        f"{word} {metric} {arm(result.candidate, digits)} {versus}",
        f"{indent} {difference(result, digits)}" + (f" · {metric_version}" if metric_version else ""),
    ]
    return "\n".join(lines + [f"{indent} {line}" for line in remarks(result, comparisons)])


def arm(summary: ArmSummary, digits: int) -> str:
    """`0.9712 ±0.0040 (n=10)`, with `diverged k of n` where some did."""
    if summary.fixed:
        return f"{number(summary.mean, digits)} (fixed)"
    spread = "" if summary.sd is None else f" ±{number(summary.sd, digits)}"
    shown = "no finite run" if summary.mean is None else f"{number(summary.mean, digits)}{spread}"
    return f"{shown} (n={summary.n})"


def difference(result: Comparison, digits: int) -> str:
    """`+0.0112 [+0.0069, +0.0155] 95% CI, Welch p=0.00004`."""
    level = f"{100 * (1 - result.alpha):.4g}% CI"
    if result.delta is None or not math.isfinite(result.ci[0]):
        delta = "" if result.delta is None else f"{number(result.delta, digits, '+')}, "
        return f"{delta}no interval: {result.reason or 'this n decides nothing'}"
    low, high = (number(end, digits, "+") for end in result.ci)
    return f"{number(result.delta, digits, '+')} [{low}, {high}] {level}, {result.method} p={p_value(result.p)}"


def remarks(result: Comparison, comparisons: int = 0) -> list[str]:
    """One line each: divergence, why a verdict is held back, runs needed, doubts."""
    lines = [*_divergence(result)]
    if result.reason and math.isfinite(result.ci[0]):
        lines.append(f"held back: {result.reason}")
    lines += _needed(result)
    if comparisons:
        lines.append(f"{comparisons} verdict(s) were already given against this baseline")
    return lines + [f"caution: {warning}" for warning in result.warnings]


def _divergence(result: Comparison) -> list[str]:
    if result.fisher_p is None and not (result.diverged_baseline or result.diverged_candidate):
        return []
    counts = [
        f"{name} diverged {side.diverged} of {side.n + (0 if result.entered else side.diverged)}"
        for name, side in (("baseline", result.baseline), ("candidate", result.candidate))
        if not side.fixed
    ]
    tested = "" if result.fisher_p is None else f" (Fisher p={p_value(result.fisher_p)})"
    return [", ".join(counts) + tested]


def _needed(result: Comparison) -> list[str]:
    if result.verdict != "inconclusive":
        return []
    if result.min_effect <= 0:
        return ["no smallest effect that matters is named (min_effect is 0): no number of runs can be asked for"]
    if result.n_needed is None:
        return []
    return [f"n={result.n_needed} runs per arm would find a difference of {result.min_effect:g} with 80% power"]


def decimals(result: Comparison) -> int:
    """Digits after the point that show two figures of the smallest spread; 4 where there is none."""
    sizes = [side.sd for side in (result.baseline, result.candidate) if side.sd]
    sizes += [result.ci[1] - result.ci[0]] if 0 < result.ci[1] - result.ci[0] < math.inf else []
    return 4 if not sizes else max(0, 1 - math.floor(math.log10(min(sizes))))


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
