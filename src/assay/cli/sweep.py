"""`assay sweep`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from assay.cli.printing import examples, show, show_json
from assay.commands.experiment_grid import Wanted
from assay.commands.sweep import sweep
from assay.core import reported_key, schemas
from assay.core.params_yaml import SPAN
from assay.report import comparison_text
from assay.report import sweep_table as report


@click.command(epilog=examples("assay sweep -S lr=1e-3,3e-3,1e-2 -S train.weight_decay=0,1e-4"))
@click.option("-S", "--set-param", "settings", multiple=True, metavar="KEY=VALUE,VALUE", help="Values to try.")
@click.option("--name", default="sweep", help="What the experiments' names begin with.")
@click.option("--replicates", type=click.IntRange(2, SPAN), help="Replicates of each; default: as in params.yaml.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(settings: tuple[str, ...], name: str, replicates: int | None, as_json: bool) -> None:
    """Measure every combination of values against the baseline, and judge them as one family.

    Settings that differ in step size and weight decay alone train together, as further lanes of one training.
    """
    found = sweep(Path.cwd(), settings, partial(show, err=True), Wanted.checked(name, replicates))
    if as_json:
        tried = []
        for one in found.tried:
            names = (found.baseline, one.experiment)
            flat = comparison_text.as_json(one.alone, found.metric, names, found.metric_version, 0)
            del flat["comparisons"]  # counted for a record, not for a family
            own = {"settings": list(one.settings), "experiment": one.experiment, "p_holm": one.p_holm}
            tried.append({**own, **flat, "verdict": one.verdict})
        head = {"schema": 1, "metric": found.metric, "metric_version": found.metric_version}
        plain = {**head, "baseline": found.baseline, "tried": tried, "failed": found.failed}
        show_json(schemas.as_json(plain))
    else:
        lines = [(" ".join(one.settings), one.experiment, one.alone, one.p_holm, one.verdict) for one in found.tried]
        metric = reported_key.label(found.metric, found.metric_version)
        show(report.text(lines, found.failed, metric, found.baseline))
