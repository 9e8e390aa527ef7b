"""`assay rates`."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path

import click

from assay.cli.printing import examples, show, show_json
from assay.commands.rates import RateTest, chosen, rates
from assay.commands.rates import confirm as confirmed
from assay.commands.sweep import Sweep
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
    span = None if low is None or high is None else (low, high)
    found = rates(Path.cwd(), span, say, dry_run, confirm)
    if found is None:
        return
    if not as_json:
        show(rates_text.text(found.found, found.now, found.notes, confirm))
    made = confirmed(Path.cwd(), found, say) if confirm else None
    if as_json:
        _json(found, made)
    elif made is not None:
        lines = [(" ".join(one.settings), one.experiment, one.alone, one.p_holm, one.verdict) for one in made.tried]
        label = reported_key.label(made.metric, made.metric_version)
        show("\n" + sweep_table.text(lines, made.failed, label, made.baseline))
        show(rates_text.confirmed(found.found, chosen(made)))


def _json(found: RateTest, made: Sweep | None) -> None:
    """One object: the range, and what whole trainings say of it."""
    plain = dataclasses.asdict(found.found)
    plain["means"] = [{"lr": rate, "loss": mean} for rate, mean in found.found.means.items()]
    head = {"schema": 1, "now": found.now, "epochs": found.epochs, "sample": found.sample, "notes": list(found.notes)}
    if made is not None:
        plain["chosen"] = chosen(made)
        plain["confirmed"] = [
            {
                "settings": list(one.settings),
                "experiment": one.experiment,
                "mean": one.alone.candidate.mean,
                "p_holm": one.p_holm,
                "verdict": one.verdict,
            }
            for one in made.tried
        ]
        plain["failed"] = made.failed
    show_json(schemas.as_json({**head, **plain}))
