"""`assay revoke`."""

from __future__ import annotations

from pathlib import Path

import click

from assay.cli.printing import examples, show, show_json
from assay.commands.revoke import revoke
from assay.core.schemas import encode
from assay.tags.strategy_events import tag_of


@click.command(epilog=examples('assay revoke cosine-lr --why "the test part had leaked into training"'))
@click.argument("name")
@click.option("--why", required=True, help="The reason; the log shows it beside the strategy.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(name: str, why: str, as_json: bool) -> None:
    """Revoke strategy NAME and move the baseline back; the tag stays."""
    event, moved = revoke(Path.cwd(), name, why)
    where = f"; commit {moved[:12]} moved the baseline back to {event.baseline}" if moved else ""
    show(f"wrote the tag {tag_of(event)}{where}; next: git push --follow-tags", err=as_json)
    if as_json:
        show_json(encode(event))
