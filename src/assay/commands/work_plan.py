"""What `assay work` asks of other machines: requests for both arms of HEAD, or of the work tree, with settings.

Covers: the state to train in a repository of ours, addresses of replicates, requests in the shared folder with their
code and data. Not covered: submitting them (`commands.work`), what they cost (`commands.work_price`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dvc.utils.hydra import apply_overrides

from assay.commands import experiment_grid, measured_before, scratch_experiment, try_setup
from assay.core import params_yaml, schemas
from assay.core.errors import UsageError
from assay.core.params_yaml import Params
from assay.core.paths import ProjectPaths
from assay.core.work_records import SharedPaths, WorkRequest
from assay.core.work_stage_records import PlannedWork
from assay.core.yaml12 import parse
from assay.replicates import shared_entries
from assay.runtime import (
    dvc_yaml,
    files,
    git,
    git_env_vars,
    git_plumbing,
    library_fingerprint,
    shared_files,
    work_tree_snapshot,
)
from assay.runtime.dvc_cli import DVC
from assay.scratch.dvc_repro import furnish
from assay.scratch.scratch_repo import Scratch, failed, lay_out, run
from assay.work import tree_pack, worker_data

#: replicates that are trained together go in fixed groups: 0 to 7, 8 to 15, …
GROUP = 8
#: seconds that a request should take at least, so that starting Python and torch is a small part of it
WORTH = 60.0


@dataclass(frozen=True)
class WorkerMachine:
    """The machines that train, "" for such as this: their device as it is called, or their name in machine.classes."""

    device: str = ""
    name: str = ""


@dataclass(frozen=True)
class WorkPlan:
    """Requests that are not sealed yet. `sealed`: replicates that are; `moved`: bytes of code and data for workers."""

    shared: Path
    label: str
    baseline: str
    requests: list[WorkRequest]
    sealed: int
    moved: int = 0
    seconds: float | None = None  # of one training as measured before; None where nobody knows

    def trainings(self, arm: str) -> int:
        return sum(len(one.numbers) for one in self.requests if one.arm == arm)


def plan(
    layout: ProjectPaths, settings: Sequence[str], shared: Path, where: WorkerMachine, each: int | None, dry_run: bool
) -> WorkPlan:
    """The requests of a run with `settings` (key=value) on the work tree as it stands.

    `where`: the machines that train; `each`: replicates a request. With `dry_run` nothing is
    written into the shared folder. Raises UsageError for settings that cannot be read, and where the data cannot be
    made.
    """
    experiment_grid.check_settings(layout, settings)
    values = {key: parse(f"value: {text}")["value"] for key, _, text in (one.partition("=") for one in settings)}
    asked = params_yaml.changed(dvc_yaml.parameters(layout.root), values)
    experiment_grid.check_profile(asked, settings)
    check_class(asked, where)
    try_setup.check_tracked(layout.root, asked.task.name)
    snapshot, base = work_tree_snapshot.take(layout), git.run(layout.root, "rev-parse", "HEAD")
    seconds = measured_before.find(layout, [], asked, "").seconds
    scratch_experiment.tidy(layout)
    scratch = lay_out(layout, base, scratch_experiment.folder(layout, base, "work"))
    try:
        planned, tree = _planned(layout, scratch, snapshot.tree, settings, where)
        commit = base if tree == git.run(layout.root, "rev-parse", f"{base}^{{tree}}") else ""
        made = list(_requests(layout, planned, tree, commit, each or worth(seconds)))
        known = dvc_yaml.store(layout.root).replicates
        if not dry_run:
            _share(known, made, shared)
        left = [one for one in made if any(not _is_sealed(known, shared, name, one.evaluated) for name in one.entries)]
        moved = 0 if dry_run else sum(_hand_over(scratch, planned, one, shared) for one in left)
    finally:
        scratch.remove()
    sealed = sum(len(one.numbers) for one in made) - sum(len(one.numbers) for one in left)
    edits = ["your edits"] if snapshot.edited else []
    named = [f"class {where.name}"] if where.name else []
    return WorkPlan(
        shared, " ".join([*settings, *edits, *named]) or "HEAD", planned.baseline, left, sealed, moved, seconds
    )


def check_class(asked: Params, where: WorkerMachine) -> None:
    """Raises UsageError for a class that params.yaml has not, and for none where every class has its own part."""
    known = sorted(asked.machine.classes)
    if where.name and where.device:
        raise UsageError(f"--class {where.name} names a device already", hint="leave --device out")
    if where.name and where.name not in known:
        raise UsageError(
            f"--class is {where.name!r}",
            allowed=", ".join(known) or "none: params.yaml has no machine.classes",
            hint="name it under machine.classes in params.yaml",
        )
    if asked.judge.blocks is not None and not where.name:
        raise UsageError(
            "judge.blocks is machine, and no class of machine is named",
            allowed=", ".join(known),
            hint=f"assay work --class {known[0]}, and the same for each",
        )


def _planned(
    layout: ProjectPaths, scratch: Scratch, tree: str, settings: Sequence[str], where: WorkerMachine
) -> tuple[PlannedWork, str]:
    """Both arms as their stages would train them, and the tree with the settings written into params.yaml."""
    ours = git_env_vars.of_our_own()
    git.run(scratch.top, "read-tree", "--reset", "-u", tree, environment=ours)
    if settings:
        apply_overrides(str(scratch.layout.params), [f"++{one}" for one in settings])
        with git_plumbing.index(scratch.top, ours) as index:
            index.read(tree)
            index.add([scratch.layout.params.relative_to(scratch.top).as_posix()])
            tree = index.write()
        git.run(scratch.top, "read-tree", "--reset", "-u", tree, environment=ours)
    furnish(scratch)
    code, said = run([*DVC, "repro", "--quiet", "context", "split"], scratch.layout.root, layout.root, "its data")
    if code:
        raise failed("the settings do not run", said, "assay check")
    out = scratch.top.with_name(f"{scratch.top.name}.json")
    try:
        command = library_fingerprint.command("plan_requests", str(out), where.device, where.name)
        code, said = run(command, scratch.layout.root, layout.root)
        if code:
            raise failed("the settings do not run", said, "assay check")
        return schemas.decode(files.read_bytes(out), PlannedWork, str(out)), tree
    finally:
        out.unlink(missing_ok=True)


def _requests(layout: ProjectPaths, planned: PlannedWork, tree: str, commit: str, each: int) -> Iterator[WorkRequest]:
    settings, prefix = tree_pack.settings(layout.root), git.prefix(layout.root).rstrip("/")
    form = git.run(layout.root, "rev-parse", "--show-object-format")
    for arm in planned.arms:
        own = git.run(layout.root, "rev-parse", f"{arm.commit}^{{tree}}") if arm.commit else tree
        execution = "fused" if arm.measure.execution == "fused" else "sequential"
        for numbers in groups(arm.measure.replicates, execution, each):
            yield WorkRequest(
                arm=arm.arm,
                tree=own,
                object_format=form,
                commit=arm.commit or commit,
                project=prefix,
                git=settings,
                parameters=arm.parameters,
                profile=arm.measure.profile,
                purpose=arm.measure.purpose,
                seed=arm.measure.seed,
                numbers=numbers,
                entries=[arm.entries[arm.measure.replicates.index(number)] for number in numbers],
                execution=execution,
                device=arm.measure.device,
                environment=arm.environment,
                code=arm.measure.code,
                train=arm.train,
                evaluated=arm.evaluated,
                files=arm.files,
                first=arm.arm == "candidate" and (planned.doctor == "error" or numbers[0] == arm.measure.replicates[0]),
            )


def worth(seconds: float | None) -> int:
    """Replicates a request where nobody says it, by the seconds of one training: a minute's work, at most a group."""
    return max(1, min(GROUP, round(WORTH / seconds))) if seconds else 1


def _is_sealed(known: Path, shared: Path, name: str, evaluated: str) -> bool:
    """Whether the replicate is in the shared folder, or in this machine's own cache."""
    return shared_entries.has(shared, name, evaluated) or shared_entries.is_whole(known / name, evaluated)


def _share(known: Path, requests: Sequence[WorkRequest], shared: Path) -> None:
    """Put what this machine's cache has into the shared folder: nobody trains it again."""
    for one in requests:
        for name in shared_entries.missing(shared, one.entries, one.evaluated):
            if shared_entries.is_whole(known / name, one.evaluated):
                shared_entries.publish(known / name, shared, shared_entries.made_here(0.0, one.id))


def groups(numbers: Sequence[int], execution: str, each: int) -> list[list[int]]:
    """Replicates of each request. What trains together goes in fixed groups, whatever the number of machines: its
    bytes then depend on the group alone; others `each` at a time."""
    if execution == "fused":
        keys = sorted({number // GROUP for number in numbers})
        return [[number for number in numbers if number // GROUP == key] for key in keys]
    return [list(numbers[start : start + each]) for start in range(0, len(numbers), each)]


def _hand_over(scratch: Scratch, planned: PlannedWork, request: WorkRequest, shared: Path) -> int:
    """Put code, data and the request itself into the shared folder; bytes that are new there."""
    arm = next(one for one in planned.arms if one.arm == request.arm)
    paths = SharedPaths(shared)
    new = not paths.pack(request.tree).is_file()
    pack = tree_pack.write(scratch.top, request.tree, shared, git_env_vars.of_our_own())
    moved = pack.stat().st_size if new else 0
    moved += worker_data.put_part(Path(arm.measure.train), request.train, shared)
    moved += worker_data.put_part(Path(arm.measure.evaluate), request.evaluated, shared)
    moved += sum(worker_data.put_file(Path(arm.project) / name, one, shared) for name, one in arm.files.items())
    shared_files.write(paths.request(request.id), schemas.encode(request))
    return moved
