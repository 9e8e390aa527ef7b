"""What training reads that neither its code nor the parameters of an older dvc.yaml show to DVC.

The stage `train` depends on `context/code-train.json`, which holds a hash of each: so a dvc.yaml of an earlier release
runs training again for them, too. Covers: the section `loss` of params.yaml, first weights, soft targets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from assay.core import params_yaml
from assay.core.errors import ProvenanceError, UsageError
from assay.core.json_encoding import json_form
from assay.core.paths import PARAMS
from assay.runtime import dvc_yaml, files, tracked_code_check

#: options of the section `train` that name a file
FILES = ("start_from", "soft_targets")
#: what the section `loss` of params.yaml is called among files
LOSS = f"loss in {PARAMS}"


def hashes(root: Path) -> dict[str, str]:
    """Name → hash, as params.yaml says it now; empty where all of it is at its default."""
    params = params_yaml.resolved(dvc_yaml.parameters(root))
    found = weights(root)
    if params.loss.name and not params.is_script:
        plain = json_form(msgspec.to_builtins(params.loss))
        found[LOSS] = files.digest(msgspec.json.encode(plain, order="deterministic"))
    return found


def weights(root: Path) -> dict[str, str]:
    """Files that `train` names under any profile and mode → hash of their content; empty for one that is not there."""
    return {path: _content(root / path) for _, path in _named(root)}


def check_known(root: Path, declared: Sequence[str]) -> None:
    """Refuse a file that `train` names and that is not there, or that neither Git nor DVC keeps.

    `declared`: what the stage train depends on. Raises UsageError or ProvenanceError.
    """
    for option, path in _named(root):
        if not (root / path).is_file():
            raise UsageError(
                f"{PARAMS}: train.{option} is {path}, and there is no such file",
                hint=f"dvc pull, or correct train.{option} in params.yaml",
            )
        listed = dvc_yaml.within(path, declared)
        if not listed and (Path(path).is_absolute() or path not in tracked_code_check.tracked(root, [path])):
            raise ProvenanceError(
                f"{path} in train.{option} is neither in Git nor a dependency of the stage train",
                hint=f"git add {path}, or add `- {path}` under stages.train.deps in dvc.yaml",
            )


def _named(root: Path) -> list[tuple[str, str]]:
    """Options of `train` that name a file, and the file, once each, in order of the files."""
    return sorted(set(_files(root)), key=lambda found: (found[1], found[0]))


def _files(root: Path) -> Iterator[tuple[str, str]]:
    raw = params_yaml.read(dvc_yaml.parameters(root))
    overlays = [one for name in ("profiles", "modes") for one in (raw.get(name) or {}).values()]
    for section in (raw, *overlays):
        train: Any = section.get("train") if isinstance(section, Mapping) else None
        for option in FILES if isinstance(train, Mapping) else ():
            path = train.get(option)
            if isinstance(path, str) and path:
                yield option, path


def _content(path: Path) -> str:
    """Hash of a file that may be large, as `files.digest`; empty where it cannot be read."""
    found = hashlib.blake2b(digest_size=16)
    try:
        with path.open("rb") as stream:
            while piece := stream.read(2**22):
                found.update(piece)
    except OSError:
        return ""
    return found.hexdigest()
