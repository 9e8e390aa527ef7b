"""Commits that changed the metric, and whether each of them changed nothing of any strategy.

Covers: the commits between the metric's old and new definition, what each did to sources, parameters and data that
strategies are made of. Not covered: what the metric is (`metrics.metric_definition`).
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from assay.changes import strategy_content, strategy_diff
from assay.core import ast_normal_form, params_yaml
from assay.core.errors import UsageError
from assay.core.paths import LOCK, PARAMS, PIPELINE, TRAINING_PART, ProjectPaths
from assay.metrics import metric_definition
from assay.runtime import dvc_lock, git, script_source, task_source
from assay.runtime.commit_sources import commit_tree
from assay.runtime.git_objects import Objects, reading

#: where a metric can be defined: sources may lie above the folder of dvc.yaml
_SOURCES = ("src", PARAMS, ":(top,glob)**/*.py")


def changed_alone(tree: ProjectPaths, home: ProjectPaths, since: str, until: Sequence[str], metric: str) -> list[str]:
    """Commits after `since` up to `until` that changed the metric, oldest first; none where any did more than that.

    `tree` holds the files to be accepted: what training reaches there is what a strategy is made of.
    """
    task = params_yaml.load(tree.params.read_bytes()).task.name
    listed = git.run(home.root, "rev-list", "--reverse", *until, f"^{since}", "--", *_places(tree)).split()
    paths = frozenset(strategy_content.reached(tree.root, task))
    single = script_source.task(tree.root) is None and task_source.is_single(tree.root, task)
    sources = _StrategySources(paths, task if single else "")
    changed = []
    with reading(home.root) as objects:
        for commit in listed:
            now, parents = _definition(objects, home.root, commit, metric), _parents(objects, commit)
            if any(_definition(objects, home.root, parent, metric) == now for parent in parents):
                continue
            if len(parents) != 1 or _touches_strategy(objects, home, parents[0], commit, sources):
                return []
            changed.append(commit)
    return changed


def _places(tree: ProjectPaths) -> tuple[str, ...]:
    """Where a metric can be defined; the ruler of a script lies anywhere."""
    return (".",) if script_source.task(tree.root) else _SOURCES


class _StrategySources(NamedTuple):
    """What strategies are made of: files that training and preparing reach, and the name of a task of one file."""

    paths: frozenset[str]
    single: str


def _parents(objects: Objects, commit: str) -> list[str]:
    found = objects.read([commit])[0]
    header = b"" if found is None else found.content.partition(b"\n\n")[0]
    return [line[7:].decode() for line in header.splitlines() if line.startswith(b"parent ")]


def _definition(objects: Objects, root: Path, commit: str, metric: str) -> tuple[object, ...]:
    """What a commit defines the metric by, to be compared with another commit's."""
    found = metric_definition.definition(metric_definition.at(objects, root, commit), metric, "", recorded=False)
    return found.decides, found.code, found.options, found.terms or found.source, found.reads, found.score


def _touches_strategy(
    objects: Objects, home: ProjectPaths, parent: str, commit: str, sources: _StrategySources
) -> bool:
    """Whether the commit changed anything that training, or preparing its data, is made of."""
    before, after = (metric_definition.at(objects, home.root, one) for one in (parent, commit))
    listed = git.run(home.root, "diff-tree", "-r", "-z", "--name-only", "--no-relative", "--no-renames", parent, commit)
    start = git.prefix(home.root) or "."
    paths = [posixpath.relpath(path, start) for path in listed.split("\0") if path]
    own = (path for path in paths if not path.startswith("../"))
    if any(path.endswith(".dvc") or path == PIPELINE for path in own):
        return True
    mine = [path for path in paths if path in sources.paths]
    if sources.single and mine and _does_more(home.root, parent, commit, sources.single):
        return True
    if not sources.single and any(_meaning(path, before(path)) != _meaning(path, after(path)) for path in mine):
        return True
    try:
        if params_yaml.strategy(_params(before)) != params_yaml.strategy(_params(after)):
            return True
        then, now = (dvc_lock.output_hash(read(LOCK) or b"", TRAINING_PART) for read in (before, after))
        return then != now
    except UsageError:
        return True  # nobody can tell


def _does_more(root: Path, parent: str, commit: str, task: str) -> bool:
    """Whether what training reaches in a task of one file does something else in one commit than in the other."""
    before, after = (strategy_content.sources(commit_tree(root, one), task) for one in (parent, commit))
    return bool(strategy_diff.changes({}, {}, before, after).edited)


def _params(read: metric_definition.ReadFile) -> params_yaml.Params:
    return params_yaml.resolved(read(PARAMS) or b"")


def _meaning(path: str, source: bytes | None) -> str | bytes | None:
    if source is None or not path.endswith(".py"):
        return source
    return ast_normal_form.text(ast_normal_form.parse(source, "source"))
