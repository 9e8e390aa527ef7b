from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from interpreters import SERIES, output

from assay.core.errors import UsageError
from assay.runtime import import_closure
from assay.runtime import source_roots as trees
from assay.runtime.source_roots import LIBRARY_TREE

PROJECT = Path(__file__).parents[2]


def plant(root: Path, tree: Mapping[str, str | bytes]) -> Path:
    for name, content in tree.items():
        path = root / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def reached(root: Path, *entries: str) -> set[str]:
    found = import_closure.import_closure(root, [Path("src", entry) for entry in entries])
    assert list(found) == sorted(found)
    return {path.relative_to("src").as_posix() for path in found}


CASES: dict[str, tuple[dict[str, str], set[str]]] = {
    "plain module": ({"main.py": "import a", "a.py": "", "b.py": ""}, {"a.py"}),
    "chain": ({"main.py": "import a", "a.py": "import b", "b.py": "import c", "c.py": ""}, {"a.py", "b.py", "c.py"}),
    "circle": ({"main.py": "import a", "a.py": "import main"}, {"a.py"}),
    "submodule with packages": (
        {"main.py": "import p.q.m", "p/__init__.py": "x = 1", "p/q/__init__.py": "x = 1", "p/q/m.py": ""},
        {"p/__init__.py", "p/q/__init__.py", "p/q/m.py"},
    ),
    "docstring-only __init__": (
        {"main.py": "import p.m", "p/__init__.py": '"""Doc."""\nfrom __future__ import annotations', "p/m.py": ""},
        {"p/m.py"},
    ),
    "namespace package": ({"main.py": "import p.q.m", "p/q/m.py": ""}, {"p/q/m.py"}),
    "from package import module": ({"main.py": "from p import m", "p/m.py": "", "p/n.py": ""}, {"p/m.py"}),
    "from module import name": ({"main.py": "from p.m import f", "p/m.py": "f = 1"}, {"p/m.py"}),
    "alias": ({"main.py": "import p.m as x", "p/m.py": ""}, {"p/m.py"}),
    "package before module": ({"main.py": "import p", "p.py": "x = 1", "p/__init__.py": "y = 1"}, {"p/__init__.py"}),
    "package imports its own": (
        {"main.py": "import p", "p/__init__.py": "from .m import f", "p/m.py": "from . import n", "p/n.py": "f = 1"},
        {"p/__init__.py", "p/m.py", "p/n.py"},
    ),
    "two dots": ({"main.py": "import p.q.m", "p/q/m.py": "from ..n import f", "p/n.py": ""}, {"p/q/m.py", "p/n.py"}),
    "too many dots": ({"main.py": "import p.m", "p/m.py": "from ... import up", "up.py": ""}, {"p/m.py"}),
    "star of a module": ({"main.py": "from a import *", "a.py": ""}, {"a.py"}),
    "star of a package": (
        {"main.py": "from p import *", "p/__init__.py": "__all__ = ['m']", "p/m.py": "", "p/n.py": ""},
        {"p/__init__.py", "p/m.py"},
    ),
    "inside a function": ({"main.py": "def f():\n    import a", "a.py": ""}, {"a.py"}),
    "try": (
        {"main.py": "try:\n    import a\nexcept ImportError:\n    import b", "a.py": "", "b.py": ""},
        {"a.py", "b.py"},
    ),
    "type checking": (
        {"main.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a\nelse:\n    import b"}
        | {"a.py": "", "b.py": ""},
        {"b.py"},
    ),
    "not type checking": (
        {"main.py": "import typing\nif not typing.TYPE_CHECKING:\n    import a\nelse:\n    import b"}
        | {"a.py": "", "b.py": ""},
        {"a.py"},
    ),
    "import_module": (
        {"main.py": "import importlib\nimportlib.import_module('p.m')", "p/__init__.py": "1 + 1", "p/m.py": ""},
        {"p/__init__.py", "p/m.py"},
    ),
    "import_module under another name": (
        {"main.py": "from importlib import import_module as load\nload('a')\nprint('b')", "a.py": "", "b.py": ""},
        {"a.py"},
    ),
    "relative import_module": (
        {"main.py": "import importlib\nimportlib.import_module('.m', 'p')", "p/m.py": ""},
        {"p/m.py"},
    ),
    "computed name": ({"main.py": "import importlib\nimportlib.import_module('a' + x)", "a.py": ""}, set()),
    "built-in beats the project": ({"main.py": "import sys", "sys.py": ""}, set()),
    "Python's own library beats the project": ({"main.py": "import random", "random.py": ""}, set()),
    "Assay is never the project's": ({"main.py": "import assay.compare", "assay/compare.py": ""}, set()),
    "missing": ({"main.py": "import nowhere, p.nowhere", "p/m.py": ""}, set()),
}


@pytest.mark.parametrize(("tree", "expected"), CASES.values(), ids=CASES)
def test_what_an_import_reaches(tmp_path: Path, tree: dict[str, str], expected: set[str]) -> None:
    plant(tmp_path, tree)
    assert reached(tmp_path, "main.py") == expected | {"main.py"}


PLACES: dict[str, tuple[dict[str, str], set[str]]] = {
    "the folder of dvc.yaml before its src": (
        {"sub/main.py": "import a", "sub/a.py": "", "sub/src/a.py": ""},
        {"a.py"},
    ),
    "src beside dvc.yaml before the top": ({"sub/main.py": "import a", "sub/src/a.py": "", "a.py": ""}, {"src/a.py"}),
    "the top of the repository": ({"sub/main.py": "import a", "a.py": "import b", "b.py": ""}, {"../a.py", "../b.py"}),
    "src at the top": (
        {"sub/main.py": "import a.b", "src/a/b.py": "from . import c", "src/a/c.py": ""},
        {"../src/a/b.py", "../src/a/c.py"},
    ),
    "one name for a file that two ways lead to": ({"sub/main.py": "import sub.a, a", "sub/a.py": ""}, {"a.py"}),
}


@pytest.mark.parametrize(("files", "expected"), PLACES.values(), ids=PLACES)
def test_where_imports_of_a_project_begin(tmp_path: Path, files: dict[str, str], expected: set[str]) -> None:
    (tmp_path / ".git").mkdir()
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    found = import_closure.import_closure(tmp_path / "sub", [Path("main.py")])
    assert {path.as_posix() for path in found} == expected | {"main.py"}


def test_an_entry_inside_a_package_executes_the_package(tmp_path: Path) -> None:
    plant(tmp_path, {"p/__init__.py": "import a", "p/m.py": "", "a.py": ""})
    assert reached(tmp_path, "p/m.py") == {"p/__init__.py", "p/m.py", "a.py"}


def test_entries_may_be_absolute_and_several(tmp_path: Path) -> None:
    plant(tmp_path, {"a.py": "", "b.py": ""})
    assert len(import_closure.import_closure(tmp_path, [tmp_path / "src/a.py", Path("src/b.py")])) == 2


LOADED = """
import json, sys
sys.path.insert(0, sys.argv[1])
import MODULE
print(json.dumps([m.__file__ for m in list(sys.modules.values()) if getattr(m, "__file__", None)]))
"""


@pytest.mark.parametrize("module", ["assay.stats.arm_comparison", "assay.cli.root", "tasks.digits.metrics"])
def test_the_closure_is_what_python_really_loads(module: str) -> None:
    closure, loaded = closure_and_loaded(module)
    assert closure == loaded


def test_what_is_imported_only_when_it_is_needed_counts() -> None:
    """Arrow's modules, which a task of arrays never loads."""
    closure, loaded = closure_and_loaded("assay.data.storage")
    assert closure > loaded


def closure_and_loaded(module: str) -> tuple[set[Path], set[Path]]:
    source = PROJECT / "src"
    program = LOADED.replace("MODULE", module)
    command = [sys.executable, "-c", program, str(source)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    loaded = {Path(name) for name in json.loads(printed) if Path(name).is_relative_to(source)}
    entry = source.joinpath(*module.split(".")).with_suffix(".py")
    tree = LIBRARY_TREE if module.startswith("assay") else trees.project(PROJECT)
    return {tree.root / path for path in import_closure.import_closure(tree, [entry])}, loaded


def test_a_syntax_error_is_a_sentence_with_its_place(tmp_path: Path) -> None:
    plant(tmp_path, {"main.py": "import a", "a.py": "x = 1\ny = = 2\n"})
    with pytest.raises(UsageError, match=r"^src/a\.py:2 is not valid Python"):
        reached(tmp_path, "main.py")


def test_third_party_are_the_packages_from_elsewhere(tmp_path: Path) -> None:
    source = "import numpy.linalg as n, os\nfrom scipy import stats\nimport a, p.m\n"
    typing_only = "if TYPE_CHECKING:\n    import torch\n"
    plant(tmp_path, {"main.py": source + typing_only, "a.py": "", "p/m.py": "from . import n", "data.json": "{}"})
    files = [Path("src/main.py"), Path("src/p/m.py"), Path("src/data.json")]
    assert import_closure.third_party(tmp_path, files) == {"numpy", "scipy"}


def hashed(root: Path, *names: str) -> str:
    return import_closure.code_hash(root, [Path("src", name) for name in names])


def test_the_hash_ignores_layout_and_order_and_sees_all_else(tmp_path: Path) -> None:
    plant(tmp_path, {"a.py": "x = 1", "b.py": "y = 2", "c.json": "{}"})
    before = hashed(tmp_path, "a.py", "b.py", "c.json")
    assert hashed(tmp_path, "c.json", "b.py", "a.py") == before
    plant(tmp_path, {"a.py": '"""Doc."""\n# why\nx = (\n    1\n)\n'})
    assert hashed(tmp_path, "a.py", "b.py", "c.json") == before
    assert hashed(tmp_path, "a.py", "b.py") != before
    plant(tmp_path, {"c.json": "{ }"})
    assert hashed(tmp_path, "a.py", "b.py", "c.json") != before
    plant(tmp_path, {"c.json": "{}", "a.py": "y = 2", "b.py": "x = 1"})
    assert hashed(tmp_path, "a.py", "b.py", "c.json") != before


def test_hash_and_closure_do_not_depend_on_where_the_project_lies(tmp_path: Path) -> None:
    tree = {"main.py": "import a", "a.py": "x = 1"}
    one, other = plant(tmp_path / "one", tree), plant(tmp_path / "ein Weg, ütf", tree)
    closures = [import_closure.import_closure(root, [Path("src/main.py")]) for root in (one, other)]
    assert closures[0] == closures[1]
    assert import_closure.code_hash(one, closures[0]) == import_closure.code_hash(other, closures[1])


def test_a_module_is_read_by_its_dotted_name(tmp_path: Path) -> None:
    plant(tmp_path, {"p/__init__.py": "x = 1", "p/m.py": "y = 2", "p.py": "z = 3"})
    assert import_closure.read_module(tmp_path, "p") == (b"x = 1", True)
    assert import_closure.read_module(tmp_path, "p.m") == (b"y = 2", False)
    assert [import_closure.read_module(tmp_path, name) for name in ("numpy", "p.n", "", "p..m", "../p")] == [None] * 5


HASH = """
import sys
from pathlib import Path
from assay.runtime import import_closure as closure
from assay.runtime.source_roots import LIBRARY_TREE as tree
files = [path.relative_to(tree.root) for path in tree.root.rglob("*.py")]
print(closure.code_hash(tree, files), len(closure.import_closure(tree, files)))
"""


@pytest.mark.extra
@pytest.mark.parametrize("series", SERIES)
def test_every_supported_python_reads_and_hashes_this_project_alike(series: str) -> None:
    files = [path.relative_to(LIBRARY_TREE.root) for path in LIBRARY_TREE.root.rglob("*.py")]
    here = f"{import_closure.code_hash(LIBRARY_TREE, files)} {len(import_closure.import_closure(LIBRARY_TREE, files))}"
    assert output(series, HASH).strip() == here
