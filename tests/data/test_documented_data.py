"""docs/data.md: its code blocks run."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/data.md"


def test_blocks_run() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    table, images = ({} for _ in blocks)
    exec(blocks[0], table)
    exec(blocks[1], images)
    assert hasattr(table["transform"](), "fit") and set(images["__all__"]) <= set(images)
