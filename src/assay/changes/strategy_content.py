"""What a strategy is made of, in the work tree or in a commit: its parameters, and the user's sources that train it.

Covers: gathering both, and what the work tree changes against a commit. Not covered: counting and wording
(`changes.strategy_diff`), and finding the baseline's commit (`baseline.accepted_strategy`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from assay.changes.strategy_diff import Changes, changes
from assay.core import params_yaml
from assay.core.params_yaml import Params
from assay.core.paths import PARAMS, ProjectPaths
from assay.core.task_section import TaskSection
from assay.runtime import dvc_yaml, import_closure, script_source, task_code, task_source, tracked_code_check
from assay.runtime import source_roots as trees
from assay.runtime.commit_sources import commit_tree
from assay.runtime.source_roots import Tree

#: parts of a task that make up a strategy; its metrics are the ruler
PARTS = (task_code.DATA, task_code.LEARNING)


@dataclass(frozen=True)
class StrategyContent:
    """Resolved parameters that belong to a strategy, and path → text of every source that prepares or trains."""

    parameters: Mapping[str, Any]
    sources: Mapping[str, str]

    def since(self, before: StrategyContent) -> Changes:
        return changes(before.parameters, self.parameters, before.sources, self.sources)


def in_work_tree(root: Path, profile: str) -> StrategyContent:
    """The strategy of the project at `root`, as it stands there."""
    asked = params_yaml.resolved(dvc_yaml.parameters(root), profile, str(root / PARAMS))
    return StrategyContent(params_yaml.strategy(asked), sources(trees.project(root), asked.task.name))


def in_commit(home: Path, commit: str, profile: str) -> StrategyContent:
    """The strategy of the project at `home` as of `commit`."""
    content = dvc_yaml.parameters_at(home, commit) or b""
    return with_params(home, commit, params_yaml.resolved(content, profile, f"params.yaml of {commit[:12]}"))


def with_params(home: Path, commit: str, asked: Params) -> StrategyContent:
    """The sources of `commit` with the parameters `asked`."""
    return StrategyContent(params_yaml.strategy(asked), sources(commit_tree(home, commit), asked.task.name))


def changes_since(layout: ProjectPaths, home: Path, commit: str, profile: str) -> Changes:
    """What the work tree of `layout` changes against `commit` of the repository at `home`, both under one profile."""
    return in_work_tree(layout.root, profile).since(in_commit(home, commit, profile))


def sources(tree: Tree, task: str) -> dict[str, str]:
    """Path → text of the user's own files that training, or preparing its data, imports.

    Of a task of one file, and of what it imports, only the statements that they reach: the metric in it is the ruler.
    """
    if script := script_source.of_tree(tree):
        return {path: tree.read(Path(path)).decode("utf-8", "surrogateescape") for path in _of_script(tree, script)}
    if _is_single(tree, task):
        return task_code.reached_texts(tree.root, partial(import_closure.read_module, tree), PARTS)
    return {path: tree.read(Path(path)).decode("utf-8", "surrogateescape") for path in reached(tree, task)}


def reached(where: Path | Tree, task: str) -> list[str]:
    """Their paths, relative to the project, in order."""
    tree = where if isinstance(where, Tree) else trees.project(where)
    if script := script_source.of_tree(tree):
        return _of_script(tree, script)
    modules = [task_source.SINGLE] if _is_single(tree, task) else [f"tasks.{task}.{part}" for part in PARTS]
    entries = [file for module in modules if (file := tree.find(module))]
    return [file.as_posix() for file in import_closure.import_closure(tree, entries)]


def _of_script(tree: Tree, script: TaskSection) -> list[str]:
    """Files of a script but its ruler, which is the same for both arms, and whose change is one of the metric."""
    return [file.as_posix() for file in script_source.closure_in(tree, script) if file.as_posix() not in script.ruler]


def _is_single(tree: Tree, task: str) -> bool:
    """Whether the task is a task.py there."""
    file = tree.find(task_source.SINGLE)
    folder = (tree.find(f"tasks.{task}.{part}") for part in task_source.REQUIRED)
    return file is not None and file.name != "__init__.py" and not any(folder)


def untracked(root: Path, task: str) -> list[str]:
    """Those of them that Git does not track."""
    wanted = frozenset(reached(root, task))
    return sorted(wanted - tracked_code_check.tracked(root, wanted))
