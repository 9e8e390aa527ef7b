"""What a script of the user's own consists of: the files that its command names, and all that those import.

Covers: finding them without running anything, in the work tree as in an unpacked commit; the files of its ruler. A
module beside the script may be called like one of Python's own: there Python looks first. Not covered: what a script
reads (`script.input_files`), placeholders (`core.script_command`).
"""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from assay.core import params_yaml
from assay.core.errors import UsageError
from assay.core.paths import PARAMS, PIPELINE
from assay.core.task_section import TaskSection
from assay.runtime import dvc_yaml, git, import_closure
from assay.runtime import source_roots as trees
from assay.runtime.source_roots import Tree


@dataclass(frozen=True)
class ScriptTree(Tree):
    """The tree `base`, whose first folder is that of a script, where modules may be called like Python's own."""

    base: Tree | None = None

    def find(self, module: str) -> Path | None:
        first, *_ = parts = module.split(".")
        if first in sys.stdlib_module_names and first not in sys.builtin_module_names:
            place = Path(self.folders[0], *parts)
            beside = (place / "__init__.py", place.with_name(place.name + ".py"))
            return next((self.named(file) for file in beside if self.has(file)), None)
        return super().find(module)

    def has(self, file: Path) -> bool:
        return super().has(file) if self.base is None else self.base.has(file)

    def read(self, file: Path) -> bytes:
        return super().read(file) if self.base is None else self.base.read(file)


@dataclass(frozen=True)
class CommandFiles:
    """Files that a command names, relative to the folder of dvc.yaml: scripts in Python, modules, and others."""

    scripts: tuple[Path, ...]
    modules: tuple[str, ...]  # behind -m
    others: tuple[Path, ...]


def task(root: Path) -> TaskSection | None:
    """The section `task` of the project at `root` where it is a script; None for a task of modules."""
    return of_tree(trees.project(root))


def of_tree(where: Tree) -> TaskSection | None:
    """The same of any tree of a project."""
    if not where.has(Path(PARAMS)):
        return None
    pipeline = where.read(Path(PIPELINE)) if where.has(Path(PIPELINE)) else b""
    return _task(dvc_yaml.own_parameters(where.read(Path(PARAMS)), pipeline))


@lru_cache(maxsize=32)
def _task(content: bytes) -> TaskSection | None:
    if b"command" not in content:  # nearly always, and parsing takes milliseconds
        return None
    found = params_yaml.load(content)
    return found.task if found.is_script else None


def refuse(root: Path, why: str, hint: str) -> None:
    """For commands that need a task's modules: raises UsageError where the project at `root` has a script."""
    if task(root) is not None:
        raise UsageError(f"task.command is a script: {why}", hint=hint)


def words(command: str) -> list[str]:
    """The words of a command line. Raises UsageError for quotes that do not close."""
    try:
        return shlex.split(command)
    except ValueError as error:
        raise UsageError(f"params.yaml: task.command cannot be read: {error}", hint="close its quotes") from error


def named(where: Tree, command: str) -> CommandFiles:
    """Files of the tree that `command` names."""
    scripts: list[Path] = []
    modules: list[str] = []
    others: list[Path] = []
    folder = before = ""
    for word in words(command):
        if before == "cd":
            folder = word
        elif before == "-m":
            modules.append(word)
        path = Path(os.path.normpath(Path(folder, word.rpartition("=")[2])))
        if before != "cd" and not path.is_absolute() and path.name and where.has(path):
            (scripts if path.suffix == ".py" else others).append(path)
        before = word
    return CommandFiles(tuple(scripts), tuple(modules), _known(where, others))


def _known(where: Tree, paths: list[Path]) -> tuple[Path, ...]:
    """Those that Git tracks; data that a command names are no source."""
    if not paths or type(where) is not Tree or (trees.top(where.root) / trees.SEAL).exists():
        return tuple(path for path in paths if not (where.root / path).is_symlink())
    listed = git.run(where.root, "--literal-pathspecs", "ls-files", "-z", "--", *map(str, paths)).split("\0")
    return tuple(path for path in paths if path.as_posix() in listed)


def beside(where: Tree, found: CommandFiles) -> ScriptTree:
    """Where the imports of these scripts are looked for: beside the script, then where a project's modules lie."""
    first = found.scripts[0].parent.as_posix() if found.scripts else "."
    return ScriptTree(where.root, tuple(dict.fromkeys([first, *where.folders])), base=where)


def tree(root: Path, section: TaskSection) -> ScriptTree:
    """The same of the project at `root`."""
    where = trees.project(root)
    return beside(where, named(where, section.command))


def closure(root: Path, section: TaskSection) -> tuple[Path, ...]:
    """Files that decide what the script computes, relative to `root`: those named, and all that they import.

    Raises UsageError where the command names none.
    """
    return closure_in(trees.project(root), section)


def closure_in(tree_: Tree, section: TaskSection) -> tuple[Path, ...]:
    """The same in any tree of a project."""
    found = named(tree_, section.command)
    where = beside(tree_, found)
    modules = [file for name in found.modules for file in (where.find(f"{name}.__main__"), where.find(name)) if file]
    entries = [*found.scripts, *modules]
    if not entries and not found.others:
        raise UsageError(
            f"params.yaml: task.command names no file of this project: {section.command}",
            allowed="a script by its path from the folder of dvc.yaml, or python -m MODULE",
            hint="write the script's path in task.command",
        )
    reached = import_closure.import_closure(where, entries) if entries else ()
    return tuple(sorted({*reached, *found.others}))


def packages(root: Path, section: TaskSection) -> set[str]:
    """First names of packages from elsewhere that the script's files import."""
    return import_closure.third_party(tree(root, section), closure(root, section))


def ruler(root: Path, section: TaskSection) -> list[Path]:
    """Files that compute the number, relative to `root`. Raises UsageError for one that is not there."""
    for name in section.ruler:
        path = Path(os.path.normpath(name))
        if path.is_absolute() or path.parts[:1] == ("..",) or not (root / path).is_file():
            raise UsageError(
                f"params.yaml: task.ruler names {name!r}, and there is no such file",
                allowed="files in the folder of dvc.yaml, as seen from there",
                hint=f"git add the file, or take {name!r} out of task.ruler",
            )
    return sorted({Path(os.path.normpath(name)) for name in section.ruler})
