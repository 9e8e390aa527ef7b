"""`assay rates`."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path

import click

from assay.cli.printing import examples, show, show_json
from assay.commands.experiment_grid import Wanted
from assay.commands.rates import rates
from assay.commands.sweep import sweep
from assay.core import reported_key, schemas
from assay.report import rates_text, sweep_table


@click.command(epilog=examples("assay rates", "assay rates --from 1e-5 --to 1 --confirm"))
@click.option("--from", "low", type=float, help="The smallest rate; default: a hundredth of HEAD's lr.")
@click.option("--to", "high", type=float, help="The largest rate; default: a hundred times HEAD's lr.")
@click.option("--confirm", is_flag=True, help="Then train three rates of the range in full, and judge them (a sweep).")
@click.option("--dry-run", is_flag=True, help="Say what it costs; train nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(low: float | None, high: float | None, confirm: bool, dry_run: bool, as_json: bool) -> None:
    """Find the range of learning rates that train HEAD: sixteen rates, three seeds each, a tenth of the steps.

    A range and no choice: a few steps cannot tell which rate ends best. The price of these is said first.
    """
    if (low is None) != (high is None):
        raise click.UsageError("--from and --to go together")
    say = partial(show, err=True)
    found = rates(Path.cwd(), None if low is None or high is None else (low, high), say, dry_run)
    if found is None:
        return
    if as_json:
        plain = dataclasses.asdict(found.found)
        plain["means"] = [{"lr": rate, "loss": mean} for rate, mean in found.found.means.items()]
        show_json(
            schemas.as_json({"schema": 1, "now": found.now, "epochs": found.epochs, "sample": found.sample, **plain})
        )
    else:
        show(rates_text.text(found.found, found.now, confirm))
    if confirm:
        _confirm([rate for rate in found.found.confirm if rate != found.now], as_json)


def _confirm(chosen: list[float], as_json: bool) -> None:
    """The sweep of these rates, as `assay sweep` prints it; on stderr beside JSON."""
    values = ",".join(f"{rate:g}" for rate in chosen)
    made = sweep(Path.cwd(), [f"lr={values}"], partial(show, err=True), Wanted.checked("rates", None))
    lines = [(" ".join(one.settings), one.experiment, one.alone, one.p_holm, one.verdict) for one in made.tried]
    label = reported_key.label(made.metric, made.metric_version)
    show("\n" + sweep_table.text(lines, made.failed, label, made.baseline), err=as_json)
