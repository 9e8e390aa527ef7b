"""`assay compare BASE A B C …`: several candidates against one baseline, judged as one family.

Whoever tries more finds more luck, so p is adjusted by Holm over all of them. Not covered: a single comparison
(`commands.compare`), how the table looks (`report.family_table`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from assay.commands.compare import Compared, compare
from assay.commands.compare_options import Options
from assay.core.errors import UsageError
from assay.report.family_table import FamilyLine
from assay.stats import multiple_comparisons
from assay.stats.arm_comparison import Comparison


@dataclass(frozen=True)
class FamilyMember:
    """One candidate. `alone` is its own comparison; `p_holm`, `verdict` and `no_regression` hold in the family."""

    alone: Compared
    p_holm: float
    verdict: str
    no_regression: bool


def compare_family(start: Path, named: Sequence[str], options: Options) -> list[FamilyMember]:
    """Compare each of the candidates with BASE, the first of `named`. Raises as `compare` does."""
    base, *candidates = named
    twice = next((name for name in named if named.count(name) > 1), None)
    if twice or options.fixed is not None:
        problem = f"{twice} is named twice" if twice else f"--fixed goes with one side, and {len(named)} are named"
        raise UsageError(problem, allowed="BASE and different candidates")
    alone = [compare(start, [base, name], options) for name in candidates]
    metrics = {found.metric for found in alone}
    if len(metrics) > 1:
        raise UsageError(f"the sides have the metrics {', '.join(sorted(metrics))}", hint="choose one: --column NAME")
    return family(alone, lambda one: _strict(start, base, one, options, len(candidates)))


def family(alone: Sequence[Compared], strict: Callable[[Compared], Comparison]) -> list[FamilyMember]:
    """Judge comparisons together. `strict` gives one of them again, at its level over the size of the family."""
    held = [strict(one) for one in alone]
    # What is held back shows nothing, and was tried all the same.
    adjusted = multiple_comparisons.holm([1.0 if found.result.reason else found.result.p for found in alone])
    return [
        FamilyMember(
            found,
            p,
            multiple_comparisons.decided(found.result.verdict, p, found.result.alpha, one.verdict),
            one.no_regression,
        )
        for found, p, one in zip(alone, adjusted, held, strict=True)
    ]


def lines(members: Sequence[FamilyMember]) -> list[FamilyLine]:
    """The family as rows of a table."""
    return [
        FamilyLine(
            one.alone.candidate,
            one.alone.baseline,
            one.alone.result,
            one.p_holm,
            one.verdict,
            one.alone.metric_version,
            one.alone.comparisons,
        )
        for one in members
    ]


def _strict(start: Path, base: str, found: Compared, options: Options, size: int) -> Comparison:
    """The comparison with an interval that covers all of the family at the level that this one has."""
    return compare(start, [base, found.candidate], replace(options, alpha=found.result.alpha / size)).result
