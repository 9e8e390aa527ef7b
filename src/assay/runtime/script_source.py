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
from assay.core.task_section import TaskSection
from assay.runtime import dvc_yaml, git, import_closure
from assay.runtime import source_roots as trees
from assay.runtime.source_roots import Tree


@dataclass(frozen=True)
class ScriptTree(Tree):
    """A tree whose first folder is that of a script, where modules may be called like Python's own."""

    def find(self, module: str) -> Path | None:
        top, *_ = parts = module.split(".")
        if top in sys.stdlib_module_names and top not in sys.builtin_module_names:
            beside = Tree(self.root, self.folders[:1], library=False)
            return next((file for place in beside.folders if (file := self._file(place, parts)) is not None), None)
        return super().find(module)

    def _file(self, folder: str, parts: list[str]) -> Path | None:
        place = Path(folder, *parts)
        for file in (place / "__init__.py", place.with_name(place.name + ".py")):
            if (self.root / file).is_file():
                return self.named(file)
        return None


@dataclass(frozen=True)
class CommandFiles:
    """Files that a command names, relative to the folder of dvc.yaml: scripts in Python, modules, and others."""

    scripts: tuple[Path, ...]
    modules: tuple[str, ...]  # behind -m
    others: tuple[Path, ...]


def task(root: Path) -> TaskSection | None:
    """The section `task` of the project at `root` where it is a script; None for a task of modules."""
    path = root / "params.yaml"
    return _task(dvc_yaml.parameters(root)) if path.is_file() else None


@lru_cache(maxsize=32)
def _task(content: bytes) -> TaskSection | None:
    if b"command" not in content:  # nearly always, and parsing takes milliseconds
        return None
    found = params_yaml.load(content)
    return found.task if found.is_script else None


def refuse(root: Path, why: str, mend: str) -> None:
    """For commands that need a task's modules: raises UsageError where the project at `root` has a script."""
    if task(root) is not None:
        raise UsageError(f"task.command is a script: {why}", mend=mend)


def words(command: str) -> list[str]:
    """The words of a command line. Raises UsageError for quotes that do not close."""
    try:
        return shlex.split(command)
    except ValueError as error:
        raise UsageError(f"params.yaml: task.command cannot be read: {error}", mend="close its quotes") from error


def named(root: Path, command: str) -> CommandFiles:
    """Files of the tree at `root` that `command` names."""
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
        if before != "cd" and not path.is_absolute() and (root / path).is_file():
            (scripts if path.suffix == ".py" else others).append(path)
        before = word
    return CommandFiles(tuple(scripts), tuple(modules), _known(root, others))


def _known(root: Path, paths: list[Path]) -> tuple[Path, ...]:
    """Those that Git tracks; data that a command names are no source."""
    if not paths or (trees.top(root) / trees.SEAL).exists():
        return tuple(path for path in paths if not (root / path).is_symlink())
    listed = git.run(root, "--literal-pathspecs", "ls-files", "-z", "--", *map(str, paths)).split("\0")
    return tuple(path for path in paths if path.as_posix() in listed)


def tree(root: Path, found: CommandFiles) -> ScriptTree:
    """Where the imports of these scripts are looked for: beside the script, then where a project's modules lie."""
    first = found.scripts[0].parent.as_posix() if found.scripts else "."
    return ScriptTree(root, tuple(dict.fromkeys([first, *trees.project(root).folders])))


def closure(root: Path, section: TaskSection) -> tuple[Path, ...]:
    """Files that decide what the script computes, relative to `root`: those named, and all that they import.

    Raises UsageError where the command names none.
    """
    found = named(root, section.command)
    where = tree(root, found)
    modules = [file for name in found.modules for file in (where.find(f"{name}.__main__"), where.find(name)) if file]
    entries = [*found.scripts, *modules]
    if not entries and not found.others:
        raise UsageError(
            f"params.yaml: task.command names no file of this project: {section.command}",
            allowed="a script by its path from the folder of dvc.yaml, or python -m MODULE",
            mend="write the script's path in task.command",
        )
    reached = import_closure.import_closure(where, entries) if entries else ()
    return tuple(sorted({*reached, *found.others}))


def packages(root: Path, section: TaskSection) -> set[str]:
    """First names of packages from elsewhere that the script's files import."""
    found = named(root, section.command)
    return import_closure.third_party(tree(root, found), closure(root, section))


def ruler(root: Path, section: TaskSection) -> list[Path]:
    """Files that compute the number, relative to `root`. Raises UsageError for one that is not there."""
    for name in section.ruler:
        path = Path(os.path.normpath(name))
        if path.is_absolute() or path.parts[:1] == ("..",) or not (root / path).is_file():
            raise UsageError(
                f"params.yaml: task.ruler names {name!r}, and there is no such file",
                allowed="files in the folder of dvc.yaml, as seen from there",
                mend=f"git add the file, or take {name!r} out of task.ruler",
            )
    return sorted({Path(os.path.normpath(name)) for name in section.ruler})
