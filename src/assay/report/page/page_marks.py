"""What stands near the beginning of each file that reports write: such a file may be replaced by the next one."""

from __future__ import annotations

#: of pages
GENERATOR = 'content="assay report"'
#: of comments, by which GitHub's workflow finds its own, too, and updates it in place
MARK = "<!-- assay report -->"
