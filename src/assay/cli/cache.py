"""`assay cache`."""

from __future__ import annotations

import re
from pathlib import Path

import click

from assay.cli.printing import examples, show, show_json
from assay.commands.cache import Cache, cache
from assay.commands.shared_remote import Carried, pull, push
from assay.core.errors import UsageError
from assay.core.schemas import encode

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}


@click.group(invoke_without_command=True, epilog=examples("assay cache --prune 500M", "assay cache push"))
@click.option("--prune", metavar="SIZE", help="Drop what was longest out of use until SIZE is left (0: everything).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def command(context: click.Context, prune: str | None, as_json: bool) -> None:
    """Show what is kept so that nothing is trained, unpacked or fetched twice, or make it smaller.

    Replicates, checkpoints of interrupted trainings, files and data of accepted strategies, loaded models, and what
    runs under way or killed have laid aside. What was longest out of use goes first, and nothing that a running process
    holds. Deleting all of it costs time, never a number.
    """
    if context.invoked_subcommand is not None:
        return
    found = cache(Path.cwd(), None if prune is None else _bytes(prune))
    show_json(encode(found)) if as_json else show(_text(found))


@command.command("push", epilog=examples("assay cache push", "assay cache push -r s3"))
@click.option("-r", "--remote", default="", metavar="NAME", help="A remote of DVC; default: as `dvc push` takes it.")
def push_command(remote: str) -> None:
    """Put sealed replicates into DVC's remote, for machines that share no folder with this one."""
    show(_carried(push(Path.cwd(), remote), "to"))


@command.command("pull", epilog=examples("assay cache pull", "assay cache pull -r s3"))
@click.option("-r", "--remote", default="", metavar="NAME", help="A remote of DVC; default: as `dvc pull` takes it.")
def pull_command(remote: str) -> None:
    """Take sealed replicates from DVC's remote: a run finds them, and trains only what is lacking."""
    show(_carried(pull(Path.cwd(), remote), "from"))


def _carried(found: Carried, way: str) -> str:
    damaged = f"; {found.damaged} are damaged and stay where they are" if found.damaged else ""
    return f"{found.files} files, {_size(found.size)}, {way} {found.remote}; {found.known} were there before{damaged}"


def _bytes(size: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kMG]?)B?", size)
    if match is None:
        raise UsageError(f"--prune is {size!r}", allowed="a size such as 0, 500M or 2G")
    return int(float(match[1]) * _UNITS[match[2]])


def _text(found: Cache) -> str:
    freed = f"freed {_size(found.freed)}; " if found.freed else ""
    kept = f"{found.entries} entries, {_size(found.size)} of at most {_size(found.limit)}"
    lines = [f"{freed}{kept}, in {found.folder}"]
    lines += [f"  {name:12} {share.entries:6}  {_size(share.size):>8}" for name, share in found.kinds.items()]
    if found.stayed:
        lines.append(f"{found.stayed} of them are in use by running processes, or may not be written, and stay")
    return "\n".join(lines)


def _size(count: int) -> str:
    unit = next(unit for unit in ("G", "M", "k", "") if count >= _UNITS[unit] or not unit)
    return f"{count / _UNITS[unit]:.3g} {unit}B"
