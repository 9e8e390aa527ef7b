"""Effects at import: whether running a top-level statement can do more than bind names in its own module.

Covers: what is known to have none, statement by statement and call by call. Everything else counts as an effect: a list
of what changes objects (items, bound methods, loops over classes, contexts of other packages) would never be complete.
Not covered: what follows from an effect (`core.reachability.reachable_code`).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable

from assay.core.reachability.python_scopes import FUNCTIONS, Chain, chain_of

#: names in a module → dotted name in Python or another package, "" for the project's own, "?" for what nobody can tell
Resolve = Callable[[Chain], str]

#: functions, Python's own ones by their bare names, that leave alone what they are given
INERT_CALLS = frozenset(
    {"abs", "all", "any", "bool", "bytes", "classmethod", "complex", "dict", "divmod", "enumerate", "float"}
    | {"format", "frozenset", "hash", "id", "int", "isinstance", "issubclass", "len", "list", "max", "min", "pow"}
    | {"property", "range", "repr", "reversed", "round", "set", "slice", "sorted", "staticmethod", "str", "sum"}
    | {"tuple", "zip", "collections.namedtuple", "dataclasses.dataclass", "dataclasses.field", "functools.cache"}
    | {"functools.cached_property", "functools.lru_cache", "functools.partial", "functools.wraps"}
    | {"logging.getLogger", "numpy.arange", "numpy.array", "numpy.asarray", "numpy.dtype", "numpy.eye", "numpy.finfo"}
    | {"numpy.full", "numpy.iinfo", "numpy.linspace", "numpy.ones", "numpy.zeros", "pathlib.Path", "re.compile"}
    | {"typing.NewType", "typing.TypeVar", "typing.cast", "typing.final", "typing.overload"}
)
#: modules whose functions all leave alone what they are given
INERT_MODULES = ("math.", "operator.attrgetter", "operator.itemgetter")
#: classes that do nothing when they are subclassed
INERT_BASES = frozenset(
    {"ArithmeticError", "Exception", "KeyError", "LookupError", "RuntimeError", "TypeError", "ValueError"}
    | {"dict", "float", "frozenset", "int", "list", "object", "set", "str", "tuple", "abc.ABC", "enum.Enum"}
    | {"enum.IntEnum", "typing.Generic", "typing.NamedTuple", "typing.Protocol", "typing.TypedDict"}
)
#: keywords by which a function that only reads otherwise calls or writes what it is given
_ACTING = frozenset({"key", "out"})
#: parts of a property that a class defines: `@scale.setter`
_ACCESSORS = frozenset({"deleter", "getter", "setter"})


def acts(statement: ast.stmt, resolve: Resolve) -> bool:
    """The same, where deriving a class from one of another package is no more than defining it.

    So that a file with `class Net(nn.Module)` in it can be told apart, definition by definition.
    """
    if not isinstance(statement, ast.ClassDef):
        return has_effects(statement, resolve)
    if any(not _is_inert_decorator(each, resolve) for each in statement.decorator_list) or meets_others(statement):
        return True
    passed = [*statement.bases, *(keyword.value for keyword in statement.keywords)]
    return _acts(passed, resolve) or any(has_effects(line, resolve) for line in statement.body)


def meets_others(node: ast.stmt) -> bool:
    """Whether a class may run code of its own when other classes are defined: nobody can say with which result."""
    return isinstance(node, ast.ClassDef) and (
        _meets_others(node) or any(keyword.arg in (None, "metaclass") for keyword in node.keywords)
    )


def has_effects(statement: ast.stmt, resolve: Resolve) -> bool:
    """Whether importing may do more in `statement` than bind the names that it says."""
    if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
        return _definition(statement, resolve)
    if isinstance(statement, (ast.If, ast.Try)):
        inner = [*statement.body, *statement.orelse, *getattr(statement, "finalbody", [])]
        inner += [line for handler in getattr(statement, "handlers", []) for line in handler.body]
        condition = [statement.test] if isinstance(statement, ast.If) else []
        return any(has_effects(line, resolve) for line in inner) or _acts(condition, resolve)
    if isinstance(statement, (ast.Assign, ast.AnnAssign)):
        return _acts(ast.iter_child_nodes(statement), resolve)
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return any(alias.name == "*" for alias in statement.names)
    harmless = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return not (harmless or isinstance(statement, (ast.Pass, ast.Raise)))


def _definition(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, resolve: Resolve) -> bool:
    if any(not _is_inert_decorator(each, resolve) for each in node.decorator_list):
        return True
    if not isinstance(node, ast.ClassDef):
        notes = [argument.annotation for argument in ast.walk(node.args) if isinstance(argument, ast.arg)]
        defaults = [*node.args.defaults, *node.args.kw_defaults]
        return _acts(filter(None, [*defaults, *notes, node.returns]), resolve)
    bases = [base.value if isinstance(base, ast.Subscript) else base for base in node.bases]
    if node.keywords or not all(_is_inert_base(base, resolve) for base in bases) or _meets_others(node):
        return True  # a base of another package may note its subclasses, and a metaclass may do anything
    return _acts(node.bases, resolve) or any(has_effects(line, resolve) for line in node.body)


def _is_inert_base(base: ast.expr, resolve: Resolve) -> bool:
    """A class of the project that notes its subclasses has effects itself, and so has each module that imports it."""
    chain = chain_of(base)
    return chain is not None and resolve(chain) in INERT_BASES | {""}


def _meets_others(node: ast.ClassDef) -> bool:
    """Whether subclasses of the class, or classes that hold its objects, run code of it when they are defined."""
    names = {line.name for line in node.body if isinstance(line, FUNCTIONS)}
    return not names.isdisjoint({"__init_subclass__", "__set_name__", "__class_getitem__", "__prepare__"})


def _is_inert_decorator(decorator: ast.expr, resolve: Resolve) -> bool:
    if isinstance(decorator, ast.Attribute) and decorator.attr in _ACCESSORS:
        return isinstance(decorator.value, ast.Name)
    if isinstance(decorator, ast.Call):
        return _is_inert(decorator.func, resolve) and not _acts([decorator], resolve)
    return _is_inert(decorator, resolve)


def _acts(nodes: Iterable[ast.AST], resolve: Resolve) -> bool:
    """Whether evaluating `nodes` may change an object."""
    waiting = list(nodes)
    while waiting:  # a stack of our own: expressions may be nested deeper than Python recurses
        node = waiting.pop()
        if isinstance(node, ast.Lambda):
            waiting.extend(filter(None, [*node.args.defaults, *node.args.kw_defaults]))
            continue
        if isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
            return True
        if isinstance(node, ast.Call) and not (
            _is_inert(node.func, resolve) and _ACTING.isdisjoint(keyword.arg or "" for keyword in node.keywords)
        ):
            return True
        waiting.extend(ast.iter_child_nodes(node))
    return False


def _is_inert(function: ast.expr, resolve: Resolve) -> bool:
    name = _resolved(function, resolve)
    return name in INERT_CALLS or name.startswith(INERT_MODULES)


def _resolved(node: ast.expr, resolve: Resolve) -> str:
    chain = chain_of(node)
    return resolve(chain) if chain else ""
