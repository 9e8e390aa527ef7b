"""By which terms a comparison is judged: direction, smallest effect and worst value of the baseline's own record.

What stands in the candidate's tree, or in today's METRICS, may have changed together with the idea. Covers: where the
baseline's record is. Not covered: what a user says instead (`commands.compare`), how rows are read
(`commands.compare_metric_options`).
"""

from __future__ import annotations

from pathlib import Path

from assay.commands import compare_metric_options
from assay.commands import compare_sides as sides
from assay.commands.compare_metric_options import MetricRow
from assay.commands.compare_sides import SideSource
from assay.metrics import metric_definition


def terms(root: Path, candidate: SideSource, other: SideSource | None, metric: str) -> MetricRow:
    """How the baseline judges `metric`: `other`, else what the candidate was measured against.

    Its row in results/rulers.csv, in an older record its results/replicates.csv. The candidate's own record where the
    baseline has none: a floor, a strategy that is not at hand, a file of numbers.
    """
    own = sides.recorded(candidate, metric)
    if other is not None:
        return _of_record(other, metric) if other.is_record else own
    against = sides.strategy(candidate, "baseline") if candidate.is_record else ""
    found = metric_definition.recorded_terms(root, against, metric) if against else None
    return own if found is None else own._replace(**found._asdict())


def _of_record(source: SideSource, metric: str) -> MetricRow:
    name = sides.column(source, metric)
    recorded = sides.recorded(source, name)
    return recorded if source.rulers is None else compare_metric_options.own(source.rulers, name, source.name)
