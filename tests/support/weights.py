"""Shapes and bytes of the weights that an arm left behind."""

from __future__ import annotations

import hashlib
from pathlib import Path

from safetensors import safe_open

from support.project import Project

_NUMBERS = (".safetensors", ".npy", ".csv")


def shapes(project: Project, arm: str) -> list[tuple[int, ...]]:
    """Shapes of the tensors of the arm's replicates, which must agree."""
    found = {tuple(_shapes(file)) for file in sorted((project.root / "models" / arm).glob("*.safetensors"))}
    assert len(found) == 1, f"replicates of {arm} have the shapes {found}"
    return list(found.pop())


def _shapes(file: Path) -> list[tuple[int, ...]]:
    with safe_open(file, "np") as stream:
        return sorted(tuple(stream.get_slice(name).get_shape()) for name in stream.keys())  # noqa: SIM118


def digests(project: Project, *folders: str) -> dict[str, str]:
    """Hash of each file that decides or shows a number: weights, predictions, per-seed values, curves, plots."""
    names = folders or ("models", "predictions", "results", "plots")
    found = [file for name in names for file in (project.root / name).rglob("*") if file.suffix in _NUMBERS]
    return {
        file.relative_to(project.root).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(found)
    }
