"""dvc.yaml: what stages declare, the user's own among them. Also where DVC runs us, for whom, and on which cache."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from assay.core import params_yaml, script_section
from assay.core.errors import UsageError
from assay.core.paths import PARAMS, PIPELINE, STAGES, CachePaths, ProjectPaths
from assay.core.yaml12 import parse
from assay.core.yaml_limits import GENERATED
from assay.runtime import files, git
from assay.runtime.source_roots import SEAL

#: names the experiment's parent where HEAD is not it: `assay accept` runs the pipeline in a commit with the idea
PARENT = "ASSAY_PARENT"


@dataclass(frozen=True)
class Run:
    """The project that runs, and the real one behind a `--temp` or `--queue` copy of it."""

    layout: ProjectPaths
    home: Path  # the project in the user's checkout, a work tree of Git; equals layout.root in the workspace
    experiment: str  # DVC's name for the experiment, "" outside of one

    @property
    def store(self) -> CachePaths:
        return store(self.home)


def current(root: Path) -> Run:
    """The run that this process belongs to. `root` holds dvc.yaml; DVC_ROOT is the folder of the real `.dvc`."""
    given, own = os.environ.get("DVC_ROOT"), dvc_root(root)
    inside = Path(os.path.relpath(root.resolve(), own.resolve())) if own else Path()
    home = Path(os.path.normpath(Path(given) / inside)) if given else root
    return Run(
        layout=ProjectPaths(root),
        home=root if home.resolve() == root.resolve() else home,
        experiment=os.environ.get("DVC_EXP_NAME", ""),
    )


def parent(root: Path) -> str:
    """The commit that the experiment started from: HEAD, but for a run that `assay accept` repeats."""
    return os.environ.get(PARENT) or git.run(root, "rev-parse", "HEAD")


def dvc_root(folder: Path) -> Path | None:
    """The folder of the `.dvc` that DVC finds from `folder`: its own, or one above it in the same Git work tree."""
    for place in (folder, *folder.parents):
        if (place / ".dvc").is_dir():
            return place
        if (place / ".git").exists() or (place / SEAL).exists():
            return None
    return None


def store(home: Path) -> CachePaths:
    """The cache of the project at `home`: all work trees of a repository share the one of the main work tree."""
    place = main(home)
    return CachePaths(dvc_root(place) or place)


def main(home: Path) -> Path:
    """The same project in the main work tree; `home` where that is it, or where nobody has had the project there."""
    return _main(home) or home


@lru_cache(maxsize=8)
def _main(home: Path) -> Path | None:
    """None also behind a bare repository."""
    top = next((folder for folder in (home, *home.parents) if (folder / ".git").exists()), None)
    if top is None or (top / ".git").is_dir():  # nearly always, and asking Git would cost every stage a process
        return None
    listed = git.run(home, "worktree", "list", "--porcelain", check=False)  # the main work tree comes first
    first = re.match(r"worktree (.+?)\nHEAD ", listed.partition("\n\n")[0], re.DOTALL)
    place = Path(first[1]) / home.relative_to(top) if first else home
    return place if dvc_root(place) and place != home else None


def dependencies(layout: ProjectPaths, task: str) -> dict[str, list[str]]:
    """Stage → paths that dvc.yaml declares as its dependencies and that no stage makes, `${…}` filled in."""
    declared = {name: entry for name, entry in _stages(layout).items() if isinstance(entry, dict)}
    made = {path for entry in declared.values() for path in paths(entry.get("outs"))}
    read = {
        stage: [path for path in paths(entry.get("deps")) if not within(path, made)]
        for stage, entry in declared.items()
    }
    given = {**_given(layout), "task.name": task}
    return {stage: [_filled(path, given) for path in paths] for stage, paths in read.items()}


def _given(layout: ProjectPaths) -> dict[str, Any]:
    """Parameters by dotted name, as far as they can be read."""
    try:
        return dict(params_yaml.leaves(parse(layout.params.read_bytes()))) if layout.params.is_file() else {}
    except UsageError:
        return {}


def _filled(path: str, given: Mapping[str, Any]) -> str:
    """`path` with each `${name}` that is a parameter filled in, as DVC does."""
    return re.sub(r"\$\{\s*([\w.]+)\s*\}", lambda found: str(given.get(found[1], found[0])), path)


def within(path: str, made: Collection[str]) -> bool:
    """Whether `path` is one of `made`, or lies in a folder that is."""
    return any(str(one) in made for one in (PurePosixPath(path), *PurePosixPath(path).parents))


def paths(declared: Any) -> list[str]:
    """Paths of a list in dvc.yaml; one with options is a mapping of a single key."""
    entries = declared if isinstance(declared, list) else []
    return [str(next(iter(entry), "")) if isinstance(entry, dict) else str(entry) for entry in entries]


def outputs(layout: ProjectPaths) -> set[str]:
    """Paths that any stage declares under `outs:`, as they stand in dvc.yaml."""
    stages = (stage for stage in _stages(layout).values() if isinstance(stage, dict))
    return {path.removeprefix("./").rstrip("/") for stage in stages for path in paths(stage.get("outs"))}


def cached_outputs(layout: ProjectPaths) -> set[str]:
    """Paths that any stage declares under `outs:` and that DVC keeps, not Git."""
    stages = [stage for stage in _stages(layout).values() if isinstance(stage, dict)]
    entries = [one for stage in stages for one in (stage.get("outs") or []) if isinstance(one, dict)]
    in_git = {
        path
        for one in entries
        for path, given in one.items()
        if isinstance(given, dict) and not given.get("cache", True)
    }
    return outputs(layout) - {str(path).removeprefix("./").rstrip("/") for path in in_git}


def _stages(layout: ProjectPaths) -> dict[str, Any]:
    stages = parse(files.read_bytes(layout.pipeline), PIPELINE, GENERATED).get("stages")
    if not isinstance(stages, dict):
        raise UsageError("dvc.yaml has no stages", hint="bring it back with `git checkout HEAD -- dvc.yaml`")
    return stages


def parameters(root: Path, hint: str = "git checkout HEAD -- params.yaml") -> bytes:
    """params.yaml of the project at `root`, without the sections that stages of the user's own declare."""
    content = files.read_bytes(root / PARAMS, hint)
    path = root / PIPELINE
    return own_parameters(content, path.read_bytes() if path.is_file() else b"")


def parameters_at(root: Path, revision: str) -> bytes | None:
    """The same as of a revision; None where it has no params.yaml."""
    content = git.read(root, revision, PARAMS)
    return None if content is None else own_parameters(content, git.read(root, revision, PIPELINE) or b"")


def own_parameters(content: bytes, pipeline: bytes) -> bytes:
    """`content` of a params.yaml without the top-level keys that only stages of the user's own declare.

    The very bytes where there are none. What cannot be read is left to whoever reads it next.
    """
    try:
        declared = _declared(pipeline) if pipeline else frozenset[str]()
        raw = parse(content) if declared else {}
    except UsageError:
        return content
    strange = (raw.keys() & declared) - params_yaml.KEYS - script_section.named(raw)
    if not strange:
        return content
    names = b"|".join(re.escape(key.encode()) for key in sorted(strange))
    rest = re.sub(rb"^(?:%s)[ \t]*:.*\n?(?:(?:[ \t#].*|)\n)*" % names, b"", content, flags=re.MULTILINE)
    left = {key: value for key, value in raw.items() if key not in strange}
    try:
        if parse(rest) == left:
            return rest
    except UsageError:
        pass
    return msgspec.json.encode(left)  # written in another way than a line for each key


@lru_cache(maxsize=16)
def _declared(pipeline: bytes) -> frozenset[str]:
    """`foreign` of a dvc.yaml as it is stored: one is asked about the parameters of a thousand experiments."""
    return frozenset(foreign(parse(pipeline, PIPELINE)))


def foreign(pipeline: dict[str, Any]) -> set[str]:
    """Top-level keys of params.yaml that stages which are none of ours list under `params`, or put into a `${…}`."""
    stages = pipeline.get("stages")
    others = [entry for name, entry in stages.items() if name not in STAGES] if isinstance(stages, dict) else []
    listed = {key for entry in others if isinstance(entry, dict) for key in _keys(entry.get("params"))}
    written = msgspec.json.encode(others).decode()
    return listed | set(re.findall(r"\$\{\s*([A-Za-z_]\w*)", written))


def _keys(declared: Any) -> set[str]:
    """First names of a stage's `params`: of params.yaml alone, and not where it watches the whole file."""
    found = set()
    for entry in declared if isinstance(declared, list) else []:
        if isinstance(entry, str):
            found.add(entry.partition(".")[0])
        elif isinstance(entry, dict) and isinstance(entry.get(PARAMS), list):
            found |= {str(key).partition(".")[0] for key in entry[PARAMS]}
    return found
