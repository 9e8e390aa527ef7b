"""baseline: the accepted strategy, by its own task code and parameters on its own training data, and the floors.

The strategy's files come from its commit, and its process is its own; the library is today's, as for the candidate
(`stages.measure`). Meanwhile `stages.floors` fits the floors, and `stages.warm_candidate_cache`
trains the candidate where that costs nothing.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from msgspec import UNSET

from assay.baseline import accepted_strategy
from assay.baseline.accepted_strategy import AcceptedStrategy
from assay.baseline.baseline_training_data import own_training_data
from assay.core import sanitize_output, schemas
from assay.core.errors import UsageError
from assay.core.paths import ProjectPaths
from assay.core.schemas import Arm, Draw, Measurement
from assay.data import storage
from assay.replicates import measure_request, printed_lines
from assay.replicates.measure_request import ALONE, RAN, request, today, training_code
from assay.runtime import example_ids, files, library_fingerprint, parent_watch, progress_line
from assay.runtime.stage_setup import StageContext, start
from assay.stages import script_baseline

ARM = "baseline"


def main(root: Path, _arguments: Sequence[str]) -> None:
    ctx = start(root, ARM)
    if ctx.params.is_script:
        script_baseline.baseline(ctx, _named(ctx))
        return
    with Child("floors", cwd=root) as floors:
        named = _named(ctx)
        measured = _measured(ctx, named, floors)
    for note in measured.texts("remark", "caution") if measured else ():  # the first stage said what is not kept
        print(sanitize_output.line(f"{ARM}: {note}"))
    arm = Arm(
        arm=ARM,
        name=named.name,
        commit=named.commit,
        experiment="",
        environment=today(ctx),
        evaluated=storage.read_manifest(ctx.layout.part("validation")).content,
        measurement=measured,
        unproven=ctx.unproven(),
    )
    files.write_bytes(ctx.layout.record(ARM), schemas.encode(arm))
    if mark := os.environ.get(RAN):
        Path(mark).touch()


def _named(ctx: StageContext) -> AcceptedStrategy:
    """The accepted strategy that `context` found."""
    path, hint = ctx.layout.accepted, "dvc repro context"
    return schemas.decode(files.read_bytes(path, hint), AcceptedStrategy, str(path), hint)


C = TypeVar("C", bound="Child")


class Child:
    """A module of this folder at work beside this stage; stopped at the end of the block."""

    def __init__(self, module: str, *arguments: str, cwd: Path, **options: Any) -> None:
        told = os.environ | ({parent_watch.BESIDE: "1"} if ALONE not in os.environ else {})
        line = library_fingerprint.command(module, *arguments)
        self.process = subprocess.Popen(line, env=told, cwd=cwd, **options)

    def __enter__(self: C) -> C:
        return self

    def __exit__(self, *_error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class CandidateWarmup(Child):
    """The candidate, trained into the cache beside the baseline where that costs nothing.

    Its own stage finds what is done, and does and says the rest: nothing depends on how this ends.
    """

    def __init__(self, root: Path) -> None:
        self.scratch = tempfile.TemporaryDirectory(prefix="assay-beside-")
        quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        super().__init__("warm_candidate_cache", self.scratch.name, cwd=root, **quiet)
        assert self.process.stdout is not None
        self.said = self.process.stdout

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self.scratch.cleanup()

    def wait_if_begun(self) -> None:
        """Until it is trained; what has not begun by now is not worth waiting for."""
        os.set_blocking(self.said.fileno(), False)
        if self.said.read():
            with progress_line.showing(progress_line.running("baseline: done; the candidate trains beside it")):
                self.process.wait()


def _measured(ctx: StageContext, named: AcceptedStrategy, floors: Child) -> Measurement | None:
    if named.name == accepted_strategy.FLOOR:
        ctx.prove()
        _nothing(ctx.layout)
        _finish(floors)
        return None
    with CandidateWarmup(ctx.layout.root) as candidate:
        ctx.prove()
        measured = Asked(ctx, named).answer()
        _finish(floors)
        candidate.wait_if_begun()
    return measured


def _finish(floors: Child) -> None:
    with progress_line.showing(progress_line.running("baseline: floors")):
        code = floors.process.wait()
    if code:
        raise UsageError("the floors could not be fitted", hint="see the line above")


def _nothing(layout: ProjectPaths) -> None:
    """While the floor is the baseline its folders say so: dvc.yaml promises them, and DVC warns of empty ones."""
    for folder in (layout.models(ARM), layout.predictions(ARM)):
        files.write_text(folder / "README.txt", "baseline: floor; nothing was trained\n")
    files.write_text(layout.curves(ARM), "replicate,seed,epoch,train_loss,validation_loss\n")
    files.write_text(layout.log(ARM), "baseline: floor; nothing to train\n")
    if logs := measure_request.logs(layout, ARM):
        printed_lines.say_nothing(logs)


class Asked:
    """The accepted strategy, and what it is asked: to be answered in a process of its own."""

    def __init__(self, ctx: StageContext, named: AcceptedStrategy) -> None:
        self.named = named
        self.tree = accepted_strategy.unpack(ctx.run, named.commit)
        task = accepted_strategy.resolved(ctx.run.home, named.name, named.commit).task.name
        code = training_code(self.tree, task)
        draw = Draw(purpose=named.purpose, first=named.first)
        self.request = request(ctx, ARM, draw, own_training_data(ctx, named), code)
        self.path = ctx.layout.record(ARM).with_suffix(".request.json")
        files.write_bytes(self.path, schemas.encode(self.request))

    def answer(self) -> Measurement:
        """Have it answered. Raises UsageError when the strategy's own code fails."""
        with Child("measure", str(self.path), cwd=self.tree) as own:
            code = own.process.wait()
        if code:
            raise UsageError(
                f"baseline {self.named.name} ({self.named.commit[:12]}): its own code failed with exit code {code}",
                hint=f"see the line above; its files are in {self.tree}; or set another baseline:",
            )
        path = Path(self.request.answer)
        measured = schemas.decode(files.read_bytes(path), Measurement, str(path))
        path.unlink()
        self.path.unlink(missing_ok=True)
        self._check_rows()
        return measured

    def _check_rows(self) -> None:
        if self.request.draws is not UNSET:  # each replicate its own, which `evaluate` holds against the candidate's
            return
        predicted = example_ids.read(Path(self.request.predictions) / "ids.npy")
        expected, _ = storage.read(Path(self.request.evaluate), ["ids"])
        if not np.array_equal(predicted, expected.ids):
            raise UsageError(f"baseline {self.named.name} predicted other examples than it was asked for")
