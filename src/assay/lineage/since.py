"""What the tree as it stands changes against an accepted strategy.

Covers: gathering parameters and strategy sources of both trees. Not covered: counting and wording
(`judging.changes`), and finding the strategy's commit (`arms.accepted`).
"""

from __future__ import annotations

from pathlib import Path

from assay.arms import accepted
from assay.arms.accepted import Accepted
from assay.arms.request import LEARNING
from assay.judging.changes import Changes, changes
from assay.outside import closure, files, task_source
from assay.outside.pipeline import Run
from assay.words import params

#: where a strategy's code begins, beside the task's own modules: splitting, and training
ENTRIES = (Path("src/assay/data/split.py"), LEARNING)


def since(run: Run, named: Accepted, profile: str) -> Changes | None:
    """Differences between `named` and the project's working tree; None for the floor, which has neither."""
    if named.name == accepted.FLOOR:
        return None
    old, new = accepted.unpack(run, named.commit), run.layout.root
    return changes(_parameters(old, profile), _parameters(new, profile), strategy_sources(old), strategy_sources(new))


def strategy_sources(root: Path) -> dict[str, str]:
    """Path → text of every source that prepares, splits or trains in the tree at `root`."""
    task = params.load(files.read_bytes(root / "params.yaml"), str(root / "params.yaml")).task.name
    entries = [*ENTRIES, *(task_source.path(root, task, name).relative_to(root) for name in ("data", "learning"))]
    reached = closure.import_closure(root, entries)
    return {file.as_posix(): (root / file).read_text(encoding="utf-8", errors="replace") for file in reached}


def _parameters(root: Path, profile: str) -> dict[str, object]:
    path = root / "params.yaml"
    return params.strategy(params.resolved(files.read_bytes(path), profile, str(path)))
