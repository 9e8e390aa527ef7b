"""A module cut into units: its top-level statements, each import of a name a unit of its own.

Covers: which names a unit binds, its normal form, what it uses, whether it has effects at import. Statements that
importing never runs (`if __name__ == "__main__":`) or that do nothing (docstrings) are no units; imports under
`if TYPE_CHECKING:` are, for annotations that name them. Not covered: what the names stand for elsewhere.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from assay.core import ast_normal_form
from assay.core.reachability.import_side_effects import Resolve, acts, has_effects
from assay.core.reachability.python_scopes import Chain, bound_names, imported, loaded
from assay.core.reachability.used_and_mutated_names import Scan, scan


@dataclass(frozen=True, eq=False)
class Unit:
    module: str
    place: int  # in the module, from 0
    text: str  # normal form, or `name = module.name` for an import
    binds: frozenset[str]
    scan: Scan
    executed: bool  # by importing the module
    effects: bool  # importing may do more here than bind names
    acts: bool  # the same, where a class may derive from any other
    node: ast.stmt | None  # where it is a whole statement
    lines: tuple[int, int]  # of the source, from 1, both inclusive

    @property
    def is_import(self) -> bool:
        return self.node is None and bool(self.binds)


def units_of(module: str, source: ast_normal_form.Source, owns: Callable[[str], bool]) -> list[Unit]:
    """The units of `module`, in the order of its source; `owns`: whether a dotted name is the project's.

    Raises UsageError when the source is not valid Python.
    """
    package = module if source.package else module.rpartition(".")[0]
    lines = list(_statements(ast_normal_form.parse(source.text, module).body, True))
    resolve = _resolver([line for line, _ in lines], package, owns)
    pieces = (piece for line, executed in lines for piece in _pieces(line, package, executed, resolve))
    return [Unit(module, place, *piece) for place, piece in enumerate(pieces)]


_Piece = tuple[str, frozenset[str], Scan, bool, bool, bool, "ast.stmt | None", tuple[int, int]]


def _statements(body: Iterable[ast.stmt], executed: bool) -> Iterator[tuple[ast.stmt, bool]]:
    for line in body:
        condition = ast.unparse(line.test) if isinstance(line, ast.If) else ""
        if isinstance(line, ast.If) and condition.rpartition(".")[2] == "TYPE_CHECKING":
            yield from _statements(line.body, False)
            yield from _statements(line.orelse, executed)
        elif isinstance(line, ast.If) and "__name__" in condition and "__main__" in condition:
            yield from _statements(line.orelse, executed)
        elif not ast_normal_form.does_nothing(line):
            yield line, executed


def _resolver(lines: list[ast.stmt], package: str, owns: Callable[[str], bool]) -> Resolve:
    """What chains of names mean in a module with these top-level statements."""
    imports = [line for line in lines if isinstance(line, (ast.Import, ast.ImportFrom))]
    others = [line for line in lines if line not in imports]
    own, maybe = bound_names(others, imports=False), bound_names(others)
    targets = {name: target for line in imports for name, target in imported(line, package).items()}

    def resolve(chain: Chain) -> str:
        target = targets.get(chain[0])
        if chain[0] in own or (target is not None and owns(target)):
            return ""
        if chain[0] in maybe:  # imported under a condition
            return "?"
        return ".".join([target or chain[0], *chain[1:]])

    return resolve


def _pieces(line: ast.stmt, package: str, executed: bool, resolve: Resolve) -> Iterator[_Piece]:
    lines = _lines(line)
    if not isinstance(line, (ast.Import, ast.ImportFrom)):
        effects = executed and has_effects(line, resolve), executed and acts(line, resolve)
        text, found = ast_normal_form.text(line), scan([line], package)
        yield text, frozenset(bound_names([line])), found, executed, *effects, line, lines
        return
    for name, target in imported(line, package).items():
        if name == "*":
            yield f"from {target}", frozenset(), scan([line], package), executed, executed, executed, None, lines
        else:
            found = Scan(imports={name: {target}}, loads=loaded(line, package))
            yield f"{name} = {target}", frozenset({name}), found, executed, False, False, None, lines


def _lines(line: ast.stmt) -> tuple[int, int]:
    """First and last line, decorators included."""
    above = [decorator.lineno for decorator in getattr(line, "decorator_list", [])]
    return min([line.lineno, *above]), line.end_lineno or line.lineno
