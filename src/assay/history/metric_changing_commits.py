"""Commits that changed the metric, and whether each of them changed nothing of any strategy.

Covers: the commits between the metric's old and new definition, what each did to sources, parameters and data that
strategies are made of. Not covered: what the metric is (`metrics.metric_definition`).
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from assay.baseline.accepted_strategy import locked
from assay.changes import baseline_diff
from assay.core import ast_normal_form, params_yaml
from assay.core.errors import UsageError
from assay.core.paths import ProjectPaths
from assay.metrics import metric_definition
from assay.runtime import git, task_source
from assay.runtime.git_objects import Objects, reading

TRAINING_DATA = "data/split/train"
#: where a metric can be defined: sources may lie above the folder of dvc.yaml
_SOURCES = ("src", "params.yaml", ":(top,glob)**/*.py")


def changed_alone(tree: ProjectPaths, home: ProjectPaths, since: str, until: Sequence[str], metric: str) -> list[str]:
    """Commits after `since` up to `until` that changed the metric, oldest first; none where any did more than that.

    `tree` holds the files to be accepted: what training reaches there is what a strategy is made of.
    """
    task = params_yaml.load(tree.params.read_bytes()).task.name
    listed = git.run(home.root, "rev-list", "--reverse", *until, f"^{since}", "--", *_SOURCES).split()
    sources = _Sources(baseline_diff.reached(tree, task), task if task_source.is_single(tree.root, task) else "")
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


class _Sources(NamedTuple):
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


def _touches_strategy(objects: Objects, home: ProjectPaths, parent: str, commit: str, sources: _Sources) -> bool:
    """Whether the commit changed anything that training, or preparing its data, is made of."""
    before, after = (metric_definition.at(objects, home.root, one) for one in (parent, commit))
    listed = git.run(home.root, "diff-tree", "-r", "-z", "--name-only", "--no-relative", "--no-renames", parent, commit)
    start = git.prefix(home.root) or "."
    paths = [posixpath.relpath(path, start) for path in listed.split("\0") if path]
    own = (path for path in paths if not path.startswith("../"))
    if any(path.endswith(".dvc") or path == "dvc.yaml" for path in own):
        return True
    mine = [path for path in paths if path in sources.paths]
    if sources.single and mine and baseline_diff.sources_between(home, parent, commit, sources.single):
        return True
    if not sources.single and any(_meaning(before(path)) != _meaning(after(path)) for path in mine):
        return True
    try:
        if baseline_diff.between(before("params.yaml") or b"", after("params.yaml") or b""):
            return True
        return locked(before("dvc.lock") or b"{}", TRAINING_DATA) != locked(after("dvc.lock") or b"{}", TRAINING_DATA)
    except UsageError:
        return True  # nobody can tell


def _meaning(source: bytes | None) -> str | None:
    return None if source is None else ast_normal_form.text(ast_normal_form.parse(source, "source"))
