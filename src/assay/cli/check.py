"""`assay check`."""

from __future__ import annotations

from pathlib import Path

import click

from assay.cli.printing import examples, show, show_json
from assay.commands.check import Checked, check
from assay.core.schemas import encode


@click.command(epilog=examples("assay check", "assay check --stage train    # breakpoint() in your model() works"))
@click.option(
    "--stage",
    type=click.Choice(["prepare", "split", "train", "evaluate"]),
    help="Run as far as this stage only.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(stage: str | None, as_json: bool) -> int:
    """List everything that a run would refuse, within seconds, and write nothing.

    Reads repository, dvc.yaml, params.yaml and the task, then takes one replicate and two batches through prepare,
    split, train and evaluate in a temporary place: one process, in the foreground. A script is not run, as it has no
    small form; `--stage train` runs it once, in full. Leaves with the exit code of the worst refusal.
    """
    found = check(Path.cwd(), stage, quiet=as_json)
    show_json(encode(found)) if as_json else show(_text(found))
    return found.code


def _text(found: Checked) -> str:
    if not found.refusals:
        return "check: nothing to refuse; next: dvc exp run"
    count = len(found.refusals)
    width = max(len(one.topic) for one in found.refusals)
    lines = [f"! {one.topic:<{width}}  {one.text}" for one in found.refusals]
    return "\n".join([f"check: {count} refusal{'s' if count > 1 else ''}", *lines])
