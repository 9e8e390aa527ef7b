"""check_run: one replicate and two batches through prepare, split, train and evaluate, in a temporary place.

`assay stage check_run PROBLEMS.json [STAGE]`, started by `assay check`; no stage of dvc.yaml. One process, in the
foreground, so that a breakpoint in the task works. Every refusal is written to PROBLEMS.json, and a stage whose
forerunner failed is left out. Covers: running. Not covered: what can be said without running (`commands.check`).
"""

from __future__ import annotations

import bdb
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import ModuleType

import msgspec
import numpy as np
from numpy.typing import NDArray

from assay.baseline import trivial_baselines
from assay.core import params_problems, sanitize_output
from assay.core.errors import REFUSED, AssayError, Exit, UsageError
from assay.core.params_yaml import Params
from assay.core.schemas import FOREGROUND, MeasureRequest
from assay.data import part_assignment, storage
from assay.data.storage import Examples
from assay.data.validate_examples import canonical
from assay.metrics import evaluation_setup, task_metrics
from assay.metrics.scored_arm import Ruler
from assay.replicates import measure_request
from assay.replicates.train_and_eval_examples import sample, without
from assay.runtime import dvc_yaml, npy_files, progress_line, task_source, tracked_code_check
from assay.runtime.stage_setup import StageContext
from assay.stages import check_script
from assay.training import task_interface, train_and_predict

#: in the order in which they run
RUN = ("prepare", "split", "train", "evaluate")
BATCHES = 2
#: most examples that are predicted and scored
EVALUATED = 512


class CheckRun:
    """What the stages found so far. `problems`: stage, sentence and exit code of each refusal."""

    def __init__(self, root: Path, params: Params, scratch: Path) -> None:
        self.root, self.params, self.scratch = root, params, scratch
        self.ctx = StageContext("check_run", dvc_yaml.current(root), params)
        self.problems: list[dict[str, object]] = []
        self.examples: Examples | None = None
        self.where: NDArray[np.str_] | None = None  # (N,) the part of each example
        self.train: Examples | None = None
        self.evaluated: Examples | None = None
        self.predictions: np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None = None

    @contextmanager
    def collecting(self, stage: str) -> Iterator[None]:
        """Around one step: what it refuses is noted, and the next step goes on."""
        try:
            yield
        except AssayError as error:
            if _left_debugger(error):
                raise bdb.BdbQuit from error
            self.note(stage, error.sentence, error.exit_code)
        except OSError as error:
            if error.errno not in REFUSED:
                raise
            said = f"{error.strerror} at {error.filename or self.root}"
            self.note(stage, said, Exit.USAGE)

    def note(self, stage: str, sentence: str, code: int) -> None:
        """Keep one refusal."""
        found: dict[str, object] = {"topic": stage, "sentence": sentence, "code": int(code)}
        if found not in self.problems:  # two steps may meet the same
            self.problems.append(found)

    def prepare(self) -> str:
        task = self.params.task.name
        module = task_source.load(self.root, task, "data")
        with self.ctx.said_by_task("data"):
            where = task_source.where(self.root, task, "data")
            self.examples = canonical(module.prepare(**self.params.data), where, self.scratch / "prepared")
        return storage.in_words(self.examples)

    def split(self) -> str:
        assert self.examples is not None
        self.where = part_assignment.assign(self.examples, self.params.split).where
        parts = {name: self.examples.take(self.where == name) for name in ("train", "validation")}
        train, _ = without(parts["train"], parts["validation"])
        batch = min(self.params.train.batch_size, len(train))
        self.train = few(sample(train, self.params.train.sample), BATCHES * batch)
        self.evaluated = few(parts["validation"], EVALUATED)
        for name, part in (("train", self.train), ("validation", self.evaluated)):
            storage.write(self.scratch / name, name, part)
        return f"{len(parts['train'])} train, {len(parts['validation'])} validation"

    def fit(self) -> str:
        if self.train is None:  # the data failed: what can be said of the code alone
            task_interface.load(self.params.task.name, self.root, self.params.model, self.params.loss.name)
            return "imported; nothing to train on"
        train_and_predict.measure(self.request(), self.root, params=self.short())
        self.predictions = npy_files.read(self.scratch / "predictions" / "predictions.npy")[0]
        return f"1 replicate, {BATCHES} batches of {min(self.params.train.batch_size, len(self.train))}"

    def short(self) -> Params:
        """Parameters of one replicate and one epoch."""
        train = msgspec.structs.replace(self.params.train, epochs=1, sample=1.0)
        return msgspec.structs.replace(self.params, train=train, replicates=1)

    def request(self) -> MeasureRequest:
        """What `fit` asks for: one replicate of the few examples, everything into the temporary place."""
        return measure_request.of_one_replicate(self.scratch, self.params, "check", FOREGROUND)

    def evaluate(self) -> str:
        """Every metric of the task, on the replicate's predictions, or a floor's where it gave none."""
        ruler = self.ruler(task_source.load(*self._metrics()))
        if self.train is None or self.evaluated is None:
            return f"{len(ruler.metrics)} metrics; nothing to score"
        made = self.predictions
        if made is None:
            made = next(iter(trivial_baselines.floors(self.train, self.evaluated).values()), None)
        return "nothing to score" if made is None else self._scores(ruler, made)

    def ruler(self, module: ModuleType) -> Ruler:
        """The ruler of params.yaml; where it names no metric of the task, all that the task has."""
        ids: NDArray[np.str_] = np.empty(0, dtype=np.str_) if self.evaluated is None else self.evaluated.ids
        targets = None if self.evaluated is None else self.evaluated.seen_targets
        with self.collecting("evaluate"):
            return evaluation_setup.read(self.root, self.params, module, ids, targets)
        metrics = task_metrics.read(module, task_source.where(*self._metrics()))
        return Ruler(metrics, next(iter(metrics)), {}, ids, targets)

    def _scores(self, ruler: Ruler, made: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> str:
        shown = ""
        for name, metric in ruler.metrics.items():
            options = ruler.options if name == ruler.decides else {}
            aside = suppress(UsageError) if metric.beside else nullcontext()  # shown only where it applies
            with self.collecting("evaluate"), self.ctx.said_by_task("metrics"), aside:
                value = task_metrics.score(metric, options, ruler.targets, made, "the replicate")
                shown = f"{name} {value:.4g}" if name == ruler.decides else shown
                if metric.per_example is not None:
                    task_metrics.per_example(metric, ruler.targets, made, "the replicate")
        with self.collecting("evaluate"):
            evaluation_setup.version(self.root, self.params, task_source.load(*self._metrics()), "")
        return f"{shown} after two batches: no result, a sign of life" if shown else "no number"

    def _metrics(self) -> tuple[Path, str, str]:
        return self.root, self.params.task.name, "metrics"

    def code(self) -> str:
        """What was imported by now and that Git does not track: no import statement told it beforehand."""
        tracked_code_check.check_known(self.root, tracked_code_check.imported(self.root))
        return ""


def few(examples: Examples, count: int) -> Examples:
    """About `count` examples, of each class in its share, in the order in which they stand."""
    if len(examples) <= count:
        return examples
    by_class = examples.classes is not None and examples.targets.ndim == 1
    order = np.argsort(examples.targets, kind="stable") if by_class else np.arange(len(examples))
    return examples.take(np.sort(order[np.linspace(0, len(order) - 1, count).astype(np.int64)]))


def _left_debugger(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, bdb.BdbQuit):
        error = error.__cause__ or error.__context__
    return error is not None


def main(root: Path, arguments: Sequence[str]) -> None:
    if not 1 <= len(arguments) <= 2:
        raise UsageError(f"check_run was given {len(arguments)} arguments", allowed="a path, and a stage")
    last = arguments[1] if len(arguments) > 1 else RUN[-1]
    progress_line.off()
    _, params = params_problems.problems(dvc_yaml.parameters(root))
    if params is None:
        return  # said already
    with tempfile.TemporaryDirectory(prefix="assay-check-") as scratch:
        found = CheckRun(root, params, Path(scratch))
        try:
            if params.is_script:
                _script(found, run="train" in arguments[1:])
            else:
                _all(found, last)
        except bdb.BdbQuit:
            print("check: left from the debugger")
        Path(arguments[0]).write_text(json.dumps(found.problems), encoding="utf-8")


def _all(found: CheckRun, last: str) -> None:
    steps: dict[str, Callable[[], str]] = {
        "prepare": found.prepare,
        "split": found.split,
        "train": found.fit,
        "evaluate": found.evaluate,
    }
    for stage in RUN[: RUN.index(last) + 1]:
        if stage == "split" and found.examples is None:
            continue
        _step(found, stage, steps[stage])
    with found.collecting("code"):
        found.code()


def _script(found: CheckRun, run: bool) -> None:
    _step(found, "script", lambda: check_script.look(found.ctx))
    if run and not found.problems:
        _step(found, "train", lambda: check_script.once(found.ctx, found.scratch))


def _step(found: CheckRun, name: str, step: Callable[[], str]) -> None:
    began = time.perf_counter()
    with found.collecting(name):
        said = step()
        taken = time.perf_counter() - began
        print(sanitize_output.line(f"check: {name:<8} {said}, {taken:.1f} s"), flush=True)
