"""Every check of the watch, on the failing example of its section in docs/doctor-watch.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from assay.doctor import Report, watch
from assay.doctor.findings import GROUPS

PAGE = (Path(__file__).parents[2] / "docs" / "doctor-watch.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"\n### ([\w-]+)\n.*?```python\n(.*?)```", PAGE, flags=re.DOTALL))
FIRST = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)[1]
CHECKS = {check.name: check for monitor in watch().monitors for check in monitor.checks()}
#: checks that look at a whole run: their examples take longer
LONG = {"overconfident", "same-batch-again", "loss-spikes"}


def reported(name: str) -> Report:
    torch.manual_seed(3)
    space: dict[str, Any] = {}
    exec(compile(FIRST + SECTIONS[name], "loop.py", "exec"), space)
    report: Report = space["seen"].report
    return report


def test_each_check_has_a_section_and_a_group() -> None:
    assert set(SECTIONS) == set(CHECKS)
    assert {one.group for one in CHECKS.values()} <= set(GROUPS)


@pytest.mark.parametrize("name", [pytest.param(one, marks=[pytest.mark.extra] * (one in LONG)) for one in SECTIONS])
def test_its_example_fails(name: str) -> None:
    failed = reported(name).failed
    found = next(one for one in failed if one.check == name)
    assert found.level == CHECKS[name].level and len(found.places) <= 3 and found.next_step
    if name != "averages-lag":  # an average has no line
        assert re.fullmatch(r"loop\.py:\d+", found.places[0])
    assert ("warning" in SECTIONS_TEXT[name]) is (found.level == "warning")


SECTIONS_TEXT = dict(re.findall(r"\n### ([\w-]+)\n(.*?)```", PAGE, flags=re.DOTALL))
