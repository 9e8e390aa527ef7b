"""`assay accept`: from an experiment that looks good to a strategy whose gain was measured again.

The tree that will be tagged is regenerated, then confirmed on fresh seeds of both arms; only then is the
sealed test part opened, and commit, tag and baseline are written together. Everything before that is a
cache: killed anywhere, the same command goes on with what is measured. Not covered: what is refused
(`verbs.admission`), measuring (`verbs.confirming`), landing (`history.landing`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from assay.arms.accepted import FLOOR
from assay.arms.accepted import Accepted as Named
from assay.evidence.events import CONTRACT, Accepted, Attempted, Comparison, Score, Seeds, check_name
from assay.history import landing, lookup, numbers, plumbing, project
from assay.history.commits import tree_with
from assay.history.landing import Message
from assay.history.merging import Merge, merge
from assay.history.reading import Experiment, Repository, parse_metrics, read
from assay.history.scratch import Scratch, lay_out, run
from assay.history.state import State, fold
from assay.history.writing import check_why, write
from assay.judging import selection
from assay.keeping.entries import Lock
from assay.outside import files, git, pipeline, places
from assay.report.comparison import verdict_lines
from assay.verbs import admission
from assay.verbs.acceptance import attempts, comparison, confirmed, identity, judge, openings, selected
from assay.verbs.confirming import Confirmation, fresh_seeds, rows
from assay.words import params, records
from assay.words.errors import GateError, UsageError
from assay.words.layout import Layout
from assay.words.records import Environment

CONFIRMATION = "results/confirmation.csv"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Candidate:
    """What is to be accepted, and what it was admitted with."""

    layout: Layout
    repository: Repository
    state: State
    tried: Experiment
    name: str
    head: str
    merge: Merge
    allow: Collection[str]
    why: str

    @property
    def sequence(self) -> int:
        return self.state.sequence + 1


@dataclass(frozen=True)
class Regenerated:
    """The tree to be tagged after `dvc repro`, with its own comparison."""

    scratch: Scratch
    tree: str
    named: Named
    metrics: dict[str, Any]
    selection: Comparison
    changed: list[str]

    @property
    def version(self) -> str:
        return numbers.text(self.metrics, "metric_version")


def accept(
    start: Path, experiment: str, name: str, allow: Collection[str], why: str, dry_run: bool, say: Say
) -> Accepted | None:
    """Accept `experiment` (or a branch) as `strategy/NAME`; its evidence, None for a dry run.

    `allow` sets rules aside (`equivalent`, `bundle`) for the reason `why`. Raises the refusals of
    `verbs.admission`, and GateError when fresh seeds do not confirm it.
    """
    layout = project.find(start)
    check_name(name)
    if allow:
        check_why(why)
    workshop = places.made(pipeline.store(layout.root).accept)
    places.made(workshop.parent)  # for the lock
    places.hold(workshop)
    lock = Lock.take(workshop, wait=False)
    if lock is None:
        raise UsageError("another `assay accept` is at work here", mend="wait for it, then run the command again")
    try:
        return _accept(layout, experiment, name, allow, why, dry_run, say)
    finally:
        lock.release()


def _accept(
    layout: Layout, wanted: str, name: str, allow: Collection[str], why: str, dry_run: bool, say: Say
) -> Accepted | None:
    repository = read(layout.root)
    state = fold(repository.tags)
    tried = lookup.experiment(layout.root, repository, wanted)
    done = state.strategies.get(name)
    if done is not None and done.accepted.experiment_commit == tried.commit and not dry_run:
        say(
            "finished what was interrupted" if landing.finish(layout, done.accepted) else f"{done.tag.name} is accepted"
        )
        return done.accepted
    admission.check_repository(layout, repository, name)
    admission.check_edits(layout, tried)
    experiment = tried in repository.experiments  # a branch has the results of whatever it was made from
    if experiment and tried.metrics:
        admission.check_numbers(tried, tried.metrics, allow)
    head = git.run(layout.root, "rev-parse", "HEAD")
    brought = merge(layout.root, head, tried.commit, experiment=experiment)
    candidate = Candidate(layout, repository, state, tried, name, head, brought, allow, why)
    return _confirm(candidate, dry_run, say)


def _confirm(candidate: Candidate, dry_run: bool, say: Say) -> Accepted | None:
    layout, tried = candidate.layout, candidate.tried
    commit = plumbing.commit(layout.root, candidate.merge.tree, candidate.merge.parents, f"Accept {candidate.name}")
    named = admission.baseline(layout, candidate.state, tried, commit)
    scratch = lay_out(layout, commit, pipeline.store(layout.root).accept / "tree")
    try:
        version = numbers.text(tried.metrics, "metric_version")
        changed = admission.check_bundle(scratch.layout, candidate.repository, named, version, candidate.allow)
        asked = params.load(pipeline.parameters(scratch.layout.root))
        seeds = fresh_seeds(asked.seed, asked.replicates, candidate.sequence)
        if dry_run:
            _announce(candidate, named, changed, seeds, say)
            return None
        regenerated = _regenerate(candidate, scratch, named, changed, say)
        return _decide(candidate, regenerated, seeds, say)
    finally:
        scratch.remove()


def _announce(candidate: Candidate, named: Named, changed: list[str], seeds: Seeds, say: Say) -> None:
    """What would be done, line by line."""
    how = "the merge of it with HEAD" if candidate.merge.merged else "its own"
    say(f"tree: {how}; dvc.lock and results regenerated by `dvc repro`")
    say(f"change against {named.name}: {'; '.join(changed) or 'the first strategy'}")
    arms = f"candidate {seeds.candidate}–{seeds.candidate + seeds.n - 1}"
    if named.name != FLOOR:
        arms += f", {named.name} {seeds.baseline}–{seeds.baseline + seeds.n - 1}"
    say(f"confirmation: {seeds.n} fresh replicates an arm ({arms})")
    say(f"level: {selection.level(1):g} one-sided at the first attempt, half of it at each further one")
    say(f"sealed test part: opened once; opened before by {', '.join(openings(candidate.state)) or 'nobody'}")
    tag = f"strategy/{candidate.name}"
    say(f"write: a commit on {candidate.head[:12]}, the tag {tag} on it, a commit with baseline: {tag}")


def _regenerate(candidate: Candidate, scratch: Scratch, named: Named, changed: list[str], say: Say) -> Regenerated:
    say("regenerating the tree to be tagged")
    scratch.repro()
    metrics, problem = parse_metrics(files.read_bytes(scratch.layout.metrics))
    if problem:
        raise UsageError(f"{candidate.tried.name}: {problem}", mend="dvc exp run")
    admission.check_numbers(candidate.tried, metrics, candidate.allow)
    if candidate.tried in candidate.repository.experiments:
        admission.check_version(candidate.tried, numbers.text(metrics, "metric_version"))
    chosen = selected(scratch.layout, metrics)
    return Regenerated(scratch, scratch.changed_tree(candidate.merge.tree), named, metrics, chosen, changed)


def _decide(candidate: Candidate, tree: Regenerated, seeds: Seeds, say: Say) -> Accepted:
    """Measure both arms again, judge, open the test part, land."""
    measuring = Confirmation(tree.scratch, seeds)
    attempt = 1 + attempts(candidate.state, identity(tree.scratch.layout))
    say(f"confirming on {seeds.n} fresh replicates an arm, attempt {attempt}, level {selection.level(attempt):g}")
    new = measuring.candidate()
    old = None if tree.named.name == FLOOR else measuring.baseline(tree.named, say)
    judged = judge(measuring, new, old, tree.metrics, attempt)
    text = verdict_lines(judged, measuring.metric.name, tree.named.name, tree.version)
    say(text)
    fresh = comparison(judged, new, old, tree.metrics, attempt)
    if not confirmed(judged, candidate.allow):
        _record(candidate, tree, seeds, attempt, fresh)
    say("opening the sealed test part")
    test = measuring.candidate("test").score
    groups = [("candidate", new), *([("baseline", old)] if old else [])]
    event = _event(candidate, tree, seeds, attempt, fresh, test)
    return _land(candidate, tree, event, rows(groups, measuring.metric.name), text)


def _record(candidate: Candidate, tree: Regenerated, seeds: Seeds, attempt: int, fresh: Comparison) -> None:
    """Keep the failed attempt, and say so."""
    event = Attempted(
        name=candidate.name,
        sequence=candidate.sequence,
        commit=candidate.tried.commit,
        metric_version=tree.version,
        identity=identity(tree.scratch.layout),
        experiment_commit=candidate.tried.commit,
        confirmation=fresh,
        attempts=attempt,
        seeds=seeds,
    )
    tag = write(candidate.layout.root, event, f"Attempt {attempt} to confirm {candidate.tried.name}")
    raise GateError(
        f"{candidate.tried.name} was not confirmed on fresh seeds (verdict {fresh.verdict} at one-sided level "
        f"{selection.level(attempt):g}), as the tag {tag} records",
        mend=f"more replicates, a better idea, or another attempt at level {selection.level(attempt + 1):g}",
    )


def _event(
    candidate: Candidate, tree: Regenerated, seeds: Seeds, attempt: int, fresh: Comparison, test: Score
) -> Accepted:
    environment = records.decode(files.read_bytes(tree.scratch.layout.environment), Environment, "environment")
    return Accepted(
        name=candidate.name,
        sequence=candidate.sequence,
        commit="",  # known when it is made
        metric=numbers.metric_of(tree.version),
        metric_version=tree.version,
        profile=numbers.text(tree.metrics, "profile"),
        baseline=tree.named.name,
        baseline_commit=tree.named.commit,
        experiment=candidate.tried.name,
        experiment_commit=candidate.tried.commit,
        changed=tree.changed,
        selection=tree.selection,
        confirmation=fresh,
        attempts=attempt,
        seeds=seeds,
        environment=environment.key,
        test=test,
        openings=openings(candidate.state),
        allowed=f"{', '.join(sorted(candidate.allow))}: {candidate.why}" if candidate.allow else "",
        contract=CONTRACT,
        library=metadata.version("dvc-assay"),
        fingerprint=environment.library,
        parameters=params.lines(params.resolved(pipeline.parameters(tree.scratch.layout.root))),
    )


def _land(candidate: Candidate, tree: Regenerated, event: Accepted, fresh: str, text: str) -> Accepted:
    """Write it all, then let the work tree follow."""
    layout, prefix = candidate.layout, git.prefix(candidate.layout.root)
    admission.check_edits(layout, candidate.tried)  # it may be hours since
    final = tree_with(layout.root, tree.tree, {prefix + CONFIRMATION: fresh.encode()})
    brought = Merge(final, candidate.merge.parents, candidate.merge.merged)
    in_the_way = landing.overwritten(layout, candidate.head, final, candidate.tried.commit)
    if in_the_way:
        raise UsageError(
            f"{in_the_way[0]} is not tracked and would be overwritten", mend=f"mv '{in_the_way[0]}' elsewhere"
        )
    title = f"Accept {candidate.name}" + (f": {', '.join(event.changed)}" if event.changed else "")
    done = landing.land(layout, candidate.head, brought, event, Message(title, text))
    landing.follow(layout, candidate.head, candidate.tried.commit)
    run([sys.executable, "-m", "dvc", "checkout", "--quiet", "--force"], layout.root, layout.root)
    return done
