"""`assay rescore`."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from assay.cli.printing import examples, show, show_json
from assay.commands.rescore import rescore
from assay.core import schemas
from assay.report import rescore_table as report


@click.command(epilog=examples("assay rescore --dry-run"))
@click.option("--dry-run", is_flag=True, help="Show the numbers, keep none of them.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(dry_run: bool, as_json: bool) -> None:
    """Bring strategies and experiments whose predictions are at hand to today's metric version.

    Nothing is trained or predicted. What cannot be scored is listed with the reason. `assay log --all` shows
    the old number and the new one.
    """
    done = rescore(Path.cwd(), dry_run)
    if as_json:
        show_json(schemas.as_json({"schema": 1, **msgspec.to_builtins(done)}))
    else:
        rows = {name: (score.mean, score.sd, score.n, score.diverged) for name, score in done.scored.items()}
        show(report.text(done.metric_version, rows, done.left, done.kept))
