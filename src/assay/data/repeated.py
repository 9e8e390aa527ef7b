"""Whether preparing the same again gives the same examples.

A `prepare()` that draws without a seed, or reads what nobody declared, gives other examples each time that it
runs. Both arms of a run see the same ones, so that its verdict holds; but no later run can be compared with it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from assay.outside import closure, files, remembered

NOTE = (
    "prepare: the same code, parameters and files gave other examples before, so that no earlier number can be "
    "compared; next: seed what prepare() draws, or name what it reads under stages.prepare.deps in dvc.yaml"
)


def otherwise(root: Path, source: Path, given: object, dependencies: Iterable[str], content: str) -> bool:
    """Whether examples other than `content` (a digest) came of this before; takes note of these.

    `source` is the task's data.py, `given` the parameters of its prepare(), `dependencies` what the stage
    watches: files that are no sources count by their size and time, since DVC runs the stage again for their content.
    """
    code = closure.code_hash(root, closure.import_closure(root, [source]))
    watched = [state for path in dependencies if not path.startswith("src/") for state in _states(root, path)]
    key = files.digest(msgspec.json.encode(["prepared", code, given, watched], order="deterministic"))
    before = remembered.recall(key)
    if before != [content]:
        remembered.learn(key, [content])
    return before not in (None, [content])


def _states(root: Path, path: str) -> Iterator[tuple[str, int, int]]:
    """Path, size and time of a file, or of each file in a folder."""
    place = root / path
    inside = sorted(Path(folder, name) for folder, _, names in os.walk(place) for name in names)
    for file in [place] if place.is_file() else inside:
        state = file.stat()
        yield file.relative_to(root).as_posix(), state.st_size, state.st_mtime_ns
