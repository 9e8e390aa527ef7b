"""What a strategy is called: a hash of its code, its data and those parameters that are not at their default.

Covers: leaving out what says nothing, so that an option which is written or comes anew changes no name; the names that
earlier versions gave, under which accounts and attempts are found again.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from assay.core import schemas
from assay.core.params_yaml import Split, Train
from assay.core.schemas import Identity
from assay.runtime import files, script_source, task_source

#: sections whose options have their defaults here, and those whose options are keywords of a function of the task
_OURS: Mapping[str, type[msgspec.Struct]] = {"split": Split, "train": Train}
_TASKS = {"data": ("data", "prepare"), "model": ("learning", "model")}


def names(identity: Identity, root: Path) -> tuple[str, tuple[str, ...]]:
    """What the strategy of the tree at `root` is called, and what it was called by earlier versions."""
    if script_source.task(root):  # all of its parameters are its own, and none has a default
        return _digest(identity), (files.digest(schemas.encode(identity)),)
    parameters = {key: value for key, value in identity.parameters.items() if key not in (*_OURS, *_TASKS)}
    for section, defaults in {**_ours(), **_of_task(root, str(identity.parameters.get("task", "")))}.items():
        given = identity.parameters.get(section) or {}
        if changed := {key: value for key, value in given.items() if not _equal(defaults.get(key, ...), value)}:
            parameters[section] = changed
    plain = {"code": identity.code, "data": identity.data, "parameters": parameters}
    return _digest(plain), (_digest(identity), files.digest(schemas.encode(identity)))


def _digest(content: object) -> str:
    return files.digest(msgspec.json.encode(content, order="deterministic"))


def _equal(default: object, value: object) -> bool:
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (default, value))
    return (numbers or type(default) is type(value)) and default == value


def _ours() -> dict[str, dict[str, Any]]:
    return {section: dict(msgspec.structs.asdict(kind())) for section, kind in _OURS.items()}


def _of_task(root: Path, task: str) -> dict[str, dict[str, Any]]:
    """Section → defaults of the keyword arguments that it gives, as far as the task's source writes them out."""
    return {
        section: _keywords(task_source.path(root, task, module), function)
        for section, (module, function) in _TASKS.items()
    }


def _keywords(path: Path, function: str) -> dict[str, Any]:
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return {}
    found = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function)
    node = next(found, None)
    if node is None:
        return {}
    pairs = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    return {argument.arg: ast.literal_eval(default) for argument, default in pairs if isinstance(default, ast.Constant)}
