"""The task of docs/tasks.md in a project: rings, whose examples come in groups."""

from __future__ import annotations

import re

from support.project import CHECKOUT, Project


def write(fresh: Project, epochs: int) -> str:
    """Its three files and what params.yaml says of it. Returns the page's learning.py with a loop of its own."""
    page = (CHECKOUT / "docs/tasks.md").read_text(encoding="utf-8")
    _alone, data, network, loop, metrics = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    for name, text in (("data", data), ("learning", network), ("metrics", metrics)):
        file = fresh.root / f"src/tasks/rings/{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    text = re.sub(r"name: digits\b", "name: rings", fresh.read("params.yaml"))
    text = re.sub(r"name: accuracy\b", "name: balanced", text)
    text = re.sub(r"^  (layers|dropout): .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^  epochs: 3\b", f"  epochs: {epochs}", text, flags=re.MULTILINE)
    text = re.sub(r"^( +)hidden: \d+", r"\1hidden: 16", text, flags=re.MULTILINE)
    (fresh.root / "params.yaml").write_text(text, encoding="utf-8")
    return loop
