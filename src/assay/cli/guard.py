"""`assay guard`."""

from __future__ import annotations

import dataclasses
import json
from functools import partial
from pathlib import Path

import click

from assay.cli.printing import examples, show, show_json
from assay.commands.guard import guard
from assay.core.errors import GateError
from assay.report import guard_text as report


@click.command(epilog=examples("assay guard strategy/adam HEAD --except vit --require"))
@click.argument("base", required=False)
@click.argument("head", required=False)
@click.option("--except", "excepted", multiple=True, metavar="MODE", help="A mode that is meant to change.")
@click.option("--steps", default=5, show_default=True, help="Training steps to compare.")
@click.option("--require", is_flag=True, help="Leave with code 5 unless every other mode is unchanged.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    base: str | None, head: str | None, excepted: tuple[str, ...], steps: int, require: bool, as_json: bool
) -> None:
    """Prove that a change leaves all other modes alone: train a few steps in BASE and HEAD, compare every bit.

    BASE defaults to the accepted baseline, HEAD to the work tree. Modes are overlays under `modes:` in
    params.yaml, and `default`: the parameters as they stand.
    """
    found = guard(Path.cwd(), base, head, excepted, steps, partial(show, err=True))
    if as_json:
        modes = [{**dataclasses.asdict(mode), "held": mode.held} for mode in found.modes]
        plain = {"base": found.base, "head": found.head, "steps": found.steps, "seed": found.seed}
        show_json(json.dumps({"schema": 1, **plain, "held": found.held, "modes": modes}))
    else:
        show(report.text(found.base, found.head, found.steps, found.modes))
    if require and not found.held:
        broken = [mode.mode for mode in found.modes if not mode.held]
        raise GateError(
            f"{', '.join(broken)} changed between {found.base} and {found.head}",
            hint=f"undo what the table names, or say that it is meant: --except {broken[0]}",
        )
