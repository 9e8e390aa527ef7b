"""`assay ablate`."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import click
import msgspec

from assay.cli.printing import examples, show, show_json
from assay.commands.ablate import ablate
from assay.commands.ablate_accepted import AcceptedAblation, ablate_accepted
from assay.commands.experiment_grid import Wanted
from assay.core import reported_key, schemas
from assay.core.params_yaml import SPAN
from assay.report import ablation_table as report
from assay.report import accepted_table
from assay.stats.one_factor import Factor


@click.command(
    epilog=examples("assay ablate -S lr=3e-4 -S model.dropout=0.1 --branch cosine", "assay ablate --accepted --dry-run")
)
@click.option("-S", "--set-param", "settings", multiple=True, metavar="KEY=VALUE", help="A change of a parameter.")
@click.option("--branch", "branches", multiple=True, help="A change of code, as a branch.")
@click.option("--name", default="ablate", help="What the experiments' names begin with.")
@click.option("--replicates", type=click.IntRange(2, SPAN), help="Replicates of each; default: as in params.yaml.")
@click.option("--accepted", is_flag=True, help="The baseline without each change that was accepted on the way to it.")
@click.option("--dry-run", is_flag=True, help="With --accepted: say what would be taken out and what it costs.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    settings: tuple[str, ...],
    branches: tuple[str, ...],
    name: str,
    replicates: int | None,
    accepted: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Measure two or three changes alone and in all combinations on shared seeds; show what brings the gain.

    With --accepted: each change that was accepted, taken out of the baseline by itself. What helped once may be idle
    or harmful beside what came later.
    """
    wanted = Wanted.checked(name, replicates)
    if accepted:
        if settings or branches:
            raise click.UsageError("--accepted asks about what is accepted: it takes neither -S nor --branch")
        _accepted(wanted, dry_run, as_json)
        return
    if dry_run:
        raise click.UsageError("--dry-run goes with --accepted")
    found = ablate(Path.cwd(), settings, branches, partial(show, err=True), wanted)
    if as_json:
        cells = {" ".join(changes) or "baseline": values for changes, values in found.cells.items()}
        plain = {"schema": 1, "metric_version": found.metric_version, "cells": cells, "lost": found.lost}
        show_json(schemas.as_json({**plain, **msgspec.to_builtins(found.result)}))
    else:
        metric = reported_key.label(found.metric, found.metric_version)
        show(report.text(found.cells, found.result, metric, found.lost))


def _accepted(wanted: Wanted, dry_run: bool, as_json: bool) -> None:
    found = ablate_accepted(Path.cwd(), partial(show, err=True), wanted, dry_run)
    if found is None:
        return
    if as_json:
        head = {"schema": 1, "baseline": found.baseline, "metric_version": found.metric_version, "n": found.n}
        plain = {**head, "alpha": found.alpha, "changes": [_change(found, one) for one in found.changes]}
        show_json(schemas.as_json({**plain, "left": found.left, "failed": found.failed}))
    else:
        metric = reported_key.label(found.metric, found.metric_version)
        show(accepted_table.text(found.changes, metric, (found.baseline, found.n, found.alpha), found.experiments))
        for about, why in {**found.left, **found.failed}.items():
            show(f"left out: {about}: {why}")


def _change(found: AcceptedAblation, one: Factor) -> dict[str, object]:
    level = one.levels[0]
    alone = level.alone
    ends = [end if alone and math.isfinite(end) else None for end in (alone.ci if alone else (math.inf,) * 2)]
    return {
        "strategy": one.key,
        "experiment": found.experiments[one.key],
        "delta_without": alone.delta if alone else None,
        "ci_low": ends[0],
        "ci_high": ends[1],
        "p_holm": level.p_holm,
        "without": level.verdict,
        "finding": accepted_table.finding(one),
    }
