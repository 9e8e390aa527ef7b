"""One piece of a module's code: the global names it uses, and what it may change in place.

Covers: Python's scopes (parameters, locals, comprehensions, `global`), chains such as `helpers.table.x`,
the difference between what runs at import (`now`) and what a later call runs. Not covered: which module
or definition a name stands for (`judging.metric_version_reach`).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from assay.judging.metric_version_names import (
    COMPREHENSIONS,
    FUNCTIONS,
    Chain,
    base_of,
    bound_names,
    chain_of,
    imported,
    loaded,
)
from assay.judging.metric_version_readers import READING

#: names behind which nobody can list beforehand what is read
OPAQUE = frozenset(
    ("getattr", "setattr", "delattr", "globals", "locals", "vars", "exec", "eval", "__import__", "import_module")
)
OPAQUE_ATTRIBUTES = frozenset(("__dict__", "__subclasses__", "__globals__", "import_module", "reload"))


@dataclass
class Effects:
    """What code may do to global names beyond reading them."""

    stores: set[Chain] = field(default_factory=set)  # bound anew, or an item or attribute of it set
    calls: set[Chain] = field(default_factory=set)  # called; the last part may be a method
    handed: set[tuple[Chain, Chain]] = field(default_factory=set)  # (what is called, with which argument)
    bases: set[Chain] = field(default_factory=set)  # subclassed
    blind: bool = False  # changes an object that has no global name: it may be any of those it uses
    opaque: bool = False  # reaches names that cannot be listed


@dataclass
class Scan:
    """Result of scanning some nodes; `later` includes `now`."""

    uses: set[Chain] = field(default_factory=set)
    now: Effects = field(default_factory=Effects)
    later: Effects = field(default_factory=Effects)
    imports: dict[str, set[str]] = field(default_factory=dict)  # local name → dotted targets, of inner imports
    loads: set[str] = field(default_factory=set)  # dotted names that inner imports execute
    modules: set[str] = field(default_factory=set)  # import_module("literal"), and inner star imports


@dataclass(frozen=True)
class _Place:
    node: ast.AST
    hidden: frozenset[str]  # names that are local here
    now: bool  # runs when the module is imported


def scan(nodes: Iterable[ast.AST], package: str) -> Scan:
    """What `nodes` use and may change. `package` is what relative imports start from."""
    found = Scan()
    waiting = [_Place(node, frozenset(), True) for node in nodes]
    while waiting:  # a stack of our own: expressions may be nested deeper than Python recurses
        place = waiting.pop()
        visit: Callable[[Scan, _Place, str], Iterator[_Place]] = _plain
        for kind, special in _VISITS:
            if isinstance(place.node, kind):
                visit = special
                break
        waiting.extend(visit(found, place, package))
    return found


def _under(place: _Place, nodes: Iterable[ast.AST | None]) -> Iterator[_Place]:
    return (_Place(node, place.hidden, place.now) for node in nodes if node is not None)


def _plain(found: Scan, place: _Place, package: str) -> Iterator[_Place]:
    yield from _under(place, ast.iter_child_nodes(place.node))


def _function(found: Scan, place: _Place, package: str) -> Iterator[_Place]:
    node = place.node
    assert isinstance(node, (*FUNCTIONS, ast.Lambda))
    body: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else list(node.body)
    if not isinstance(node, ast.Lambda):
        _decorated(found, place, node.decorator_list)
    inside = set(map(id, body))  # all else (decorators, defaults, annotations) runs where the function is defined
    yield from _under(place, (child for child in ast.iter_child_nodes(node) if id(child) not in inside))
    walked = [inner for line in body for inner in ast.walk(line)]
    declared = {name for inner in walked if isinstance(inner, ast.Global) for name in inner.names}
    parameters = {argument.arg for argument in ast.walk(node.args) if isinstance(argument, ast.arg)}
    hidden = (place.hidden | parameters | bound_names(body, imports=False)) - declared
    yield from (_Place(line, hidden, False) for line in body)


def _class(found: Scan, place: _Place, package: str) -> Iterator[_Place]:
    assert isinstance(place.node, ast.ClassDef)
    _decorated(found, place, place.node.decorator_list)
    for base in (*place.node.bases, *(keyword.value for keyword in place.node.keywords)):
        _note(found, place, "bases", base_of(base))
    yield from _plain(found, place, package)


def _decorated(found: Scan, place: _Place, decorators: Iterable[ast.expr]) -> None:
    for decorator in decorators:
        _called(found, place, decorator)  # `@d` calls d; `@d(…)` is a call of its own besides


def _comprehension(found: Scan, place: _Place, package: str) -> Iterator[_Place]:
    assert isinstance(place.node, COMPREHENSIONS)
    first = place.node.generators[0].iter  # evaluated outside of the comprehension's own scope
    targets = {
        name.id
        for generator in place.node.generators
        for name in ast.walk(generator.target)
        if isinstance(name, ast.Name)
    }
    yield _Place(first, place.hidden, place.now)
    inner = [child for generator in place.node.generators for child in ast.iter_child_nodes(generator)]
    rest = [child for child in ast.iter_child_nodes(place.node) if not isinstance(child, ast.comprehension)]
    for child in (*inner, *rest):
        if child is not first:
            yield _Place(child, place.hidden | targets, place.now)


def _call(found: Scan, place: _Place, package: str) -> Iterator[_Place]:
    node = place.node
    assert isinstance(node, ast.Call)
    name = (base_of(node.func) or ("",))[-1]
    texts = [_literal(argument) for argument in node.args]
    if name == "getattr" and len(texts) > 1 and texts[1]:
        yield from _under(place, [ast.Attribute(node.args[0], texts[1], ast.Load()), *node.args[2:]])
    elif name == "import_module" and texts and texts[0].strip(".") == texts[0] != "":
        found.modules.add(texts[0])
    else:
        if name in ("setattr", "delattr") and node.args:
            _note(found, place, "stores", (*(base_of(node.args[0]) or ("",)), *texts[1:2]))
        _called(found, place, node.func)
        for argument in node.args:
            _hand(found, place, base_of(node.func), argument)
        for keyword in node.keywords:  # `out` is where array libraries write
            _hand(found, place, None if keyword.arg == "out" else base_of(node.func), keyword.value)
        yield from _plain(found, place, package)


def _literal(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _called(found: Scan, place: _Place, function: ast.expr) -> None:
    chain = base_of(function)
    if isinstance(function, ast.Attribute):
        owner = base_of(function.value)
        chain = (*owner, function.attr) if owner else None
        if function.attr in READING and (chain is None or chain[0] in place.hidden):
            return
    if chain or isinstance(function, ast.Attribute):
        _note(found, place, "calls", chain)


def _hand(found: Scan, place: _Place, function: Chain | None, argument: ast.expr) -> None:
    """Note the objects that a call receives with `argument`, displays opened."""
    known = function if function and function[0] not in place.hidden else ()
    waiting: list[ast.expr | None] = [argument]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
            waiting.extend(node.elts)
        elif isinstance(node, ast.Dict):
            waiting.extend(node.values)
        elif node is not None and (chain := base_of(node)) and chain[0] not in place.hidden:
            for effects in _effects(found, place):
                effects.handed.add((known, chain))


def _effects(found: Scan, place: _Place) -> tuple[Effects, ...]:
    return (found.now, found.later) if place.now else (found.later,)


def _note(found: Scan, place: _Place, what: str, chain: Chain | None) -> None:
    """Note `chain` under `what`. What has no global name may be any object in use, unless it is a class's base."""
    for effects in _effects(found, place):
        if chain and chain[0] and chain[0] not in place.hidden:
            getattr(effects, what).add(chain)
        elif what == "stores" or (what == "calls" and (chain is None or len(chain) > 1)):
            effects.blind = True


def _attribute(found: Scan, place: _Place, package: str) -> Iterator[_Place]:
    node = place.node
    assert isinstance(node, ast.Attribute)
    if not isinstance(node.ctx, ast.Load):
        _note(found, place, "stores", base_of(node))
    chain = chain_of(node)
    if OPAQUE_ATTRIBUTES & {node.attr, *(chain or ())} or (chain and chain[:2] == ("sys", "modules")):
        _opaque(found, place)
    if chain is None:
        yield from _under(place, [node.value])
    elif chain[0] not in place.hidden:
        found.uses.add(chain)


def _statement(found: Scan, place: _Place, package: str) -> Iterator[_Place]:
    assert isinstance(place.node, ast.Expr)
    if isinstance(place.node.value, (ast.BinOp, ast.Subscript, ast.Attribute)):  # `TABLE << entry`
        _note(found, place, "stores", None)
    yield from _plain(found, place, package)


def _augmented(found: Scan, place: _Place, package: str) -> Iterator[_Place]:
    assert isinstance(place.node, ast.AugAssign)
    if isinstance(place.node.target, ast.Name) and place.node.target.id not in place.hidden:
        _note(found, place, "stores", (place.node.target.id,))  # `x += y` changes a list in place
    yield from _plain(found, place, package)


def _subscript(found: Scan, place: _Place, package: str) -> Iterator[_Place]:
    assert isinstance(place.node, ast.Subscript)
    if not isinstance(place.node.ctx, ast.Load):
        _note(found, place, "stores", base_of(place.node))
    yield from _plain(found, place, package)


def _name(found: Scan, place: _Place, package: str) -> Iterator[_Place]:
    node = place.node
    assert isinstance(node, ast.Name)
    if node.id in place.hidden:
        return
    if isinstance(node.ctx, ast.Load):
        found.uses.add((node.id,))
    elif not place.now:  # declared global in a function
        found.uses.add((node.id,))
        found.later.stores.add((node.id,))
    if node.id in OPAQUE:
        _opaque(found, place)
    yield from ()


def _opaque(found: Scan, place: _Place) -> None:
    found.later.opaque = True
    found.now.opaque = found.now.opaque or place.now


def _import(found: Scan, place: _Place, package: str) -> Iterator[_Place]:
    node = place.node
    assert isinstance(node, (ast.Import, ast.ImportFrom))
    found.loads |= loaded(node, package)
    for local, target in imported(node, package).items():
        if local == "*":
            found.modules.add(target.removesuffix(".*"))
            _opaque(found, place)
        else:
            found.imports.setdefault(local, set()).add(target)
    return iter(())


_VISITS: tuple[tuple[tuple[type[ast.AST], ...], Callable[[Scan, _Place, str], Iterator[_Place]]], ...] = (
    ((*FUNCTIONS, ast.Lambda), _function),
    ((ast.ClassDef,), _class),
    (COMPREHENSIONS, _comprehension),
    ((ast.Call,), _call),
    ((ast.Attribute,), _attribute),
    ((ast.Subscript,), _subscript),
    ((ast.Expr,), _statement),
    ((ast.AugAssign,), _augmented),
    ((ast.Name,), _name),
    ((ast.Import, ast.ImportFrom), _import),
)
