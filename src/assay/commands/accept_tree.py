"""The tree, the second step of `assay accept`: run again from its sources, and compared by what that gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from assay.commands import accept_checks, accept_eligibility
from assay.commands.accept_eligibility import Admitted
from assay.commands.accept_evidence import selected
from assay.core.errors import UsageError
from assay.history import metrics_json
from assay.history.experiments import parse_metrics
from assay.runtime import files
from assay.scratch.dvc_repro import reproduce
from assay.tags.strategy_events import RecordedComparison

Say = Callable[[str], None]


@dataclass(frozen=True)
class Regenerated:
    """The tree to be tagged after `dvc repro`, with its own comparison."""

    admitted: Admitted
    tree: str
    metrics: dict[str, Any]
    selection: RecordedComparison

    @property
    def version(self) -> str:
        return metrics_json.text(self.metrics, "metric_version")


def regenerate(admitted: Admitted, say: Say) -> Regenerated:
    """Raises the refusals of an experiment's numbers for those that its sources give."""
    say("regenerating the tree to be tagged")
    wanted, scratch = admitted.candidate, admitted.scratch
    parent = wanted.tried.base
    reproduce(scratch, parent)
    reproduce(scratch, parent, again=True)  # no hash in dvc.lock proves a number: `dvc commit` renews it
    metrics, problem = parse_metrics(files.read_bytes(scratch.layout.metrics))
    if problem:
        raise UsageError(f"{wanted.tried.name}: {problem}", hint="dvc exp run")
    accept_checks.check_numbers(wanted.tried, metrics, wanted.options.allow)
    if wanted.tried in wanted.repository.experiments:
        accept_checks.check_version(wanted.tried, metrics_json.text(metrics, "metric_version"))
    chosen, tree = selected(scratch.layout, metrics), scratch.changed_tree(wanted.merge.tree)
    accept_eligibility.check_landing(wanted, accept_eligibility.with_rows(wanted.layout, tree, ""))
    return Regenerated(admitted, tree, metrics, chosen)
