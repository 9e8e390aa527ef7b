"""Whether data are in Git or in DVC, so that other clones can have them."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from assay.core.errors import UsageError
from assay.core.paths import PIPELINE
from assay.core.yaml12 import parse
from assay.core.yaml_limits import GENERATED
from assay.runtime import dvc_yaml, git


def is_untracked(folder: Path, path: str, inside: bool = True) -> bool:
    """Whether `path`, relative to `folder`, or a file in it is in neither Git nor DVC."""
    if not inside:
        return True
    if _in_dvc(folder, path):
        return False
    if not git.run(folder, "--literal-pathspecs", "ls-files", "--", path):
        return True
    return bool(git.run(folder, "--literal-pathspecs", "ls-files", "--others", "--", path))


def _in_dvc(folder: Path, path: str) -> bool:
    """Whether a .dvc file beside `path`, or beside a folder above it, or a stage of dvc.yaml here holds it."""
    above = [one for one in (PurePosixPath(path), *PurePosixPath(path).parents) if one.name]
    if any((folder / f"{one}.dvc").is_file() for one in above):
        return True
    pipeline = folder / PIPELINE
    try:
        stages = parse(pipeline.read_bytes(), PIPELINE, GENERATED).get("stages") if pipeline.is_file() else {}
    except UsageError:
        return False
    entries = stages.values() if isinstance(stages, dict) else ()
    made = {one for entry in entries if isinstance(entry, dict) for one in dvc_yaml.paths(entry.get("outs"))}
    return dvc_yaml.within(path, made)
