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
from assay.history import first_look_terms
from assay.metrics import metric_definition
from assay.metrics.evaluation_look import FLOOR
from assay.metrics.metric_definition import MetricTerms


def terms(root: Path, candidate: SideSource, other: SideSource | None, metric: str) -> MetricRow:
    """How the baseline judges `metric`: `other`, else what the candidate was measured against.

    Its row in results/rulers.csv, in an older record its results/replicates.csv; for the floor the first look at this
    idea. The candidate's own record where none of them says it: a strategy that is not at hand, a file of numbers.
    """
    own = sides.recorded(candidate, metric)
    if other is not None:
        return _of_record(other, metric) if other.is_record else own
    found = _of_what_it_was_measured_against(root, candidate, metric) if candidate.is_record else None
    return own if found is None else own._replace(**found._asdict())


def _of_what_it_was_measured_against(root: Path, candidate: SideSource, metric: str) -> MetricTerms | None:
    """Of a strategy by its own record, of the floor by the first look at this idea."""
    if against := sides.strategy(candidate, "baseline"):
        return metric_definition.recorded_terms(root, against, metric)
    identity = sides.identity(candidate, "candidate")
    return first_look_terms.first(root, [identity], FLOOR, metric) if identity and candidate.commit else None


def _of_record(source: SideSource, metric: str) -> MetricRow:
    name = sides.column(source, metric)
    recorded = sides.recorded(source, name)
    return recorded if source.rulers is None else compare_metric_options.own(source.rulers, name, source.name)
