"""`assay fidelity`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click
import msgspec

from assay.cli.printing import examples, show, show_json
from assay.commands.fidelity import fidelity
from assay.core import schemas
from assay.report import fidelity_text


@click.command(epilog=examples("assay fidelity", "assay fidelity --measure 12 --dry-run"))
@click.option("--profile", "fast", help="The cheap profile; default: the only one beside full.")
@click.option("--measure", type=click.IntRange(min=1), help="First measure so many settings in the profile they lack.")
@click.option("--dry-run", is_flag=True, help="Say what --measure would cost; train and record nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(fast: str | None, measure: int | None, dry_run: bool, as_json: bool) -> None:
    """Say how far the fast profile orders strategies as the full one does, from groups that are kept in both.

    Nothing trains without --measure. What is found is kept in Git, and verdicts under the fast profile carry it as long
    as metric version, both profiles, data, baseline and environment stay.
    """
    found = fidelity(Path.cwd(), fast, partial(show, err=True), measure or 0, dry_run)
    if found is None:
        return
    if as_json:
        plain = {"schema": 1, "full": found.full, "fast": found.fast, "certificate": found.certificate}
        more = {"settings": found.settings, "alone": list(found.alone), "left": found.left}
        show_json(schemas.as_json(msgspec.to_builtins({**plain, **more})))
    else:
        conditions = ("", "") if found.certificate is None else (found.against, found.certificate.terms.metric_version)
        show(fidelity_text.text(found.certificate, (found.full, found.fast), conditions, found.alone, found.left))
