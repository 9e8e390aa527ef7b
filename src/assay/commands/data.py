"""`assay data`: what a person should know of the data before believing a number made from them. Reads alone.

Covers: finding the parts, progress. Imports no code of the project. Not covered: the checks (`assay.data_trust`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from assay.core.errors import UsageError
from assay.core.paths import PARTS
from assay.data_trust import data_findings
from assay.data_trust.data_findings import DataFindings
from assay.data_trust.suspected_labels import RULES as RULES
from assay.runtime import project_root

Say = Callable[[str], None]


def data(start: Path, most: int, rule: str, say: Say) -> DataFindings:
    """Findings about the parts that `split` wrote. Raises UsageError where there are none."""
    layout = project_root.find(start)
    if rule not in RULES:
        raise UsageError(f"--rule is {rule!r}", allowed=", ".join(RULES))
    missing = next((name for name in PARTS if not layout.manifest(name).is_file()), None)
    if missing is not None:
        where = layout.part(missing).relative_to(layout.root).as_posix()
        raise UsageError(f"there is no {where}", hint="dvc repro split; a script keeps its data to itself")
    return data_findings.find(layout, most, rule, say)
