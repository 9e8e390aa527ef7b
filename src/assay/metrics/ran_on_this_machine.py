"""Code that ran and numbers that were computed on this machine, noted under Git's common folder.

No clone brings that folder along, as it brings files under .dvc. Covers: the hash of what importing a task's metrics
executes, notes on such code, notes on tables that `evaluate` wrote. Not covered: whether predictions are true, which
only training anew tells (`assay accept`).
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from assay.runtime import files, git, metric_input_files, opened_files, task_code
from assay.runtime import source_roots as trees

_SUFFIXES = tuple(importlib.machinery.all_suffixes())
#: how a bytecode file begins whose content Python believes without a look at the source: magic number, then flags
_FLAGS, _HASHED, _CHECKED = slice(4, 8), 0b01, 0b10


def metrics_code(root: Path, task: str) -> str:
    """Hash of what an import of the task's metrics in the project at `root` executes.

    Sources count byte by byte. So do the names beside them, since a library, a package or a module called like one of
    Python's own could take their place, bytecode that Python would run without a look at its source, and files that the
    metrics say they read: unpickling one runs code, too.
    """
    tree = trees.project(root)
    sources = [root / file for file in task_code.closure(root, task, task_code.METRICS)]
    roots = [Path(os.path.normpath(root / folder)) for folder in tree.folders]
    inside = {folder for file in sources for folder in file.parents if set(roots) & set(folder.parents)}
    lines = [
        *(_line(root, file) for file in sources),
        *(_line(root, file) for file in map(_unchecked, sources) if file),
    ]
    lines += [line for folder in sorted(inside) for line in _names(root, folder)]
    lines += [line for folder in roots for line in _modules(root, folder)]
    lines += [_line(root, root / file) for file in metric_input_files.metric_reads(root, task)]
    return files.digest("\n".join(lines).encode("utf-8", "surrogateescape"))


def _line(root: Path, file: Path) -> str:
    return f"{files.digest(file.read_bytes())} {os.path.relpath(file, root)}"


def _unchecked(source: Path) -> Path | None:
    """The bytecode of `source` that Python runs whatever the source says; None where there is none."""
    path = Path(importlib.util.cache_from_source(str(source)))
    with suppress(OSError), path.open("rb") as stream:
        flags = int.from_bytes(stream.read(8)[_FLAGS], "little")
        if flags & _HASHED and not flags & _CHECKED:
            return path
    return None


def _names(root: Path, folder: Path) -> Iterator[str]:
    """What an import could find in `folder`; with its content where that is no Python source."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path.name != "__pycache__":
            yield f"{os.path.relpath(path, root)}/"
        elif path.name.endswith(_SUFFIXES):
            yield os.path.relpath(path, root) if path.suffix == ".py" else _line(root, path)


def _modules(root: Path, folder: Path) -> Iterator[str]:
    """Modules and packages where imports begin; a folder of data that comes and goes there is none."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name.endswith(_SUFFIXES):
            yield os.path.relpath(path, root) if path.suffix == ".py" else _line(root, path)
        elif any((path / f"__init__{suffix}").is_file() for suffix in _SUFFIXES):
            yield f"{os.path.relpath(path, root)}/"


def note_code(home: Path, code: str) -> None:
    """Note that the code with this hash ran here."""
    _note(home, "code", code, {"schema": 1})


def ran(home: Path, code: str) -> bool:
    """Whether the code with this hash ran here."""
    return _is_noted(home, "code", code)


def note_scores(home: Path, tables: Sequence[bytes], code: str, predictions: Mapping[str, str]) -> None:
    """Note that code with the hash `code` computed the `tables` from `predictions` (arm → hash) here.

    Numbers and the rulers that they are judged by are one thing: either of them alone could be edited.
    """
    _note(home, "scores", _hash(tables), {"schema": 1, "code": code, "predictions": dict(predictions)})


def computed(home: Path, tables: Sequence[bytes]) -> bool:
    """Whether `evaluate` wrote these very tables here, together."""
    return _is_noted(home, "scores", _hash(tables))


def _hash(tables: Sequence[bytes]) -> str:
    one_by_one = (files.digest(table.replace(b"\r\n", b"\n")) for table in tables)  # Git may have changed line ends
    return files.digest(" ".join(one_by_one).encode())


def _folder(home: Path) -> Path | None:
    """Our folder in what all work trees of the repository share; None outside of Git."""
    common = git.run(home, "rev-parse", "--path-format=absolute", "--git-common-dir", check=False)
    return Path(common) / "assay" if common else None


def _note(home: Path, kind: str, name: str, content: Mapping[str, object]) -> None:
    """Keep a note. Where nothing can be written, `--rescore` is asked for later, and nothing else happens."""
    folder = _folder(home)
    if folder is not None and not (folder / kind / name).exists():
        with suppress(OSError):
            files.write_bytes(folder / kind / name, msgspec.json.encode(content, order="deterministic"))


def _is_noted(home: Path, kind: str, name: str) -> bool:
    folder = _folder(home)
    if folder is None:
        return False
    opened_files.note(folder / kind / name)
    return (folder / kind / name).is_file()
