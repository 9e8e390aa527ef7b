"""The metric version as a value: `NAME-REVISION.HEX8`, a script's `NAME-REVISION.reported.HEX8`; format and parse.

Not covered: what it is made of (`metrics.version`, `metrics.reported_scores`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from assay.core.errors import UsageError

_GRAMMAR = re.compile(
    r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)-(?P<revision>0|[1-9][0-9]*)(?P<rank>\.reported)?\.(?P<digest>[0-9a-f]{8})"
)


@dataclass(frozen=True)
class MetricVersion:
    """`accuracy-1.5f3c9a2e`: numbers under different versions are never subtracted."""

    name: str
    revision: int  # raised by a person when the meaning changes in a way that code does not show
    digest: str  # 8 hex digits over examples, options and code
    reported: bool = False  # a script's own number; revision 0 where nobody named the files that compute it

    def __str__(self) -> str:
        return f"{self.name}-{self.revision}{'.reported' if self.reported else ''}.{self.digest}"

    @classmethod
    def parse(cls, text: str) -> MetricVersion:
        """The inverse of `str`. Raises UsageError when `text` is no metric version."""
        found = _GRAMMAR.fullmatch(text)
        if found is None:
            raise UsageError(f"{text!r} is not a metric version", allowed="NAME-REVISION.HEX8: accuracy-1.5f3c9a2e")
        return cls(found["name"], int(found["revision"]), found["digest"], found["rank"] is not None)


def can_name(metric: str) -> bool:
    """Whether a metric version can begin with the name of this metric."""
    return _GRAMMAR.fullmatch(f"{metric}-1.00000000") is not None


def metric_name(version: str) -> str:
    """Name of the metric in a recorded metric version, "" for what is none: records come from elsewhere, too."""
    try:
        return MetricVersion.parse(version).name
    except UsageError:
        return ""
