"""`assay log`: what was accepted, revoked, tried and rejected, as rows, newest first.

Order comes from the counter in the evidence; experiments, which have none, stand below the events, by
baseline and then by gain. Not covered: printing (`report.log_table`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assay.baseline import baseline_param
from assay.changes.experiment_diffs import changes
from assay.changes.strategy_diff import SEPARATOR, Changes
from assay.core.errors import AssayError
from assay.core.metric_version import metric_name
from assay.core.paths import PARAMS
from assay.history import experiment_notes, metrics_json, rescored_metrics
from assay.history.experiment_notes import Notes
from assay.history.experiments import Experiment, Repository, Tag, read
from assay.history.rescored_metrics import Tables
from assay.history.strategy_status import State, Strategy, fold
from assay.report.json_rows import LogRow, LogRows
from assay.runtime import project_root
from assay.runtime.git_objects import reading
from assay.tags.strategy_events import Attempted, RecordedComparison, Rejected, Revoked


def log(start: Path, everything: bool = False) -> LogRows:
    """Strategies and revocations of the project at `start`, unverifiable tags first.

    With `everything` also attempts, rejected ideas and the experiments of all baselines.
    """
    root = project_root.find(start).root
    repository = read(root, experiments=everything)
    state = fold(repository.tags)
    tables = rescored_metrics.tables(root) if everything else {}
    notes = experiment_notes.read(root)
    rows = _events(state, _current(root), everything, tables, notes)
    experiments = _experiments(root, repository, tables, notes) if everything else []
    return LogRows(rows=[*map(_unverifiable, state.unverifiable), *rows, *experiments])


def _current(root: Path) -> str:
    """The baseline that params.yaml names, "" when it cannot be read: the log must not depend on it."""
    try:
        return baseline_param.baseline((root / PARAMS).read_bytes())
    except (OSError, AssayError):
        return ""


def _events(state: State, current: str, everything: bool, tables: Tables, notes: Notes) -> list[LogRow]:
    dated: list[tuple[int, str, LogRow]] = []
    for strategy in state.strategies.values():
        dated.append((strategy.accepted.sequence, "strategy", _strategy(strategy, current, notes)))
        if strategy.revoked is not None and isinstance(strategy.revoked.event, Revoked):
            dated.append((strategy.revoked.event.sequence, "revocation", _revocation(strategy, strategy.revoked)))
    if everything:
        dated += [(event.sequence, "attempt", _attempt(tag, event)) for tag, event in state.attempts]
        rejected = [(tag.event.sequence, tag) for tag in state.rejected.values() if tag.event]
        dated += [(sequence, "rejected", _rejected(tag, tables, notes)) for sequence, tag in rejected]
    return [row for *_, row in sorted(dated, key=lambda item: (item[0], item[1], item[2].name), reverse=True)]


def _strategy(strategy: Strategy, current: str, notes: Notes) -> LogRow:
    accepted = strategy.accepted
    standing = "baseline" if strategy.tag.name == current else "accepted"
    if accepted.confirmation.delta is None:  # compared with nothing
        standing += ", a starting point that claims no gain"
    return LogRow(
        kind="strategy",
        name=accepted.name,
        date=strategy.tag.stamp.date,
        author=strategy.tag.stamp.author,
        changed=SEPARATOR.join(accepted.changed),
        metric=accepted.metric,
        baseline=accepted.baseline,
        metric_version=accepted.metric_version,
        test=None if accepted.test is None else accepted.test.mean,
        rescored={version: event.score.mean for version, event in strategy.rescored.items()},
        state=standing if strategy.revoked is None else "revoked",
        why=accepted.why or "",
        notes=_notes(notes, accepted.experiment_commit, accepted.commit),
        **_numbers(accepted.confirmation),
    )


def _revocation(strategy: Strategy, tag: Tag) -> LogRow:
    assert isinstance(tag.event, Revoked)
    return LogRow(
        kind="revocation",
        name=tag.event.name,
        date=tag.stamp.date,
        author=tag.stamp.author,
        baseline=tag.event.baseline,
        metric_version=strategy.accepted.metric_version,
        state=f"revokes {strategy.tag.name}, back to {tag.event.baseline}: {tag.event.why}",
    )


def _attempt(tag: Tag, event: Attempted) -> LogRow:
    return LogRow(
        kind="attempt",
        name=event.name,
        date=tag.stamp.date,
        author=tag.stamp.author,
        metric=metric_name(event.metric_version),
        metric_version=event.metric_version,
        state=f"not confirmed (attempt {event.attempts}): {event.confirmation.verdict}",
        **_numbers(event.confirmation),
    )


def _rejected(tag: Tag, tables: Tables, notes: Notes) -> LogRow:
    event = tag.event
    assert isinstance(event, Rejected)
    return LogRow(
        kind="rejected",
        name=event.name,
        date=tag.stamp.date,
        author=tag.stamp.author,
        changed=SEPARATOR.join(event.changed),
        metric=event.metric,
        baseline=event.baseline,
        metric_version=event.metric_version,
        rescored=_again(tables, tag.commit),
        state=f"rejected: {event.why}",
        why=event.tried_for or "",
        notes=_notes(notes, tag.commit),
        **_numbers(event.measured),
    )


def _unverifiable(tag: Tag) -> LogRow:
    folder, _, name = tag.name.partition("/")
    kind = {"revoked": "revocation", "rescored": "strategy", "remeasured": "strategy"}.get(folder, folder)
    return LogRow(
        kind=kind, name=name, date=tag.stamp.date, author=tag.stamp.author, state=f"not verifiable: {tag.problem}"
    )


def _experiments(root: Path, repository: Repository, tables: Tables, notes: Notes) -> list[LogRow]:
    found = repository.experiments
    pairs = [(_against(repository, item), item.commit) for item in found]
    with reading(root) as objects:
        changed = changes(root, pairs, objects)
    rows = [_experiment(item, _text(changed.get(item.commit)), tables, notes) for item in found]
    return sorted(rows, key=lambda row: (row.metric_version, row.baseline, row.delta or 0.0, row.name), reverse=True)


def _against(repository: Repository, item: Experiment) -> str:
    """The commit that an experiment was measured against: its baseline's; for the floor the one that it was run on."""
    tag = repository.refs.get(f"refs/tags/{item.baseline}")
    return tag.peeled if tag else item.base


def _text(found: Changes | None) -> str:
    return str(found) if found and found.parts else ""


def _experiment(item: Experiment, changed: str, tables: Tables, notes: Notes) -> LogRow:
    version = metrics_json.text(item.metrics, "metric_version")
    comparison = metrics_json.comparison(item.metrics)
    return LogRow(
        kind="experiment",
        name=item.name,
        date=item.stamp.date,
        author=item.stamp.author,
        changed=changed,
        metric=metric_name(version),
        baseline=item.baseline,
        rescored=_again(tables, item.commit),
        metric_version=version,
        state=comparison.verdict if comparison else f"no verdict: {item.problem or 'none in its metrics'}",
        why=item.why,
        notes=_notes(notes, item.commit),
        **_numbers(comparison),
    )


def _notes(notes: Notes, *commits: str) -> list[str]:
    """What was learned from any of these commits."""
    return [one.line for commit in dict.fromkeys(commits) for one in notes.get(commit, ())]


def _again(tables: Tables, commit: str) -> dict[str, float | None]:
    """Metric version → mean of an experiment's stored predictions under it."""
    return {version: table[commit].mean for version, table in tables.items() if commit in table}


def _numbers(comparison: RecordedComparison | None) -> dict[str, Any]:
    if comparison is None:
        return {}
    candidate = comparison.candidate
    return {
        "mean": candidate.mean,
        "sd": candidate.sd,
        "n": candidate.n,
        "delta": comparison.delta,
        "ci_low": comparison.ci_low,
        "ci_high": comparison.ci_high,
    }
