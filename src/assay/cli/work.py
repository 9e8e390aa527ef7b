"""`assay work`."""

from __future__ import annotations

import dataclasses
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from assay.cli.printing import examples, show, show_json
from assay.commands import work_status, work_text
from assay.commands.work import WorkOrder, run, shared_folder, work
from assay.commands.work_plan import WorkerMachine
from assay.core import schemas
from assay.core.errors import UsageError
from assay.runtime import leases, project_root
from assay.work.engine_protocol import WorkOptions
from assay.work.engines import ENGINES, LOCAL

_SHARED = click.option(
    "--shared", default="", metavar="FOLDER", help="Folder that all machines see; default: git config assay.shared."
)


@click.group(
    invoke_without_command=True,
    epilog=examples(
        "assay work -S lr=3e-4 --max-parallel 2", "assay work --on slurm -S lr=3e-4 --max-parallel 8 --dry-run"
    ),
)
@click.option("-S", "--set-param", "settings", multiple=True, metavar="KEY=VALUE", help="A change of a parameter.")
@click.option("--on", type=click.Choice(ENGINES), default=LOCAL, show_default=True, help="What runs the workers.")
@click.option(
    "--max-parallel", "parallel", type=click.IntRange(1), default=1, show_default=True, help="Workers at a time."
)
@_SHARED
@click.option(
    "--device", default="", metavar="NAME", help="GPU of the workers, as nvidia-smi calls it, or cpu; default: as here."
)
@click.option("--class", "name", default="", metavar="NAME", help="Class of the workers, under machine.classes.")
@click.option(
    "--each", type=click.IntRange(1), metavar="N", help="Replicates a request; default: enough for a minute's work."
)
@click.option("--env", "also", multiple=True, metavar="NAME", help="A variable that workers need; others stay here.")
@click.option(
    "--option",
    "more",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option for sbatch, as submitit names it, or for Ray.",
)
@click.option("--minutes", type=click.IntRange(1), default=None, help="Time limit of a job; default: the engine's.")
@click.option(
    "--lease",
    type=click.FloatRange(1),
    default=leases.SECONDS,
    show_default=True,
    help="Seconds without a sign of life after which work is anybody's.",
)
@click.option("--price", "rate", type=click.FloatRange(0), metavar="MONEY", help="What an hour of one machine costs.")
@click.option(
    "--limit",
    type=click.FloatRange(0),
    default=100.0,
    show_default=True,
    metavar="HOURS",
    help="Ask above so many hours of machines.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Say what would be trained and what it costs; submit nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def command(
    context: click.Context,
    settings: tuple[str, ...],
    on: str,
    parallel: int,
    shared: str,
    device: str,
    name: str,
    each: int | None,
    also: tuple[str, ...],
    more: tuple[str, ...],
    minutes: int | None,
    lease: float,
    rate: float | None,
    limit: float,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Train what a run needs on other machines, and return at once.

    Both arms of the work tree as it stands, with the settings. Workers get the code as a Git tree, train, and seal
    replicates in a folder that all machines see. `dvc exp run` with the same settings then finds them and only
    evaluates. The price is said first.
    """
    if context.invoked_subcommand is not None:
        return
    options = WorkOptions(parallel, lease, also, minutes or 0, dict(map(_pair, more)))
    where = WorkerMachine(device, name)
    order = WorkOrder(settings, on, shared, where, each, options, rate, limit, dry_run)
    found = work(Path.cwd(), order, partial(show, err=True), lambda question: yes or _agreed(question))
    if as_json:
        show_json(schemas.as_json({"schema": 1, "launch": None}) if found is None else schemas.encode(found))


@command.command(epilog=examples("assay work status"))
@_SHARED
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(shared: str, as_json: bool) -> None:
    """Say how far submitted work is: sealed, at work, waiting, failed and where.

    A replicate counts once it is sealed, whatever the engine says of its job.
    """
    found = work_status.status(_folder(shared), partial(show, err=True))
    show_json(_plain(found)) if as_json else show(work_text.text(found))


@command.command(epilog=examples("assay work cancel"))
@click.argument("names", metavar="[LAUNCH]...", nargs=-1)
@_SHARED
def cancel(names: tuple[str, ...], shared: str) -> None:
    """End submitted work, all of it unless launches are named. What is sealed stays."""
    count = work_status.cancel(_folder(shared), names, partial(show, err=True))
    show(f"ended {count} jobs; what is sealed stays" if count else "nothing is under way")


@command.command(epilog=examples("assay work logs 20261130-173700-a1b2 logs"))
@click.argument("name", metavar="LAUNCH")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@_SHARED
def logs(name: str, folder: Path, shared: str) -> None:
    """Copy what workers printed into a folder, a file for each replicate and host."""
    made = work_status.logs(_folder(shared), name, folder)
    show(f"wrote {len(made)} files into {folder}" if made else "no worker has printed anything yet")


@command.command(name="run", hidden=True)
@click.argument("request")
@click.option("--shared", required=True, type=click.Path(path_type=Path))
@click.option("--lease", type=float, default=leases.SECONDS)
@click.option("--env", "also", multiple=True)
@click.pass_context
def run_one(context: click.Context, request: str, shared: Path, lease: float, also: tuple[str, ...]) -> int:
    """Be the worker of one request: started by an engine, on any machine that sees the folder."""
    return run(shared, request, lease, also, show)


def _folder(given: str) -> Path:
    return shared_folder(Path.cwd() if given else project_root.find(Path.cwd()).root, given)


def _pair(given: str) -> tuple[str, str]:
    key, mark, value = given.partition("=")
    if not key or not mark:
        raise UsageError(f"--option {given} is no option", allowed="KEY=VALUE, e.g. partition=gpu")
    return key.replace("-", "_"), value


def _agreed(question: str) -> bool:
    """Asked on a terminal alone: a script gets the refusal, which names --yes."""
    return sys.stdin.isatty() and click.confirm(question, err=True)


def _plain(found: work_status.WorkState) -> bytes:
    launches: list[dict[str, Any]] = []
    for one in found.launches:
        launch = {name: getattr(one.launch, name) for name in ("name", "engine", "label", "submitted")}
        counts = {"sealed": one.sealed, "replicates": one.replicates, "seconds_left": one.seconds_left}
        launches.append({**launch, **counts, "requests": [dataclasses.asdict(each) for each in one.requests]})
    unequal = [dataclasses.asdict(one) for one in found.unequal]
    return schemas.as_json({"schema": 1, "shared": found.shared, "launches": launches, "unequal": unequal})
