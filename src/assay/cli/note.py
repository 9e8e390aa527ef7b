"""`assay note`."""

from __future__ import annotations

from pathlib import Path

import click

from assay.cli.printing import examples, show, show_json
from assay.commands.note import note
from assay.core import sanitize_output
from assay.core.schemas import encode


@click.command(
    epilog=examples('assay note wavy-pita "the gain is in class 8 alone"', "assay note strategy/cosine-lr --json")
)
@click.argument("experiment")
@click.argument("text", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(experiment: str, text: str | None, as_json: bool) -> None:
    """Add TEXT to what was learned from EXPERIMENT; without TEXT print its reason and notes.

    EXPERIMENT may also be strategy/NAME, rejected/NAME, a branch or a full commit hash. `assay show`, `log` and
    `report` show notes; `assay sync` shares them.
    """
    found = note(Path.cwd(), experiment, text)
    if as_json:
        show_json(encode(found))
        return
    if found.why:
        show(f"why: {sanitize_output.line(found.why)}")
    for one in found.notes:
        show(f"note: {sanitize_output.line(one.line)}")
    if not found.why and not found.notes:
        show(f'nothing was noted yet; next: assay note {experiment} "what you learned"')
