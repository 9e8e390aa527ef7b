"""Import closures: which files of the project a module's import executes, found without running anything.

Covers: imports anywhere in a file (those inside functions will run one day, too), relative ones, star
imports, `importlib.import_module("literal")`, packages with and without `__init__.py`; the packages from
elsewhere; a hash of code that comments and layout leave alone. `if TYPE_CHECKING:` does not count.
Not covered: names computed at run time, and data files that code opens.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from assay.core import ast_normal_form
from assay.runtime import files as disk
from assay.runtime import source_analysis_cache
from assay.runtime import source_roots as trees
from assay.runtime.source_roots import Tree

#: the folder of a project's dvc.yaml, or a tree of sources
Where = Path | Tree


@dataclass(frozen=True)
class Looked:
    """What was found out in a tree that stands still, so that every file and every name is looked at once."""

    direct: dict[Path, set[Path]] = field(default_factory=dict)  # file → files that it imports directly
    executed: dict[str, set[Path]] = field(default_factory=dict)  # dotted name → files that importing it executes


def import_closure(where: Where, entries: Sequence[Path], looked: Looked | None = None) -> tuple[Path, ...]:
    """Files of a tree that importing `entries` executes, and these: sorted, relative to its root.

    An `__init__.py` without a statement is left out: it cannot influence anything. Who asks for several
    closures of a tree that stands still gives one `looked` to all.
    Raises UsageError with file and line when one of them is not valid Python.
    """
    tree, looked = _tree(where), looked or Looked()
    direct = looked.direct
    given = {_relative(tree, entry) for entry in entries}
    found: set[Path] = set()
    waiting = given.union(*(_packages(tree, tree.module(entry)) for entry in given))
    while waiting:
        found |= waiting
        direct.update((file, direct_imports(tree, file, looked)) for file in waiting - direct.keys())
        waiting = {path for file in waiting for path in direct[file]} - found
    return tuple(sorted(path for path in found if path in given or not inert(tree, path)))


def direct_imports(where: Where, file: Path, looked: Looked | None = None) -> set[Path]:
    """Files of the tree that the import statements of `file` execute themselves, relative to its root."""
    tree, executed = _tree(where), (looked or Looked()).executed
    plain = imported_names(tree, file)
    starred = (_members(tree, name[:-2]) for name in plain if name.endswith(".*"))
    names = plain.union(*starred)
    executed.update((name, _executed(tree, name)) for name in names - executed.keys())
    return set().union(*(executed[name] for name in names))


def imported_names(where: Where, file: Path, content: bytes | None = None) -> frozenset[str]:
    """Dotted names that `file`, or `content` in its place, imports: `from a import b` gives `a` and `a.b`, whatever `b`
    is."""
    tree = _tree(where)
    relative = _relative(tree, file)
    module = tree.module(relative)
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    return _scan(tree.read(relative) if content is None else content, relative.as_posix(), package)


def third_party(where: Where, files: Iterable[Path], instead: Mapping[Path, bytes] | None = None) -> set[str]:
    """Top-level names of packages that `files` import and that are neither Python's own, nor the tree's, nor Assay.

    `instead`: content that counts in place of a file's own.
    """
    tree, sources, other = _tree(where), (file for file in files if file.suffix == ".py"), instead or {}
    tops = {name.partition(".")[0] for file in sources for name in imported_names(tree, file, other.get(file))}
    return {top for top in tops - sys.stdlib_module_names - {trees.LIBRARY} if not _is_own(tree, top)}


def code_hash(where: Where, files: Iterable[Path]) -> str:
    """128-bit hash over paths and contents, in hex; the order of `files` does not matter.

    Python sources count in their normal form, everything else byte by byte.
    """
    return combined(code_hashes(where, files))


def combined(hashes: Mapping[str, str]) -> str:
    """One hash of several: path → hash, in the order of paths."""
    lines = (f"{hashed} {name}\n" for name, hashed in hashes.items())
    return disk.digest("".join(lines).encode("utf-8", "surrogateescape"))


def code_hashes(where: Where, files: Iterable[Path]) -> dict[str, str]:
    """Path relative to the tree's root → hash of the content, in the order of paths."""
    tree = _tree(where)
    ordered = sorted({_relative(tree, file) for file in files})
    return {file.as_posix(): _content_digest(tree.root, file) for file in ordered}


def read_module(where: Where, name: str) -> ast_normal_form.Source | None:
    """Source of the module that the dotted `name` means in the tree or in Assay, None when it is in neither."""
    for tree in (_tree(where), trees.LIBRARY_TREE):
        if file := tree.find(name):
            return ast_normal_form.Source(tree.read(file), file.name == "__init__.py")
    return None


def _tree(where: Where) -> Tree:
    return where if isinstance(where, Tree) else trees.project(where)


def _relative(tree: Tree, file: Path) -> Path:
    return Path(os.path.relpath(file, tree.root)) if file.is_absolute() else file


def _content_digest(root: Path, file: Path) -> str:
    content = disk.read_bytes(root / file)
    return _normal_digest(content, file.as_posix()) if file.suffix == ".py" else disk.digest(content)


def _normal_digest(content: bytes, where: str) -> str:
    key = disk.digest(b"normal form" + content)
    known = source_analysis_cache.recall(key)
    if known is None:
        known = source_analysis_cache.learn(
            key, [disk.digest(ast_normal_form.text(ast_normal_form.parse(content, where)).encode())]
        )
    return known[0]


def inert(where: Where, file: Path) -> bool:
    if file.name != "__init__.py":
        return False
    body = ast_normal_form.parse(_tree(where).read(file), file.as_posix()).body
    return all(
        ast_normal_form.does_nothing(line) or (isinstance(line, ast.ImportFrom) and line.module == "__future__")
        for line in body
    )


def _is_own(tree: Tree, top: str) -> bool:
    folders = (tree.root / folder / top for folder in tree.folders if top.isidentifier())
    return tree.find(top) is not None or any(any(folder.glob("**/*.py")) for folder in folders)


def _packages(tree: Tree, module: str) -> set[Path]:
    """The `__init__.py` of every package around `module`."""
    parts = module.split(".")
    found = (tree.find(".".join(parts[:depth])) for depth in range(1, len(parts)))
    return {file for file in found if file is not None and file.name == "__init__.py"}


def _executed(tree: Tree, name: str) -> set[Path]:
    """Files that importing the dotted `name` executes; the last part may be a name inside a module."""
    if not all(part.isidentifier() for part in name.split(".")):
        return set()
    file = tree.find(name)
    return _packages(tree, name) | ({file} if file else set())


def _members(tree: Tree, package: str) -> set[str]:
    """What the `__all__` of a package names: `from package import *` imports the modules among it."""
    file = tree.find(package)
    if file is None or file.name != "__init__.py":
        return set()
    parsed = ast_normal_form.parse(tree.read(file), file.as_posix())
    settings = (ast.Assign, ast.AugAssign, ast.AnnAssign)
    inside = [list(ast.walk(node)) for node in ast.walk(parsed) if isinstance(node, settings)]
    about = [nodes for nodes in inside if any(isinstance(n, ast.Name) and n.id == "__all__" for n in nodes)]
    return {f"{package}.{_text(node)}" for nodes in about for node in nodes if _text(node)}


def _scan(content: bytes, where: str, package: str) -> frozenset[str]:
    key = disk.digest(f"imports {package}\n".encode() + content)
    known = source_analysis_cache.recall(key)
    return frozenset(
        source_analysis_cache.learn(key, sorted(_parsed(content, where, package))) if known is None else known
    )


def _parsed(content: bytes, where: str, package: str) -> frozenset[str]:
    nodes = list(_running(ast_normal_form.parse(content, where)))
    importers = {"import_module", "__import__"} | {
        alias.asname or ""
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module == "importlib"
        for alias in node.names
        if alias.name == "import_module"
    }
    return frozenset(name for node in nodes for name in _names(node, package, importers) if name)


def _running(tree: ast.Module) -> Iterator[ast.AST]:
    """All nodes of `tree` but those under `if TYPE_CHECKING:`."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and _type_checking(node.test):
            waiting.extend(node.orelse)
        elif isinstance(node, ast.If) and _not_type_checking(node.test):
            waiting.extend(node.body)
        else:
            waiting.extend(ast.iter_child_nodes(node))


def _type_checking(test: ast.expr) -> bool:
    return _last_name(test) == "TYPE_CHECKING"


def _not_type_checking(test: ast.expr) -> bool:
    return isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not) and _type_checking(test.operand)


def _last_name(expression: ast.expr) -> str:
    if isinstance(expression, ast.Attribute):
        return expression.attr
    return expression.id if isinstance(expression, ast.Name) else ""


def _names(node: ast.AST, package: str, importers: set[str]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = _absolute("." * node.level + (node.module or ""), package)
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names if base)
    elif isinstance(node, ast.Call) and _last_name(node.func) in importers and node.args:
        name, anchor = _text(node.args[0]), _text(node.args[1]) if node.args[1:] else ""
        yield _absolute(name, anchor or package)


def _text(node: ast.AST) -> str:
    """The text of a string literal, "" for anything else."""
    value = node.value if isinstance(node, ast.Constant) else ""
    return value if isinstance(value, str) else ""


def _absolute(name: str, package: str) -> str:
    """`..sibling` seen from `package`, as a dotted name; "" when it leaves the top."""
    bare = name.lstrip(".")
    up = len(name) - len(bare) - 1
    if up < 0:
        return name
    around = package.split(".") if package else []
    if up >= len(around):
        return ""
    return ".".join([*around[: len(around) - up], bare]).rstrip(".")
