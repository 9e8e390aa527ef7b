"""Files of the project that a metric opens although its version does not cover them, seen by an audit hook.

Covers: whatever Python itself opens while a task's metrics are imported or called, in any thread. Not covered: readers
in C++ or Rust that open files by themselves, other processes, environment variables.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from assay.core.errors import IncomparableError
from assay.core.paths import ProjectPaths
from assay.runtime import import_closure, metric_input_files, task_code, task_source
from assay.runtime import source_roots as trees
from assay.runtime.dvc_yaml import current

#: audit event → which of its arguments is the file
_EVENTS = {"open": 0, "import": 1, "sqlite3.connect": 0, "ctypes.dlopen": 0}
#: how folders end in which installers note what is there
_INSTALLED = (".egg-info", ".dist-info")

_watching = 0
_opened: set[str] = set()


@contextmanager
def watching() -> Iterator[None]:
    """Around code of a task's metrics, and nothing else: note each file that is opened."""
    global _watching
    _install()
    _watching += 1
    try:
        yield
    finally:
        _watching -= 1


def found(root: Path, task: str) -> list[str]:
    """What was opened so far and is not covered by the metric version, as metrics.py would name it in READS, sorted."""
    if not _opened:
        return []
    source = task_source.path(root, task, "metrics")
    top = trees.top(root)
    inside = tuple({f"{folder}{os.sep}" for folder in (top, trees.top(current(root).home))})
    elsewhere, real = _elsewhere(root), f"{top.resolve()}{os.sep}"
    opened = {f"{top}{os.sep}{path[len(real) :]}" if path.startswith(real) else path for path in _opened}
    named = {path for path in map(_source, opened) if path.startswith(inside) and not path.startswith(elsewhere)}
    named = {path for path in named if not _is_apart(Path(path))}
    if not named:
        return []
    known = {os.path.normpath(root / file) for file in task_code.closure(root, task, task_code.METRICS)}
    known |= {os.path.normpath(root / file) for file in metric_input_files.metric_reads(root, task)}
    unseen = [path for path in map(Path, named - known) if path.is_file() and not _is_empty_package(path)]
    return sorted(Path(os.path.relpath(path, source.parent)).as_posix() for path in unseen)


def hint(root: Path, task: str, names: list[str]) -> str:
    """What covers these files."""
    quoted = ", ".join(f'"{name}"' for name in names)
    where = os.path.relpath(task_source.path(root, task, "metrics"), root)
    if metric_input_files.metric_reads(root, task):
        return f"add {quoted} to READS in {where}"
    return f"add READS = [{quoted}] to {where}"


def check(root: Path, task: str) -> None:
    """Refuse numbers of metrics that read what their version does not cover."""
    if names := found(root, task):
        name = task_source.path(root, task, "metrics").name
        raise IncomparableError(f"{name} reads {', '.join(names)}", hint=hint(root, task, names))


def _elsewhere(root: Path) -> tuple[str, ...]:
    """Folders, each with a separator, whose files are no part of the project although they may lie in it."""
    paths = {str(trees.OURS), str(ProjectPaths(root).part("validation"))}  # the examples are in the version already
    paths |= {path for name, path in sysconfig.get_paths().items() if name in ("stdlib", "platstdlib")}
    prefixes = {sys.prefix, sys.exec_prefix, sys.base_prefix}  # a project may lie in one, too: /usr/src/project
    paths |= {path for path in prefixes if not str(root).startswith(f"{path.rstrip(os.sep)}{os.sep}")}
    return tuple(f"{os.path.normpath(path)}{os.sep}" for path in paths)


def _source(path: str) -> str:
    """The file behind a path: for bytecode its source, "" for what else the interpreter or a compiler keeps."""
    if Path(path).parent.name != "__pycache__":
        return path
    try:
        return importlib.util.source_from_cache(path)
    except ValueError:
        return ""


def _is_apart(path: Path) -> bool:
    return trees.installed(path) or any(part == ".git" or part.endswith(_INSTALLED) for part in path.parts)


def _is_empty_package(path: Path) -> bool:
    """An `__init__.py` without a statement, which an import closure leaves out."""
    return path.name == "__init__.py" and import_closure.inert(path.parent, Path(path.name))


@lru_cache(maxsize=1)
def _install() -> None:
    """Once in a process: a hook cannot be taken away again."""
    sys.addaudithook(_note)


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching or event not in _EVENTS:
        return
    try:
        given = arguments[_EVENTS[event]]
        if event == "open" and _only_writes(arguments):
            return
        if isinstance(given, (str, bytes, os.PathLike)):
            _opened.add(os.path.normpath(Path(os.fsdecode(given)).absolute()))
    except (OSError, ValueError, IndexError, TypeError):  # a strange name is for who opens it to refuse
        return


def _only_writes(arguments: tuple[Any, ...]) -> bool:
    flags = arguments[2] if isinstance(arguments[2], int) else 0
    return flags & (os.O_WRONLY | os.O_RDWR) == os.O_WRONLY
