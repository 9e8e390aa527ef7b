"""What `assay report` writes: a page, a page of history, a comment, each with its gate.

Covers: the text, the line about it, whether a required verdict is met. Not covered: writing the file, and pages that
were made before (`cli.report`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.commands import report_history
from assay.commands.compare_score_source import RECORDED
from assay.commands.report import Reported, report
from assay.core.errors import GateError
from assay.report.page import page_html, page_markdown, verdict_section
from assay.runtime import chart_cache


@dataclass(frozen=True)
class ReportOutput:
    """`text` of the file, and the line that is `said` of it. `ideas`: strategies about which the ledger of looks was
    asked, None where it was asked about all."""

    text: str
    said: str
    reported: Reported | None = None

    @property
    def ideas(self) -> frozenset[str] | None:
        return None if self.reported is None else self.reported.ideas

    def gate(self, require: str) -> None:
        """As `assay compare --require`: recorded numbers alone pass no gate. Raises GateError."""
        if self.reported is not None:
            _check(self.reported, require)


def page(start: Path, names: Sequence[str], *, rescore: bool = False) -> ReportOutput:
    """A page about `names`. Raises UsageError as `report` does."""
    found = report(start, names, rescore=rescore)
    text = page_html.html(found.page, chart_cache.store(found.root))
    return ReportOutput(text, found.page.lead or verdict_section.lead(found.verdicts[0]), found)


def comment(start: Path, names: Sequence[str], *, rescore: bool = False) -> ReportOutput:
    """A comment on a pull request about `names`, in Markdown."""
    found = report(start, names, rescore=rescore)
    return ReportOutput(page_markdown.markdown(found.page), "", found)


def history(start: Path) -> ReportOutput:
    """A page of all strategies, rejected ideas, looks and experiments."""
    made = report_history.history(start)
    return ReportOutput(page_html.html(made, chart_cache.store(start)), made.lead)


def _check(found: Reported, require: str) -> None:
    for place, (said, compared) in enumerate(zip(found.verdicts, found.compared, strict=True)):
        if compared is None:
            raise GateError(f"{require} is required, and no verdict on {said.candidate} was computed: {said.why}")
        if compared.off_account:
            raise GateError(compared.off_account, hint="dvc exp run, which records its look, then report that")
        kept = found.members[place].no_regression if found.members else compared.result.no_regression
        if not {"progress": said.word == "progress", "no-regression": kept}[require]:
            raise GateError(f"{require} is required, and the verdict on {said.candidate} is {said.word}")
        if RECORDED in compared.origins.values():
            raise GateError(
                f"the numbers of {said.candidate} were computed neither in this call nor by an evaluate here",
                hint="the same command with --rescore",
            )
