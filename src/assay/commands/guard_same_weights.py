"""`assay guard --same-as EXP`: does this code give the experiment's weights, bit for bit?

For a branch that was cleaned up after the idea had worked. All replicates of the experiment are trained anew by the
code of the branch, under its own parameters, with the seeds, the data and the kind of execution of the experiment, and
no cache. Where weights differ, the experiment's own code trains once more: code that does not repeat itself on this
machine proves nothing. Covers: finding the experiment, its outputs, comparing. Not covered: training
(`stages.measure`), printing (`report.guard_text`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assay.changes import strategy_content
from assay.changes.strategy_diff import Changes
from assay.commands.guard import Revision, revision, work_tree
from assay.core import environment_diff, params_yaml, schemas, variation
from assay.core.errors import UsageError
from assay.core.paths import IN_PROJECT, LOCK, ProjectPaths
from assay.core.schemas import PREDICTIONS, Arm, Environment, Measurement, MeasureRequest, Replicate
from assay.history import dvc_outputs, name_lookup
from assay.history.experiments import read
from assay.replicates import weights_diff
from assay.runtime import (
    cache_dirs,
    dvc_lock,
    dvc_yaml,
    environment,
    files,
    git,
    library_fingerprint,
    npy_files,
    project_root,
    script_source,
    stage_fingerprint,
)
from assay.scratch.scratch_repo import failed, run

ARM = "candidate"
#: kinds of execution that can be asked for again
_ASKED = ("fused", "sequential")


@dataclass(frozen=True)
class ReplicateWeights:
    """One replicate. `tensor` is the first that differs, "" where all are equal; `repeats` says whether the
    experiment's own code gives its weights again here, None where it was not asked."""

    number: int
    seed: int
    tensor: str = ""
    repeats: bool | None = None


@dataclass(frozen=True)
class SameWeights:
    """What was compared. With `differs` parameters or data are others, and nothing was trained."""

    experiment: str
    commit: str
    head: str
    differs: list[str]  # parameters and data that are not the experiment's
    code: list[str]  # files that differ, and parameters that come or go with them
    environment: list[str]  # what differs from the environment of the experiment
    replicates: list[ReplicateWeights]

    @property
    def held(self) -> bool:
        return not self.differs and bool(self.replicates) and not any(one.tensor for one in self.replicates)


@dataclass(frozen=True)
class TrainedExperiment:
    """An experiment as its commit left it, its outputs under `layout`."""

    name: str
    commit: str
    arm: Arm
    measured: Measurement
    layout: ProjectPaths


def same_weights(start: Path, name: str, head: str | None, say: cache_dirs.Say) -> SameWeights:
    """Compare the experiment `name` with what `head` (default: the work tree as it stands) trains.

    `say` is told when our cache takes nothing, and how long it will take. Raises UsageError for an experiment that is
    not there, or whose weights or data are nowhere to be had; ProvenanceError for code that Git does not track.
    """
    layout = project_root.find(start)
    script_source.refuse(layout.root, "its weights are its own", "dvc exp run, on both revisions")
    found = name_lookup.experiment(layout.root, read(layout.root), name)
    after = revision(layout, head, say) if head else work_tree(layout)
    with tempfile.TemporaryDirectory(prefix="assay-guard-") as folder:
        experiment = _fetched(layout, name, found.commit, Path(folder) / "experiment")
        if variation.has_splits(experiment.measured.purpose):
            raise UsageError(
                f"replicates of {name} have splits of their own, and this guard trains on one part",
                allowed="an experiment without split in vary",
                hint="assay guard --modes, or run both revisions: dvc exp run",
            )
        changed = _changed(layout, experiment, after)
        differs = [*map(str, changed.changed), *_other_data(layout, experiment, after)]
        replicates = [] if differs else _replicates(layout, experiment, after, Path(folder), say)
    return SameWeights(
        experiment=name,
        commit=found.commit,
        head=after.name,
        differs=differs,
        code=[*map(str, (*changed.introduced, *changed.removed)), *(str(one) for one in changed.edited.values())],
        environment=environment_differences(experiment.arm.environment, _today(layout, experiment)),
        replicates=replicates,
    )


def _fetched(layout: ProjectPaths, name: str, commit: str, folder: Path) -> TrainedExperiment:
    """The experiment's record, weights and predictions, and its data where these are not today's."""
    there = ProjectPaths(folder)
    paths = [IN_PROJECT.record(ARM), IN_PROJECT.models(ARM), IN_PROJECT.predictions(ARM)]
    paths += [path for path in _data() if not _is_todays(layout, commit, path)]
    dvc_outputs.fetch(layout.root, commit, commit[:12], [path.as_posix() for path in paths], folder)
    arm = schemas.decode(files.read_bytes(there.record(ARM)), Arm, f"{IN_PROJECT.record(ARM)} of {name}")
    if arm.measurement is None:
        raise UsageError(f"{name} trained nothing", hint="dvc exp show")
    return TrainedExperiment(name, commit, arm, arm.measurement, there)


def _data() -> list[Path]:
    return [IN_PROJECT.part("train"), IN_PROJECT.part("validation")]


def _is_todays(layout: ProjectPaths, commit: str, path: Path) -> bool:
    """Whether the work tree holds this output as the commit has it, as far as dvc.lock knows."""
    then = dvc_lock.output_hash(git.read(layout.root, commit, LOCK) or b"", path.as_posix())
    now = layout.lock.read_bytes() if layout.lock.is_file() else b""
    return bool(then) and then == dvc_lock.output_hash(now, path.as_posix()) and (layout.root / path).is_dir()


def _changed(layout: ProjectPaths, experiment: TrainedExperiment, after: Revision) -> Changes:
    profile = experiment.measured.profile
    before = strategy_content.in_commit(layout.root, experiment.commit, profile)
    return strategy_content.in_work_tree(after.layout.root, profile).since(before)


def _other_data(layout: ProjectPaths, experiment: TrainedExperiment, after: Revision) -> Iterator[str]:
    """Parts that the revision's own dvc.lock knows with other content."""
    then = git.read(layout.root, experiment.commit, LOCK) or b""
    lock = after.layout.lock
    now = lock.read_bytes() if lock.is_file() else b""
    for path in _data():
        old, new = (dvc_lock.output_hash(content, path.as_posix()) for content in (then, now))
        if old and new and old != new:
            yield f"{path.as_posix()} {old[:8]} → {new[:8]}"


def _replicates(
    layout: ProjectPaths, experiment: TrainedExperiment, after: Revision, folder: Path, say: cache_dirs.Say
) -> list[ReplicateWeights]:
    known = experiment.measured.replicates
    taken = sum(one.seconds for one in known)
    say(f"training {len(known)} replicates anew, which took {taken:.0f} s in the experiment")
    made = _trained(layout, experiment, after.layout.root, after.name, folder / "head")
    found = [
        ReplicateWeights(one.number, one.seed, _difference(experiment, made, row, one)) for row, one in enumerate(known)
    ]
    if not any(one.tensor for one in found):
        return found
    say("weights differ: training the experiment's own code once more")
    own = revision(layout, experiment.commit, say).layout.root
    again = _trained(layout, experiment, own, experiment.name, folder / "again")
    return [
        ReplicateWeights(one.number, one.seed, one.tensor, not _difference(experiment, again, row, known[row]))
        for row, one in enumerate(found)
    ]


def _trained(layout: ProjectPaths, experiment: TrainedExperiment, tree: Path, who: str, folder: Path) -> ProjectPaths:
    """What the code in `tree` makes of the experiment's seeds and data: weights and predictions under `folder`."""
    there = ProjectPaths(folder)
    measured = experiment.measured
    asked = params_yaml.resolved(dvc_yaml.parameters_at(layout.root, experiment.commit) or b"", measured.profile)
    ways = {one.execution for one in measured.replicates}
    parts = [
        root / path
        for path in _data()
        for root in [experiment.layout.root if (experiment.layout.root / path).is_dir() else layout.root]
    ]
    request = MeasureRequest(
        profile=measured.profile,
        purpose=measured.purpose,
        seed=asked.seed,
        replicates=[one.number for one in measured.replicates],
        device=asked.machine.device,
        environment="",
        code="",
        execution=next(iter(ways)) if len(ways) == 1 and ways <= {*_ASKED} else "auto",
        train=str(parts[0].resolve()),
        evaluate=str(parts[1].resolve()),
        models=str(there.models(ARM)),
        predictions=str(there.predictions(ARM)),
        curves=str(folder / "curves.csv"),
        log=str(folder / "log.txt"),
        answer=str(there.record(ARM)),
        cache="",
    )
    path = folder / "request.json"
    files.write_bytes(path, schemas.encode(request))
    code, said = run(library_fingerprint.command("measure", str(path)), tree, layout.root, who)
    if code:
        raise failed(f"{who} does not train", said, f"see its files in {tree}")
    return there


def _difference(experiment: TrainedExperiment, made: ProjectPaths, row: int, one: Replicate) -> str:
    """The first tensor of a replicate, or its predictions, in which `made` differs from the experiment; "" for none."""
    pair = [place.models(ARM) / f"{one.number}.safetensors" for place in (experiment.layout, made)]
    if pair[0].is_file() != pair[1].is_file():
        return "weights that are there in one alone, as the other diverged"
    if pair[0].is_file():
        old, new = (files.read_bytes(path) for path in pair)
        if tensor := weights_diff.first_difference(old, new, f"weights of replicate {one.number}"):
            return tensor
    rows = [npy_files.read(place.predictions(ARM) / "predictions.npy")[row] for place in (experiment.layout, made)]
    alike = rows[0].shape == rows[1].shape and np.array_equal(rows[0], rows[1], equal_nan=True)
    return "" if alike else PREDICTIONS


def _today(layout: ProjectPaths, experiment: TrainedExperiment) -> Environment:
    asked = params_yaml.resolved(dvc_yaml.parameters_at(layout.root, experiment.commit) or b"")
    training = stage_fingerprint.library_of(layout.root, library_fingerprint.TRAINING, asked.task.name)
    packages = experiment.arm.environment.packages
    return environment.asked(environment.find(asked.machine.device, packages, training, asked.machine.devices), asked)


def environment_differences(then: Environment, now: Environment) -> list[str]:
    """What differs, one text each: `torch 2.12.0 → 2.13.0`."""
    return [f"{name}{old} → {new}" for name, old, new in environment_diff.find(then, now)]
