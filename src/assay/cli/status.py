"""`assay status`."""

from __future__ import annotations

from pathlib import Path

import click

from assay.cli.printing import examples, show, show_json
from assay.commands.status import status
from assay.core.schemas import encode
from assay.report import status_text as report


@click.command(epilog=examples("assay status"))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(as_json: bool) -> None:
    """Show what is clean, stale, unproven or left over, and the command that fixes it."""
    found = status(Path.cwd())
    show_json(encode(found)) if as_json else show(report.text(found))
