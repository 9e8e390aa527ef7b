"""`assay reject`."""

from __future__ import annotations

from pathlib import Path

import click

from assay.cli.printing import examples, show, show_json
from assay.commands.reject import reject
from assay.core.schemas import encode
from assay.tags.strategy_events import tag_of


@click.command(epilog=examples('assay reject wavy-pita --why "no gain at ten seeds, twice the time"'))
@click.argument("experiment")
@click.option("--why", required=True, help="The reason, for those who have the same idea.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(experiment: str, why: str, as_json: bool) -> None:
    """Keep EXPERIMENT as the tag rejected/EXPERIMENT, with its verdict."""
    event = reject(Path.cwd(), experiment, why)
    show(f"wrote the tag {tag_of(event)}; next: git push origin {tag_of(event)}", err=as_json)
    if as_json:
        show_json(encode(event))
