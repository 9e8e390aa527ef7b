"""The module search path: Python's own modules, the project's, installed ones; Assay comes from its own place.

In front of the standard library a project's `mmap.py` would break torch. Behind installed packages, an editable install
of the user's own package would bring the original checkout into a `--temp` run. Covers: putting the project's folders
in between, modules that hide others. Not covered: which sources an import reaches (`runtime.import_closure`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import machinery
from pathlib import Path

from assay.runtime import source_roots as trees
from assay.runtime.source_roots import Tree


def activate(root: Path) -> None:
    """Let this process import the project's modules from the work tree around `root`, before installed ones."""
    folders = [os.path.normpath(root / folder) for folder in trees.project(root).folders]
    rest = [entry for entry in sys.path if os.path.normpath(entry or os.curdir) not in folders or _holds_library(entry)]
    after = max((number for number, entry in enumerate(rest, start=1) if _is_python(entry)), default=0)
    sys.path[:] = [*rest[:after], *folders, *rest[after:]]


@contextmanager
def active(root: Path) -> Iterator[None]:
    """The same for one block; what was imported inside stays."""
    before = sys.path[:]
    activate(root)
    try:
        yield
    finally:
        sys.path[:] = before


def _is_python(entry: str) -> bool:
    """Whether an entry of sys.path holds Python's own modules."""
    own = os.path.dirname(os.__file__)  # noqa: PTH120  (before every import of a stage, and pathlib is slow)
    inside = entry == own or entry.startswith(own + os.sep) or os.path.basename(entry) == _ZIPPED  # noqa: PTH119
    return inside and not trees.installed(Path(entry))


_ZIPPED = f"python{sys.version_info[0]}{sys.version_info[1]}.zip"


def _holds_library(entry: str) -> bool:
    """Whether the library itself was found through this entry: it may be imported further."""
    return os.path.realpath(entry or os.curdir) == str(trees.PLACE)


def shadowing(tree: Tree) -> dict[str, Path]:
    """First name → a module of the project that hides an installed one of the same name."""
    elsewhere = [entry for entry in sys.path if trees.installed(Path(entry))]
    names = (name for folder in tree.folders for name in _names(tree.root / folder))
    found = ((name, tree.find(name)) for name in dict.fromkeys(names))
    return {name: file for name, file in found if file and _installed(name, elsewhere)}


def _names(folder: Path) -> Iterator[str]:
    """First names that a folder on the search path answers to."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name.removesuffix(".py")
                if name.isidentifier() and (entry.name.endswith(".py") or entry.is_dir()):
                    yield name
    except OSError:
        return


def _installed(name: str, folders: list[str]) -> bool:
    spec = machinery.PathFinder.find_spec(name, folders)
    return spec is not None and spec.origin is not None
