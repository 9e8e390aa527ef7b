"""docs/guide/test-your-task.md: its rules are those of the code, its blocks run, and its output is what is printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from assay.testing import RULES, project_task
from support import pages
from testing.test_broken_tasks import JOINT, TASK, broken, edited

PAGE = pages.ROOT / "docs/guide/test-your-task.md"


def test_the_rules_of_the_page() -> None:
    rows = re.findall(r"^\| `([a-z ]+)` \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    told = {name: text.replace("`", "") for name, text in rows if name in RULES}
    assert told == {name: text.replace("`", "") for name, text in RULES.items()} and list(told) == list(RULES)


@pytest.mark.extra
def test_the_blocks_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "task.py").write_text(TASK, encoding="utf-8")
    (tmp_path / "params.yaml").write_text(
        "lr: 0.01\nreplicates: 2\nseed: 1\nmetric: {name: accuracy}\n", encoding="utf-8"
    )
    blocks = [block.text for block in pages.blocks(PAGE) if block.language == "python"]
    first, second, third = ({} for _ in range(3))  # type: tuple[dict[str, Any], dict[str, Any], dict[str, Any]]
    for names, text in zip((first, second, third), blocks, strict=True):
        exec(text, names)
    first["test_my_task"]()
    second["test_a_small_model_of_the_same_task"]()
    with project_task.around(tmp_path) as task:
        third["test_metric"](task)


@pytest.mark.extra
def test_the_output_of_the_page(tmp_path: Path) -> None:
    (shown,) = (block.text for block in pages.blocks(PAGE) if block.language == "text")
    said = broken(tmp_path, edited(TASK, ("default_rng(0)", "default_rng()"), JOINT))
    assert _plain(said) == _plain(shown)


def _plain(text: str) -> str:
    """Without the value that is drawn."""
    return re.sub(r"-?\d\.\d+", "X", text).strip()
