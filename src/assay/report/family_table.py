"""A family of comparisons as text, Markdown and JSON: several candidates against one baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tabulate import tabulate

from assay.core import reported_key, sanitize_output
from assay.core.sanitize_output import markdown_cell
from assay.report import comparison_text as report
from assay.report.comparison_text import Flat, arm, decimals, p_value
from assay.stats.arm_comparison import Comparison


class FamilyLine(NamedTuple):
    """One candidate: its own comparison, and what holds in the family."""

    candidate: str
    baseline: str
    result: Comparison
    p_holm: float
    verdict: str
    version: str
    comparisons: int


def text(lines: Sequence[FamilyLine], metric: str, form: str = "simple") -> str:
    """A row for each candidate, then how they were judged and what must not be overlooked beside each."""
    digits = max(decimals(line.result) for line in lines)
    escape, plain = (
        (markdown_cell, sanitize_output.markdown) if form == "pipe" else (sanitize_output.line, sanitize_output.line)
    )
    rows = [
        (
            escape(line.candidate),
            arm(line.result.candidate, digits),
            report.difference(line.result, digits).partition(" CI")[0],
            p_value(line.p_holm),
            line.verdict,
        )
        for line in lines
    ]
    headers = ("candidate", escape(reported_key.label(metric, lines[0].version)), "delta", "p (Holm)", "verdict")
    table = tabulate(rows, headers, tablefmt=form, disable_numparse=True)
    levels = " or ".join(f"{level:g}" for level in sorted({line.result.alpha for line in lines}))
    against = sorted({f"{escape(line.baseline)} {arm(line.result.baseline, digits)}" for line in lines})
    said = [
        f"against {'; '.join(against)}" + (f" · {escape(lines[0].version)}" if lines[0].version else ""),
        f"one family of {len(lines)} under Holm: a difference counts where p (Holm) is at most {levels}, "
        f"equivalence where an interval at that level over {len(lines)} shows it",
    ]
    said += [f"{escape(line.candidate)}: {plain(told)}" for line in lines for told in _beside(line)]
    bullet = "- " if form == "pipe" else ""
    return "\n".join([table, "", *(bullet + one for one in said)])


def _beside(line: FamilyLine) -> list[str]:
    return [*report.doubts(line.result), *(f"caution: {warning}" for warning in line.result.warnings)]


def as_json(lines: Sequence[FamilyLine], metric: str) -> Flat:
    """One object; `verdict` and `p_holm` of each candidate hold in the family, all else is its own comparison."""
    found = [
        {
            **report.as_json(one.result, metric, (one.baseline, one.candidate), one.version, one.comparisons),
            "verdict_alone": one.result.verdict,
            "verdict": one.verdict,
            "p_holm": one.p_holm,
        }
        for one in lines
    ]
    return {"schema": report.SCHEMA, "metric": metric, "adjustment": "holm", "size": len(lines), "family": found}
