"""`assay guard`."""

from __future__ import annotations

import dataclasses
import json
from functools import partial
from pathlib import Path
from typing import Any

import click

from assay.cli.printing import examples, show, show_json
from assay.commands.guard import guard
from assay.commands.guard_same_weights import SameWeights, same_weights
from assay.core.errors import GateError, UsageError
from assay.report import guard_text as report


@click.command(
    epilog=examples(
        "assay guard strategy/adam HEAD --except vit --require", "assay guard --same-as fast-lr cleaned-up --require"
    )
)
@click.argument("base", required=False)
@click.argument("head", required=False)
@click.option("--except", "excepted", multiple=True, metavar="MODE", help="A mode that is meant to change.")
@click.option("--steps", default=5, show_default=True, help="Training steps to compare.")
@click.option(
    "--same-as", metavar="EXP", help="Train all replicates of this experiment anew, by the code of HEAD, to the end."
)
@click.option(
    "--require", is_flag=True, help="Leave with code 5 unless every other mode, or every weight, is unchanged."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    base: str | None,
    head: str | None,
    excepted: tuple[str, ...],
    steps: int,
    same_as: str | None,
    require: bool,
    as_json: bool,
) -> None:
    """Prove that a change leaves all other modes alone: train a few steps in BASE and HEAD, compare every bit.

    BASE defaults to the accepted baseline, HEAD to the work tree. Modes are overlays under `modes:` in
    params.yaml, and `default`: the parameters as they stand.

    With --same-as the only argument is HEAD: a branch that was cleaned up after the experiment. It has to give the
    experiment's weights and predictions, bit for bit, from the same parameters, data and seeds.
    """
    if same_as is not None:
        if head is not None or excepted:
            raise UsageError("--same-as takes one revision and no mode", hint=f"assay guard --same-as {same_as} HEAD")
        _same_weights(same_as, base, require, as_json)
        return
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


def _same_weights(name: str, head: str | None, require: bool, as_json: bool) -> None:
    found = same_weights(Path.cwd(), name, head, partial(show, err=True))
    if as_json:
        show_json(json.dumps({"schema": 1, "held": found.held, **dataclasses.asdict(found)}))
    else:
        show(report.same_weights(**_shown(found)))
    if require and not found.held:
        raise GateError(
            f"{found.head} does not give the weights of {found.experiment}",
            hint=f"git diff {found.commit[:12]} {head or ''}".rstrip(),
        )


def _shown(found: SameWeights) -> dict[str, Any]:
    """What the report is made of."""
    rows = [(one.number, one.seed, one.tensor, one.repeats) for one in found.replicates]
    return {
        "title": f"{found.experiment} ({found.commit[:12]}) → {found.head}",
        "differs": found.differs,
        "code": found.code,
        "environment": found.environment,
        "replicates": rows,
    }
