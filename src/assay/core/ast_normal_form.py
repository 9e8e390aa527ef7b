"""The normal form of Python sources: what a program does, without how it is written down.

Covers: parsing with a sentence, and one text per syntax tree that comments, docstrings, layout, quotes
and the Python that reads it (3.10 to 3.13) leave alone. `ast.dump` adds fields from version to version
and `ast.unparse` quotes f-strings differently since 3.12, so the tree is written out here.
Not covered: programs that read their own docstrings; to them a docstring is data, to us it is a comment.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from typing import NamedTuple

from assay.core.errors import UsageError

#: fields that follow from the place in the tree, or that only say how a literal was spelt
_SPELLING = frozenset({"ctx", "kind", "type_comment", "type_ignores"})


class Source(NamedTuple):
    """One module's source. Bytes say their own encoding."""

    text: str | bytes
    package: bool = False  # an __init__.py


def parse(source: str | bytes, where: str) -> ast.Module:
    """The syntax tree of `source`; UsageError with `where` and the line when it is no Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" in a string is the author's affair, and the same string
            return ast.parse(source)
    except SyntaxError as error:
        line = f":{error.lineno}" if error.lineno else ""
        raise UsageError(f"{where}{line} is not valid Python: {error.msg}", hint="fix the file") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f"{where} is not valid Python: {error}", hint="fix the file") from error


def text(tree: ast.AST) -> str:
    """The normal form of `tree`, in ASCII. Equal texts are the same program; the tree is left as it is.

    Written with a stack of its own: a sum of a thousand terms is a tree a thousand levels deep.
    """
    written: list[str] = []
    waiting: list[object] = [tree]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            written.append(item)
        elif isinstance(item, ast.AST):
            waiting.extend(reversed(list(_node(item))))
        elif isinstance(item, list):
            waiting.extend(reversed(["[", *(part for entry in item for part in (entry, ",")), "]"]))
        else:
            written.append(repr(item))  # None, or a small number such as a level of a relative import
    return "".join(written)


def does_nothing(statement: ast.stmt) -> bool:
    """Whether it is `pass` or a bare literal such as a docstring."""
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def _node(node: ast.AST) -> Iterator[object]:
    if isinstance(node, ast.Constant):
        yield _literal(node.value)
        return
    yield f"{type(node).__name__}("
    for name, value in ast.iter_fields(node):
        if name in _SPELLING:
            continue
        value = _simplified(node, name, value)
        if value is not None and value != []:
            yield f"{name}="
            yield ascii(value) if isinstance(value, str) else value
            yield ";"
    yield ")"


def _simplified(node: ast.AST, name: str, value: object) -> object:
    if isinstance(node, ast.JoinedStr):
        return _joined(node)
    if isinstance(node, ast.FormattedValue) and name == "format_spec" and isinstance(value, ast.JoinedStr):
        return value if _joined(value) else None  # f"{x:}" is f"{x}"
    if not isinstance(value, list):
        return value
    entries = [entry for entry in value if not (isinstance(entry, ast.stmt) and does_nothing(entry))]
    return [ascii(entry) if isinstance(entry, str) else entry for entry in entries]


def _joined(node: ast.JoinedStr) -> list[ast.expr]:
    """Parts of an f-string. Versions cut it into literals differently: neighbours merge, empty ones go."""
    parts: list[ast.expr] = []
    for part in node.values:
        if isinstance(part, ast.Constant) and parts and isinstance(parts[-1], ast.Constant):
            parts[-1] = ast.Constant(str(parts[-1].value) + str(part.value))
        elif not (isinstance(part, ast.Constant) and part.value == ""):
            parts.append(part)
    return parts


def _literal(value: object) -> str:
    """A literal with its type. `repr` of text follows the version's Unicode tables, of integers a limit."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"int:{value:x}"
    return f"{type(value).__name__}:{value!a}"
