"""Names in Python code: which ones a scope binds, what an import statement makes them stand for.

Covers: targets of every kind, comprehensions, walrus, relative imports, chains such as `a.b.c`.
Not covered: what code does with the names (`core.reachability.used_and_mutated_names`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

#: a global name and the attributes after it: ("helpers", "table") for `helpers.table[0]`
Chain = tuple[str, ...]

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def bound_names(nodes: Iterable[ast.AST], *, imports: bool = True) -> set[str]:
    """Names that running `nodes` binds in the scope they stand in, those that it declares global included."""
    bound: set[str] = set()
    waiting = [(node, False) for node in nodes]
    while waiting:
        node, inside = waiting.pop()
        inside = inside or isinstance(node, COMPREHENSIONS)
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            bound.update(imported(node, "") if imports else ())
        elif isinstance(node, ast.NamedExpr) and isinstance(node.target, ast.Name):
            bound.add(node.target.id)
        elif not inside:
            bound.update(_binds(node))
        waiting.extend((child, inside) for child in _same_scope(node))
    return bound


def imported(node: ast.Import | ast.ImportFrom, package: str) -> dict[str, str]:
    """Local name → absolute dotted target. `import a.b` binds `a`, and its target is `a`."""
    if isinstance(node, ast.Import):
        pairs = ((alias.asname, alias.name) for alias in node.names)
        return {local or name.partition(".")[0]: name if local else name.partition(".")[0] for local, name in pairs}
    origin = source_of(node, package)
    return {alias.asname or alias.name: f"{origin}.{alias.name}" for alias in node.names}


def loaded(node: ast.Import | ast.ImportFrom, package: str) -> set[str]:
    """Dotted names that an import statement executes, where they are modules."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    origin = source_of(node, package)
    return {origin, *(f"{origin}.{alias.name}" for alias in node.names)}


def source_of(node: ast.ImportFrom, package: str) -> str:
    """The module of `from MODULE import …`, absolute."""
    if not node.level:
        return node.module or ""
    around = package.split(".")
    return ".".join([*around[: len(around) - node.level + 1], *([node.module] if node.module else [])])


def chain_of(node: ast.AST) -> Chain | None:
    """`a.b.c` as a chain, None for anything that does not start with a name."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    return (node.id, *reversed(attributes)) if isinstance(node, ast.Name) else None


def _binds(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Name):
        return set() if isinstance(node.ctx, ast.Load) else {node.id}
    if isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
        return {node.name} if node.name else set()
    return {node.rest} if isinstance(node, ast.MatchMapping) and node.rest else set()


def _same_scope(node: ast.AST) -> Iterable[ast.AST]:
    inner = isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.Lambda))
    return () if inner else ast.iter_child_nodes(node)
