"""The key of a number that a script reports itself: `NAME-REV.reported.HEX8`.

Covers: the key, and what every line says beside such a number. Revision 0 is that of a number without ruler: nobody
named the files that compute it. Not covered: keys of metrics that Assay computes (`metrics.version.version_key`).
"""

from __future__ import annotations

import re

#: in the key, and in every line that shows the number
REPORTED = "reported"
UNPROVEN = "ruler unproven"
_KEY = re.compile(rf"(?P<name>.+)-(?P<revision>[0-9]+)\.{REPORTED}\.[0-9a-f]{{8}}")


def key(name: str, revision: int, digest: str) -> str:
    """The key of the number `name`; `digest` is a hash in hex over its ruler. Revision 0: no ruler is named."""
    return f"{name}-{revision}.{REPORTED}.{digest[:8]}"


def is_reported(version: str) -> bool:
    return _KEY.fullmatch(version) is not None


def is_unproven(version: str) -> bool:
    """Whether the number was reported and nobody named what computes it."""
    match = _KEY.fullmatch(version)
    return match is not None and int(match["revision"]) == 0


def rank(version: str) -> str:
    """What stands beside a number under this metric version: "" for one that Assay computed from predictions."""
    if not is_reported(version):
        return ""
    return f"{REPORTED}, {UNPROVEN}" if is_unproven(version) else REPORTED


def label(metric: str, version: str) -> str:
    """The metric's name as lines show it: `accuracy`, `accuracy (reported)`."""
    found = rank(version)
    return f"{metric} ({found})" if found else metric
