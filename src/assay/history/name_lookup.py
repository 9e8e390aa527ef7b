"""From what a user typed to an experiment or a strategy."""

from __future__ import annotations

import difflib
from pathlib import Path

from assay.baseline import baseline_param
from assay.core.errors import UsageError
from assay.core.paths import METRICS
from assay.history.experiments import Experiment, Repository, Stamp, Tag, parse_metrics
from assay.history.strategy_status import State, Strategy
from assay.runtime import git
from assay.tags.strategy_events import UnverifiableError, check_spelling


def experiment(root: Path, repository: Repository, name: str) -> Experiment:
    """The experiment called `name`, else the commit of the local branch or full hash `name`, as if it were one.

    No other revision: `HEAD` or `main@{yesterday}` is another commit tomorrow, `stash` never was an idea. Raises
    UsageError, also for a name that two experiments have.
    """
    found = [item for item in repository.experiments if name in (item.name, item.commit)]
    if len({item.commit for item in found}) > 1:
        raise UsageError(
            f"{len(found)} experiments are called {name!r}", allowed=", ".join(item.commit for item in found)
        )
    if found:
        return found[0]
    commit = _named(root, repository, name)
    matching = [item for item in repository.experiments if item.commit == commit]
    return matching[0] if matching else _commit(root, commit)


def _named(root: Path, repository: Repository, name: str) -> str:
    """The commit that a local branch or a full hash names."""
    branch = repository.refs.get(f"refs/heads/{name}")
    if branch is not None:
        return branch.object
    commit = git.resolve(root, name)
    if commit is None:
        raise UsageError(f"there is no experiment {name!r}", allowed=_near(name, repository), hint="dvc exp show")
    if commit != name:
        raise UsageError(
            f"{name!r} is no experiment, no local branch and no full commit hash",
            allowed=_near(name, repository),
            hint=f"write the commit that it means now: {commit}",
        )
    return commit


def _commit(root: Path, commit: str) -> Experiment:
    metrics, problem = parse_metrics(git.read(root, commit, METRICS))
    base = git.resolve(root, f"{commit}^") or commit
    return Experiment(commit[:12], commit, base, Stamp(), metrics, problem, baseline_param.at(root, commit))


def _near(name: str, repository: Repository) -> str:
    names = [item.name for item in repository.experiments]
    return ", ".join(difflib.get_close_matches(name, names, 3) or sorted(names)[:5]) or "none was run yet"


def strategy(state: State, name: str) -> Strategy:
    """The strategy that `name` or `strategy/name` means. Raises UsageError, UnverifiableError."""
    bare = check_spelling(name.removeprefix("strategy/"))
    if bare in state.strategies:
        return state.strategies[bare]
    for tag in state.unverifiable:
        if tag.name == f"strategy/{bare}":
            raise UnverifiableError(tag.name, tag.problem)
    raise UsageError(f"there is no strategy {bare!r}", allowed=", ".join(state.strategies) or "none is accepted yet")


def unverified(state: State, name: str) -> Tag | None:
    """The tag of ours called `name` whose evidence does not hold, if there is one."""
    return next((tag for tag in state.unverifiable if tag.name == name), None)
