"""`assay sensitivity`."""

from __future__ import annotations

import dataclasses
import math
from functools import partial
from pathlib import Path
from typing import Any

import click

from assay.cli.printing import examples, show, show_json
from assay.commands.experiment_grid import Wanted
from assay.commands.sensitivity import Sensitivity, sensitivity
from assay.commands.sensitivity_settings import importance
from assay.core import reported_key, schemas
from assay.core.params_yaml import SPAN
from assay.report import importance_text, sensitivity_text


@click.command(epilog=examples("assay sensitivity lr model.dropout=0,0.3", "assay sensitivity --settings 64 --dry-run"))
@click.argument("named", metavar="[KEY | KEY=VALUE,VALUE]...", nargs=-1)
@click.option("--name", default="sensitivity", help="What the experiments' names begin with.")
@click.option("--replicates", type=click.IntRange(2, SPAN), help="Replicates of each; default: as in params.yaml.")
@click.option(
    "--settings", "count", type=int, metavar="N", help="Vary all of them at once in N settings (50 to 512): importance."
)
@click.option("--dry-run", is_flag=True, help="Say what would be varied and what it costs; train nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    named: tuple[str, ...], name: str, replicates: int | None, count: int | None, dry_run: bool, as_json: bool
) -> None:
    """Say which parameters matter here, which do not, and where to tune them.

    HEAD is the centre. Each parameter goes a step down and a step up by itself, on the same seeds: two settings a
    parameter. Without names all numbers under lr, model and train. With --settings N all of them vary at once, and
    each gets the share of the metric that it explains. Price and values are said first.
    """
    if count is not None:
        _importance(named, name, replicates, count, dry_run, as_json)
        return
    found = sensitivity(Path.cwd(), named, partial(show, err=True), Wanted.checked(name, replicates), dry_run)
    if found is None:
        return
    if as_json:
        show_json(schemas.as_json(_plain(found)))
    else:
        metric = reported_key.label(found.metric, found.metric_version)
        show(sensitivity_text.text(found.factors, metric, found.n, found.alpha, found.min_effect, found.failed))


def _importance(
    named: tuple[str, ...], name: str, replicates: int | None, count: int, dry_run: bool, as_json: bool
) -> None:
    wanted = Wanted.checked(name, replicates)
    found = importance(Path.cwd(), named, count, partial(show, err=True), wanted, dry_run)
    if found is None:
        return
    if as_json:
        show_json(schemas.as_json({"schema": 1, **dataclasses.asdict(found)}))
    else:
        metric = reported_key.label(found.metric, found.metric_version)
        show(importance_text.text(found.found, found.best, metric, found.n, found.better, len(found.failed)))


def _plain(found: Sensitivity) -> dict[str, Any]:
    """One object without infinities."""
    factors = []
    for one in found.factors:
        levels = []
        for level in one.levels:
            alone = level.alone
            ends = [end if alone and math.isfinite(end) else None for end in (alone.ci if alone else (math.inf,) * 2)]
            levels.append(
                {
                    "value": level.value,
                    "delta": alone.delta if alone else None,
                    "ci_low": ends[0],
                    "ci_high": ends[1],
                    "p_holm": level.p_holm,
                    "verdict": level.verdict,
                    "bound": level.bound if math.isfinite(level.bound) else None,
                    "beside": level.beside,
                }
            )
        factors.append({**dataclasses.asdict(one), "levels": levels})
    head = {
        name: getattr(found, name) for name in ("metric", "metric_version", "direction", "min_effect", "alpha", "n")
    }
    return {"schema": 1, **head, "factors": factors, "left": found.left, "failed": found.failed}
