"""What experiments changed, each against a commit of its own, for hundreds of them at once.

Covers: parameters by the rule of `changes.strategy_diff`; sources by one `git diff-tree --stdin`, so that only those
that differ are read. Which of them train is taken from the work tree: a module that an experiment began to import is
counted with the file that imports it, and not named. Not covered: experiments whose parameters cannot be read.
"""

from __future__ import annotations

import posixpath
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from assay.changes import strategy_content, strategy_diff
from assay.changes.strategy_diff import Changes
from assay.core import params_yaml
from assay.core.errors import AssayError, UsageError
from assay.core.normalize_identifiers import as_python_reads
from assay.core.params_yaml import Params
from assay.core.paths import PARAMS, ProjectPaths
from assay.core.yaml_chunks import ChunkReader
from assay.runtime import dvc_yaml, git, task_source
from assay.runtime.git_objects import Objects


def changes(root: Path, pairs: Sequence[tuple[str, str]], objects: Objects) -> dict[str, Changes]:
    """Commit → what it changes, for each pair (base commit, commit) of the project at `root`."""
    reader, trains = _ParamsReader(root, objects, pairs), _reached(root)
    return {
        commit: found
        for base, commit, paths in _sources(root, pairs)
        if (found := _changes(root, base, commit, paths, reader, trains)) is not None
    }


class _ParamsReader:
    """params.yaml of many commits, each read once and parsed when it is asked for."""

    def __init__(self, root: Path, objects: Objects, pairs: Sequence[tuple[str, str]]) -> None:
        commits, prefix = list(dict.fromkeys(commit for pair in pairs for commit in pair)), git.prefix(root)
        read = zip(commits, objects.read([f"{commit}:{prefix}{PARAMS}" for commit in commits]), strict=True)
        self.contents = {commit: found.content for commit, found in read if found is not None}
        self.objects, self.prefix = objects, prefix
        pipeline = ProjectPaths(root).pipeline
        self.pipeline = pipeline.read_bytes() if pipeline.is_file() else b""
        self._chunks = ChunkReader()
        self._resolved: dict[tuple[bytes, str | None], Params] = {}

    def params(self, commit: str, profile: str | None = None) -> Params:
        """Parameters of a commit; sections of the user's own are those that today's dvc.yaml tells."""
        asked = self.contents[commit], profile
        if asked not in self._resolved:  # experiments share their bases
            read = self._chunks.parse(dvc_yaml.own_parameters(asked[0], self.pipeline))
            self._resolved[asked] = params_yaml.resolved_values(as_python_reads(read, PARAMS), profile=profile)
        return self._resolved[asked]

    def texts(self, commit: str, paths: Sequence[str]) -> dict[str, str]:
        names = [f"{commit}:{posixpath.normpath(self.prefix + path)}" for path in paths]
        found = zip(paths, self.objects.read(names), strict=True)
        return {path: one.content.decode("utf-8", "surrogateescape") for path, one in found if one is not None}


def _reached(root: Path) -> frozenset[str]:
    """Sources that train in the work tree; none where its parameters cannot be read, on which nothing here depends."""
    try:
        return frozenset(strategy_content.reached(root, params_yaml.load(dvc_yaml.parameters(root)).task.name))
    except AssayError:
        return frozenset()


def _changes(
    root: Path, base: str, commit: str, paths: Sequence[str], reader: _ParamsReader, trains: frozenset[str]
) -> Changes | None:
    if base not in reader.contents or commit not in reader.contents:
        return None
    try:
        new = reader.params(commit)
        old = reader.params(base, new.profile)
        known = all(path in trains or (root / path).is_file() for path in paths)  # else its own imports are followed
        if not known or (paths and task_source.is_single(root, new.task.name)):
            before, after = (strategy_content.with_params(root, *each) for each in ((base, old), (commit, new)))
            return after.since(before)
    except UsageError:
        return None
    edited = [path for path in paths if path in trains]
    return strategy_diff.changes(
        params_yaml.strategy(old), params_yaml.strategy(new), reader.texts(base, edited), reader.texts(commit, edited)
    )


def _sources(root: Path, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str, list[str]]]:
    """Each pair with its changed Python files, relative to the project."""
    asked = "".join(f"{commit} {base}\n" for base, commit in pairs)
    options = ["--stdin", "-r", "--no-relative", "--ignore-submodules=all", *git.NAMES]
    command = ["git", "-C", str(root), "diff-tree", *options]
    done = subprocess.run(command, input=asked.encode(), capture_output=True)
    found: dict[str, list[str]] = {commit: [] for _, commit in pairs}
    current, prefix = [""], git.prefix(root) or "."
    for word in done.stdout.decode("utf-8", "surrogateescape").split("\0"):
        if word in found:  # a commit's hash stands before its files
            current = found[word]
        elif word.endswith(".py"):
            current.append(posixpath.relpath(word, prefix))
    for base, commit in pairs:
        yield base, commit, found[commit]
