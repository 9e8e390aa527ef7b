"""Why our stages cannot stand beside the user's in one folder: names, outputs, files that lie where ours would.

DVC removes a stage's outputs before it runs it, so nothing of the user's may lie at one of them. Covers: what dvc.yaml
and params.yaml declare, outputs of all stages and .dvc files of the repository, files on disk. Not covered: another
folder that has room (`project_setup.setup_plan`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from assay.core import params_yaml
from assay.core.errors import UsageError
from assay.core.paths import OF_DATA, PARAMS, PIPELINE, STAGES
from assay.core.yaml12 import parse
from assay.core.yaml_limits import GENERATED
from assay.runtime import git

_KINDS = ("outs", "metrics", "plots")


@dataclass(frozen=True)
class StageOutput:
    """Something that a stage writes. `path` is relative to its dvc.yaml, with `/` between folders."""

    path: str
    cached: bool  # by DVC; the others are Git's

    @property
    def pattern(self) -> str:
        """The line of .gitignore for this output and nothing else; a name without a suffix is a folder's."""
        return f"/{self.path}" if PurePosixPath(self.path).suffix else f"/{self.path}/"


def outputs(pipeline: str) -> list[StageOutput]:
    """What the stages of a dvc.yaml of ours write."""
    stages = parse(pipeline, PIPELINE, GENERATED)["stages"].values()
    return [
        StageOutput(str(path), options.get("cache", True))
        for stage in stages
        for kind in _KINDS
        for entry in stage.get(kind, [])
        for path, options in (entry if isinstance(entry, dict) else {entry: {}}).items()
    ]


def is_set_up(content: bytes | None) -> bool:
    """Whether a dvc.yaml has our stages. Those of another name may be there, too."""
    stages = _mapping(content).get("stages")
    found = stages if isinstance(stages, dict) else {}
    return all(
        str(_command(found.get(name))).startswith(f"assay stage {name}")
        for name in STAGES
        if name not in OF_DATA or name in found
    )


def _command(entry: Any) -> Any:
    return entry.get("cmd") if isinstance(entry, dict) else None


def find(folder: Path, top: Path, pipeline: str) -> str:
    """The first reason why `pipeline`, the text of our dvc.yaml, cannot stand in `folder`; "" where there is none."""
    here = folder / PIPELINE
    declared = _mapping(here.read_bytes() if here.is_file() else None)
    stages = declared.get("stages")
    taken = [name for name in STAGES if isinstance(stages, dict) and name in stages]
    if taken:
        return f"dvc.yaml has stages of its own called {', '.join(taken)}"
    if clashing := sorted(_variables(folder, declared) & (params_yaml.KEYS | {"?"})):
        return f"vars of dvc.yaml set {clashing[0]}" if clashing != ["?"] else "vars of dvc.yaml name a file"
    ours = {_absolute(folder, one.path): one.path for one in outputs(pipeline)}
    for place, path in ours.items():
        if blocker := _blocker(place, folder):
            return f"{os.path.relpath(blocker, folder)} is there, where Assay would write {path}"
    for theirs, owner in foreign(folder, top):
        for place, path in ours.items():
            if _overlap(place, theirs):
                return f"{os.path.relpath(theirs, folder)} of {owner} overlaps with {path}"
    return ""


def _variables(folder: Path, declared: Mapping[str, Any]) -> set[str]:
    """Names that `vars` of a dvc.yaml set, which params.yaml may then not hold; ? for those of a file unlike YAML."""
    found: set[str] = set()
    for entry in declared.get("vars") or []:
        if isinstance(entry, dict):
            found |= set(map(str, entry))
        elif isinstance(entry, str) and (name := entry.partition(":")[0]) != PARAMS:
            place = folder / name
            known = _mapping(place.read_bytes() if place.is_file() else None)
            found |= set(map(str, known)) if place.suffix in (".yaml", ".yml") else {"?"}
    return found


def _mapping(content: bytes | None) -> dict[str, Any]:
    """A YAML file as a mapping; empty where it is none."""
    try:
        return parse(content, PIPELINE, GENERATED) if content else {}
    except UsageError:
        return {}


def _absolute(folder: Path, path: str) -> str:
    return os.path.normpath(folder / path)


def _blocker(place: str, folder: Path) -> str:
    """What stands at the path `place`, or in the way to it from `folder`; "" where nothing does."""
    if os.path.lexists(place):
        return place
    above = [one for one in Path(place).parents if one.is_relative_to(folder) and one != folder]
    return next((str(one) for one in above if os.path.lexists(one) and (one.is_symlink() or not one.is_dir())), "")


def foreign(folder: Path, top: Path) -> Iterator[tuple[str, str]]:
    """Absolute path of each output of DVC's in the repository, and the file that declares it.

    Of a path that a template fills in, the part before it.
    """
    patterns = (PIPELINE, "*/dvc.yaml", "*.dvc")
    listed = git.run(top, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns, check=False)
    for name in sorted({name for name in listed.split("\0") if name}):
        file = top / name
        content = _mapping(file.read_bytes()) if file.is_file() else {}
        stages = content.get("stages") if file.name == PIPELINE else {"": content}
        for entry in stages.values() if isinstance(stages, dict) else ():
            for path in _written(entry):
                yield _absolute(file.parent, path), os.path.relpath(file, folder)


def _written(entry: Any) -> Iterator[str]:
    """Paths that a stage or a .dvc file declares. Nothing is said of one that begins with a template."""
    body = entry.get("do", entry) if isinstance(entry, dict) else None
    if not isinstance(body, dict):
        return
    inside = str(body.get("wdir", "."))
    for kind in _KINDS:
        declared = body.get(kind)
        for path in map(_name, declared if isinstance(declared, list) else []):
            if literal := path.partition("${")[0]:
                yield f"{inside}/{literal}"


def _name(entry: Any) -> str:
    """The path of an output: text, `{path: …, md5: …}` in a .dvc file, `{PATH: options}` in dvc.yaml."""
    if isinstance(entry, dict):
        return str(entry["path"]) if isinstance(entry.get("path"), str) else str(next(iter(entry), ""))
    return str(entry)


def _overlap(one: str, other: str) -> bool:
    first, second = Path(one), Path(other)
    return first.is_relative_to(second) or second.is_relative_to(first)
