"""results/cases.json: the cases behind the verdict, each as a person sees it, where dvc.yaml names the file."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from assay.core import sanitize_output, schemas
from assay.core.case_records import CasesRecord
from assay.metrics import example_cases, result_files
from assay.metrics.result_files import Evaluated
from assay.runtime import files
from assay.runtime.stage_setup import StageContext
from assay.stages import example_displays


def write(ctx: StageContext, found: Evaluated) -> None:
    """Choose, show and write. What goes wrong while examples are shown is said, and stands in the record."""
    if not result_files.declares_case_record(ctx.layout):
        return
    with ctx.said_by_task("metrics"):
        cases = example_cases.find(found.ruler, found.candidate, found.baseline, found.best_floor, found.classes)
        record = cases.record(found.metric_version)
    rows = [int(row) for row in cases.shown]
    shown = example_displays.of_rows(ctx, rows)
    for note in shown.notes:
        print(sanitize_output.line(f"evaluate: {note}"))
    drawn = [
        msgspec.structs.replace(case, display=shown.by_row.get(row, UNSET))
        for case, row in zip(record.cases, rows, strict=True)
    ]
    _write(ctx, msgspec.structs.replace(record, cases=drawn, notes=shown.notes))


def of_script(ctx: StageContext, found: Evaluated) -> None:
    """The same of a reported number: a record that says why there are no cases."""
    if result_files.declares_case_record(ctx.layout):
        _write(ctx, example_cases.without_predictions(found.ruler.decides, found.metric_version))


def of_splits(ctx: StageContext, found: Evaluated) -> None:
    """The same of replicates that have a split each: no two predicted the same examples."""
    if result_files.declares_case_record(ctx.layout):
        _write(ctx, example_cases.without_common_examples(found.ruler.decides, found.metric_version))


def _write(ctx: StageContext, record: CasesRecord) -> None:
    files.write_bytes(ctx.layout.case_record, schemas.encode(record))
