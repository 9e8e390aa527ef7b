"""Fingerprints of Assay's own sources: which of them a stage imports, and what those do.

The library is environment, as torch is: a stage runs again when what it imports of Assay changed, and both arms are
measured again when what trains did. Comments and layout change no fingerprint, and neither does the place.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from assay.core.paths import CODED
from assay.runtime import files, import_closure, source_analysis_cache
from assay.runtime import source_roots as trees
from assay.runtime.source_roots import Tree

#: name under which the fingerprint of what trains is found beside those of stages
TRAINING = "training"
#: stage → modules of the library where its code begins: its own, and those that it starts beside itself
ENTRIES: Mapping[str, tuple[str, ...]] = {stage: (f"stages/{stage}.py",) for stage in CODED} | {
    "baseline": ("stages/baseline.py", "stages/floors.py", "stages/measure.py"),
    "evaluate": ("stages/evaluate.py", "stages/show_examples.py"),
    TRAINING: ("training/train_and_predict.py",),
}


def command(stage: str, *arguments: str) -> list[str]:
    """The command line that starts a stage of this very library in a process of its own, in the folder of dvc.yaml."""
    return [sys.executable, str(trees.OURS / "__main__.py"), "stage", stage, *arguments]


def sources(
    name: str, tree: Tree = trees.LIBRARY_TREE, looked: import_closure.Looked | None = None
) -> tuple[Path, ...]:
    """Files of the library that a stage, or training, reaches."""
    return import_closure.import_closure(tree, [Path(trees.LIBRARY, entry) for entry in ENTRIES[name]], looked)


def fingerprints(tree: Tree = trees.LIBRARY_TREE) -> dict[str, str]:
    """Stage → fingerprint of what it imports of the library in `tree`, and that of what trains."""
    key = files.digest(b"library" + repr(dict(ENTRIES)).encode() + _content(tree).encode())
    known = source_analysis_cache.recall(key)
    if known is None:
        looked = import_closure.Looked()
        found = {name: import_closure.code_hash(tree, sources(name, tree, looked)) for name in ENTRIES}
        known = source_analysis_cache.learn(key, [f"{name}={value}" for name, value in found.items()])
    return dict(entry.split("=", 1) for entry in known)


def _content(tree: Tree) -> str:
    """Hash over the library's files as they are: much quicker to tell than what they do."""
    found = sorted((tree.root / trees.LIBRARY).rglob("*.py"))
    lines = (f"{files.digest(path.read_bytes())} {path.relative_to(tree.root).as_posix()}\n" for path in found)
    return files.digest("".join(lines).encode("utf-8", "surrogateescape"))


def of_work_tree(root: Path) -> Tree | None:
    """The library's sources in the work tree around `root`, where these are a checkout of Assay itself."""
    project = trees.project(root)
    places = (root / folder for folder in project.folders)
    found = next((place for place in places if (place / trees.LIBRARY / "stages" / "train.py").is_file()), None)
    return Tree(found.resolve(), (".",), library=True) if found else None
