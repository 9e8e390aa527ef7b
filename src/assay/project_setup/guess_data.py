"""What data lie in a folder, and which template fits them.

Looks at names, at the first rows of tables, and at nothing else; asks nothing, and says what it took. Not covered: what
a table's columns mean (`project_setup.guess_columns`).
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from assay.core.errors import UsageError
from assay.project_setup import guess_columns, own_task
from assay.project_setup.guess_columns import NoTableError

IMAGES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
TABLES = {".csv", ".tsv", *guess_columns.PARQUET}
TEXTS = {".txt"}
#: names of parts that somebody has split already
_PARTS = {"train", "training", "val", "valid", "validation", "dev", "eval", "test", "testing"}
#: what scripts that train are mostly called
_SCRIPTS = ("train.py", "main.py", "run.py", "scripts/train.py", "src/train.py")
#: folders of images and of their masks
_IMAGES_OF, _MASKS_OF = (
    {"images", "image", "imgs", "img", "photos", "jpegimages"},
    {*("masks", "mask", "labels", "annotations", "segmentation", "segmentationclass")},
)
#: texts that are about a project, or a list, and bytes that make one worth a model
_NO_BOOK, _BOOK = ("readme", "license", "licence", "requirements", "constraints", "changelog", "notice"), 2_000
#: templates that a table can be for
_OF_TABLES = ("", "table", "regression", "text")
#: what is looked for, for sentences
_WANTED = (
    "a folder with a folder of images or .txt files for each class, images and masks, a text, or a .csv/.parquet file"
)
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
    file: str = ""  # of the user's own task
    parts: tuple[str, ...] = ("",)  # folders in `path` that the template reads apart

    @property
    def paths(self) -> list[str]:
        """Where the data lie, one for each key that the template reads."""
        return [f"{self.path}/{part}" if part else self.path for part in self.parts]


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
        says = f"{file}, which is there, with its metric {metric}"
        return Guess("own", "", says, task=name, metric=metric, file=file)
    if paths:
        return _at(folder, paths[0], template)
    found = [one for place in _places(folder) if (one := _taken(folder, place, template))]
    books = [one for one in found if one.template == "tokens"]
    if not template and len(books) > (1 if len(books) == len(found) else 0):  # several, or beside something else
        found = [one for one in found if one.template != "tokens"]
    order = {"image": 0, "masks": 0, "text": 1, "table": 2, "regression": 2, "tokens": 3}
    found.sort(key=lambda one: (order[one.template], -_size(folder / one.path), one.path))
    if found:
        first = found[0]
        return replace(first, others=tuple(one.path for one in found[1:]))
    if template == "loop":
        return Guess("loop", "", "the digits that come with scikit-learn, until prepare() in task.py reads your data")
    wanted = f" that fit the template {template}" if template else ""
    raise UsageError(
        f"no data{wanted} were found in {folder}",
        allowed=_WANTED,
        hint="assay init PATH, or assay init --template loop",
    )


def _script(folder: Path, paths: Sequence[str]) -> Guess:
    """The user's script: the one that is named, or one that is called as most are."""
    found = next((name for name in (*paths, *_SCRIPTS) if (folder / name).is_file()), "")
    if not found or (paths and found != paths[0]):
        raise UsageError(
            f"{paths[0]} is not there" if paths else f"there is none of {', '.join(_SCRIPTS)} in {folder}",
            allowed="the path of a script that trains and reports a number",
            hint="assay init --template script PATH",
        )
    says = f"{found}, which is to take --seed and --out; see task.command and task.result in params.yaml"
    return Guess("script", "", says, {"script": found})


def _at(folder: Path, path: str, template: str) -> Guess:
    place = folder / Path(path).expanduser()
    if not place.exists():
        raise UsageError(f"{path} is not there", allowed="a folder of data or a file", hint="assay init PATH")
    if template == "loop":
        return Guess("loop", "", f"a loop; prepare() in task.py is where {path} is to be read")
    found = _taken(folder, place, template)
    if found is None and place.is_dir():
        inside = [
            one for where in _places(place) if (one := _taken(folder, where, template)) and one.template != "tokens"
        ]
        found = max(inside, key=lambda one: _size(folder / one.path), default=None) or _book(folder, place, template)
    if found is None:
        _refuse_file(place, path, template)
        raise UsageError(
            f"{path} holds nothing that {f'the template {template}' if template else 'Assay'} can read",
            allowed=_WANTED,
            hint=_above(folder, place, template) or f"assay init --template loop {path}",
        )
    return found


def _refuse_file(place: Path, path: str, template: str) -> None:
    """Raise UsageError where it can be said what a table, a text or a folder of one class lacks."""
    ending = place.suffix.lower() if place.is_file() else ""
    if ending in TABLES and template in _OF_TABLES:
        guess_columns.read(place, template, path)
    if ending in TEXTS and template in ("", "tokens"):
        size = place.stat().st_size
        raise UsageError(f"{path} has {size:,} bytes", allowed=f"{_BOOK:,} or more, for a language model")
    for suffixes, what in ((IMAGES, "images"), (TEXTS, "texts")) if place.is_dir() else ():
        inside = [one for one in place.iterdir() if one.is_dir() and not one.name.startswith(".")]
        if len(inside) == 1 and _count(inside[0], suffixes) and not (what == "texts" and template != "text"):
            problem = f"{path} has a single folder of {what}, {inside[0].name}"
            raise UsageError(problem, allowed="a folder for each class, two or more", hint="sort the files into these")


def _above(folder: Path, place: Path, template: str) -> str:
    """The command for the folder above, where that has a folder for each class and `place` is one of them."""
    above = place.parent
    fits = above != folder and above.is_relative_to(folder) and _taken(folder, above, template)
    return shlex.join(["assay", "init", _seen(folder, above)]) if fits else ""


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
        yield from (place / one for one in sorted(names) if Path(one).suffix.lower() in TABLES | TEXTS)


def _taken(folder: Path, place: Path, template: str) -> Guess | None:
    """`place` as data for `template`, or for whichever fits; None where none does."""
    if place.is_dir():
        if template in ("", "masks") and (pairs := _pairs(place)):
            (one, other), count = pairs
            says = f"{_seen(folder, place)}: {count} images ({one}) with a mask of the same name ({other})"
            return Guess("masks", _seen(folder, place), says, parts=(one, other))
        for name, suffixes, what in (("image", IMAGES, "images"), ("text", TEXTS, "texts")):
            if template in ("", name) and (found := _classes(place, suffixes)):
                where, classes, count = found
                path = _seen(folder, where)
                says = f"{path}: {count} {what} in {len(classes)} classes ({_listed(classes)}), a folder each"
                return Guess(name, path, says + _left_out(folder, place, where))
        return None
    if place.suffix.lower() in TEXTS:
        return _book(folder, place, template)
    if place.suffix.lower() not in TABLES or template not in _OF_TABLES:
        return None
    path = _seen(folder, place)
    try:
        columns = guess_columns.read(place, template, path)
    except NoTableError:
        return None
    return Guess(columns.template, path, f"{path}: {columns.says}", columns.data)


def _book(folder: Path, place: Path, template: str) -> Guess | None:
    """A text, or a folder with texts in it, for a language model."""
    if template not in ("", "tokens"):
        return None
    texts = [place] if place.is_file() else sorted(place.rglob("*.txt"))
    texts = [one for one in texts if not one.stem.lower().startswith(_NO_BOOK)]
    size = sum(one.stat().st_size for one in texts if one.is_file())
    if size < _BOOK:
        return None
    path = _seen(folder, place)
    what = "a text" if place.is_file() else f"{len(texts)} texts"
    return Guess("tokens", path, f"{path}: {what} of {size:,} bytes, for a language model of its characters")


def _pairs(place: Path) -> tuple[tuple[str, str], int] | None:
    """Names of the folders of images and of masks in `place`, and how many files of one name both have."""
    folders = {one.name.lower(): one for one in place.iterdir() if one.is_dir()}
    images = next((folders[name] for name in sorted(_IMAGES_OF & folders.keys())), None)
    masks = next((folders[name] for name in sorted(_MASKS_OF & folders.keys())), None)
    if images is None or masks is None:
        return None
    first, second = ({file.stem for file in one.rglob("*") if file.suffix.lower() in IMAGES} for one in (images, masks))
    count = len(first & second)
    return ((images.name, masks.name), count) if count and 2 * count >= len(first) else None


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
