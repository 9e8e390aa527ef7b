"""`assay export`."""

from __future__ import annotations

from pathlib import Path

import click

from assay.verbs.export import export
from assay.words.records import encode


@click.command(epilog="Example: assay export cosine-lr build/cosine-lr")
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(name: str, folder: Path, as_json: bool) -> None:
    """Write strategy NAME to FOLDER, ready for assay.load(FOLDER).predict(inputs)."""
    head = export(Path.cwd(), name, folder)
    click.echo(f'wrote {folder}; next: assay.load("{folder}").predict(inputs)', err=as_json)
    if as_json:
        click.echo(encode(head), nl=False)
