"""A span of time as people type it: 90s, 20m, 1.5h."""

from __future__ import annotations

import re

from assay.core.errors import UsageError

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def parse(text: str) -> float:
    """Seconds. Raises UsageError for what is no span of time, or none at all."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if found is None or not float(found[1]):
        raise UsageError(f"--budget {text!r} is no span of time", allowed="a number and s, m or h: 90s, 20m, 1.5h")
    return float(found[1]) * _SECONDS[found[2]]
