"""`assay net`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from assay.cli.printing import examples, show, show_json
from assay.commands.net import record_net


@click.command(epilog=examples("assay net"))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(as_json: bool) -> int:
    """Record what the network of one replicate was given and said, where it trained without a recorder.

    Trains the candidate's first replicate again, compares its weights with those that are kept, and keeps its first
    batch, predictions through training and first-layer weights for the page of `assay report`. No number changes.
    """
    made = record_net(Path.cwd())
    if as_json:
        show_json(json.dumps({"schema": 1, "recorded": not made.code, "hint": made.hint}))
    elif not made.code:
        show(f"next: {made.hint}")
    return made.code
