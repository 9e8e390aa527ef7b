"""The task that is tested: found from what a test names, imported afresh, with the parameters that it runs with.

Covers: a folder, a task.py, a folder of `tasks`, a module; parameters laid over params.yaml; modules of the project
that leave no trace in this process. Not covered: what is tested (`testing.contract`).
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

from assay.core import params_yaml, script_section
from assay.core.errors import UsageError
from assay.core.params_yaml import Params
from assay.core.paths import PARAMS, PIPELINE
from assay.runtime import source_roots, sys_path, task_code, task_source
from assay.training.task_interface import MEMBERS

#: what a test may name: a path, a module, or the name of a ready task's module
Named: TypeAlias = str | os.PathLike[str] | ModuleType

#: what params.yaml says where there is none
_PLAIN: dict[str, Any] = {"lr": 0.003, "replicates": 1, "seed": 1, "metric": {}, "machine": {"device": "cpu"}}
#: how names of modules begin that pytest has imported, and that go on meanwhile
_TESTS = ("_", "test", "conftest")
#: deciding metric, where nobody names one: to be chosen by the targets
UNNAMED = "none"


@dataclass(frozen=True)
class TaskUnderTest:
    """`root` is the folder of dvc.yaml, or the one that takes its place."""

    root: Path
    params: Params
    called: str  # in sentences


@contextmanager
def opened(task: Named, params: Mapping[str, Any] | None = None) -> Iterator[TaskUnderTest]:
    """The task that a test names, its modules to be imported afresh until the block ends.

    Raises UsageError for what is no task, and for parameters that no params.yaml may have.
    """
    if (ready := _ready(task)) is not None:
        with tempfile.TemporaryDirectory(prefix="assay-task-") as folder:
            root = Path(folder).resolve()
            (root / "task.py").write_text(_importing(ready), encoding="utf-8")
            with imported_afresh(root):
                yield TaskUnderTest(root, parameters(root, "task", params), ready.__name__)
        return
    root, name = place(Path(str(task.__file__)) if isinstance(task, ModuleType) else Path(task))
    with imported_afresh(root), _inside(root):
        given = parameters(root, name, params)
        called = given.task.command if given.is_script else task_source.where(root, given.task.name, "learning")
        yield TaskUnderTest(root, given, called)


def _ready(task: Named) -> ModuleType | None:
    """The module of the library that holds a ready task; None where something else is named."""
    if isinstance(task, str) and task.startswith(task_source.TASKS):
        try:
            return importlib.import_module(task)
        except ModuleNotFoundError as error:
            raise UsageError(f"there is no ready task {task!r}", hint="see docs/tasks.md, ready tasks") from error
    own = isinstance(task, ModuleType) and task.__name__.startswith(task_source.TASKS)
    return task if own and isinstance(task, ModuleType) else None


def _importing(ready: ModuleType) -> str:
    """A task.py that takes all members of a ready task."""
    names = [name for name in ("prepare", *MEMBERS, "METRICS") if hasattr(ready, name)]
    return f"from {ready.__name__} import {', '.join(names)}\n"


def place(named: Path) -> tuple[Path, str]:
    """The project's folder, and the task's name where the path tells it ("" where params.yaml does).

    Raises UsageError where nothing of a task is there.
    """
    path = named.resolve()
    if path.is_dir() and not _is_part(path):
        root = project(path)
        if root is None and task_source.single(path) is None:
            raise UsageError(f"{named} holds no {PARAMS} and no task.py", allowed="a project, a task.py, tasks/NAME")
        return root or path, ""
    if path.is_file() and path.name == "task.py":
        return project(path.parent) or path.parent, ""
    folder = path if path.is_dir() else path.parent
    if not _is_part(folder):
        raise UsageError(f"{named} is no task", allowed="a project's folder, a task.py, a folder tasks/NAME")
    above = folder.parent.parent
    return project(folder) or (above.parent if above.name == "src" else above), folder.name


def _is_part(folder: Path) -> bool:
    """Whether it is the folder of a task of three files."""
    return folder.parent.name == "tasks" and any((folder / f"{part}.py").is_file() for part in task_code.MEMBERS)


def project(folder: Path) -> Path | None:
    """The folder of params.yaml or dvc.yaml around `folder`, up to the top of its repository."""
    top = source_roots.top(folder)
    above = (one for one in (folder, *folder.parents) if one.is_relative_to(top))
    return next((one for one in above if (one / PARAMS).is_file() or (one / PIPELINE).is_file()), None)


def parameters(root: Path, name: str, given: Mapping[str, Any] | None) -> Params:
    """params.yaml with `given` laid over it, section by section; a metric that nobody names is `UNNAMED`."""
    file = root / PARAMS
    raw = params_yaml.merged(params_yaml.read(file.read_bytes()) if file.is_file() else {}, given or {})
    if script_section.is_script(raw):
        return params_yaml.resolved_values(raw)
    raw = params_yaml.merged(_PLAIN, raw)
    raw["machine"] = _machine(raw["machine"] or {}, given or {})
    raw["metric"] = {"name": UNNAMED, **(raw["metric"] or {})}
    if name:
        raw["task"] = {**(raw.get("task") or {}), "name": name}
    return params_yaml.resolved_values(raw)


def _machine(known: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Where params.yaml leaves the device open, the CPU; and no minute of compiling, unless a test asks for it."""
    device = "cpu" if known.get("device", "auto") == "auto" else known["device"]
    return {**known, "device": device, "compile": False, **(given.get("machine") or {})}


@contextmanager
def _inside(root: Path) -> Iterator[None]:
    """Work in the folder of dvc.yaml, as every stage does."""
    before = Path.cwd()
    os.chdir(root)
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def imported_afresh(root: Path) -> Iterator[None]:
    """Modules of the project at `root` are imported anew inside the block, and are gone after it.

    Two projects have a `task` each; whoever imported one before keeps his.
    """
    tree = source_roots.project(root)
    before, written = dict(sys.modules), sys.dont_write_bytecode
    own = _own(tree)
    for name in own:
        del sys.modules[name]
    importlib.invalidate_caches()
    sys.dont_write_bytecode = True
    try:
        with sys_path.active(root):
            yield
    finally:
        sys.dont_write_bytecode = written
        for name in _own(tree):
            del sys.modules[name]
        sys.modules.update({name: before[name] for name in own})


def _own(tree: source_roots.Tree) -> list[str]:
    """Names of imported modules that would be looked for in the project."""
    tops = {name.partition(".")[0] for name in sys.modules if not name.startswith(_TESTS)}
    ours = {top for top in tops if top in ("task", "tasks") or (tree.find(top) is not None and not _is_installed(top))}
    return [name for name in sys.modules if name.partition(".")[0] in ours]


def _is_installed(top: str) -> bool:
    """Whether it was imported from where packages are installed: a folder of the project may bear the same name."""
    file = getattr(sys.modules.get(top), "__file__", None)
    return bool(file) and source_roots.installed(Path(str(file)))
