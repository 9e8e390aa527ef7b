"""Names in src/assay: each module and each class has one of its own, but for a command and its file in cli/."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2] / "src" / "assay"
FILES = sorted(path for path in ROOT.rglob("*.py") if path.name != "__init__.py")


def several(places: Mapping[str, list[str]]) -> dict[str, list[str]]:
    return {name: found for name, found in places.items() if len(found) > 1}


def test_no_module_has_the_name_of_another() -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for path in FILES:
        if path.parent.name != "cli" or not (ROOT / "commands" / path.name).is_file():
            found[path.stem].append(path.relative_to(ROOT).as_posix())
    assert not several(found)


def test_no_class_has_the_name_of_another() -> None:
    """A private one neither: an underscore tells no reader which of two is meant."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in FILES:
        for line in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(line, ast.ClassDef):
                found[line.name.lstrip("_")].append(path.relative_to(ROOT).as_posix())
    assert not several(found)
