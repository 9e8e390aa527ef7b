"""`assay accept`: from an experiment that looks good to a strategy whose gain was measured again.

The tree that will be tagged is regenerated, then confirmed on fresh seeds of both arms; only then is the
sealed test part opened, and commit, tag and baseline are written together. Everything before that is a
cache: killed anywhere, the same command goes on with what is measured. Not covered: what is refused
(`commands.accept_checks`), measuring (`strategies.confirmation_run`), landing (`strategies.acceptance_transaction`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from assay.baseline.accepted_strategy import FLOOR
from assay.baseline.accepted_strategy import AcceptedStrategy as Named
from assay.commands import accept_alpha_check, accept_changed_metric, accept_checks
from assay.commands.accept_evidence import comparison, confirmed, judge, selected
from assay.core import params_yaml, schemas
from assay.core.errors import GateError, UsageError
from assay.core.metric_version import metric_name
from assay.core.paths import ProjectPaths
from assay.core.schemas import Environment
from assay.history import look_ledger, metrics_json, name_lookup
from assay.history.experiments import Experiment, Repository, parse_metrics, read
from assay.history.strategy_status import State, fold
from assay.metrics.task_metrics import Metric
from assay.replicates.cache_entries import Lock
from assay.report.comparison_text import verdict_lines
from assay.runtime import cache_dirs, dvc_yaml, files, git, git_plumbing, project_root
from assay.runtime.commit_one_file import tree_with
from assay.scratch.dvc_repro import reproduce
from assay.scratch.scratch_repo import Scratch, lay_out
from assay.stats import confirmation_rule
from assay.strategies import (
    acceptance_transaction,
    confirmation_attempt,
    earlier_attempts,
    update_dvc_outputs,
    update_work_tree,
)
from assay.strategies.acceptance_transaction import Message
from assay.strategies.confirmation_attempt import Attempt, Idea
from assay.strategies.confirmation_run import Confirmation, rows
from assay.strategies.merge_commit import Merge, merge
from assay.strategies.write_tags import check_why, write
from assay.tags.strategy_events import CONTRACT, Accepted, Attempted, RecordedComparison, Score, check_name, tag_of

CONFIRMATION = "results/confirmation.csv"
Say = Callable[[str], None]


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
    allow: Collection[str]
    why: str
    replicates: int | None  # that the user wants an arm


@dataclass(frozen=True)
class Regenerated:
    """The tree to be tagged after `dvc repro`, with its own comparison."""

    scratch: Scratch
    tree: str
    named: Named
    metric: Metric  # judging by the baseline's terms
    metrics: dict[str, Any]
    selection: RecordedComparison
    changed: list[str]

    @property
    def version(self) -> str:
        return metrics_json.text(self.metrics, "metric_version")


def accept(
    start: Path,
    experiment: str,
    name: str,
    allow: Collection[str],
    why: str,
    dry_run: bool,
    say: Say,
    replicates: int | None = None,
) -> Accepted | None:
    """Accept `experiment` (or a branch) as `strategy/NAME`; its evidence, None for a dry run.

    `allow` sets rules aside (`equivalent`, `bundle`, `metric`) for the reason `why`. `replicates` is how many are
    trained an arm, None for as many as the attempt's level takes. Raises the refusals of
    `commands.accept_checks`, and GateError when fresh seeds do not confirm it.
    """
    layout = project_root.find(start)
    check_name(name)
    if allow:
        check_why(why)
    workshop = cache_dirs.made(dvc_yaml.store(layout.root).accept)
    cache_dirs.made(workshop.parent)  # for the lock
    cache_dirs.hold(workshop)
    lock = Lock.take(workshop, wait=False)
    if lock is None:
        raise UsageError("another `assay accept` is at work here", mend="wait for it, then run the command again")
    try:
        return _accept(layout, experiment, name, allow, why, dry_run, say, replicates)
    finally:
        lock.release()


def _accept(
    layout: ProjectPaths,
    wanted: str,
    name: str,
    allow: Collection[str],
    why: str,
    dry_run: bool,
    say: Say,
    replicates: int | None,
) -> Accepted | None:
    repository = read(layout.root)
    state = fold(repository.tags)
    tried = name_lookup.experiment(layout.root, repository, wanted)
    done = state.strategies.get(name)
    if done is not None and done.accepted.experiment_commit == tried.commit and not dry_run:
        _finish(layout, done.accepted, say)
        return done.accepted
    accept_checks.check_repository(layout, repository, name)
    accept_checks.check_edits(layout, tried)
    experiment = tried in repository.experiments  # a branch has the results of whatever it was made from
    if experiment and tried.metrics:
        accept_checks.check_numbers(tried, tried.metrics, allow)
    head = git.run(layout.root, "rev-parse", "HEAD")
    brought = merge(layout.root, head, tried.commit, experiment=experiment)
    candidate = ExperimentToAccept(layout, repository, state, tried, name, head, brought, allow, why, replicates)
    _check_landing(candidate, _with_rows(layout, brought.tree, ""))
    return _confirm(candidate, dry_run, say)


def _finish(layout: ProjectPaths, event: Accepted, say: Say) -> None:
    """What a killed command left undone, if there is anything."""
    outs = acceptance_transaction.finish(layout, event)
    if outs is None:
        say(f"{tag_of(event)} is accepted")
        return
    say("finished what was interrupted")
    _check_out(layout, outs, say)


def _check_landing(candidate: ExperimentToAccept, tree: str) -> None:
    """Nothing in the work tree or in Git stands against landing `tree`: asked before anything is trained."""
    accept_checks.check_way(candidate.layout, candidate.head, tree, candidate.tried.commit)
    brought = replace(candidate.merge, tree=tree)
    acceptance_transaction.rehearse(candidate.layout, candidate.head, brought, candidate.name, candidate.tried.commit)


def _confirm(candidate: ExperimentToAccept, dry_run: bool, say: Say) -> Accepted | None:
    layout, tried = candidate.layout, candidate.tried
    commit = git_plumbing.commit(layout.root, candidate.merge.tree, candidate.merge.parents, f"Accept {candidate.name}")
    named = accept_checks.baseline(layout, candidate.state, tried, commit)
    scratch = lay_out(layout, commit, dvc_yaml.store(layout.root).accept / "tree")
    try:
        version = metrics_json.text(tried.metrics, "metric_version")
        changed = accept_checks.check_bundle(scratch.layout, candidate.repository, named, version, candidate.allow)
        standard, metric_changed = accept_changed_metric.check(
            scratch.layout, layout, named, tried, candidate.head, candidate.allow
        )
        changed += metric_changed
        if dry_run:
            _announce(candidate, scratch, named, changed, say)
            return None
        regenerated = _regenerate(candidate, scratch, named, standard, changed, say)
        return _decide(candidate, regenerated, say)
    finally:
        scratch.remove()


def _idea(candidate: ExperimentToAccept, scratch: Scratch, named: Named, names: confirmation_attempt.Names) -> Idea:
    """What is to be confirmed; `least` and `root` are those that the tree's params.yaml asks for."""
    asked = params_yaml.load(dvc_yaml.parameters(scratch.layout.root))
    return Idea(
        names=names,
        experiment=candidate.tried.commit,
        name=candidate.name,
        baseline=named.commit or FLOOR,
        root=asked.seed,
        least=asked.replicates,
        asked=candidate.replicates,
        test=asked.judge.test,
        pairs=confirmation_attempt.recorded_pairs(candidate.layout.root, candidate.tried.commit, asked.metric.name),
    )


def _announce(candidate: ExperimentToAccept, scratch: Scratch, named: Named, changed: list[str], say: Say) -> None:
    """What would be done, line by line."""
    root = candidate.layout.root
    idea = _idea(candidate, scratch, named, confirmation_attempt.recorded_names(root, candidate.tried.commit))
    attempt = confirmation_attempt.foreseen(root, candidate.state, idea)
    seeds = attempt.seeds
    how = "the merge of it with HEAD" if candidate.merge.merged else "its own"
    say(f"tree: {how}; dvc.lock and results regenerated by `dvc repro`")
    say(f"change against {named.name}: {'; '.join(changed) or 'the first strategy'}")
    arms = f"candidate {seeds.candidate}–{seeds.candidate + seeds.n - 1}"
    if named.name != FLOOR:
        same = seeds.baseline == seeds.candidate
        arms += f", {named.name} {'the same' if same else f'{seeds.baseline}–{seeds.baseline + seeds.n - 1}'}"
    say(f"{attempt.price} ({arms})")
    opened = earlier_attempts.openings(candidate.state, look_ledger.read(root), attempt.entry.sequence)
    say(f"sealed test part: opened once; opened before by {', '.join(opened) or 'nobody'}")
    tag = f"strategy/{candidate.name}"
    say(f"write: a commit on {candidate.head[:12]}, the tag {tag} on it, a commit with baseline: {tag}")
    say("the hooks here were asked and do not refuse it; what a server says is seen when you push")


def _regenerate(
    candidate: ExperimentToAccept, scratch: Scratch, named: Named, standard: Metric, changed: list[str], say: Say
) -> Regenerated:
    say("regenerating the tree to be tagged")
    parent = candidate.tried.base
    reproduce(scratch, parent)
    reproduce(scratch, parent, again=True)  # no hash in dvc.lock proves a number: `dvc commit` renews it
    metrics, problem = parse_metrics(files.read_bytes(scratch.layout.metrics))
    if problem:
        raise UsageError(f"{candidate.tried.name}: {problem}", mend="dvc exp run")
    accept_checks.check_numbers(candidate.tried, metrics, candidate.allow)
    if candidate.tried in candidate.repository.experiments:
        accept_checks.check_version(candidate.tried, metrics_json.text(metrics, "metric_version"))
    chosen, tree = selected(scratch.layout, metrics), scratch.changed_tree(candidate.merge.tree)
    _check_landing(candidate, _with_rows(candidate.layout, tree, ""))
    return Regenerated(scratch, tree, named, standard, metrics, chosen, changed)


def _with_rows(layout: ProjectPaths, tree: str, rows: str) -> str:
    """`tree` with the fresh values of both arms."""
    return tree_with(layout.root, tree, {git.prefix(layout.root) + CONFIRMATION: rows.encode()})


def _decide(candidate: ExperimentToAccept, tree: Regenerated, say: Say) -> Accepted:
    """Measure both arms again, judge, open the test part, land. What is about to be seen is in the ledger before."""
    root, names = candidate.layout.root, confirmation_attempt.names(tree.scratch.layout)
    accept_alpha_check.check(tree.scratch.layout, root, names, tree.metrics)
    attempt = confirmation_attempt.begin(root, candidate.state, _idea(candidate, tree.scratch, tree.named, names))
    measuring = Confirmation(tree.scratch, attempt.seeds, tree.metric)
    say(attempt.price)
    new = measuring.candidate()
    old = None if tree.named.name == FLOOR else measuring.baseline(tree.named, say)
    judged = judge(measuring, new, old, tree.metrics, attempt.entry)
    passed = confirmed(judged, candidate.allow)
    confirmation_attempt.end(root, attempt, judged.verdict, passed)
    text = verdict_lines(judged, measuring.metric.name, tree.named.name, tree.version)
    say(text)
    fresh = comparison(judged, new, old, tree.metrics, attempt.entry.level)
    if not passed:
        _record(candidate, tree, attempt, fresh)
    say("opening the sealed test part")
    confirmation_attempt.opening(root, attempt)
    test = measuring.candidate("test").score
    groups = [("candidate", new), *([("baseline", old)] if old else [])]
    event = _event(candidate, tree, attempt, fresh, test)
    fresh_rows = rows(groups, measuring.metric.name, attempt.seeds.purpose)
    return _land(candidate, tree, event, fresh_rows, text, say)


def _record(candidate: ExperimentToAccept, tree: Regenerated, attempt: Attempt, fresh: RecordedComparison) -> None:
    """Keep the failed attempt, and say so."""
    event = Attempted(
        name=candidate.name,
        sequence=max(attempt.entry.sequence, candidate.state.sequence + 1),
        commit=candidate.tried.commit,
        metric_version=tree.version,
        identity=attempt.entry.identity,
        experiment_commit=candidate.tried.commit,
        confirmation=fresh,
        attempts=attempt.entry.attempt,
        seeds=attempt.seeds,
    )
    tag = write(candidate.layout.root, event, f"Attempt {attempt.entry.attempt} to confirm {candidate.tried.name}")
    after = attempt.entry.attempt + 1, attempt.entry.confirmation + 1
    raise GateError(
        f"{candidate.tried.name} was not confirmed on fresh seeds (verdict {fresh.verdict} at one-sided level "
        f"{attempt.entry.level:g}), as the tag {tag} records",
        mend=f"more replicates, a better idea, or another attempt at level {confirmation_rule.level(*after):g}",
    )


def _event(
    candidate: ExperimentToAccept, tree: Regenerated, attempt: Attempt, fresh: RecordedComparison, test: Score
) -> Accepted:
    environment = schemas.decode(files.read_bytes(tree.scratch.layout.environment), Environment, "environment")
    return Accepted(
        name=candidate.name,
        sequence=max(attempt.entry.sequence, candidate.state.sequence + 1),
        commit="",  # known when it is made
        metric=metric_name(tree.version),
        metric_version=tree.version,
        profile=metrics_json.text(tree.metrics, "profile"),
        baseline=tree.named.name,
        baseline_commit=tree.named.commit,
        experiment=candidate.tried.name,
        experiment_commit=candidate.tried.commit,
        changed=tree.changed,
        selection=tree.selection,
        confirmation=fresh,
        attempts=attempt.entry.attempt,
        seeds=attempt.seeds,
        environment=environment.key,
        test=test,
        openings=earlier_attempts.openings(
            candidate.state, look_ledger.read(candidate.layout.root), attempt.entry.sequence
        ),
        allowed=f"{', '.join(sorted(candidate.allow))}: {candidate.why}" if candidate.allow else "",
        contract=CONTRACT,
        library=metadata.version("dvc-assay"),
        fingerprint=environment.library,
        parameters=params_yaml.lines(params_yaml.resolved(dvc_yaml.parameters(tree.scratch.layout.root))),
    )


def _land(
    candidate: ExperimentToAccept, tree: Regenerated, event: Accepted, fresh: str, text: str, say: Say
) -> Accepted:
    """Write it all, then let the work tree follow."""
    layout, head, tried = candidate.layout, candidate.head, candidate.tried
    accept_checks.check_edits(layout, tried)  # it may be hours since
    final = _with_rows(layout, tree.tree, fresh)
    accept_checks.check_way(layout, head, final, tried.commit)
    title = f"Accept {candidate.name}" + (f": {', '.join(event.changed)}" if event.changed else "")
    done = acceptance_transaction.land(layout, head, replace(candidate.merge, tree=final), event, Message(title, text))
    outs = update_dvc_outputs.outdated(layout, head, "HEAD", tried.commit)
    if kept := update_work_tree.follow(layout, head, tried.commit):
        say(f"the work tree stays as it is, since {kept[0]} was edited meanwhile; next: run the command again")
    else:
        _check_out(layout, outs, say)
    return done


def _check_out(layout: ProjectPaths, outs: list[str], say: Say) -> None:
    """Bring what DVC keeps, where the landing changed it, and say what stays as it was."""
    for out in update_dvc_outputs.check_out(layout, outs):
        mend = f"dvc pull {out}, or keep a copy of it and dvc checkout --force {out}"
        say(f"{out} stays as it is, since DVC does not keep what it holds or what the strategy brings; next: {mend}")
