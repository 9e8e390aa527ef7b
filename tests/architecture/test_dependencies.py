"""Packages that the library imports, that pyproject.toml asks for, and that docs/dependencies.md gives a reason for."""

from __future__ import annotations

import ast
import re
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: imported by pytest itself, and by nothing else: pytest is there then
PLUGIN = "pytest_plugin.py"


def declared() -> set[str]:
    """Distributions that come with a plain installation."""
    asked = [line for line in metadata.requires("dvc-assay") or [] if "extra ==" not in line]
    return {_plain(re.split(r"[^\w.-]", line)[0]) for line in asked}


def optional() -> set[str]:
    """Distributions that come with the extras that serve users: `ready`, `report`, `search` and `slurm`."""
    ours = re.compile(r"extra == .(ready|report|search|slurm).")
    asked = [line for line in metadata.requires("dvc-assay") or [] if ours.search(line)]
    return {_plain(re.split(r"[^\w.-]", line)[0]) for line in asked}


def imported() -> set[str]:
    """First names of all absolute imports under src that are neither Python's nor ours."""
    found: set[str] = set()
    for file in (ROOT / "src").rglob("*.py"):
        if file.name == PLUGIN:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add((node.module or "").partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"assay", "tasks"}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_what_is_imported_is_asked_for() -> None:
    """Not left to whatever else brings it along today."""
    makers, known = metadata.packages_distributions(), declared() | optional()
    undeclared = [name for name in sorted(imported()) if known.isdisjoint(map(_plain, makers[name]))]
    assert not undeclared


def test_each_has_a_line_of_reason() -> None:
    page = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z][\w.-]*) \| (?!why)[^|]* \|$", page, re.MULTILINE)
    assert {_plain(name) for name in rows} == declared()
