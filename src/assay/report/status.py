"""The status as text: one line a finding, the unhealthy ones marked and ending in their mend."""

from __future__ import annotations

from assay.report.listing import Status


def text(found: Status) -> str:
    """Topic, finding and mend; `!` marks what is not healthy."""
    width = max((len(line.topic) for line in found.lines), default=0)
    lines = []
    for line in found.lines:
        mark = " " if line.healthy else "!"
        mend = f"; next: {line.mend}" if line.mend else ""
        shown = "".join(letter if letter.isprintable() else " " for letter in f"{line.text}{mend}")
        lines.append(f"{mark} {line.topic:<{width}}  {shown}")
    return "\n".join(lines)
