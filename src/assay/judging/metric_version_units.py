"""A module cut into units: its top-level statements, each import of a name a unit of its own.

Covers: which names a unit binds, its normal form, what it uses and may change. Statements that importing
never runs (`if __name__ == "__main__":`) or that do nothing (docstrings) are no units; imports under
`if TYPE_CHECKING:` are, for annotations that name them. Not covered: what the names stand for elsewhere.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from assay.judging.metric_version_names import bound_names, imported, loaded
from assay.judging.metric_version_scan import Scan, scan
from assay.words import normal_form


@dataclass(frozen=True, eq=False)
class Unit:
    module: str
    place: int  # in the module, from 0
    text: str  # normal form, or `name = module.name` for an import
    binds: frozenset[str]
    scan: Scan
    executed: bool  # by importing the module
    node: ast.stmt | None  # where it is a whole statement
    kind: str  # "import", "definition" (def, class), "fixed" (a literal nobody changes in place), "call", "other"


def units_of(module: str, source: normal_form.Source) -> list[Unit]:
    """The units of `module`, in the order of its source. Raises UsageError when it is not valid Python."""
    package = module if source.package else module.rpartition(".")[0]
    tree = normal_form.parse(source.text, module)
    pieces = (piece for line, executed in _statements(tree.body, True) for piece in _pieces(line, package, executed))
    return [Unit(module, place, *piece) for place, piece in enumerate(pieces)]


_Piece = tuple[str, frozenset[str], Scan, bool, "ast.stmt | None", str]


def _statements(body: Iterable[ast.stmt], executed: bool) -> Iterator[tuple[ast.stmt, bool]]:
    for line in body:
        condition = ast.unparse(line.test) if isinstance(line, ast.If) else ""
        if isinstance(line, ast.If) and condition.rpartition(".")[2] == "TYPE_CHECKING":
            yield from _statements(line.body, False)
            yield from _statements(line.orelse, executed)
        elif isinstance(line, ast.If) and "__name__" in condition and "__main__" in condition:
            yield from _statements(line.orelse, executed)
        elif not normal_form.does_nothing(line):
            yield line, executed


def _pieces(line: ast.stmt, package: str, executed: bool) -> Iterator[_Piece]:
    if not isinstance(line, (ast.Import, ast.ImportFrom)):
        names = frozenset(bound_names([line]))
        yield normal_form.text(line), names, scan([line], package), executed, line, _kind(line)
        return
    for name, target in imported(line, package).items():
        if name == "*":
            yield f"from {target}", frozenset(), scan([line], package), executed, None, "other"
        else:
            found = Scan(imports={name: {target}}, loads=loaded(line, package))
            yield f"{name} = {target}", frozenset({name}), found, executed, None, "import"


def _kind(line: ast.stmt) -> str:
    if isinstance(line, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return "definition"
    if isinstance(line, ast.Expr):
        return "call"
    value = line.value if isinstance(line, (ast.Assign, ast.AnnAssign)) else None
    return "fixed" if value is not None and _is_fixed(value) else "other"


def _is_fixed(value: ast.expr) -> bool:
    allowed = (ast.Constant, ast.Tuple, ast.UnaryOp, ast.BinOp, ast.operator, ast.unaryop, ast.expr_context)
    return all(isinstance(node, allowed) for node in ast.walk(value))
