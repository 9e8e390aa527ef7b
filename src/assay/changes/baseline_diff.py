"""How the work tree, or a commit, differs from the baseline: one entry a change that could explain a gain.

Covers: parameters that belong to a strategy, the user's own sources that training reaches. Not covered: whether a
change mattered, which only an experiment tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from shlex import quote
from typing import Any

from assay.core import ast_normal_form, params_yaml
from assay.core.paths import ProjectPaths
from assay.runtime import committed_task, dvc_yaml, git, script_source, task_code, task_source, tracked_code_check

#: parts of a task that make up a strategy; its metrics are the ruler
PARTS = (task_code.DATA, task_code.LEARNING)
#: between a parameter's old and new value
ARROW = " → "


def differences(layout: ProjectPaths, baseline: str) -> list[str]:
    """Changes of the work tree against the commit `baseline`, parameters first.

    All changed sources count as one change: they were written together, and no parameter takes them apart.
    """
    after = dvc_yaml.parameters(layout.root)
    sources = changed_sources(layout, baseline, params_yaml.load(after).task.name)
    code = [f"code: {', '.join(sources)}"] if sources else []
    return [*between(dvc_yaml.parameters_at(layout.root, baseline) or b"", after), *code]


def between(before: bytes, after: bytes) -> list[str]:
    """Changed parameters of a strategy between two params.yaml, each under its own profile."""
    old, new = params_yaml.resolved(before), params_yaml.resolved(after)
    return parameter_changes(params_yaml.strategy(old), params_yaml.strategy(new))


def settings(found: list[str]) -> str:
    """The changed parameters as `-S key=value`."""
    changes = (change.partition(": ") for change in found if not change.startswith("code: "))
    return " ".join(f"-S {quote(f'{key}={values.rpartition(ARROW)[2]}')}" for key, _, values in changes)


def parameter_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """`lr: 0.001 → 0.0003`, one entry a leaf; a leaf that is not there is shown as –."""
    old, new = dict(params_yaml.leaves(before)), dict(params_yaml.leaves(after))
    keys = [*old, *(key for key in new if key not in old)]
    return [f"{key}: {old.get(key, '–')}{ARROW}{new.get(key, '–')}" for key in keys if old.get(key) != new.get(key)]


def changed_sources(layout: ProjectPaths, baseline: str, task: str) -> list[str]:
    """Sources that a measurement reaches and that do something else than at `baseline`."""
    if not script_source.task(layout.root) and task_source.is_single(layout.root, task):
        return _differing(committed_task.texts(layout.root, baseline, PARTS), _present(layout, task))
    now = {path: (layout.root / path).read_bytes() for path in sorted(reached(layout, task))}
    then = {path: git.read(layout.root, baseline, path) for path in now}
    return [path for path in now if _differ(path, then[path], now[path])]


def sources_between(layout: ProjectPaths, old: str, new: str, task: str) -> list[str]:
    """Sources that a measurement reaches and that do something else in one commit than in another."""
    if not script_source.task(layout.root) and task_source.is_single(layout.root, task):
        return _differing(*(committed_task.texts(layout.root, commit, PARTS) for commit in (old, new)))
    pairs = {path: [git.read(layout.root, commit, path) for commit in (old, new)] for path in reached(layout, task)}
    return sorted(path for path, (one, other) in pairs.items() if _differ(path, one, other))


def untracked(layout: ProjectPaths, task: str) -> list[str]:
    """Sources that a measurement reaches and that Git does not track."""
    wanted = reached(layout, task)
    return sorted(wanted - tracked_code_check.tracked(layout.root, wanted))


@lru_cache(maxsize=8)
def reached(layout: ProjectPaths, task: str) -> frozenset[str]:
    """The user's own files that training, or preparing its data, imports; relative to the project."""
    found = {file.as_posix() for part in PARTS for file in task_code.closure(layout.root, task, part)}
    if script := script_source.task(layout.root):  # its ruler is the same for both arms, and a change of the metric
        found -= {file.as_posix() for file in script_source.ruler(layout.root, script)}
    return frozenset(found)


def _present(layout: ProjectPaths, task: str) -> dict[str, str]:
    return task_code.texts(layout.root, task, PARTS)


def _differing(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Paths whose text does something else; one that is not there does nothing."""
    pairs = {path: [each.get(path, "").encode() for each in (before, after)] for path in sorted(before.keys() | after)}
    return [path for path, (one, other) in pairs.items() if one != other and _meaning(one) != _meaning(other)]


def _differ(path: str, one: bytes | None, other: bytes | None) -> bool:
    """Whether two versions of a file do something else; byte for byte where it is no Python."""
    return one != other and (not path.endswith(".py") or _meaning(one) != _meaning(other))


def _meaning(source: bytes | None) -> str | None:
    """The source without comments and layout; None for a file that is not there."""
    return None if source is None else ast_normal_form.text(ast_normal_form.parse(source, "source"))
