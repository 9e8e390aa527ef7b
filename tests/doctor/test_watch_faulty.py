"""The watch on loops with one fault each: the check that finds it, its level, and the line that it names."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch

from assay.doctor import watch
from support.watch_faulty import FAULTS

LOOPS = [(check, train) for check, loops in FAULTS.items() for train in loops]


def marked(train: Any) -> str:
    """`file.py:LINE` of the line that is marked `# here`."""
    lines, first = inspect.getsourcelines(train)
    found = [first + number for number, line in enumerate(lines) if line.rstrip().endswith("# here")]
    return f"watch_faulty.py:{found[0]}" if found else ""


@pytest.mark.extra  # one of each kind stands in test_watch_checks.py, too
@pytest.mark.parametrize(("check", "train"), LOOPS, ids=[train.__name__ for _, train in LOOPS])
def test_the_fault_is_found(check: str, train: Any) -> None:
    torch.manual_seed(4)
    with watch() as seen:
        train()
    failed = seen.report.failed
    print(seen.report)
    assert failed and failed[0].check == check
    assert not marked(train) or failed[0].places[0] == marked(train)
