"""Variables of a process that runs a script: the user's own, without those that DVC and Assay set for a stage."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

#: by which DVC tells a child about the run: DVCLive would write into the user's experiment
_OURS = ("DVC_", "ASSAY_")
#: the user's own settings of DVC, which say nothing about a run
_KEPT = ("DVC_NO_ANALYTICS", "DVC_STUDIO_TOKEN", "DVC_SITE_CACHE_DIR", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR")


def variables(python_path: Sequence[Path] = ()) -> Mapping[str, str]:
    """The environment of a script; `python_path` are folders of its copy that an editable install would import."""
    kept = {name: value for name, value in os.environ.items() if name in _KEPT or not name.startswith(_OURS)}
    if python_path:
        before = [kept["PYTHONPATH"]] if kept.get("PYTHONPATH") else []
        kept["PYTHONPATH"] = os.pathsep.join([*map(str, python_path), *before])
    return kept
