"""`assay log`."""

from __future__ import annotations

from pathlib import Path

import click

from assay.cli.printing import examples, show, show_json
from assay.commands.log import log
from assay.core.schemas import encode
from assay.report import log_table as report


@click.command(epilog=examples("assay log --all --markdown > STRATEGIES.md"), context_settings={"show_default": True})
@click.option("--all", "everything", is_flag=True, help="Add attempts, rejected ideas and all experiments.")
@click.option("--markdown", "form", flag_value="markdown", help="Print Markdown tables.")
@click.option("--csv", "form", flag_value="csv", help="Print comma-separated values.")
@click.option("--json", "form", flag_value="json", help="Print one JSON object.")
def command(everything: bool, form: str | None) -> None:
    """Show accepted and revoked strategies, newest first."""
    found = log(Path.cwd(), everything)
    if form == "json":
        show_json(encode(found))
    elif form == "csv":
        show(report.comma_separated(found.rows))
    else:
        show(report.markdown(found.rows) if form == "markdown" else report.text(found.rows))
