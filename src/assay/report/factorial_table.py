"""A factorial design as text or Markdown: one row an effect, then what the effects mean in words."""

from __future__ import annotations

import math

from tabulate import tabulate

from assay.core import sanitize_output
from assay.report.comparison_text import p_value
from assay.stats.factorial_design import Effect, Factorial


def table(found: Factorial, markdown: bool = False) -> str:
    """All effects with interval and adjusted p, those that are shown marked, and the findings below."""
    rows = [_row(effect, found.alpha, markdown) for effect in found.effects]
    level = f"{100 * (1 - found.alpha):.4g}% CI"
    header = ("effect", "delta", level, "p (Holm)", "")
    text = tabulate(rows, header, tablefmt="github" if markdown else "simple", disable_numparse=True)
    text = "\n".join(line.rstrip() for line in text.split("\n")) if not markdown else text
    said = found.findings or ("no effect is shown",)
    return "\n".join(
        [
            text,
            "",
            *(f"- {sanitize_output.markdown(line)}" if markdown else sanitize_output.line(line) for line in said),
        ]
    )


def _row(effect: Effect, alpha: float, markdown: bool) -> tuple[str, ...]:
    low, high = effect.ci
    interval = f"[{low:+.4g}, {high:+.4g}]" if math.isfinite(low) else "no spread"
    name = sanitize_output.markdown_cell(effect.name) if markdown else sanitize_output.line(effect.name)
    return name, f"{effect.delta:+.4g}", interval, p_value(effect.p_holm), "shown" if effect.p_holm <= alpha else ""
