"""An arm whose replicates are runs of a script: those that no cache has run in copies of the tree, one after another.

Covers: the copy that they are made from, several at a time where `task.parallel` says so, ending all of them when one
fails or somebody presses Ctrl-C, the answer with its logs and kept files. Not covered: a single run
(`script.script_replicate`), which strategy runs (`script.script_strategies`).
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import msgspec

from assay.core.errors import AssayError, UsageError
from assay.core.params_yaml import Params, leaves, strategy
from assay.core.paths import CachePaths
from assay.core.schemas import Draw, Identity, Measurement, Note
from assay.core.task_section import TaskSection
from assay.replicates import replicate_seeds
from assay.replicates.replicate_cache import Names
from assay.runtime import cache_dirs, files, import_closure, parent_watch, script_source
from assay.runtime.device_places import Place
from assay.runtime.dvc_yaml import Run
from assay.runtime.source_roots import SEAL
from assay.script import tree_copy
from assay.script.input_files import TODAY, InputFile
from assay.script.script_cache import ScriptCache, ScriptReplicate
from assay.script.script_replicate import ScriptRun, ScriptSetup
from assay.script.tree_copy import TreeCopy

Say = Callable[[str], None]
#: seconds between two lines about progress
_QUIET = 30.0


@dataclass(frozen=True)
class ScriptOutputs:
    """Where an arm's results go: kept files and logs in a folder each, one log of all."""

    models: Path
    logs: Path
    log: Path


@dataclass(frozen=True)
class ScriptArm:
    """A strategy whose replicates are runs of a script."""

    arm: str
    run: Run
    params: Params  # of the strategy, under the profile
    tree: Path  # folder of dvc.yaml, in the work tree or in an unpacked commit
    inputs: Sequence[InputFile]
    ruler: Sequence[Path]  # files that are laid over the tree, as they are in the work tree
    python_path: Sequence[str]
    profile: str
    environment: str
    seed: int
    draw: Draw
    count: int
    outputs: ScriptOutputs
    code: str = ""  # that the tree must have, "" where it is ours and does not change
    cache: CachePaths | None = None  # None: that of the project
    places: Sequence[Place] = ()  # of machine.devices: one run on each at a time

    @property
    def store(self) -> CachePaths:
        return self.run.store if self.cache is None else self.cache

    @property
    def numbers(self) -> list[int]:
        return list(range(self.draw.first, self.draw.first + self.count))

    @property
    def data(self) -> str:
        """Hash over all that the script reads besides its code."""
        return files.digest(msgspec.json.encode(sorted((one.name, one.digest) for one in self.inputs)))


def code_of(root: Path, task: TaskSection) -> str:
    """Hash of the files that decide what a script computes and how its number comes about, in the tree at `root`."""
    reached = {*script_source.closure(root, task), *script_source.ruler(root, task)}
    return import_closure.code_hash(script_source.tree(root, task), reached)


def measure(asked: ScriptArm, say: Say) -> Measurement:
    """The arm, measured. Raises UsageError for what the script gets wrong, AssayError where all replicates diverged."""
    with _Workshop(asked) as workshop:
        names = Names(
            code=workshop.code,
            parameters=strategy(asked.params),
            train=asked.data,
            profile=asked.profile,
            environment=asked.environment,
            purpose=asked.draw.purpose,
            seed=asked.seed,
        )
        cache = ScriptCache(asked.store.replicates, names, "", [])
        try:
            done = _ScriptReplicates(asked, cache, workshop, say).all()
            _refuse_all_diverged(done)
            return _answer(asked, workshop.code, done, cache.notes)
        finally:
            cache.close()


class _Workshop:
    """A folder of ours with the copy that all replicates are made from."""

    def __init__(self, asked: ScriptArm) -> None:
        above = cache_dirs.made(asked.store.scripts)
        _tidy(above)
        self.folder = above / f"{asked.arm}-{os.getpid()}"
        shutil.rmtree(self.folder, ignore_errors=True)
        cache_dirs.hold(cache_dirs.made(self.folder))
        self.first = _first(asked, self.folder / "first")
        task = msgspec.structs.replace(asked.params.task, ruler=[file.as_posix() for file in asked.ruler])
        self.code = code_of(self.first.project, task)
        if asked.code and asked.code != self.code:
            self.__exit__()
            raise UsageError("sources were edited while the run began", hint="run the same command again")

    def __enter__(self) -> _Workshop:
        return self

    def __exit__(self, *_error: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def _first(asked: ScriptArm, top: Path) -> TreeCopy:
    copy = tree_copy.snapshot(asked.tree, top)
    files.write_text(top / SEAL, "")  # a tree of its own: no import leads out of it
    if asked.tree != asked.run.layout.root:
        tree_copy.lay_over(copy, asked.ruler, asked.run.layout.root)
    return copy


def _tidy(above: Path) -> None:
    """Remove what killed processes left."""
    for left in above.glob("*-*"):
        process = left.name.rpartition("-")[2]
        if process.isdigit() and not parent_watch.alive(int(process)):
            shutil.rmtree(left, ignore_errors=True)


class _ScriptReplicates:
    """All replicates of an arm, from the cache or run now."""

    def __init__(self, asked: ScriptArm, cache: ScriptCache, workshop: _Workshop, say: Say) -> None:
        self.asked, self.cache, self.workshop, self.say = asked, cache, workshop, say
        shutil.rmtree(asked.outputs.logs, ignore_errors=True)
        asked.outputs.logs.mkdir(parents=True, exist_ok=True)
        self.setup = ScriptSetup(
            arm=asked.arm,
            task=asked.params.task,
            values=dict(leaves(asked.params.own)),
            first=workshop.first,
            inputs=asked.inputs,
            python_path=asked.python_path,
            logs=asked.outputs.logs,
            home=asked.run.home,
        )
        self._runs: set[ScriptRun] = set()
        self._guard = threading.Lock()
        self._free: SimpleQueue[Place] = SimpleQueue()
        for place in asked.places:
            self._free.put(place)
        self._ended = False
        self._done = 0
        self._began = self._said = time.monotonic()

    def all(self) -> list[ScriptReplicate]:
        """Every replicate, in the order of numbers; nothing is at work when this returns or raises."""
        with ThreadPoolExecutor(len(self.asked.places) or self.asked.params.task.parallel) as pool:
            waiting = [pool.submit(self._one, number) for number in self.asked.numbers]
            try:
                wait(waiting, return_when=FIRST_EXCEPTION)
                return [one.result() for one in _failed_first(waiting)]
            finally:
                self._stop(waiting)

    def _stop(self, waiting: Sequence[Future[Any]]) -> None:
        with self._guard:
            self._ended = True
            for one in self._runs:
                one.stop()
        for future in waiting:
            future.cancel()

    def _one(self, number: int) -> ScriptReplicate:
        found = self.cache.find(number)
        if found is None:
            self.cache.claim([number], wait=True)
            try:
                found = self.cache.find(number) or self._run(number)  # another process may have run it meanwhile
            finally:
                self.cache.release(number)
        self._tell()
        return found

    def _run(self, number: int) -> ScriptReplicate:
        asked = self.asked
        seed = replicate_seeds.display(asked.seed, asked.draw.purpose, number)
        place = self._free.get() if asked.places else None
        run = ScriptRun(self.setup, number, seed, self.workshop.folder / f"run-{number}", place)
        with self._guard:
            if self._ended:
                raise KeyboardInterrupt  # nobody waits for its place any more
            self._runs.add(run)
        try:
            found = run.result()
            self.cache.keep(found)
            return found
        finally:
            with self._guard:
                self._runs.discard(run)
            if place is not None:
                self._free.put(place)
            shutil.rmtree(run.folder / "tree", ignore_errors=True)
            shutil.rmtree(run.folder / "out", ignore_errors=True)

    def _tell(self) -> None:
        """A line now and then, about how far it is."""
        with self._guard:
            self._done += 1
            now, left = time.monotonic(), self.asked.count - self._done
            if left and now - self._said > _QUIET:
                each = (now - self._began) / self._done
                self._said = now
                self.say(
                    f"{self._done} of {self.asked.count} replicates, {each:.0f} s each, about {each * left:.0f} s left"
                )


def _failed_first(waiting: Sequence[Future[ScriptReplicate]]) -> Sequence[Future[ScriptReplicate]]:
    """The futures, one that failed alone: the others end because of it."""
    failed = [one for one in waiting if one.done() and not one.cancelled() and one.exception() is not None]
    return failed[:1] or waiting


def _refuse_all_diverged(done: Sequence[ScriptReplicate]) -> None:
    if all(one.record.diverged for one in done):
        first = done[0].record
        raise AssayError(
            f"all {len(done)} replicates diverged, among them replicate {first.number} (seed {first.seed})",
            hint="set other parameters in params.yaml",
        )


def _answer(asked: ScriptArm, code: str, done: Sequence[ScriptReplicate], trouble: Sequence[Note]) -> Measurement:
    """Logs and kept files where they belong, and the record."""
    shutil.rmtree(asked.outputs.models, ignore_errors=True)
    for one in done:
        number = one.record.number
        files.write_bytes(asked.outputs.logs / f"{number}.log", one.log)
        for name in one.names:
            place = asked.outputs.models / str(number) / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(one.kept / name, place)
    if not any(one.names for one in done):
        files.write_text(asked.outputs.models / "README.txt", "task.keep names no files\n")
    today = [one.name for one in asked.inputs if one.kind == TODAY]
    notes = [f"{', '.join(today)}: in neither Git nor DVC, so that another clone cannot repeat this"] if today else []
    lines = [_sentence(one) for one in done]
    files.write_text(asked.outputs.log, "".join(f"{line}\n" for line in [*lines, *notes]))
    return Measurement(
        identity=Identity(code=code, parameters=strategy(asked.params), data=asked.data),
        purpose=asked.draw.purpose,
        profile=asked.profile,
        replicates=[one.record for one in done],
        left_out=0,
        nondeterministic=[],
        peak_memory=0,
        notes=[*map(Note, dict.fromkeys([*notes, *(note for one in done for note in one.notes)])), *trouble],
    )


def _sentence(one: ScriptReplicate) -> str:
    record = one.record
    head = f"replicate {record.number} (seed {record.seed}): "
    if record.diverged is not None:
        return f"{head}diverged: {record.diverged.tensor} is not finite"
    again = "taken from the cache" if record.reused else f"{record.seconds:.2f} s"
    return f"{head}reported {record.reported}, {again}"
