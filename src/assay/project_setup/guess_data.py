"""What data lie in a folder, and which template fits them.

Looks at names, at the first rows of tables, and at nothing else; asks nothing, and says what it took. Not covered: what
a table's columns mean (`project_setup.guess_columns`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay.core.errors import UsageError
from assay.project_setup import guess_columns, own_task

IMAGES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
TABLES = {".csv", ".tsv"}
TEXTS = {".txt"}
#: names of parts that somebody has split already
_PARTS = {"train", "training", "val", "valid", "validation", "dev", "eval", "test", "testing"}
#: what scripts that train are mostly called
_SCRIPTS = ("train.py", "main.py", "run.py", "scripts/train.py", "src/train.py")
_SKIPPED = {"node_modules", "__pycache__", "site-packages", "build", "dist", "tests", "docs"}
#: folders that are looked into without being told, and how deep
_FOLDERS, _DEPTH = 2_000, 4


@dataclass(frozen=True)
class Guess:
    """What was found. `path` is as seen from the current folder, "" where the template needs no data."""

    template: str
    path: str
    says: str
    data: dict[str, Any] = field(default_factory=dict)
    others: tuple[str, ...] = ()  # data that were found, too, and not taken
    task: str = ""  # of the user's own: its name
    metric: str = ""  # of the user's own task: its first


def guess(folder: Path, paths: Sequence[str], template: str = "") -> Guess:
    """The data at `paths`, or those found in `folder`, and their template unless that is given.

    Raises UsageError where nothing fits, naming what would.
    """
    if len(paths) > 1:
        raise UsageError(f"{len(paths)} paths were given", allowed="one, or none to have Assay look for data")
    if template == "script":
        return _script(folder, paths)
    if not paths and not template and (own := own_task.find(folder)):
        name, file, metric = own
        return Guess("own", "", f"{file}, which is there, with its metric {metric}", task=name, metric=metric)
    if paths:
        return _at(folder, paths[0], template)
    found = [one for place in _places(folder) if (one := _taken(folder, place, template))]
    order = {"image": 0, "text": 1, "table": 2, "regression": 2}
    found.sort(key=lambda one: (order[one.template], -_size(folder / one.path), one.path))
    if found:
        first = found[0]
        return Guess(first.template, first.path, first.says, first.data, tuple(one.path for one in found[1:]))
    if template == "loop":
        return Guess("loop", "", "the digits that come with scikit-learn, until prepare() in task.py reads your data")
    wanted = f" that fit the template {template}" if template else ""
    raise UsageError(
        f"no data{wanted} were found in {folder}",
        allowed="a folder with a folder of images or .txt files for each class, or a .csv or .tsv file",
        mend="assay init PATH, or assay init --template loop",
    )


def _script(folder: Path, paths: Sequence[str]) -> Guess:
    """The user's script: the one that is named, or one that is called as most are."""
    found = next((name for name in (*paths, *_SCRIPTS) if (folder / name).is_file()), "")
    if not found or (paths and found != paths[0]):
        raise UsageError(
            f"{paths[0]} is not there" if paths else f"there is none of {', '.join(_SCRIPTS)} in {folder}",
            allowed="the path of a script that trains and reports a number",
            mend="assay init --template script PATH",
        )
    says = f"{found}, which is to take --seed and --out; see task.command and task.result in params.yaml"
    return Guess("script", "", says, {"script": found})


def _at(folder: Path, path: str, template: str) -> Guess:
    place = folder / Path(path).expanduser()
    if not place.exists():
        raise UsageError(f"{path} is not there", allowed="a folder of data or a file", mend="assay init PATH")
    if template == "loop":
        return Guess("loop", "", f"a loop; prepare() in task.py is where {path} is to be read")
    found = _taken(folder, place, template)
    if found is None and place.is_dir():
        inside = [one for where in _places(place) if (one := _taken(folder, where, template))]
        found = max(inside, key=lambda one: _size(folder / one.path), default=None)
    if found is None:
        raise UsageError(
            f"{path} holds nothing that {f'the template {template}' if template else 'Assay'} can read",
            allowed="a folder with a folder of images or .txt files for each class, or a .csv or .tsv file",
            mend=f"assay init --template loop {path}",
        )
    return found


def _places(folder: Path) -> Iterator[Path]:
    """Tables, and folders that could be data, in and below `folder`."""
    for number, (name, folders, names) in enumerate(os.walk(folder)):
        place = Path(name)
        deep = len(place.relative_to(folder).parts)
        if number > _FOLDERS:
            return
        if "pyvenv.cfg" in names or deep > _DEPTH:
            folders.clear()
            continue
        folders[:] = sorted(one for one in folders if not one.startswith(".") and one not in _SKIPPED)
        if place != folder:
            yield place
        yield from (place / one for one in sorted(names) if Path(one).suffix.lower() in TABLES)


def _taken(folder: Path, place: Path, template: str) -> Guess | None:
    """`place` as data for `template`, or for whichever fits; None where none does."""
    if place.is_dir():
        for name, suffixes, what in (("image", IMAGES, "images"), ("text", TEXTS, "texts")):
            if template in ("", name) and (found := _classes(place, suffixes)):
                where, classes, count = found
                path = _seen(folder, where)
                says = f"{path}: {count} {what} in {len(classes)} classes ({_listed(classes)}), a folder each"
                return Guess(name, path, says + _left_out(folder, place, where))
        return None
    if place.suffix.lower() not in TABLES or template not in ("", "table", "regression", "text"):
        return None
    columns = guess_columns.read(place, template)
    if columns is None:
        return None
    path = _seen(folder, place)
    return Guess(columns.template, path, f"{path}: {columns.says}", columns.data)


def _classes(place: Path, suffixes: set[str]) -> tuple[Path, list[str], int] | None:
    """The folder whose folders are classes, their names, and how many files they hold; `place` or its training part."""
    counts = {
        folder.name: count
        for folder in sorted(place.iterdir())
        if folder.is_dir() and not folder.name.startswith(".") and (count := _count(folder, suffixes))
    }
    if len(counts) >= 2 and {name.lower() for name in counts} <= _PARTS:
        train = next((name for name in counts if name.lower().startswith("train")), None)
        return _classes(place / train, suffixes) if train else None
    return (place, list(counts), sum(counts.values())) if len(counts) >= 2 else None


def _count(folder: Path, suffixes: set[str]) -> int:
    return sum(Path(name).suffix.lower() in suffixes for _, _, names in os.walk(folder) for name in names)


def _left_out(folder: Path, place: Path, taken: Path) -> str:
    """Words on parts that somebody has split: Assay splits by itself, by content."""
    if place == taken:
        return ""
    others = sorted(one.name for one in place.iterdir() if one.is_dir() and one.name != taken.name)
    return f"; {_listed(others)} beside it left out, as Assay splits by itself"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _seen(folder: Path, place: Path) -> str:
    """`place` as seen from `folder`; absolute where it lies elsewhere."""
    real = Path(os.path.abspath(place))  # noqa: PTH100  links stay as they are named
    return real.relative_to(folder).as_posix() if real.is_relative_to(folder) else real.as_posix()


def _size(place: Path) -> int:
    if place.is_file():
        return place.stat().st_size
    return sum(len(names) for _, _, names in os.walk(place))
