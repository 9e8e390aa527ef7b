"""A task's own test: `check_task` holds a task against everything that a run takes for granted.

    from assay.testing import check_task

    def test_my_task():
        check_task("task.py")

With pytest, the fixture `assay_task` (`assay/pytest_plugin.py`) gives the task of the project around a test.
"""

from __future__ import annotations

from assay.testing.contract import RULES, check_task
from assay.testing.contract_report import BrokenRule, BrokenTaskError, ContractReport

__all__ = ["RULES", "BrokenRule", "BrokenTaskError", "ContractReport", "check_task"]
