"""The sources against docs/architecture.md: layers, circles, hidden imports, annotations, sizes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from assay.runtime import import_closure
from assay.runtime.source_roots import LIBRARY_TREE

ROOT = Path(__file__).parents[2]
FILES = sorted(path.relative_to(ROOT) for path in (ROOT / "src").rglob("*.py"))
#: files that import by a name they look up: commands, public names, stages, what serves a fixture, a task's and a
#: model's own modules
LOOKUPS = {
    "src/assay/__init__.py",
    "src/assay/__main__.py",
    "src/assay/cli/root.py",
    "src/assay/cli/report.py",
    "src/assay/runtime/stage_runner.py",
    "src/assay/data/data_card.py",
    "src/assay/data_trust/cleanlab_package.py",
    "src/assay/data_trust/example_vectors.py",
    "src/assay/data_trust/suspected_labels.py",
    "src/assay/data/prepared_sources.py",
    "src/assay/data/storage.py",
    "src/assay/runtime/supervised_process.py",
    "src/assay/runtime/task_source.py",
    "src/assay/runtime/watched_script.py",
    "src/assay/testing/task_under_test.py",
    "src/assay/pytest_plugin.py",
    "src/assay/project_setup/guess_columns.py",
    "src/assay/serving/predict.py",
    "src/assay/search/generations.py",
    "src/assay/work/engines.py",
    "src/assay/work/ray_package.py",
    "src/assay/stages/answer_request.py",
    "src/assay/serving/raw_examples.py",
    "src/assay/stages/warm_candidate_cache.py",
    "src/assay/stages/measure.py",
    "src/assay/stages/context.py",
    "src/assay/stages/show_examples.py",
    "src/assay/stages/train_doctor.py",
    "src/assay/training/loop_watch.py",
    "src/assay/training/recorder_beside_lanes.py",
    "src/assay/training/recorder_beside_loop.py",
}
LONGEST_FILE = 350  # lines
LONGEST_FUNCTION = 60  # lines without the docstring


def layers() -> dict[str, set[str]]:
    """Folder of src/assay → folders that it may import, as the table in docs/architecture.md says."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    allowed: dict[str, set[str]] = {}
    for name, says in re.findall(r"^\| \w+ \| `assay/(\w+)` \|.*\| ([^|]+) \|$", page, flags=re.MULTILINE):
        above, _, but = says.partition(" but ")
        named = {word.strip() for word in (but if above == "all of the above" else says).split(",")} - {"–"}
        allowed[name] = set(allowed) - named if above == "all of the above" else named
    return allowed


def folder(file: Path) -> str:
    """core, runtime, …; the file itself where it stands in no folder of the library."""
    return file.parts[2] if file.parts[:2] == ("src", "assay") and len(file.parts) > 3 else file.as_posix()


def imports(file: Path) -> set[Path]:
    """Files that `file` imports, without the packages around itself."""
    tree = LIBRARY_TREE if file.parts[1] == "assay" else ROOT
    inside = Path("src") if tree is LIBRARY_TREE else Path()
    found = import_closure.direct_imports(tree, ROOT / file)
    return {inside / path for path in found if path.name != "__init__.py"}


def tree(file: Path) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"))


def functions(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree(file)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_the_table_is_read_and_knows_every_folder() -> None:
    table = layers()
    assert table["core"] == set()
    assert table["runtime"] == {"core"}
    found = {file.parts[2] for file in FILES if file.parts[1] == "assay" and len(file.parts) > 3}
    assert found <= set(table), f"docs/architecture.md has no row for {sorted(found - set(table))}"


@pytest.mark.parametrize("file", FILES, ids=str)
def test_imports_only_go_down(file: Path) -> None:
    own = folder(file)
    table = layers()
    if own not in table:  # a task, or the entry points at the top
        return
    wrong = {path.as_posix() for path in imports(file) if folder(path) not in table[own] | {own}}
    assert not wrong, f"{file} (assay/{own}) imports {sorted(wrong)}; allowed: {sorted(table[own])}"


@pytest.mark.parametrize("file", [file for file in FILES if file.parts[1] == "tasks"], ids=str)
def test_a_task_imports_nothing_of_the_library(file: Path) -> None:
    assert not {name for name in import_closure.imported_names(ROOT, file) if name.partition(".")[0] == "assay"}


def test_no_circles() -> None:
    try:
        TopologicalSorter({file: imports(file) for file in FILES}).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(str(path) for path in error.args[1]))


@pytest.mark.parametrize("file", FILES, ids=str)
def test_imports_stand_at_the_top(file: Path) -> None:
    hidden = [
        f"{file}:{inner.lineno}"
        for function in functions(file)
        for inner in ast.walk(function)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    ]
    assert not hidden


@pytest.mark.parametrize("file", FILES, ids=str)
def test_only_lookups_import_by_name(file: Path) -> None:
    calls = [node for node in ast.walk(tree(file)) if isinstance(node, ast.Call)]
    names = {ast.unparse(call.func).rpartition(".")[2] for call in calls}
    assert not names & {"import_module", "__import__"} or file.as_posix() in LOOKUPS


@pytest.mark.parametrize("file", FILES, ids=str)
def test_every_function_is_annotated(file: Path) -> None:
    bare = []
    for function in functions(file):
        arguments = [node for node in ast.walk(function.args) if isinstance(node, ast.arg)]
        missing = [each.arg for each in arguments if each.annotation is None and each.arg not in ("self", "cls")]
        if missing or function.returns is None:
            bare.append(f"{file}:{function.lineno} {function.name}")
    assert not bare


@pytest.mark.parametrize("file", FILES, ids=str)
def test_files_and_functions_are_short(file: Path) -> None:
    lines = (ROOT / file).read_text(encoding="utf-8").count("\n")
    assert lines <= LONGEST_FILE, f"{file} has {lines} lines"
    for function in functions(file):
        first = function.body[1] if ast.get_docstring(function) and function.body[1:] else function.body[0]
        length = (function.end_lineno or 0) - first.lineno + 1
        assert length <= LONGEST_FUNCTION, f"{file}:{function.lineno} {function.name} has {length} lines"


def _names_no_encoding(call: ast.Call) -> bool:
    """Whether it makes text of bytes, or bytes of text, in the encoding of whoever runs it."""
    named = {keyword.arg for keyword in call.keywords}
    function = ast.unparse(call.func).rpartition(".")[2]
    if function in ("read_text", "write_text"):
        short = len(call.args) <= (function == "write_text")
        return short and "encoding" not in named and ast.unparse(call.func) != "files.write_text"
    return function in ("run", "Popen") and "text" in named and "encoding" not in named


@pytest.mark.parametrize("file", FILES, ids=str)
def test_text_names_its_encoding(file: Path) -> None:
    calls = [node for node in ast.walk(tree(file)) if isinstance(node, ast.Call)]
    assert not [f"{file}:{call.lineno} {ast.unparse(call)}" for call in calls if _names_no_encoding(call)]
