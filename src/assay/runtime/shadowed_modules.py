"""Modules of the project with the name of an installed package that a stage needs: one would break the other."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from assay.core.errors import UsageError
from assay.runtime import source_roots as trees
from assay.runtime import sys_path

DISTRIBUTION = "dvc-assay"


def check(root: Path, packages: Iterable[str]) -> None:
    """Refuse a module of the project that hides a package which Assay or one of `packages` (import names) needs."""
    hidden = sys_path.shadowing(trees.project(root))
    if not hidden:
        return
    makers = metadata.packages_distributions()
    needed = _needed([DISTRIBUTION, *(maker for name in packages for maker in makers.get(name, []))])
    for name, file in hidden.items():
        distribution = next((maker for maker in makers.get(name, [name]) if _plain(maker) in needed), None)
        if distribution:
            raise UsageError(
                f"{file.as_posix()} has the name of the package {distribution}, which is needed here",
                hint=f"rename it: git mv {file.as_posix()} …",
            )


def _needed(distributions: Iterable[str]) -> set[str]:
    """These and all that they require, as far as it is installed."""
    found: set[str] = set()
    waiting = [_plain(name) for name in distributions]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _required(name)
    return found


def _required(name: str) -> list[str]:
    try:
        lines = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []
    return [_plain(re.split(r"[^\w.-]", line)[0]) for line in lines if "extra ==" not in line]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
