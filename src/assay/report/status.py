"""The status as text: one line a finding, the unhealthy ones marked and ending in their mend."""

from __future__ import annotations

from assay.report.listing import Status
from assay.words import printable


def text(found: Status) -> str:
    """Topic, finding and mend; `!` marks what is not healthy."""
    width = max((len(line.topic) for line in found.lines), default=0)
    lines = []
    for line in found.lines:
        mark = " " if line.healthy else "!"
        mend = f"; next: {printable.command(line.mend)}" if line.mend else ""
        text = printable.cut(printable.line(line.text), printable.LONGEST)
        lines.append(f"{mark} {line.topic:<{width}}  {text}{mend}")
    return "\n".join(lines)
