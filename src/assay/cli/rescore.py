"""`assay rescore`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click
import msgspec

from assay.verbs.rescore import rescore


@click.command(epilog="Example: assay rescore && assay log")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(as_json: bool) -> None:
    """Bring strategies and experiments whose predictions are at hand to today's metric version."""
    done = rescore(Path.cwd(), partial(click.echo, err=True))
    if as_json:
        click.echo(msgspec.json.encode({"schema": 1, **msgspec.to_builtins(done)}))
    else:
        lines = [f"scored {name}" for name in done.scored] + [f"left {name}: {why}" for name, why in done.left.items()]
        click.echo("\n".join(lines) or f"everything has a number under {done.metric_version}")
