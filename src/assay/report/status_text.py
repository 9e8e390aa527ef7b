"""The status as text: one line a finding, the unhealthy ones marked and ending in their hint."""

from __future__ import annotations

from assay.core import sanitize_output
from assay.report.json_rows import Status


def text(found: Status) -> str:
    """Topic, finding and hint; `!` marks what is not healthy."""
    width = max((len(line.topic) for line in found.lines), default=0)
    lines = []
    for line in found.lines:
        mark = " " if line.healthy else "!"
        hint = f"; next: {sanitize_output.command(line.hint)}" if line.hint else ""
        text = sanitize_output.cut(sanitize_output.line(line.text), sanitize_output.LONGEST)
        lines.append(f"{mark} {line.topic:<{width}}  {text}{hint}")
    return "\n".join(lines)
