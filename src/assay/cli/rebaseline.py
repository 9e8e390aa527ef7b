"""`assay rebaseline`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click
import msgspec

from assay.cli.printing import examples, show, show_json
from assay.commands.rebaseline import rebaseline
from assay.commands.rebaseline_plan import TRAIN
from assay.core import schemas


@click.command(epilog=examples("assay rebaseline"))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(as_json: bool) -> None:
    """Measure the accepted baseline as today asks for: re-score, re-infer or re-train, whichever is enough."""
    done = rebaseline(Path.cwd(), partial(show, err=True))
    if as_json:
        show_json(schemas.as_json({"schema": 1, **msgspec.to_builtins(done)}))
    else:
        mean, sd = ("–" if value is None else f"{value:.4f}" for value in (done.mean, done.sd))
        lost = f", {done.diverged} diverged" if done.diverged else ""
        trained = f", {done.trained} trained" if done.way == TRAIN else ""
        show(f"{done.way} done: {mean} ±{sd} (n={done.n}{lost}{trained}) under {done.metric_version}")
        show("next: git commit -am 'Measure the baseline'" if done.evaluated else "next: dvc exp run")
