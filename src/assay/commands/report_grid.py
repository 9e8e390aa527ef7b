"""The sweep or ablation that a result was measured in, as the ledger knows it.

Covers: which family its strategy is a member of, the experiments of that family that are at hand. Not covered: judging
them (`commands.sweep`, `commands.ablate`).
"""

from __future__ import annotations

from collections.abc import Iterator

from assay.commands import compare_sides
from assay.commands.report_result import ShownResult
from assay.core.errors import AssayError
from assay.core.paths import REPLICATES
from assay.history import experiments, look_ledger, metrics_json
from assay.history.attempt_and_family_entries import FamilyEntry
from assay.report.page import family_section
from assay.report.page.chart_specs import Interval
from assay.report.page.page_blocks import PageSection
from assay.runtime import git, table_files
from assay.runtime.git_objects import reading


def sections(result: ShownResult, min_effect: float, digits: int) -> Iterator[PageSection]:
    """One section for each family that the result's strategy was judged in; none where there is none."""
    identity = compare_sides.identity(result.side, "candidate")
    try:
        known = look_ledger.read(result.root)
    except AssayError:
        return
    families = [one for one in known.entries.values() if isinstance(one, FamilyEntry) and identity in one.members]
    if not identity or not families:
        return
    measured = _measured(result)
    for number, family in enumerate(sorted(families, key=lambda one: (one.command, one.members)), start=1):
        found = {name: measured[name] for name in family.members if name in measured}
        rows, verdicts = [one for one, _ in found.values()], [word for _, word in found.values()]
        yield family_section.measured_together_section(
            family.command, rows, verdicts, family.size, min_effect, result.metric, digits, number
        )


def _measured(result: ShownResult) -> dict[str, tuple[Interval, str]]:
    """Identity of a strategy → its difference and verdict, for all experiments under the result's metric version."""
    root, prefix = result.root, git.prefix(result.root)
    known = [
        one
        for one in experiments.read(root, stamps=False).experiments
        if metrics_json.text(one.metrics, "metric_version") == result.metric_version
    ]
    with reading(root) as objects:
        tables = objects.read([f"{one.commit}:{prefix}{REPLICATES}" for one in known])
    found = {}
    for one, table in zip(known, tables, strict=True):
        delta = metrics_json.number(one.metrics, "delta")
        identity = _identity(table.content) if table else ""
        if identity and delta is not None:
            low, high = (metrics_json.number(one.metrics, key) for key in ("ci_low", "ci_high"))
            found[identity] = Interval(one.name, delta, low, high), metrics_json.text(one.metrics, "verdict")
    return found


def _identity(content: bytes) -> str:
    try:
        table = table_files.parse(content, REPLICATES)
        return table["identity"][table["arm"].index("candidate")]
    except (AssayError, KeyError, ValueError):
        return ""
