"""`assay guard`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click
import msgspec

from assay.verbs.guard import Finding, guard
from assay.words.errors import GateError


@click.command(epilog="Example: assay guard strategy/cosine-lr HEAD --changes resnet --require")
@click.argument("base", default="")
@click.argument("head", default="HEAD")
@click.option("--changes", multiple=True, metavar="MODE", help="A mode (profile) that is meant to change.")
@click.option("--require", is_flag=True, help="Exit with 5 when another mode changed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(base: str, head: str, changes: tuple[str, ...], require: bool, as_json: bool) -> None:
    """Prove that HEAD trains bit for bit as BASE (default: the baseline) in every mode not meant to change."""
    found = guard(Path.cwd(), base, head, changes, partial(click.echo, err=True))
    if as_json:
        click.echo(msgspec.json.encode({"schema": 1, "modes": [msgspec.to_builtins(one) for one in found]}))
    else:
        click.echo("\n".join(map(_line, found)) or "no mode is in both revisions and not meant to change")
    wrong = [one for one in found if one.step]
    if require and wrong:
        raise GateError(f"mode {wrong[0].mode} changed", mend=f"undo it, or --changes {wrong[0].mode}")


def _line(one: Finding) -> str:
    if not one.step:
        return f"{one.mode}: equal to the last bit"
    why = f"; explained by {', '.join(one.explained)}" if one.explained else "; no parameter or source explains it"
    return f"{one.mode}: differs after step {one.step}, first in {one.tensor}{why}"
