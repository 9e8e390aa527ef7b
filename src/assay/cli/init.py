"""`assay init`."""

from __future__ import annotations

from pathlib import Path

import click

from assay.cli.printing import examples, show, show_json
from assay.commands.init import Setup, Wishes, init
from assay.core.schemas import encode
from assay.project_setup.templates import TEMPLATES


@click.command(epilog=examples("assay init", "assay init photos/", "assay init --template regression houses.csv"))
@click.argument("paths", metavar="[PATH]", nargs=-1)
@click.option(
    "--template", type=click.Choice(list(TEMPLATES)), help="The kind of task; default: what the data look like."
)
@click.option("--in", "folder", metavar="FOLDER", help="Work in a folder of its own, beside stages of yours.")
@click.option("--dry-run", is_flag=True, help="Show the changes as a diff; write nothing.")
@click.option("--no-commit", is_flag=True, help="Write the files, and print the command that commits them.")
@click.option("--git", "make_git", is_flag=True, help="Make a Git repository where there is none.")
@click.option("--remove", is_flag=True, help="Take out exactly what init put in.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    paths: tuple[str, ...],
    template: str | None,
    folder: str | None,
    dry_run: bool,
    no_commit: bool,
    make_git: bool,
    remove: bool,
    as_json: bool,
) -> None:
    """Make this repository ready for `dvc exp run`: looks for data, says what it took, and commits its own files alone.

    PATH is a folder with a folder of images or texts for each class, or a table. Nothing that is there is overwritten;
    a second time changes nothing.
    """
    wishes = Wishes(paths, template or "", folder or "", dry_run, not no_commit, make_git, remove)
    done = init(Path.cwd(), wishes)
    show_json(encode(done)) if as_json else show(_text(done))


def _text(done: Setup) -> str:
    lines = [f"took {done.took}; template {done.template}" if done.template else done.took]
    if done.diff:
        lines += [done.diff, f"would change {', '.join(done.files)}"]
    elif done.files:
        listed = ", ".join(done.files)
        lines.append(
            f"committed as {done.commit[:12]}: {listed}" if done.commit else f"changed, in no commit: {listed}"
        )
    lines += done.notes
    lines += [f"{'next' if not number else 'then'}: {one}" for number, one in enumerate(done.next)]
    return "\n".join(lines)
