"""Shapes and bytes of the weights that an arm left behind."""

from __future__ import annotations

import hashlib
from pathlib import Path

from safetensors import safe_open

from support.project import Project


def shapes(project: Project, arm: str) -> list[tuple[int, ...]]:
    """Shapes of the tensors of the arm's replicates, which must agree."""
    found = {tuple(_shapes(file)) for file in sorted((project.root / "models" / arm).glob("*.safetensors"))}
    assert len(found) == 1, f"replicates of {arm} have the shapes {found}"
    return list(found.pop())


def _shapes(file: Path) -> list[tuple[int, ...]]:
    with safe_open(file, "np") as stream:
        return sorted(tuple(stream.get_slice(name).get_shape()) for name in stream.keys())  # noqa: SIM118


def digests(project: Project) -> dict[str, str]:
    """Hash of each file that decides or shows a number: weights, predictions, per-seed values, verdict."""
    files = [*project.root.glob("models/*/*"), *project.root.glob("predictions/*/*")]
    files += [*project.root.glob("results/*.csv"), *project.root.glob("plots/*.csv")]
    return {
        file.relative_to(project.root).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(files)
    }
