"""verdict: print what `evaluate` found, also where nothing was to be run; it is small and always runs.

Under a profile other than full it adds how far that tells about full, as certified today (`assay fidelity`): a stored
line could outlive the conditions that it holds for.

Fails where no look could be recorded: by then everything is measured, and what to do is one command.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from assay.core.errors import UsageError
from assay.core.paths import ProjectPaths
from assay.core.schemas import NOT_RECORDED, RECORD, UNRECORDED
from assay.history import fidelity_certificates, profile_groups
from assay.history.profile_groups import FULL
from assay.runtime import dvc_yaml, files


def main(root: Path, _arguments: Sequence[str]) -> None:
    layout, hint = ProjectPaths(root), "dvc repro evaluate verdict"
    print(files.read_bytes(layout.verdict, hint).decode("utf-8", "surrogateescape"), end="")
    metrics = msgspec.json.decode(files.read_bytes(layout.metrics, hint))
    if (profile := str(metrics.get("profile", FULL))) != FULL:
        home = dvc_yaml.current(root).home
        print(f"{'':11}{fidelity_certificates.told(home, profile_groups.of_work_tree(layout, home), profile)}")
    if metrics.get("look") == NOT_RECORDED:
        raise UsageError(f"{UNRECORDED}, so nothing counts as shown", hint=f"let Git write its refs, then {RECORD}")
