"""`assay show`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from assay.cli.printing import examples, show_json
from assay.cli.printing import show as printed
from assay.commands.show import show
from assay.core.schemas import encode
from assay.report import experiment_table


@click.command(
    epilog=examples("assay show", "assay show --json | jq '.rows[] | select(.verdict == \"progress\").name'")
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, every number in full.")
def command(as_json: bool) -> None:
    """Show experiments as a table that fits the terminal (100 columns elsewhere): what changed, the deciding metric,
    the gain with its interval, the verdict.

    Running and queued experiments stand first, then those against today's baseline, the best first.
    """
    found = show(Path.cwd())
    if as_json:
        show_json(encode(found))
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else experiment_table.COLUMNS
        printed(experiment_table.text(found.rows, max(width, 60)))
