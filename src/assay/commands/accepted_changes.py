"""The baseline without each change that was accepted on the way to it: trees and settings, made and not yet run.

A change is what lies between an accepted strategy and the one that it was measured against. Its code is taken out by a
three-way merge, its parameters by settings; what later changes overwrote, or need, cannot be taken out and is named.
Not covered: running them, and what they say (`commands.ablate_accepted`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from assay.acceptance.merge_commit import REGENERATED
from assay.baseline.accepted_strategy import FLOOR, AcceptedStrategy
from assay.commands.experiment_grid import Wanted
from assay.commands.scratch_experiment import Cell
from assay.core import params_yaml
from assay.core.errors import UsageError
from assay.core.paths import PARAMS, ProjectPaths
from assay.history.experiments import read
from assay.history.strategy_status import Strategy, fold
from assay.report.sensitivity_text import written
from assay.runtime import dvc_yaml, files, git, git_plumbing

#: changes that are looked at, the newest ones
LARGEST = 16


@dataclass(frozen=True)
class AcceptedChanges:
    """`without`: strategy → the cell of the baseline without its change. `left`: strategy → why there is no such."""

    baseline: AcceptedStrategy
    centre: Cell
    without: dict[str, Cell]
    left: dict[str, str]


def find(layout: ProjectPaths, baseline: AcceptedStrategy, wanted: Wanted) -> AcceptedChanges:
    """Raises UsageError for a floor, and for a baseline that stands on nothing accepted."""
    if baseline.name == FLOOR or not baseline.commit:
        raise UsageError("nothing is accepted: baseline: is floor", hint="assay accept EXPERIMENT NAME")
    line = _line(layout, baseline.commit)
    if not line:
        raise UsageError(
            f"nothing was accepted on the way to {baseline.name}: there is no change to take out",
            hint="assay ablate -S KEY=VALUE -S KEY=VALUE, for changes that are not accepted yet",
        )
    without, left = dict[str, Cell](), dict[str, str]()
    for one in line[:LARGEST]:
        try:
            without[one.accepted.name] = _cell(layout, baseline, one, one.accepted.baseline_commit, wanted)
        except UsageError as error:
            left[one.accepted.name] = error.problem
    centre = _named(layout, baseline, wanted, (), "", ())
    return AcceptedChanges(baseline, centre, without, left)


def files_of(layout: ProjectPaths, one: Cell) -> list[str]:
    """Files in which a cell differs from its base."""
    if not one.tree:
        return []
    listed = git.run(layout.root, "diff-tree", "-r", *git.NAMES, one.base, one.tree)
    return [path for path in listed.split("\0") if path]


def _line(layout: ProjectPaths, commit: str) -> list[Strategy]:
    """The strategy at `commit`, the one that it was measured against, and so on, as far as each has one."""
    by = {one.tag.commit: one for one in fold(read(layout.root, experiments=False).tags).strategies.values()}
    found: list[Strategy] = []
    while commit in by and by[commit] not in found and by[commit].accepted.baseline_commit:
        found.append(by[commit])
        commit = by[commit].accepted.baseline_commit
    return found


def _cell(layout: ProjectPaths, baseline: AcceptedStrategy, one: Strategy, before: str, wanted: Wanted) -> Cell:
    settings = _settings(layout, baseline.commit, one.tag.commit, before)
    tree = _tree(layout, baseline.commit, one.tag.commit, before)
    if tree == git.run(layout.root, "rev-parse", f"{baseline.commit}^{{tree}}"):
        tree = ""
    if not settings and not tree:
        raise UsageError("it changed nothing that is left in the baseline")
    return _named(layout, baseline, wanted, settings, tree, (f"without {one.accepted.name}",))


def _named(
    layout: ProjectPaths,
    baseline: AcceptedStrategy,
    wanted: Wanted,
    settings: tuple[str, ...],
    tree: str,
    changes: tuple[str, ...],
) -> Cell:
    ordered = tuple(sorted((*settings, *wanted.settings, f"baseline={baseline.name}")))
    digest = files.digest(" ".join((baseline.commit, tree, *ordered)).encode())[:8]
    return Cell(changes, baseline.commit, ordered, f"{wanted.name}-{digest}", tree)


def _settings(layout: ProjectPaths, now: str, after: str, before: str) -> tuple[str, ...]:
    """What sets the parameters of a change back. Raises UsageError for one that later changes set, or that is new."""
    then, changed, today = (_parameters(layout, commit) for commit in (before, after, now))
    settings = []
    for key in sorted(set(then) | set(changed)):
        old, new = then.get(key, _ABSENT), changed.get(key, _ABSENT)
        if old == new:
            continue
        if today.get(key, _ABSENT) != new:
            raise UsageError(f"a later change set {key} again")
        if old is _ABSENT or isinstance(old, list | dict):
            raise UsageError(f"it brought the parameter {key}, which no setting takes out")
        settings.append(f"{key}={written(old)}")
    return tuple(settings)


_ABSENT = object()


def _parameters(layout: ProjectPaths, commit: str) -> Mapping[str, object]:
    """Dotted key → value of what a strategy trains with, before any profile."""
    content = dvc_yaml.parameters_at(layout.root, commit) or b""
    given = params_yaml.strategy(params_yaml.load(content, f"{PARAMS} of {commit[:12]}"))
    return {key: value for key, value in params_yaml.leaves(given) if key not in ("task", "task.command")}


def _tree(layout: ProjectPaths, now: str, after: str, before: str) -> str:
    """The tree of `now` without what changed from `before` to `after`; parameters and results as they are."""
    root, prefix = layout.root, git.prefix(layout.root)
    kept = [prefix + path for path in (*REGENERATED, PARAMS)]
    trees = []
    for commit in (before, after):
        with git_plumbing.index(root) as scratch:
            scratch.read(commit)
            scratch.copy(now, kept)
            trees.append(scratch.write())
    base = git_plumbing.commit(root, trees[1], (), "with the change")
    ours = git_plumbing.commit(root, git.run(root, "rev-parse", f"{now}^{{tree}}"), (base,), "the baseline")
    theirs = git_plumbing.commit(root, trees[0], (base,), "without the change")
    tree, conflicts = git_plumbing.merge_tree(root, ours, theirs)
    if conflicts:
        raise UsageError(f"later changes build on it in {', '.join(conflicts)}")
    return tree
