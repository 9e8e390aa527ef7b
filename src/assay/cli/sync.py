"""`assay sync`."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from assay.cli.printing import examples, show, show_json
from assay.commands.sync import sync


@click.command(epilog=examples("assay sync origin"))
@click.argument("remote", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(remote: str | None, as_json: bool) -> None:
    """Join looks, attempts, scores, notes and searches with those of REMOTE (default: origin), here and there.

    Whoever works on the same ideas pays for each other's looks. Nothing is ever taken away from either side.
    """
    found = sync(Path.cwd(), remote)
    if as_json:
        show_json(msgspec.json.encode({"schema": 1, **msgspec.to_builtins(found)}))
        return
    show(f"{found.came} entries came from {found.remote}, {found.went} went there")
    for path, why in found.damaged.items():
        show(f"{path} cannot be read: {why[:200]}", err=True)
    for ref, why in found.apart.items():
        text = f"{ref}: here and on {found.remote} are two searches ({why}), and each keeps its own"
        show(f"{text}; next: git fetch {found.remote} {ref}:{ref}-{found.remote}", err=True)
