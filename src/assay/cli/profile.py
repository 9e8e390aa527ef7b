"""`assay profile`."""

from __future__ import annotations

from pathlib import Path

import click
from tabulate import tabulate

from assay.cli.printing import examples, show, show_json
from assay.commands.profile import Profile, profile
from assay.core.schemas import encode

PHASES = ("interpreter", "imports", "data", "training", "writing", "rest")


@click.command(context_settings={"ignore_unknown_options": True}, epilog=examples("assay profile -S lr=3e-4"))
@click.argument("arguments", metavar="[ARGUMENTS OF dvc exp run]...", nargs=-1, type=click.UNPROCESSED)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(arguments: tuple[str, ...], as_json: bool) -> None:
    """Run `dvc exp run` and print where its seconds went.

    A stage that is skipped has no row. Indented processes ran inside of the stage above them.
    """
    found = profile(Path.cwd(), arguments, quiet=as_json)
    show_json(encode(found)) if as_json else show(_text(found))


def _text(found: Profile) -> str:
    rows = [
        [
            f"  {one.process}" if one.beside else one.process,
            *(f"{one.phases[phase]:.2f}" if phase in one.phases else "" for phase in PHASES),
            f"{one.seconds:.2f}",
        ]
        for one in found.processes
    ]
    rows.append(["dvc", *("" for _ in PHASES), f"{found.dvc:.2f}"])
    rows.append(["whole run", *("" for _ in PHASES), f"{found.seconds:.2f}"])
    headers = ["seconds", *PHASES, "all"]
    aligned = ("left", *("right" for _ in headers[1:]))
    return tabulate(rows, headers, tablefmt="simple", colalign=aligned, disable_numparse=True, preserve_whitespace=True)
