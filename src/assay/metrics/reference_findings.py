"""Published numbers beside an evaluation: whether the candidate reproduces them, and what to look at where it does not.

Covers: which metric and level, the facts of this run that such a difference often comes from. Not covered: the
statistics (`stats.reference_value`), the sentences (`report.reference_text`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay.core import references_section
from assay.core.params_yaml import Judge
from assay.core.paths import PARAMS
from assay.core.references_section import Reference
from assay.core.reported_key import is_reported
from assay.metrics.result_files import Evaluated
from assay.stats import reference_value
from assay.stats.reference_value import ReferenceFinding


@dataclass(frozen=True)
class RunFacts:
    """What differs most often from a published protocol, as this run has it."""

    examples: int | None  # evaluated here; None for a script, which alone knows them
    parameters: Mapping[str, Any]  # of the strategy: data, split, train.sample
    left_out: int  # training examples that are among the evaluated ones


@dataclass(frozen=True)
class NamedReference:
    """A reference and what this run says of it; `finding` is None where it has no such metric, or no number."""

    name: str
    reference: Reference
    finding: ReferenceFinding | None
    metric: str


def findings(found: Evaluated, judge: Judge) -> list[NamedReference]:
    """Each reference of params.yaml. The level is that of the look that was taken, else judge.alpha."""
    named = references_section.parsed(judge.references, PARAMS)
    return [_finding(found, judge, name, reference) for name, reference in named.items()]


def _finding(found: Evaluated, judge: Judge, name: str, reference: Reference) -> NamedReference:
    wanted = reference.metric or found.ruler.decides
    metric, look = found.ruler.metrics.get(wanted), found.judgement.look
    if metric is None or not any(wanted in scores for scores in found.candidate.scores):
        return NamedReference(name, reference, None, wanted)
    judged = reference_value.against_reference(
        found.candidate.measured(wanted),
        reference.value,
        reference.margin,
        metric.direction,
        test=judge.test,
        alpha=look.alpha if look is not None else judge.alpha,
        worst=metric.worst,
        hold=look.hold if look is not None else "",
        fixed=found.fixed,
    )
    return NamedReference(name, reference, judged, wanted)


def in_short(references: Sequence[NamedReference]) -> str:
    """One column of `dvc exp show`: `paper reproduced, blog above`."""
    return ", ".join(f"{one.name} {one.finding.word if one.finding else 'not computed'}" for one in references)


def facts(found: Evaluated) -> RunFacts:
    """Of the candidate."""
    measured = found.candidate.arm.measurement
    parameters = measured.identity.parameters if measured else {}
    examples = None if is_reported(found.metric_version) else len(found.ruler.ids)
    return RunFacts(examples, parameters, measured.left_out if measured else 0)


def failed(references: Sequence[NamedReference]) -> Iterator[NamedReference]:
    """Those that are shown not to be reproduced."""
    yield from (one for one in references if one.finding is not None and one.finding.word in ("above", "below"))
