"""`assay ablate`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click
import msgspec

from assay.cli.printing import examples, show, show_json
from assay.commands.ablate import ablate
from assay.commands.experiment_grid import Wanted
from assay.core import reported_key, schemas
from assay.core.params_yaml import SPAN
from assay.report import ablation_table as report


@click.command(epilog=examples("assay ablate -S lr=3e-4 -S model.dropout=0.1 --branch cosine"))
@click.option("-S", "--set-param", "settings", multiple=True, metavar="KEY=VALUE", help="A change of a parameter.")
@click.option("--branch", "branches", multiple=True, help="A change of code, as a branch.")
@click.option("--name", default="ablate", help="What the experiments' names begin with.")
@click.option("--replicates", type=click.IntRange(2, SPAN), help="Replicates of each; default: as in params.yaml.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    settings: tuple[str, ...], branches: tuple[str, ...], name: str, replicates: int | None, as_json: bool
) -> None:
    """Measure two or three changes alone and in all combinations on shared seeds; show what brings the gain."""
    found = ablate(Path.cwd(), settings, branches, partial(show, err=True), Wanted.checked(name, replicates))
    if as_json:
        cells = {" ".join(changes) or "baseline": values for changes, values in found.cells.items()}
        plain = {"schema": 1, "metric_version": found.metric_version, "cells": cells, "lost": found.lost}
        show_json(schemas.as_json({**plain, **msgspec.to_builtins(found.result)}))
    else:
        metric = reported_key.label(found.metric, found.metric_version)
        show(report.text(found.cells, found.result, metric, found.lost))
