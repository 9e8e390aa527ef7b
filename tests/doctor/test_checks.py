"""Every check of the doctor, on the failing example of its section in docs/doctor.md."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from assay.doctor import Report
from assay.doctor.examine import CHECKS
from assay.doctor.findings import GROUPS

PAGE = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text(encoding="utf-8")
FOUND = re.findall(r"\n### ([\w-]+)\n.*?```python\n(.*?)```", PAGE, flags=re.DOTALL)
SECTIONS = dict(FOUND)
LEVELS = {one.name: one.level for one in CHECKS}
FIRST = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)[1]


def reported(name: str) -> Report:
    """The report of a section's example."""
    torch.manual_seed(3)
    space: dict[str, Any] = {}
    exec(compile(FIRST + SECTIONS[name], f"docs/doctor.md {name}", "exec"), space)
    return space["report"]


def test_each_check_has_a_section_and_a_group() -> None:
    assert sorted(name for name, _ in FOUND) == sorted(one.name for one in CHECKS)
    assert len(SECTIONS) == len(CHECKS)  # a name stands for one check, and its example is run
    assert {one.group for one in CHECKS} <= set(GROUPS)


#: examples whose rehearsal takes seconds: they run in the second command
LONG = ("few-examples", "more-capacity", "optimizer-settings", "update-to-weight")


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=pytest.mark.extra) if one in LONG else one for one in SECTIONS]
)
def test_its_example_fails(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["assay.doctor.examine"], "CHECKS", [one for one in CHECKS if one.name == name])
    report = reported(name)
    found = [one for one in report.failed if one.check == name]
    assert [one.level for one in found] in ([LEVELS[name]], ["error"])
    assert found[0].places and len(found[0].places) <= 3 and found[0].next_step
