"""What is said of a number that a script reports itself: in its key, and beside it in every line.

Covers: the key `NAME-REV.reported.HEX8`, the rank of a number by its metric version. Revision 0 is that of a number
without ruler: nobody named the files that compute it. Not covered: the grammar (`core.metric_version`).
"""

from __future__ import annotations

from assay.core.errors import UsageError
from assay.core.metric_version import MetricVersion

#: in every line that shows such a number
REPORTED, UNPROVEN = "reported", "ruler unproven"


def key(name: str, revision: int, digest: str) -> str:
    """The key of the number `name`; `digest` is a hash in hex over its ruler. Revision 0: no ruler is named."""
    return str(MetricVersion(name, revision, digest[:8], reported=True))


def _parsed(version: str) -> MetricVersion | None:
    try:
        return MetricVersion.parse(version)
    except UsageError:
        return None


def is_reported(version: str) -> bool:
    found = _parsed(version)
    return found is not None and found.reported


def is_unproven(version: str) -> bool:
    """Whether the number was reported and nobody named what computes it."""
    found = _parsed(version)
    return found is not None and found.reported and found.revision == 0


def rank(version: str) -> str:
    """What stands beside a number under this metric version: "" for one that Assay computed from predictions."""
    if not is_reported(version):
        return ""
    return f"{REPORTED}, {UNPROVEN}" if is_unproven(version) else REPORTED


def label(metric: str, version: str) -> str:
    """The metric's name as lines show it: `accuracy`, `accuracy (reported)`."""
    found = rank(version)
    return f"{metric} ({found})" if found else metric
