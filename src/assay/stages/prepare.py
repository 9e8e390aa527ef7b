"""prepare: whatever the task has → canonical raw examples with stable ids, and a data card."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from assay.core.json_encoding import json_form
from assay.data import storage
from assay.data.data_card import card
from assay.data.validate_examples import canonical
from assay.runtime import files, import_closure, progress_line, source_analysis_cache, task_code, task_source
from assay.runtime.source_roots import LIBRARY_TREE
from assay.runtime.stage_setup import start

CARD = "card.json"
#: what makes examples of what prepare() returns
OURS = (Path("assay/data/validate_examples.py"), Path("assay/data/storage.py"))
#: of a prepare() that draws without a seed, or reads what nobody declared; both arms of a run see the same examples, so
#: that its verdict holds
OTHERWISE = (
    "prepare: the same code, parameters and files gave other examples before, so that no earlier number can be "
    "compared; next: seed what prepare() draws, or name what it reads under stages.prepare.deps in dvc.yaml"
)


def main(root: Path, _arguments: Sequence[str]) -> None:
    ctx = start(root, "prepare")
    module = ctx.task("data")
    where = task_source.where(root, ctx.params.task.name, "data")
    with progress_line.showing(progress_line.running("prepare")):
        with ctx.said_by_task("data"):  # a Dataset computes its items while they are stored
            found = canonical(module.prepare(**ctx.params.data), where, ctx.layout.prepared)
        content = storage.write(ctx.layout.prepared, "all", found).content
        described = card(found)
    files.write_text(ctx.layout.prepared / CARD, json.dumps(described, indent=2) + "\n")
    kind = f"{len(found.classes)} classes" if found.classes else "regression"
    print(f"prepare: {storage.in_words(found)}, {kind}, {described['exact_duplicates']} exact duplicates")
    if _otherwise(root, ctx.params.task.name, ctx.params.data, ctx.dependencies, content):
        print(OTHERWISE)
    source_analysis_cache.save(ctx.run.store.sources)


def _otherwise(root: Path, task: str, given: object, dependencies: Iterable[str], content: str) -> bool:
    """Whether examples other than `content` (a digest) came of this before; takes note of these.

    `given` are the parameters of the task's prepare(), `dependencies` what the stage watches: files that are no sources
    count by their size and time, since DVC runs the stage again for their content.
    """
    own, ours = task_code.closure(root, task, task_code.DATA), import_closure.import_closure(LIBRARY_TREE, OURS)
    packages = import_closure.third_party(root, own) | import_closure.third_party(LIBRARY_TREE, ours)
    versions = {name: str(getattr(sys.modules.get(name), "__version__", "")) for name in packages}
    code = task_code.digest(root, task, task_code.DATA) + import_closure.code_hash(LIBRARY_TREE, ours)
    watched = [state for path in dependencies if not path.endswith(".py") for state in _states(root, path)]
    key = files.digest(
        msgspec.json.encode(["prepared", code, versions, json_form(given), watched], order="deterministic")
    )
    before = source_analysis_cache.recall(key)
    if before != [content]:
        source_analysis_cache.learn(key, [content])
    return before not in (None, [content])


def _states(root: Path, path: str) -> Iterator[tuple[str, int, int]]:
    """Path, size and time of a file, or of each file in a folder; it may be given by an absolute path elsewhere."""
    place = root / path
    inside = sorted(Path(folder, name) for folder, _, names in os.walk(place) for name in names)
    for file in [place] if place.is_file() else inside:
        state = file.stat()
        yield Path(os.path.relpath(file, root)).as_posix(), state.st_size, state.st_mtime_ns
