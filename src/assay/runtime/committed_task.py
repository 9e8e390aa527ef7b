"""A task.py as a commit has it: what its parts reach there, read without a checkout."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from pathlib import Path

from assay.core.ast_normal_form import Source
from assay.core.errors import UsageError
from assay.runtime import git, import_closure, task_code
from assay.runtime import source_roots as trees


def texts(root: Path, commit: str, parts: Iterable[str]) -> dict[str, str]:
    """Path → text of what these parts of the task.py at `commit` reach; empty where none is, or none that parses."""
    try:
        return task_code.reached_texts(root, _reader(root, commit), parts)
    except UsageError:
        return {}


def _reader(root: Path, commit: str) -> task_code.Reader:
    """Sources of the project at `root` as of `commit`, and Assay's own as they are."""
    prefix, tree = git.prefix(root), trees.project(root)
    listed = set(git.run(root, "ls-tree", "-r", "-z", "--name-only", "--full-tree", commit).split("\0"))
    known: dict[str, Source | None] = {}

    def read(name: str) -> Source | None:
        if name not in known:
            known[name] = _source(name)
        return known[name]

    def _source(name: str) -> Source | None:
        parts = name.split(".")
        if parts[0] == trees.LIBRARY:
            return import_closure.read_module(root, name)
        for folder in tree.folders if tree.owns(parts[0]) else ():
            for ending in ("/__init__.py", ".py"):
                path = f"{folder}/{'/'.join(parts)}{ending}"
                if posixpath.normpath(prefix + path) in listed:
                    content = git.read(root, commit, path)
                    return None if content is None else Source(content, ending == "/__init__.py")
        return None

    return read
