"""`assay accept`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from assay.cli.printing import examples, show, show_json
from assay.commands.accept import accept
from assay.commands.accept_checks import ALLOWANCES, FIRST
from assay.core.schemas import encode
from assay.tags.strategy_events import tag_of


@click.command(epilog=examples("assay accept wavy-pita cosine-lr"))
@click.argument("experiment")
@click.argument("name")
@click.option("--allow", multiple=True, type=click.Choice(ALLOWANCES), help="Set a rule aside; needs --why.")
@click.option("--first", is_flag=True, help="Land a starting point that claims no gain; needs --why.")
@click.option("--why", default="", help="The reason, kept in the evidence.")
@click.option(
    "--replicates", type=click.IntRange(2, 10_000), help="Fresh replicates an arm; default: what +2 sd takes."
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    experiment: str,
    name: str,
    allow: tuple[str, ...],
    first: bool,
    why: str,
    replicates: int | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Confirm EXPERIMENT (or a branch) on fresh seeds and make it the strategy NAME, the next baseline."""
    say = partial(show, err=not dry_run or as_json)
    allowed = (*allow, *([FIRST] if first else []))
    event = accept(Path.cwd(), experiment, name, allowed, why, dry_run, say, replicates)
    if event is not None:
        show(f"{tag_of(event)} is the baseline; next: git push --follow-tags && dvc push", err=as_json)
        if as_json:
            show_json(encode(event))
