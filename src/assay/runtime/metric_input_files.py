"""Files that a task's metrics read, as READS in its metrics.py names them, or that are the ruler of a script: found
without running anything.

Covers: the list, relative to the folder of metrics.py, and whether every file is there and known to Git or DVC. Not
covered: files that are read and not named (`metrics.undeclared_file_reads`).
"""

from __future__ import annotations

import ast
import os
import posixpath
from pathlib import Path

from assay.core import ast_normal_form
from assay.core.errors import ProvenanceError, UsageError
from assay.runtime import files, git, script_source, task_source
from assay.runtime.git_commit_hint import commit_command

READS = "READS"
_WRITTEN = 'a list written out: READS = ["weights.npy"]'


def metric_reads(root: Path, task: str) -> list[Path]:
    """Files that the task's metrics say they read, relative to `root`, sorted. Raises UsageError for one not there."""
    if script := script_source.task(root):
        return script_source.ruler(root, script)
    source = task_source.path(root, task, "metrics")
    where = os.path.relpath(source, root)
    found = set()
    for name in listed(files.read_bytes(source), where) if source.is_file() else ():
        path = source.parent / name
        if not path.is_file():
            raise UsageError(
                f"{where}: READS names {name!r}, and there is no such file",
                allowed=f"files, as seen from {os.path.relpath(source.parent, root)}",
                hint=f"git add the file, or take {name!r} out of READS",
            )
        found.add(Path(os.path.relpath(path, root)))
    return sorted(found)


def contents(root: Path, task: str) -> dict[str, str]:
    """Name as seen from metrics.py → hash of the content, of every file that the task's metrics say they read."""
    folder = os.path.relpath(task_source.path(root, task, "metrics").parent, root)
    paths = metric_reads(root, task)
    return {Path(os.path.relpath(path, folder)).as_posix(): files.digest((root / path).read_bytes()) for path in paths}


def check_known(root: Path, task: str) -> None:
    """Refuse a file that neither Git nor DVC tracks: a `--temp` run would go without it."""
    paths = [path.as_posix() for path in metric_reads(root, task)]
    if not paths:
        return
    wanted = [*paths, *(pointer for path in paths for pointer in pointers(path))]
    tracked = set(git.run(root, "ls-files", "-z", "--cached", "--", *wanted).split("\0"))
    unknown = [path for path in paths if not tracked & {path, *pointers(path)}]
    if unknown:
        who = "task.ruler names"
        if not script_source.task(root):
            who = f"{task_source.path(root, task, 'metrics').name} reads"
        problem = f"{who} {unknown[0]}, which Git does not track"
        raise ProvenanceError(problem, hint=f"{commit_command(root, unknown)}, or dvc add {unknown[0]}")


def pointers(path: str) -> list[str]:
    """Where DVC would say what `path` holds: beside it, or beside a folder above it."""
    parts = path.split("/")
    return [f"{'/'.join(parts[:depth])}.dvc" for depth in range(len(parts), 0, -1) if parts[depth - 1] != ".."]


def listed(source: str | bytes, where: str) -> list[str]:
    """The names in READS, empty where it is absent. Raises UsageError where only running the file would tell them."""
    found: list[str] = []
    for line in ast_normal_form.parse(source, where).body:
        if isinstance(line, (ast.Assign, ast.AnnAssign)) and _binds(line):
            found = _names(line.value, f"{where}:{line.lineno}")
        elif isinstance(line, ast.AugAssign) and _is_reads(line.target):
            raise UsageError(f"{where}:{line.lineno}: READS is added to", allowed=_WRITTEN)
    return found


def _binds(line: ast.Assign | ast.AnnAssign) -> bool:
    return any(map(_is_reads, line.targets if isinstance(line, ast.Assign) else [line.target]))


def _is_reads(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) and target.id == READS


def _names(value: ast.expr | None, where: str) -> list[str]:
    entries = value.elts if isinstance(value, (ast.List, ast.Tuple)) else [value]
    names = [entry.value if isinstance(entry, ast.Constant) else None for entry in entries]
    written = [name for name in names if isinstance(name, str)]
    if not isinstance(value, (ast.List, ast.Tuple)) or len(written) < len(names):
        raise UsageError(f"{where}: READS is computed", allowed=_WRITTEN)
    if strange := [name for name in written if not name or "\0" in name or posixpath.isabs(name)]:
        raise UsageError(f"{where}: READS names {strange[0]!r}", allowed="paths as seen from the file's folder")
    return [posixpath.normpath(name) for name in written]
