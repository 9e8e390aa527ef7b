"""Admission, the first step of `assay accept`: what is refused before anything is laid out or trained.

Covers: which rules are asked, in their order. Not covered: the rules (`commands.accept_checks`,
`commands.accept_changed_metric`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from assay.acceptance import acceptance_transaction
from assay.acceptance.merge_commit import Merge, merge
from assay.baseline.accepted_strategy import AcceptedStrategy
from assay.commands import accept_changed_metric, accept_checks
from assay.core.paths import ProjectPaths
from assay.history import metrics_json
from assay.history.experiments import Experiment, Repository
from assay.history.strategy_status import State
from assay.metrics.task_metrics import Metric
from assay.runtime import dvc_yaml, git, git_plumbing
from assay.runtime.commit_one_file import tree_with
from assay.scratch.scratch_repo import Scratch, lay_out


@dataclass(frozen=True)
class AcceptOptions:
    """How a user wants an experiment accepted."""

    allow: Collection[str]  # rules that are set aside, for the reason `why`
    why: str
    replicates: int | None  # an arm; None: what the attempt's level takes


@dataclass(frozen=True)
class ExperimentToAccept:
    """What is to be accepted, and what it was admitted with."""

    layout: ProjectPaths
    repository: Repository
    state: State
    tried: Experiment
    name: str
    head: str
    merge: Merge
    options: AcceptOptions


@dataclass(frozen=True)
class Admitted:
    """An experiment whose tree, laid out in `scratch`, may be confirmed against `named`."""

    candidate: ExperimentToAccept
    scratch: Scratch
    named: AcceptedStrategy
    metric: Metric  # judging by the baseline's terms
    changed: list[str]


def candidate(
    layout: ProjectPaths, repository: Repository, state: State, tried: Experiment, name: str, options: AcceptOptions
) -> ExperimentToAccept:
    """The experiment and the tree that it would bring, where nothing in the work tree or in Git stands against it."""
    accept_checks.check_repository(layout, repository, name)
    accept_checks.check_edits(layout, tried)
    experiment = tried in repository.experiments  # a branch has the results of whatever it was made from
    if experiment and tried.metrics:
        accept_checks.check_numbers(tried, tried.metrics, options.allow)
    head = git.run(layout.root, "rev-parse", "HEAD")
    brought = merge(layout.root, head, tried.commit, experiment=experiment)
    found = ExperimentToAccept(layout, repository, state, tried, name, head, brought, options)
    check_landing(found, with_rows(layout, brought.tree, ""))
    return found


def check_landing(wanted: ExperimentToAccept, tree: str) -> None:
    """Nothing in the work tree or in Git stands against landing `tree`: asked before anything is trained."""
    accept_checks.check_way(wanted.layout, wanted.head, tree, wanted.tried.commit)
    brought = replace(wanted.merge, tree=tree)
    acceptance_transaction.rehearse(wanted.layout, wanted.head, brought, wanted.name, wanted.tried.commit)


def with_rows(layout: ProjectPaths, tree: str, rows: str) -> str:
    """`tree` with the fresh values of both arms."""
    path = layout.confirmation.relative_to(layout.root).as_posix()
    return tree_with(layout.root, tree, {git.prefix(layout.root) + path: rows.encode()})


def lay_out_tree(wanted: ExperimentToAccept) -> tuple[Scratch, AcceptedStrategy]:
    """The tree in a repository of its own, and the baseline that it is compared with."""
    layout = wanted.layout
    commit = git_plumbing.commit(layout.root, wanted.merge.tree, wanted.merge.parents, f"Accept {wanted.name}")
    named = accept_checks.baseline(layout, wanted.state, wanted.tried, commit)
    return lay_out(layout, commit, dvc_yaml.store(layout.root).accept / "tree"), named


def admit(wanted: ExperimentToAccept, scratch: Scratch, named: AcceptedStrategy) -> Admitted:
    """Refuse bundles that nobody took apart, and metrics that changed with the idea."""
    tried, allow = wanted.tried, wanted.options.allow
    version = metrics_json.text(tried.metrics, "metric_version")
    changed = accept_checks.check_bundle(scratch.layout, wanted.repository, named, version, allow)
    metric, metric_changed = accept_changed_metric.check(
        scratch.layout, wanted.layout, named, tried, wanted.head, allow
    )
    return Admitted(wanted, scratch, named, metric, [*changed, *metric_changed])
