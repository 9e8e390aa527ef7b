"""Files in a folder for each class: found by their ending, in the order of names, and what else lies there, counted.

Covers: hidden files, links that leave the folder, classes with too few files. Not covered: what is in a file.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from assay.core.errors import UsageError

#: names of classes and files in one sentence
NAMED = 3
HIDDEN, OTHER, OUTSIDE = "hidden files", "files that are no {} by their ending", "links that leave the folder"


@dataclass
class Found:
    """Files with the numbers of their classes, and what was left out, by reason."""

    classes: list[str]
    paths: list[Path] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)

    def leave_out(self, reason: str, path: Path, said: str = "") -> None:
        self.left_out.setdefault(reason, []).append(f"{path.as_posix()}{f' ({said})' if said else ''}")

    def sentences(self) -> Iterator[str]:
        """What was left out: how many, why, and the first."""
        for reason, names in self.left_out.items():
            yield f"left out: {len(names)} {reason}, the first {names[0]}"


def listed(folder: Path, endings: Collection[str], what: str) -> Found:
    """Files below the folders in `folder`, a class each. Raises UsageError where there are not two of these."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder", hint="set the path under data: in params.yaml")
    inside = sorted(folder.iterdir())
    classes = [path.name for path in inside if path.is_dir() and not path.name.startswith(".")]
    if len(classes) < 2:
        raise UsageError(
            f"{folder} has {len(classes)} folders of {what}",
            allowed="a folder for each class, two or more",
            hint=_other_level(folder, classes, endings),
        )
    found, other = Found(classes), OTHER.format(what)
    for path in inside:
        if path.is_file() or path.name.startswith("."):
            found.leave_out(HIDDEN if path.name.startswith(".") else other, path)
    for label, name in enumerate(classes):
        outside = leaves(folder / name, folder)
        for path in below(folder / name):
            if reason := _reason(path, folder, endings, other) or OUTSIDE * outside:
                found.leave_out(reason, path)
            else:
                found.paths.append(path)
                found.labels.append(label)
    return found


def _other_level(folder: Path, classes: list[str], endings: Collection[str]) -> str:
    """Where the folders of classes may be instead: one level deeper, or one above."""
    inside = folder / classes[0] if classes else folder
    if classes and sum(path.is_dir() and not path.name.startswith(".") for path in inside.iterdir()) > 1:
        return f"set the path under data: in params.yaml to {inside.as_posix()}"
    if not classes and any(path.suffix.lower() in endings for path in folder.iterdir()):
        return f"set the path under data: in params.yaml to {folder.parent.as_posix()}, if that holds a folder a class"
    return "sort the files into a folder for each class"


def below(folder: Path) -> Iterator[Path]:
    """Files in `folder` and its folders, in order; links to folders are not followed and come as they are."""
    for above, folders, names in os.walk(folder):
        folders.sort()
        linked = [name for name in folders if Path(above, name).is_symlink()]
        yield from (Path(above, name) for name in sorted([*names, *linked]))


def leaves(path: Path, folder: Path) -> bool:
    """Whether `path` is a link to something outside of `folder`."""
    return path.is_symlink() and not path.resolve().is_relative_to(folder.resolve())


def is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _reason(path: Path, folder: Path, endings: Collection[str], other: str) -> str:
    """Why a file is left out; "" for one that is taken."""
    if is_hidden(path, folder):
        return HIDDEN
    if leaves(path, folder):
        return OUTSIDE
    return other if path.suffix.lower() not in endings or not path.is_file() else ""  # a pipe would wait for ever


def refuse_thin(found: Found, folder: Path, what: str) -> None:
    """Raise UsageError for classes with fewer than two files."""
    counts = np.bincount(np.array(found.labels, dtype=np.int64), minlength=len(found.classes))
    for least, words in ((1, f"no {what}"), (2, f"a single {what}")):
        thin = [name for name, count in zip(found.classes, counts.tolist(), strict=True) if count < least]
        if thin:
            named = _some([str(folder / name) for name in thin])
            raise UsageError(
                f"{len(thin)} of {len(found.classes)} classes have {words}: {named}",
                allowed=f"two {what}s or more in each: one to train on, one to be judged by",
                hint=f"add {what}s, or remove the folders",
            )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")
