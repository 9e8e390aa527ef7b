"""Data that lie outside of Git, linked into a repository of ours: from DVC's cache, or from the user's folder.

Covers: what our last stage depends on, however far behind it: outputs of `.dvc` files and of frozen stages, files that
neither Git nor DVC keeps and whose hash is the one in dvc.lock. Nothing is copied. Not covered: the outputs of stages
that run, which DVC brings itself.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.fs import localfs
from dvc.output import Output
from dvc.repo import Repo
from dvc.stage import Stage

from assay.core.errors import UsageError
from assay.core.paths import PIPELINE, ProjectPaths
from assay.core.yaml12 import parse
from assay.runtime import dvc_yaml, files, git

#: DVC is asked for one project at a time: cells are laid out by several threads
_ONE = threading.Lock()
#: folders of sources, which are refused where Git does not track them (`runtime.tracked_code_check`)
_SOURCES = ("src", "tasks")


def bring(home: ProjectPaths, top: Path, layout: ProjectPaths, stage: str) -> None:
    """Link into the project at `layout`, in the repository at `top`, what `stage` depends on and a clone goes without.

    `home` is the user's project. Raises UsageError naming what is nowhere at hand.
    """
    if not _may_miss(home, top, layout):
        return
    try:
        with _ONE, Repo(str(layout.root)) as here, Repo(str(home.root)) as theirs:
            stages = here.stage.collect(f"{layout.pipeline}:{stage}", with_deps=True)
            kept = [one for one in stages if one.is_data_source or one.frozen]
            if kept:
                here.checkout(targets=[_target(one) for one in kept], force=True, allow_missing=True)
            own = git.top(home.root)
            linked = [
                path
                for place in _needed(stages, kept)
                if not _is_source(Path(place.fs_path), layout)
                if (path := _link(theirs, place, Path(place.fs_path), own, top)) is not None
            ]
    except DvcException as error:
        raise UsageError(f"DVC cannot say what {stage} depends on: {error}", hint=f"dvc repro {stage}") from error
    _exclude(top, linked)


def _target(stage: Stage) -> str:
    """The stage for DVC, from whatever folder."""
    return f"{stage.path}:{stage.name}" if getattr(stage, "name", None) else str(stage.path)


def _called(stage: Stage) -> str:
    """The stage for people: by name, or by its .dvc file."""
    return str(getattr(stage, "name", None) or stage.path_in_repo)


def _may_miss(home: ProjectPaths, top: Path, layout: ProjectPaths) -> bool:
    """Whether asking DVC, for half a second, could find anything to bring."""
    listed = git.run(top, "ls-files", "-z", "--", "*.dvc", PIPELINE, "*/dvc.yaml").split("\0")
    others = {top / path for path in listed if path} - {layout.pipeline}
    if any(path.name != PIPELINE or b"stages" in path.read_bytes() for path in others if path.is_file()):
        return True
    entries = (parse(files.read_bytes(layout.pipeline), PIPELINE).get("stages") or {}).values()
    if any(not isinstance(entry, dict) or "cmd" not in entry for entry in entries):
        return True  # made of a template, which DVC fills in
    read, written = _paths(entries, "deps"), _paths(entries, "outs", "metrics", "plots")
    asked = (path for path in read if not dvc_yaml.within(path, written) and not _is_source(layout.root / path, layout))
    return any(_lacks(home.root / path, layout.root / path) for path in asked)


def _is_source(path: Path, layout: ProjectPaths) -> bool:
    return path.suffix == ".py" or any(path.is_relative_to(layout.root / folder) for folder in _SOURCES)


def _lacks(source: Path, path: Path) -> bool:
    """Whether `path` is not there, or is a folder with fewer files than the user's has."""
    if not path.is_dir():
        return not path.exists()
    inside = (Path(above, name).relative_to(source) for above, _, names in os.walk(source) for name in names)
    return not all((path / name).exists() for name in inside)


def _paths(entries: Iterable[dict[str, Any]], *kinds: str) -> set[str]:
    """Paths in lists of dvc.yaml, where each may have options."""
    found = (one for entry in entries for kind in kinds for one in entry.get(kind) or [])
    return {str(next(iter(one), "") if isinstance(one, dict) else one) for one in found}


def _needed(stages: list[Stage], kept: list[Stage]) -> Iterator[Output]:
    """What has to be there before the stages run: outputs of those that do not run, and what no stage writes."""
    for stage in kept:
        yield from stage.outs
    written = [Path(out.fs_path) for stage in stages for out in stage.outs]
    for stage in stages:
        if stage in kept:
            continue
        for dep in stage.deps:
            place = Path(dep.fs_path)
            if dep.protocol == "local" and not any(place.is_relative_to(out) for out in written):
                yield dep


def _link(theirs: Repo, place: Output, path: Path, own: Path, top: Path) -> Path | None:
    """Link `path` to what the user has there, if this repository goes without; the path where it did."""
    if not path.is_relative_to(top) or not path.parent.resolve().is_relative_to(top.resolve()):
        if path.exists():
            return None
        raise _lost(place, path, "it lies outside of the repository: write it as an absolute path in dvc.yaml")
    source = own / path.relative_to(top)
    if not source.exists():
        if path.exists():
            return None
        raise _lost(place, path.relative_to(top), f"dvc pull '{_called(place.stage)}'")
    lacking = [path] if not path.exists() else list(_lacking(theirs, source, path))
    if not lacking:
        return None
    if _hash(theirs, place, source) != place.hash_info.value or not place.hash_info.value:
        if path.exists():
            return None  # whole as Git has it; what lies beside it is nobody's
        raise _differs(path.relative_to(top), place)
    for one in lacking:
        one.symlink_to(source / one.relative_to(path))
    return path


def _lacking(theirs: Repo, source: Path, path: Path) -> Iterator[Path]:
    """Places below `path` where nothing is and the same place below `source` has something that DVC sees."""
    for above, folders, names in theirs.dvcignore.walk(localfs, str(source)) if path.is_dir() else ():
        here = path / Path(above).relative_to(source)
        yield from (here / name for name in (*folders, *names) if not os.path.lexists(here / name))
        folders[:] = [name for name in folders if (here / name).is_dir() and not (here / name).is_symlink()]


def _hash(theirs: Repo, place: Output, source: Path) -> str:
    """DVC's hash of the user's `source`, which it remembers for what did not change."""
    with suppress(OSError):
        seen = Output(None, str(source), repo=theirs, cache=False, hash_name=place.hash_name)
        return str(seen.get_hash().value)
    return ""


def _lost(place: Output, path: Path, hint: str) -> UsageError:
    return UsageError(
        f"{path}, which {_called(place.stage)} needs, is in neither Git, DVC's cache, nor your folder", hint=hint
    )


def _differs(path: Path, place: Output) -> UsageError:
    known = f"not as DVC knows it ({place.hash_info.value})" if place.hash_info.value else "not in dvc.lock"
    return UsageError(
        f"{path}, which {_called(place.stage)} needs, is in neither Git nor DVC, and is {known}",
        hint=f"dvc add '{path}', or dvc exp run, so that what was measured is known",
    )


def _exclude(top: Path, linked: list[Path]) -> None:
    """Let Git overlook the links, which patterns for folders do not cover."""
    if linked:
        special = str.maketrans({sign: f"\\{sign}" for sign in "\\*?[ "})
        with (top / ".git" / "info" / "exclude").open("a", encoding="utf-8", errors="surrogateescape") as stream:
            stream.writelines(f"\n/{path.relative_to(top).as_posix().translate(special)}" for path in linked)
            stream.write("\n")
