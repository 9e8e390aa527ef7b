"""Trees of sources: where the modules of a project, or of Assay itself, are looked for.

Three folders can differ: that of dvc.yaml, those that imports begin in, and the top of the Git work tree. Covers: their
order, which follows sys.path (`runtime.sys_path`). Not covered: what a module imports (`runtime.import_closure`).
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from assay.runtime import files

#: import name of this library, which is never a module of a project, wherever it is installed
LIBRARY = "assay"
#: folder that holds this library, and the library itself
PLACE = Path(__file__).resolve().parents[2]
OURS = PLACE / LIBRARY
#: file at the top of an unpacked commit (`baseline.accepted_strategy`), which has no `.git`
SEAL = ".unpacked"
#: folders of installed packages
_INSTALLED = {"site-packages", "dist-packages"}


@dataclass(frozen=True)
class Tree:
    """Files are named relative to `root`, with `..` where they lie above it; `folders` are where imports begin."""

    root: Path
    folders: tuple[str, ...]
    library: bool = False  # Assay's own sources, and nothing else

    def find(self, module: str) -> Path | None:
        """The file of a dotted name: a package comes before a module of the same name, as in Python."""
        parts = module.split(".")
        if not self.owns(parts[0]) or not all(part.isidentifier() for part in parts):
            return None
        for folder in self.folders:
            place = Path(folder, *parts)
            for file in (place / "__init__.py", place.with_name(place.name + ".py")):
                if self.has(file):
                    return self.named(file)
        return None

    def has(self, file: Path) -> bool:
        return (self.root / file).is_file()

    def read(self, file: Path) -> bytes:
        return files.read_bytes(self.root / file)

    def owns(self, top: str) -> bool:
        """Whether a first name can mean a module of this tree: Python's own come before, and Assay is a tree apart."""
        return (top == LIBRARY) if self.library else top != LIBRARY and top not in sys.stdlib_module_names

    def named(self, file: Path) -> Path:
        """The one name of `file`: a folder above may lead back into `root`."""
        if file.parts[:1] != ("..",) and not file.is_absolute():
            return file
        return Path(os.path.relpath(os.path.normpath(self.root / file), self.root))

    def module(self, file: Path) -> str:
        """Dotted name of a file: src/a/b.py is a.b, src/a/__init__.py is a. The shortest where several fit."""
        below = [part for folder in self.folders if (part := self._below(file, folder)) is not None]
        parts = min(below, key=len, default=file.parts)
        names = (*parts[:-1], Path(parts[-1]).stem) if parts else ()
        return ".".join(names[:-1] if names[-1:] == ("__init__",) else names)

    def _below(self, file: Path, folder: str) -> tuple[str, ...] | None:
        inside = os.path.relpath(os.path.normpath(self.root / file), os.path.normpath(self.root / folder))
        parts = Path(inside).parts
        return None if parts[:1] == ("..",) else parts


#: Assay's sources, where they are installed
LIBRARY_TREE = Tree(PLACE, (".",), library=True)


def top(root: Path) -> Path:
    """The top of the Git work tree, or of the unpacked commit, that `root` lies in; `root` where it lies in none."""
    return next((folder for folder in (root, *root.parents) if _is_top(folder)), root)


def _is_top(folder: Path) -> bool:
    return (folder / ".git").exists() or (folder / SEAL).exists()


@lru_cache(maxsize=64)
def project(root: Path) -> Tree:
    """The sources of the project whose dvc.yaml lies in `root`: its folder, then the Git top, each with its `src`."""
    above = os.path.relpath(top(root.resolve()), root.resolve())
    folders = [".", "src", *([] if above == "." else [above, os.path.join(above, "src")])]  # noqa: PTH118
    return Tree(root, tuple(folders))


def own(root: Path, file: str) -> bool:
    """Whether `file`, by its real path, is a source of the work tree around `root`: neither Assay's nor installed."""
    path = Path(file)
    return path.is_relative_to(top(root.resolve())) and not path.is_relative_to(OURS) and not installed(path)


def installed(path: Path) -> bool:
    """Whether a file belongs to an installed package, or to Python itself."""
    return not _INSTALLED.isdisjoint(path.parts)
