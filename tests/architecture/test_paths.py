"""Paths of the project stand in core/paths.py and nowhere else in src/assay."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "assay"
HOME = SOURCE / "core" / "paths.py"
#: texts that are nothing but a path of ours, or the beginning of one; a sentence that names one has other characters
OURS = re.compile(
    r"(params\.yaml|dvc\.yaml|dvc\.lock"
    r"|(results|plots|context|arms|models|predictions|data/prepared|data/split)/[\w./-]*"
    r"|[\w-]*(metrics|environment|report|manifest)\.json|(replicates|rulers|cases|confirmation)\.csv)"
)


def literals(path: Path) -> Iterator[ast.Constant]:
    """String constants that are no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare:
            yield node


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_no_path_of_ours_is_written_out(path: Path) -> None:
    found = [f"{path.name}:{node.lineno} {node.value}" for node in literals(path) if OURS.fullmatch(str(node.value))]
    assert not found or path == HOME, "name it by assay.core.paths"
