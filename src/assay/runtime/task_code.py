"""The code of a task that each part of it reaches: data (prepare), learning (train), metrics (evaluate).

A folder of three files counts file by file, and so does a show.py in it. A `task.py` counts by what the members of a
part reach in it and in the modules that it imports, definition by definition; statements that importing runs for more
than a name count for every part. Covers: files, hashes and texts of a part, the library's code in it. Not covered:
finding the files (`runtime.task_source`), what a name leads to (`core.reachability`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from assay.core.ast_normal_form import Source
from assay.core.reachability.module_graph import LIBRARY, Project
from assay.core.reachability.reachable_code import Reach, of_members
from assay.core.reachability.top_level_statements import Unit
from assay.runtime import files, import_closure, script_source, task_source
from assay.runtime import source_roots as trees

DATA, LEARNING, METRICS = "data", "learning", "metrics"
#: part → names that Assay looks for in it; of a task.py, only what these reach makes the part's stage run again
MEMBERS: Mapping[str, tuple[str, ...]] = {
    DATA: ("prepare",),
    LEARNING: (
        *("model", "loss", "preprocess", "statistics", "transform", "augment", "predict", "score", "optimizer"),
        *("fit", "load", "decode", "collate"),
    ),
    METRICS: ("METRICS", "REVISION", "READS"),
}
#: part that a task may have beside: what draws an example for a person, in a process of its own
SHOW = "show"
_REACHED = {**MEMBERS, SHOW: ("show",)}

#: dotted name → source, as `import_closure.read_module` finds it
Reader = Callable[[str], Source | None]


def closure(root: Path, task: str, part: str, looked: import_closure.Looked | None = None) -> tuple[Path, ...]:
    """Files of the project that importing the part executes, relative to `root`; none where it is not there."""
    if script := script_source.task(root):
        return script_source.closure(root, script) if part == LEARNING else ()
    entry = task_source.path(root, task, part)
    return import_closure.import_closure(root, [entry], looked) if entry.is_file() else ()


def hashes(root: Path, task: str, part: str, looked: import_closure.Looked | None = None) -> dict[str, str]:
    """Path → hash of what the part does with the file, in the order of paths."""
    reached = closure(root, task, part, looked)
    if script_source.task(root) or not task_source.is_single(root, task):
        return import_closure.code_hashes(root, reached)
    found = units(root, partial(import_closure.read_module, root), [part])
    meaning = {path: "\n".join(unit.text for unit in inside) for path, inside in found.items()}
    paths = sorted({*reached, *(path for path in found if path is not None)})
    return {path.as_posix(): files.digest(meaning.get(path, "").encode()) for path in paths}


def digest(root: Path, task: str, part: str) -> str:
    """One hash of the part's code."""
    return import_closure.combined(hashes(root, task, part))


def texts(root: Path, task: str, parts: Iterable[str]) -> dict[str, str]:
    """Path → text of what the parts reach of it; of a task.py and what it imports, only the statements in question."""
    wanted = list(parts)
    if not script_source.task(root) and task_source.is_single(root, task):
        return reached_texts(root, partial(import_closure.read_module, root), wanted)
    paths = {path for part in wanted for path in closure(root, task, part)}
    return {path.as_posix(): _text((root / path).read_bytes()) for path in sorted(paths)}


def reached_texts(root: Path, read: Reader, parts: Iterable[str]) -> dict[str, str]:
    """The same of a task.py by what `read` reads, in whatever state of the project at `root`."""
    found = {path: inside for path, inside in units(root, read, parts).items() if path is not None}
    return {path.as_posix(): "".join(_cut(read, inside)) for path, inside in sorted(found.items())}


def library(root: Path, task: str, part: str) -> str:
    """Hash of the library's own code that the part reaches by what the task imports; "" where that is none."""
    if script_source.task(root):
        return ""
    module = task_source.module(root, task, part)
    project = Project(partial(import_closure.read_module, root))
    inside = sorted(
        (unit for unit in of_members(project, module, _REACHED[part]).units if _of_library(unit)),
        key=lambda unit: (unit.module, unit.place),
    )
    return files.digest("\n".join(f"{unit.module}: {unit.text}" for unit in inside).encode()) if inside else ""


def units(root: Path, read: Reader, parts: Iterable[str]) -> dict[Path | None, list[Unit]]:
    """File of the project (None: the library's) → statements of it that these parts of a task.py reach, in order."""
    project, tree = Project(read), trees.project(root)
    members = [member for part in parts for member in _REACHED[part]]
    reach: Reach = of_members(project, task_source.SINGLE, members)
    found: dict[Path | None, list[Unit]] = defaultdict(list)
    for unit in sorted(reach.units, key=lambda unit: (unit.module, unit.place)):
        found[None if _of_library(unit) else _file(tree, unit.module)].append(unit)
    return dict(found)


def without_show(root: Path) -> dict[Path, bytes]:
    """Source files of a task.py → their text without the lines that only its show() needs, imports included.

    What such lines import neither trains nor judges: they serve a process of their own. Empty without a show().
    """
    if task_source.single(root) is None or task_source.show_part(root, "") is None:
        return {}
    read = partial(import_closure.read_module, root)
    project = Project(read)
    only = of_members(project, task_source.SINGLE, _REACHED[SHOW]).units
    others = {unit for part in MEMBERS for unit in of_members(project, task_source.SINGLE, MEMBERS[part]).units}
    needed = {place for unit in others for place in _places(unit)}
    hidden = {place for unit in only - others if not _of_library(unit) for place in _places(unit)} - needed
    tree, found = trees.project(root), {}
    for module in {name for name, _ in hidden}:
        source = read(module)
        lines = [] if source is None else _text(source.text).splitlines(keepends=True)
        kept = ["\n" if (module, number) in hidden else line for number, line in enumerate(lines, 1)]
        found[_file(tree, module)] = "".join(kept).encode("utf-8", "surrogateescape")
    return found


def _places(unit: Unit) -> set[tuple[str, int]]:
    """Module and number of each line of a unit."""
    return {(unit.module, number) for number in range(unit.lines[0], unit.lines[1] + 1)}


def _file(tree: trees.Tree, module: str) -> Path:
    """The file of a module; by its name alone where today's tree has none."""
    return tree.find(module) or Path(*module.split(".")).with_suffix(".py")


def _of_library(unit: Unit) -> bool:
    return unit.module.partition(".")[0] == LIBRARY


def _cut(read: Reader, inside: Iterable[Unit]) -> Iterator[str]:
    """The lines of the units, each line once."""
    lines: dict[str, list[str]] = {}
    yielded: set[tuple[str, int]] = set()
    for unit in inside:
        if unit.module not in lines:
            source = read(unit.module)
            lines[unit.module] = [] if source is None else _text(source.text).splitlines(keepends=True)
        first, last = unit.lines
        for number in range(first, last + 1):
            if (unit.module, number) not in yielded and number <= len(lines[unit.module]):
                yielded.add((unit.module, number))
                yield lines[unit.module][number - 1]


def _text(source: str | bytes) -> str:
    return source if isinstance(source, str) else source.decode("utf-8", "replace")
