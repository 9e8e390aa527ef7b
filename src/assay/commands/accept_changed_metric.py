"""What `assay accept` says to a metric that changed: by which terms the idea is judged, and whether it may land.

A metric that changes together with an idea can make any idea look good. Covers: the comparison with the metric of the
baseline, for the floor with that of the experiment's parent and the terms of the first look at the idea; changes that
came in commits of their own. Not covered:
what else is refused (`commands.accept_checks`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import msgspec

from assay.acceptance import confirmation_attempt
from assay.baseline.accepted_strategy import FLOOR, AcceptedStrategy
from assay.commands.accept_checks import FIRST
from assay.core import params_yaml
from assay.core.errors import IncomparableError
from assay.core.paths import ProjectPaths
from assay.history import first_look_terms, metric_changing_commits
from assay.history.experiments import Experiment
from assay.metrics import metric_definition, reported_scores, task_metrics, undeclared_file_reads
from assay.metrics.metric_definition import MetricDefinition, MetricTerms
from assay.metrics.task_metrics import Metric
from assay.runtime import dvc_yaml, task_source

METRIC = "metric"


def check(
    tree: ProjectPaths,
    home: ProjectPaths,
    named: AcceptedStrategy,
    tried: Experiment,
    head: str,
    allow: Collection[str],
) -> tuple[Metric, list[str]]:
    """The deciding metric of `tree`, the project to be tagged, with the terms of `named`; and what changed of it.

    Raises IncomparableError where it changed with the idea, but for a starting point.
    """
    metric = _today(tree)
    commit, recorded = (tried.base, False) if named.name == FLOOR else (named.commit, True)
    before = metric_definition.committed(home.root, commit, metric.name, named.name, recorded=recorded)
    after = metric_definition.present(tree.root, metric.name, tried.name)
    found = metric_definition.changes(before, after, MetricTerms(metric.direction, metric.min_effect, metric.worst))
    judged, since = _terms(home, named, tried, metric, before)
    if not found:
        return judged, since
    alone = metric_changing_commits.changed_alone(tree, home, commit, (head, tried.commit), metric.name)
    if not alone and not {METRIC, FIRST} & set(allow):  # a starting point claims no gain that another metric could make
        against = f"the commit that {tried.name} was run on" if named.name == FLOOR else named.name
        raise IncomparableError(
            f"the metric of {tried.name} is not that of {against}: {'; '.join(found)}",
            allowed="the same metric, or one that changed in a commit of its own, before the idea",
            hint="--allow metric --why REASON",
        )
    told = f" (commit {', '.join(one[:8] for one in alone)}, of its own)" if alone else ""
    return judged, [*(f"{METRIC}: {each}{told}" for each in found), *since]


def _terms(
    home: ProjectPaths, named: AcceptedStrategy, tried: Experiment, metric: Metric, before: MetricDefinition
) -> tuple[Metric, list[str]]:
    """`metric` with the terms that count, those of `before`, for a floor of the first look at the idea; what these
    say otherwise than the tree before."""
    terms, own = before.terms, MetricTerms(metric.direction, metric.min_effect, metric.worst)
    if named.name == FLOOR:
        name, formerly = confirmation_attempt.recorded_names(home.root, tried.commit)
        terms = first_look_terms.first(home.root, {name, *formerly}, FLOOR, metric.name) or terms
    if terms is None:
        return metric, []
    judged = replace(metric, **terms._asdict())
    if terms in (before.terms, own):
        return judged, []
    changed = metric_definition.terms_changed(msgspec.structs.replace(before, **terms._asdict()), before, own)
    return judged, [f"{METRIC}: {each} since the first look (judged by the former)" for each in changed]


def _today(tree: ProjectPaths) -> Metric:
    asked = params_yaml.load(dvc_yaml.parameters(tree.root))
    if asked.is_script:
        return reported_scores.metric(asked)
    where = task_source.where(tree.root, asked.task.name, "metrics")
    with undeclared_file_reads.watching():
        module = task_source.load(tree.root, asked.task.name, "metrics")
    return task_metrics.asked(module, asked.metric, where)[asked.metric.name]
