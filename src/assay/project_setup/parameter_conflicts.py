"""Whether a params.yaml of the user's can hold our parameters beside his."""

from __future__ import annotations

from pathlib import Path

import msgspec

from assay.core import params_yaml
from assay.core.errors import UsageError
from assay.core.paths import PARAMS, PIPELINE
from assay.core.yaml12 import parse
from assay.core.yaml_limits import GENERATED
from assay.project_setup import yaml_insertion
from assay.runtime import dvc_yaml

#: sections whose keys are those of one task
_OF_A_TASK = ("task", "data", "model", "metric", "profiles", "modes")
#: keys of a file of Hydra's that are none of a parameter
_HYDRA = ("defaults", "hydra")


def find(folder: Path, content: bytes, ours: str) -> str:
    """The first reason why `content` cannot hold the keys of `ours`, the text of our params.yaml; "" for none."""
    try:
        old = yaml_insertion.read(content, PARAMS)
    except UsageError as error:
        return error.problem
    if "defaults" in old:  # of Hydra, which leaves its own keys out of params.yaml
        old = {key: value for key, value in old.items() if key not in _HYDRA}
        content = b"".join(b"%s: %s\n" % (msgspec.json.encode(key), msgspec.json.encode(old[key])) for key in old)
    pipeline = folder / PIPELINE
    declared = dvc_yaml.foreign(_stages(pipeline)) if pipeline.is_file() else set()
    if strange := sorted(old.keys() - params_yaml.KEYS - declared):
        return f"params.yaml has {strange[0]}, which no stage in dvc.yaml lists under its params"
    if clashing := [key for key in _OF_A_TASK if old.get(key)]:
        return f"params.yaml has a section {clashing[0]} of its own"
    try:
        made = yaml_insertion.with_keys(content, yaml_insertion.chunks(ours))
        params_yaml.load(_without(made, declared))
    except UsageError as error:
        return error.problem
    return ""


def _without(content: bytes, declared: set[str]) -> bytes:
    """`content` without the top-level keys that only stages of the user's declare."""
    names = ", ".join(f'"{key}"' for key in sorted(declared - params_yaml.KEYS))
    stage = f'stages: {{user: {{cmd: "-", params: [{names}]}}}}' if names else ""
    return dvc_yaml.own_parameters(content, stage.encode())


def _stages(pipeline: Path) -> dict[str, object]:
    try:
        return parse(pipeline.read_bytes(), PIPELINE, GENERATED)
    except UsageError:
        return {}
