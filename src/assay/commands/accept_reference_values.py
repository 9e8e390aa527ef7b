"""Published numbers against the sealed test part, which is what such numbers are about."""

from __future__ import annotations

from collections.abc import Iterator

from assay.acceptance.confirmation_run import Confirmation, FreshReplicates
from assay.core import references_section
from assay.core.paths import PARAMS
from assay.report import reference_text
from assay.stats import compare_arms, reference_value


def lines(measuring: Confirmation, found: FreshReplicates) -> Iterator[str]:
    """A line for each reference of the deciding metric, at judge.alpha: the part is opened once."""
    params, metric = measuring.ctx.params, measuring.metric
    for name, reference in references_section.parsed(params.judge.references, PARAMS).items():
        if reference.metric in ("", metric.name):
            judged = reference_value.against_reference(
                found.arm,
                reference.value,
                reference.margin,
                metric.direction,
                test=compare_arms.RESAMPLED if found.arm.overlap is not None else "welch",
                alpha=params.judge.alpha,
                worst=metric.worst,
                fixed=params.task.fixed,
            )
            said = reference_text.lines(name, reference.source, reference.value, reference.margin, metric.name, judged)
            yield from (f"test part, {line}" for line in said)
