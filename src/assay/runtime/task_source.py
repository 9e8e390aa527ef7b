"""What a task's sources say, read without running them; and importing them with a sentence when that fails.

Covers: whether the files and the members a stage needs are there, and whether params.yaml gives the
keyword arguments that a function takes, so that the first stage refuses what the last one would trip
over. Not covered: ranges of values, which the task's own code knows.
"""

from __future__ import annotations

import ast
import importlib
import os
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from assay.core.errors import AssayError, UsageError
from assay.runtime import source_roots as trees
from assay.runtime import sys_path

#: file → members of which one in each tuple must be there
REQUIRED: dict[str, tuple[tuple[str, ...], ...]] = {
    "data": (("prepare",),),
    "learning": (("model", "fit"),),
    "metrics": (("METRICS",),),
}
#: ready metrics: they stand where a task has none of its own
READY = "assay.ready.metrics"
#: where the ready tasks are, whose members a task imports
TASKS = "assay.ready."
#: import name of a task of one file, whatever params.yaml calls it
SINGLE = "task"
_SIMPLE: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,)}


@dataclass(frozen=True)
class TaskModule:
    """One module of a task: `functions` and other names defined at its top level."""

    path: Path
    tree: ast.Module
    functions: dict[str, ast.FunctionDef]
    names: frozenset[str]


def module(root: Path, task: str, name: str) -> str:
    """Import name of a task's module in the project at `root`: the same for all three where one file holds them."""
    return SINGLE if is_single(root, task) else f"tasks.{task}.{name}"


def label(root: Path, task: str, name: str) -> str:
    """What a module is called that stands for part `name` of a task of one file; "" for one of a folder."""
    return f"tasks.{task}.{name}" if is_single(root, task) else ""


def single(root: Path) -> Path | None:
    """The task.py of the project at `root`, relative to it; None where there is none."""
    found = trees.project(root).find(SINGLE)
    return found if found is not None and found.name != "__init__.py" else None


def is_single(root: Path, task: str) -> bool:
    """Whether the task is a task.py. Where a folder is there as well, `read` refuses."""
    return single(root) is not None and not _parts(root, task)


def _parts(root: Path, task: str) -> list[Path]:
    """Those of the three files of `tasks/NAME` that are there, relative to `root`."""
    tree = trees.project(root)
    return [found for name in REQUIRED if (found := tree.find(f"tasks.{task}.{name}"))]


def path(root: Path, task: str, name: str) -> Path:
    """The file of a task's module in the project at `root`; where it belongs when there is none."""
    if is_single(root, task):
        return root / (single(root) or "")
    found = trees.project(root).find(f"tasks.{task}.{name}")
    return root / (found or Path("src", "tasks", task, f"{name}.py"))


def where(root: Path, task: str, name: str) -> str:
    """The same for sentences, as seen from `root`."""
    return Path(os.path.relpath(path(root, task, name), root)).as_posix()


def read(root: Path, task: str, name: str) -> TaskModule:
    """The task's module, parsed; the ready metrics where a task has neither metrics.py nor METRICS in task.py.

    Raises UsageError when the task or a required member is missing.
    """
    _check_one(root, task)
    file, called = path(root, task, name), where(root, task, name)
    if not file.is_file() and name == "metrics":
        return _parsed(trees.OURS / "ready" / "metrics.py", READY)
    if not file.is_file():
        raise _missing(root, task, called)
    source = _parsed(file, called)
    for members in REQUIRED[name]:
        if not source.names & {*members, "*"}:
            if name == "metrics" and is_single(root, task):
                return _parsed(trees.OURS / "ready" / "metrics.py", READY)
            raise UsageError(f"{called} defines no {members[0]}", hint="see docs/tasks.md for what a task defines")
    return source


def check_loss(source: TaskModule, called: str, ready_loss: str) -> None:
    """Raise UsageError where learning.py has no loss() and params.yaml names none. `called`: the file, in sentences."""
    if not ready_loss and not source.names & {"loss", "fit", "*"}:
        raise UsageError(
            f"{called} defines no loss", hint="write loss(outputs, targets), or set loss.name in params.yaml"
        )


def is_ready(source: TaskModule) -> bool:
    """Whether this is the ready metrics, as the task has none of its own."""
    return source.path == trees.OURS / "ready" / "metrics.py"


def show_part(root: Path, task: str) -> str | None:
    """The part of the task in which its `show` is written: show, or metrics where metrics.py has it; None without one.

    A show.py counts whatever it defines, so that one without `show` is told and not passed over.
    """
    if is_single(root, task):
        return "show" if "show" in _parsed(path(root, task, "show"), SINGLE).names else None
    if path(root, task, "show").is_file():
        return "show"
    metrics = path(root, task, "metrics")
    return "metrics" if metrics.is_file() and "show" in _parsed(metrics, where(root, task, "metrics")).names else None


def load_show(root: Path, task: str) -> Callable[[Any], Any] | None:
    """The task's `show`; None where it has none. Raises UsageError with file and line of what went wrong."""
    part = show_part(root, task)
    if part is None:
        return None
    with sys_path.active(root):
        found = getattr(imported(root, task, part), "show", None)
    if not callable(found) and path(root, task, part).name == "show.py":
        raise UsageError(f"{where(root, task, part)} defines no show", allowed="a function show(example)")
    return found if callable(found) else None


def _parsed(file: Path, called: str) -> TaskModule:
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError) as error:
        line, said = getattr(error, "lineno", None), getattr(error, "msg", str(error))
        at = f"{called}{f':{line}' if line else ''}"
        raise UsageError(f"{at} does not parse: {said}", hint="fix the file") from error
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    return TaskModule(file, tree, functions, _names(tree))


def _check_one(root: Path, task: str) -> None:
    """Refuse two tasks of one name: a file and a folder."""
    alone, parts = single(root), _parts(root, task)
    if alone is not None and parts:
        folder = parts[0].parent.as_posix()
        raise UsageError(
            f"the task is both {alone.as_posix()} and {folder}",
            allowed="one of them",
            hint=f"git rm -r {folder}, or git mv {alone.as_posix()} elsewhere",
        )


def _missing(root: Path, task: str, called: str) -> UsageError:
    folders = (root / folder / "tasks" for folder in trees.project(root).folders)
    tasks = sorted({found.parent.name for folder in folders for found in folder.glob("*/data.py")})
    return UsageError(
        f"task {task!r} has no {called}, and there is no {SINGLE}.py",
        allowed=", ".join(tasks) or "no task is there",
        hint="set task.name in params.yaml, or write the file (docs/tasks.md)",
    )


def _names(tree: ast.Module) -> frozenset[str]:
    """Names that the module's top level may bind, imports and conditional definitions included; `*` where it takes in
    all of another module."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    return frozenset(found)


def check_options(source: TaskModule, function: str, given: Mapping[str, Any], section: str) -> None:
    """Refuse the first option that `option_problems` finds."""
    for problem in option_problems(source, function, given, section):
        raise problem


def option_problems(source: TaskModule, function: str, given: Mapping[str, Any], section: str) -> Iterator[UsageError]:
    """Options that `function` does not take, or lacks, or of another simple type.

    Positional parameters are the library's to fill; keyword-only ones come from `section` of params.yaml.
    """
    found = _definition(source, function)
    if found is None:
        return
    file, node = found
    taken = {argument.arg: argument.annotation for argument in node.args.kwonlyargs}
    where = f"{file}:{node.lineno}: {function}()"
    for key, value in given.items():
        if key not in taken and node.args.kwarg is None:
            problem = f"params.yaml: unknown parameter '{section}.{key}'"
            yield UsageError(problem, allowed=_listed(taken, where), hint="remove it, or add it to the function")
        yield from _type_problem(taken.get(key), value, f"{section}.{key}")
    for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        if default is None and argument.arg not in given:
            problem = f"params.yaml lacks {section}.{argument.arg}, which {where} needs"
            yield UsageError(problem, hint="add it, or give the argument a default")


def _definition(source: TaskModule, function: str) -> tuple[str, ast.FunctionDef] | None:
    """The file and the definition of `function`, in the task itself or in the ready task that it is imported from."""
    if (node := source.functions.get(function)) is not None:
        return source.path.name, node
    for statement in source.tree.body:
        if (
            not isinstance(statement, ast.ImportFrom)
            or statement.level
            or not (statement.module or "").startswith(TASKS)
        ):
            continue
        taken = {alias.asname or alias.name: alias.name for alias in statement.names}
        name = taken.get(function, function if "*" in taken else "")
        file = trees.LIBRARY_TREE.find(str(statement.module)) if name else None
        if file is not None and (node := _parsed(trees.PLACE / file, str(statement.module)).functions.get(name)):
            return file.as_posix(), node
    return None


def _listed(taken: Mapping[str, object], where: str) -> str:
    return (
        f"{', '.join(taken)} (keyword arguments of {where})"
        if taken
        else f"nothing, as {where} takes no keyword arguments"
    )


def _type_problem(annotation: ast.expr | None, value: object, key: str) -> Iterator[UsageError]:
    if not isinstance(annotation, ast.Name) or annotation.id not in _SIMPLE:
        return
    kinds = _SIMPLE[annotation.id]
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        problem = f"params.yaml: {key} is {value!r}"
        yield UsageError(problem, allowed=f"a value of type {annotation.id}", hint=f"set {key} in params.yaml")


def metrics(source: TaskModule) -> dict[str, str | None] | None:
    """Names in METRICS → name of the function, None where only running the file would tell."""
    entries = _entries(source)
    return None if entries is None else {name: _function(entry) for name, entry in entries.items()}


def lacks_function(source: TaskModule, metric: str) -> bool:
    """Whether METRICS, as it is written, names no function for a metric."""
    entry = (_entries(source) or {}).get(metric)
    keys = entry.keys if isinstance(entry, ast.Dict) else [None]
    return all(isinstance(key, ast.Constant) and key.value != "function" for key in keys)


def _entries(source: TaskModule) -> dict[str, ast.expr] | None:
    for node in source.tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == "METRICS" for target in targets):
                keys = [key.value if isinstance(key, ast.Constant) else None for key in node.value.keys]
                if not all(isinstance(key, str) for key in keys):
                    return None
                return dict(zip(map(str, keys), node.value.values, strict=True))
    return None


def _function(entry: ast.expr) -> str | None:
    """The function's name in `{"function": name, …}`."""
    if isinstance(entry, ast.Dict):
        for key, value in zip(entry.keys, entry.values, strict=True):
            if isinstance(key, ast.Constant) and key.value == "function" and isinstance(value, ast.Name):
                return value.id
    return None


def load(root: Path, task: str, name: str) -> ModuleType:
    """Import a task's module from the tree around `root`. Raises UsageError with file and line of what went wrong."""
    if is_ready(read(root, task, name)):
        return importlib.import_module(READY)
    with sys_path.active(root):
        return imported(root, task, name)


def imported(root: Path, task: str, name: str) -> ModuleType:
    """The task's module, by the one import of a project's code there is; `sys.path` is the caller's to set."""
    with said_by_task(root, task, name):
        return importlib.import_module(module(root, task, name))


def at_line(root: Path, error: BaseException) -> str:
    """` at FILE:LINE`, the last of the project's own that `error` came through; "" where it came through none."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if trees.own(root, frame.filename)]
    if not frames:
        return ""
    return f" at {Path(os.path.relpath(frames[-1].filename, root.resolve())).as_posix()}:{frames[-1].lineno}"


@contextmanager
def said_by_task(root: Path, task: str, name: str) -> Iterator[None]:
    """Turn whatever a task's own code raises into one sentence with the task's file and line.

    What no line of the task had a part in, such as a full disk, passes unchanged; a call that the task's
    function does not take (TypeError), a module that is not there and one that does not parse are its own, too.
    """
    try:
        yield
    except AssayError:
        raise
    except Exception as error:
        at = at_line(root, error)
        if not at and not isinstance(error, TypeError | ImportError | SyntaxError):
            raise
        at = at or f" at {where(root, task, name)}"
        said = " ".join(str(error).split())
        raise UsageError(
            f"the task failed{at}: {type(error).__name__}: {said}", hint="fix the task, then run again"
        ) from error
