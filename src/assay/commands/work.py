"""`assay work`: train what a run needs on other machines, or on several processes of this one, and return at once.

The run itself comes later: `dvc exp run` with the same settings finds all replicates sealed, evaluates in one process,
and judges. Not covered: what is asked (`commands.work_plan`), how far it is (`commands.work_status`).
"""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from assay.commands import work_plan, work_price, work_status
from assay.commands.work_plan import WorkerMachine, WorkPlan
from assay.core import params_yaml, schemas
from assay.core.errors import UsageError
from assay.core.paths import ProjectPaths
from assay.core.work_records import Launch, LaunchedJob, SharedPaths
from assay.runtime import dvc_yaml, project_root, shared_files
from assay.work import engines, run_request
from assay.work.engine_protocol import WorkEngine, WorkOptions
from assay.work.engines import LOCAL

Say = Callable[[str], None]


@dataclass(frozen=True)
class WorkOrder:
    """What a user asks of `assay work`."""

    settings: tuple[str, ...]
    on: str = LOCAL
    shared: str = ""  # folder that all machines see; "" for the configured one
    where: WorkerMachine = field(default_factory=WorkerMachine)  # that train
    each: int | None = None  # replicates a request
    options: WorkOptions = field(default_factory=WorkOptions)
    rate: float | None = None  # money for an hour of one machine
    limit: float = 100.0  # hours of machines above which it asks
    dry_run: bool = False


def work(start: Path, order: WorkOrder, say: Say, agreed: Callable[[str], bool]) -> Launch | None:
    """Submit what `order` lacks; None where nothing is lacking, or only the price was asked for.

    `agreed` is asked whether to go on above the limit. Raises UsageError for settings, folders and engines that do not
    work, before anything is written into the shared folder.
    """
    layout = project_root.find(start)
    shared = shared_folder(layout.root, order.shared)
    engine = engines.engine(order.on, _device(layout, order))
    engine.check(order.options)
    if not order.dry_run:
        shared_files.checked(shared)
    plan = work_plan.plan(layout, order.settings, shared, order.where, order.each, order.dry_run)
    for line in work_price.lines(plan, order.options.parallel, order.rate):
        say(line)
    if order.shared and shared_files.configured(layout.root) != shared:
        say(f"for dvc exp run to find what is sealed there: git config assay.shared '{shared}'")
    if order.dry_run or not plan.requests:
        return None
    whole = work_price.hours(plan)
    if whole is not None and whole > order.limit and not agreed(f"this takes {whole:.3g} hours of machines. Go on?"):
        raise UsageError(
            f"the work takes {whole:.3g} hours of machines", allowed=f"up to --limit {order.limit:g}", hint="--yes"
        )
    return _submitted(plan, engine, order, say)


def _device(layout: ProjectPaths, order: WorkOrder) -> str:
    """What the engine has to ask for: the device that is named, or that of the class."""
    classes = params_yaml.resolved(dvc_yaml.parameters(layout.root)).machine.classes
    named = classes.get(order.where.name)
    return order.where.device or (named.device if named else "cpu")


def shared_folder(root: Path, given: str) -> Path:
    """The folder that all machines see. Raises UsageError where none is named."""
    found = Path(given).expanduser() if given else shared_files.configured(root)
    if found is None:
        raise UsageError(
            "no folder is named in which machines share their work",
            allowed="a folder on a file system that all of them see",
            hint="git config assay.shared /path/on/every/machine",
        )
    if not found.is_absolute():
        raise UsageError(
            f"the shared folder {found} is no absolute path", hint=f"git config assay.shared {found.resolve()}"
        )
    return found


def _submitted(plan: WorkPlan, engine: WorkEngine, order: WorkOrder, say: Say) -> Launch | None:
    """Hand the requests to the engine, but for those that an earlier launch has under way."""
    paths = SharedPaths(plan.shared)
    under_way = work_status.under_way(plan.shared, say)
    wanted = [one.id for one in plan.requests if one.id not in under_way]
    if left := len(plan.requests) - len(wanted):
        say(f"{left} requests are under way already: assay work status")
    if not wanted:
        return None
    for name in wanted:  # what failed before is tried again
        shutil.rmtree(paths.failures(name), ignore_errors=True)
    name = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
    shared_files.private(paths.launches / name)
    folder = shared_files.private(paths.jobs(name))
    jobs = engine.submit(wanted, plan.shared, folder, order.options)
    launch = Launch(
        name=name,
        engine=order.on,
        settings=list(order.settings),
        label=plan.label,
        submitted=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        host=shared_files.host(),
        seconds=plan.seconds,
        parallel=order.options.parallel,
        jobs=[LaunchedJob(request, job) for request, job in zip(wanted, jobs, strict=True)],
    )
    shared_files.write(paths.launch(name), schemas.encode(launch))
    moved = f", {plan.moved / 1e6:.3g} MB of code and data for them" if plan.moved else ""
    say(f"submitted {len(wanted)} requests to {order.on} as {name}{moved}")
    return launch


def run(shared: Path, request: str, lease: float, also: Sequence[str], say: Say) -> int:
    """Be the worker of one request; its exit code."""
    return run_request.run(shared_files.checked(shared), request, say, lease, also)
