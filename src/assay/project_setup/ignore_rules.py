"""Lines of .gitignore: outputs that DVC keeps and byproducts, each by its exact path, never a folder with code in it.

Covers: which lines are lacking, and lines that bring back what an old pattern hides though Git must hold it. Not
covered: writing (`project_setup.file_changes`).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from assay.project_setup.output_conflicts import StageOutput
from assay.runtime import git

#: what the interpreter leaves beside sources, and the page that `assay report` writes
BYPRODUCTS = ("__pycache__/", "/report.html")


def ignored(folder: Path, paths: Iterable[str]) -> set[str]:
    """Those of `paths`, relative to `folder` and folders with a slash behind, that Git leaves out."""
    there = next(place for place in (folder, *folder.parents) if place.is_dir())  # Git cannot start in a folder to come
    inside = f"{folder.relative_to(there).as_posix()}/" if there != folder else ""
    asked = "\0".join(f"{inside}{path}" for path in paths)
    said = git.run(there, "check-ignore", "-z", "--no-index", "--stdin", stdin=asked, check=False) if asked else ""
    return {path.removeprefix(inside) for path in said.split("\0") if path}


def hidden_folders(folder: Path, wanted: Sequence[str]) -> list[str]:
    """Folders that Git leaves out as a whole and that one of `wanted`, which Git must hold, lies in."""
    above = {f"{one}/" for path in wanted for one in PurePosixPath(path).parents if str(one) != "."}
    return sorted(ignored(folder, sorted(above)))


def lines(folder: Path, outputs: Sequence[StageOutput], wanted: Sequence[str]) -> list[str]:
    """Lines that .gitignore in `folder` lacks, so that Git leaves out what DVC keeps and holds `wanted`."""
    kept = (one.pattern for one in outputs if one.cached)
    patterns = {pattern.lstrip("/"): pattern for pattern in (*BYPRODUCTS, *kept)}
    there, written = ignored(folder, patterns), _lines(folder / ".gitignore")  # HEAD may lack what was written
    found = [pattern for path, pattern in patterns.items() if path not in there or pattern in written]
    back = hidden_folders(folder, wanted) + sorted(ignored(folder, wanted))
    return [*found, *(f"!/{path}" for path in back)]


def _lines(place: Path) -> set[str]:
    text = place.read_text(encoding="utf-8", errors="surrogateescape") if place.is_file() else ""
    return {line.strip() for line in text.split("\n")}


def with_lines(content: bytes | None, lacking: Sequence[str], heading: str) -> bytes | None:
    """`content` with those of `lacking` behind that it does not have, below `heading`."""
    text = (content or b"").decode("utf-8", "surrogateescape")
    present = {line.strip() for line in text.split("\n")}
    added = [line for line in lacking if line not in present]
    if not added:
        return content
    newline = "\r\n" if text.count("\r\n") * 2 > text.count("\n") else "\n"
    ended = not text or text.endswith("\n")
    above = ["", heading] if heading and text else [heading] if heading else []
    block = newline.join([*above, *added])
    block = block + newline if ended else newline + block
    return (text + block).encode("utf-8", "surrogateescape")


def relative(folder: Path, top: Path, name: str) -> str:
    """Path of a file in `folder` as seen from the top of the repository."""
    return posixpath.join(folder.relative_to(top).as_posix(), name).removeprefix("./")
