"""`assay reject`: an idea that did not work, kept where everybody finds it."""

from __future__ import annotations

from pathlib import Path

from assay.history import lookup, numbers, project
from assay.history.changes import changes
from assay.history.reading import Experiment, read
from assay.history.state import fold
from assay.history.writing import check_free, check_identity, check_why, write
from assay.runtime import git
from assay.runtime.git_objects import reading
from assay.tags.strategy_events import Rejected, check_name


def reject(start: Path, name: str, why: str) -> Rejected:
    """Write the tag `rejected/NAME` for the experiment (or commit) `name`; its evidence."""
    root = project.find(start).root
    reason = check_why(why)
    repository = read(root)
    tried = lookup.experiment(root, repository, name)
    check_name(tried.name)
    check_free(repository.refs, "rejected", tried.name)
    check_identity(root)
    event = _event(root, tried, reason, fold(repository.tags).sequence + 1)
    write(root, event, f"Reject {tried.name}", reason)
    return event


def _event(root: Path, tried: Experiment, why: str, sequence: int) -> Rejected:
    version = numbers.text(tried.metrics, "metric_version")
    with reading(root) as objects:
        changed = changes(root, git.prefix(root), [(tried.base, tried.commit)], objects)
    return Rejected(
        name=tried.name,
        sequence=sequence,
        commit=tried.commit,
        why=why,
        metric=numbers.metric_of(version),
        metric_version=version,
        profile=numbers.text(tried.metrics, "profile"),
        baseline=tried.baseline,
        changed=changed.get(tried.commit, []),
        measured=numbers.comparison(tried.metrics),
    )
