"""One piece of a module's code: the global names it uses, and the modules that it imports inside.

Covers: Python's scopes (parameters, locals, comprehensions, `global`), chains such as `helpers.table.x`. Not covered:
which module or definition a name stands for (`core.reachability.reachable_code`), what code does to what it uses.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from assay.core.reachability.python_scopes import (
    COMPREHENSIONS,
    FUNCTIONS,
    Chain,
    bound_names,
    chain_of,
    imported,
    loaded,
)

#: names behind which nobody can list beforehand what is read
OPAQUE = frozenset(
    ("getattr", "setattr", "delattr", "globals", "locals", "vars", "exec", "eval", "__import__", "import_module")
)
OPAQUE_ATTRIBUTES = frozenset(("__dict__", "__subclasses__", "__globals__", "import_module", "reload"))


@dataclass
class Scan:
    """Result of scanning some nodes."""

    uses: set[Chain] = field(default_factory=set)
    imports: dict[str, set[str]] = field(default_factory=dict)  # local name → dotted targets, of inner imports
    loads: set[str] = field(default_factory=set)  # dotted names that inner imports execute
    modules: set[str] = field(default_factory=set)  # import_module("literal"), and inner star imports
    opaque: bool = False  # reaches names that cannot be listed


@dataclass(frozen=True)
class _ScopedNode:
    node: ast.AST
    hidden: frozenset[str]  # names that are local here
    inside: bool  # in the body of a function


def scan(nodes: Iterable[ast.AST], package: str) -> Scan:
    """What `nodes` use. `package` is what relative imports start from."""
    found = Scan()
    waiting = [_ScopedNode(node, frozenset(), False) for node in nodes]
    while waiting:  # a stack of our own: expressions may be nested deeper than Python recurses
        place = waiting.pop()
        visit: Callable[[Scan, _ScopedNode, str], Iterator[_ScopedNode]] = _plain
        for kind, special in _VISITS:
            if isinstance(place.node, kind):
                visit = special
                break
        waiting.extend(visit(found, place, package))
    return found


def _under(place: _ScopedNode, nodes: Iterable[ast.AST | None]) -> Iterator[_ScopedNode]:
    return (_ScopedNode(node, place.hidden, place.inside) for node in nodes if node is not None)


def _plain(found: Scan, place: _ScopedNode, package: str) -> Iterator[_ScopedNode]:
    yield from _under(place, ast.iter_child_nodes(place.node))


def _function(found: Scan, place: _ScopedNode, package: str) -> Iterator[_ScopedNode]:
    node = place.node
    assert isinstance(node, (*FUNCTIONS, ast.Lambda))
    body: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else list(node.body)
    within = set(map(id, body))  # all else (decorators, defaults, annotations) stands outside of its scope
    yield from _under(place, (child for child in ast.iter_child_nodes(node) if id(child) not in within))
    walked = [inner for line in body for inner in ast.walk(line)]
    declared = {name for inner in walked if isinstance(inner, ast.Global) for name in inner.names}
    parameters = {argument.arg for argument in ast.walk(node.args) if isinstance(argument, ast.arg)}
    hidden = (place.hidden | parameters | bound_names(body, imports=False)) - declared
    yield from (_ScopedNode(line, hidden, True) for line in body)


def _comprehension(found: Scan, place: _ScopedNode, package: str) -> Iterator[_ScopedNode]:
    assert isinstance(place.node, COMPREHENSIONS)
    first = place.node.generators[0].iter  # evaluated outside of the comprehension's own scope
    targets = {
        name.id
        for generator in place.node.generators
        for name in ast.walk(generator.target)
        if isinstance(name, ast.Name)
    }
    yield _ScopedNode(first, place.hidden, place.inside)
    inner = [child for generator in place.node.generators for child in ast.iter_child_nodes(generator)]
    rest = [child for child in ast.iter_child_nodes(place.node) if not isinstance(child, ast.comprehension)]
    for child in (*inner, *rest):
        if child is not first:
            yield _ScopedNode(child, place.hidden | targets, place.inside)


def _call(found: Scan, place: _ScopedNode, package: str) -> Iterator[_ScopedNode]:
    node = place.node
    assert isinstance(node, ast.Call)
    name = (chain_of(node.func) or ("",))[-1]
    texts = [_literal(argument) for argument in node.args]
    if name == "getattr" and len(texts) > 1 and texts[1]:
        yield from _under(place, [ast.Attribute(node.args[0], texts[1], ast.Load()), *node.args[2:]])
    elif name == "import_module" and texts and texts[0].strip(".") == texts[0] != "":
        found.modules.add(texts[0])
    else:
        yield from _plain(found, place, package)


def _literal(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _attribute(found: Scan, place: _ScopedNode, package: str) -> Iterator[_ScopedNode]:
    node = place.node
    assert isinstance(node, ast.Attribute)
    chain = chain_of(node)
    if OPAQUE_ATTRIBUTES & {node.attr, *(chain or ())} or (chain and chain[:2] == ("sys", "modules")):
        found.opaque = True
    if chain is None:
        yield from _under(place, [node.value])
    elif chain[0] not in place.hidden:
        found.uses.add(chain)


def _name(found: Scan, place: _ScopedNode, package: str) -> Iterator[_ScopedNode]:
    node = place.node
    assert isinstance(node, ast.Name)
    if node.id in place.hidden:
        return
    if isinstance(node.ctx, ast.Load) or place.inside:  # bound inside and not hidden: declared global there
        found.uses.add((node.id,))
    found.opaque = found.opaque or node.id in OPAQUE
    yield from ()


def _import(found: Scan, place: _ScopedNode, package: str) -> Iterator[_ScopedNode]:
    node = place.node
    assert isinstance(node, (ast.Import, ast.ImportFrom))
    found.loads |= loaded(node, package)
    for local, target in imported(node, package).items():
        if local == "*":
            found.modules.add(target.removesuffix(".*"))
            found.opaque = True
        else:
            found.imports.setdefault(local, set()).add(target)
    return iter(())


_VISITS: tuple[tuple[tuple[type[ast.AST], ...], Callable[[Scan, _ScopedNode, str], Iterator[_ScopedNode]]], ...] = (
    ((*FUNCTIONS, ast.Lambda), _function),
    (COMPREHENSIONS, _comprehension),
    ((ast.Call,), _call),
    ((ast.Attribute,), _attribute),
    ((ast.Name,), _name),
    ((ast.Import, ast.ImportFrom), _import),
)
