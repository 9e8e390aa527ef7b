"""`assay check`: everything that a run would refuse, at once, before one is spent on it.

Covers: what can be read (repository, dvc.yaml, params.yaml, its search space, the task's members, Git), then one
replicate and two batches in a process of its own (`stages.check_run`), which writes nothing into the project. Not
covered: whether the idea is any good.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from assay.baseline import accepted_strategy
from assay.commands import search_problems
from assay.core import params_problems
from assay.core.errors import AssayError, Exit, ProvenanceError, UsageError
from assay.core.params_yaml import Params
from assay.core.paths import IN_PROJECT, OF_DATA, PARAMS, PIPELINE, STAGES, ProjectPaths
from assay.core.schemas import Record
from assay.core.yaml12 import parse
from assay.runtime import (
    dvc_yaml,
    editable_install_check,
    files,
    git,
    import_closure,
    library_fingerprint,
    metric_input_files,
    shadowed_modules,
    task_code,
    task_problems,
    tracked_code_check,
    training_reads,
)


class Refusal(Record, frozen=True, kw_only=True):
    """One thing that a run would refuse, with the exit code that it would have had."""

    topic: str
    text: str
    code: int


class Checked(Record, frozen=True, kw_only=True):
    """What `assay check --json` prints."""

    stages: list[str]
    refusals: list[Refusal]

    @property
    def code(self) -> int:
        """That of the worst: code that Git does not know, then what is not comparable, then wrong usage."""
        return max((one.code for one in self.refusals), default=int(Exit.DONE))


def check(start: Path, stage: str | None, quiet: bool) -> Checked:
    """Look at the project around `start`, then run it in small as far as `stage` (default: all).

    `quiet` sends what the stages print to stderr. Raises UsageError where there is no dvc.yaml to begin with.
    """
    root = _root(start)
    found: list[Refusal] = []
    for topic, look in _looks(root):
        found += _collected(topic, look)
    run = list(_run(root, stage, quiet)) if (root / PARAMS).is_file() else []
    known = {one.text for one in found}
    return Checked(stages=_stages(root, stage), refusals=[*found, *(one for one in run if one.text not in known)])


def _stages(root: Path, stage: str | None) -> list[str]:
    """Stages that ran in small; of a script, which has no small, the one that was asked for."""
    params = _params(root)
    if params and params.is_script:
        return ["train"] if stage == "train" else []
    run = ["prepare", "split", "train", "evaluate"]
    return run[: run.index(stage) + 1] if stage else run


def _root(start: Path) -> Path:
    here = start.resolve()
    root = next((folder for folder in (here, *here.parents) if (folder / PIPELINE).is_file()), None)
    if root is None:
        raise UsageError(f"no dvc.yaml in {here} or above it", hint="change to the project's folder, or assay init")
    return root


def _collected(topic: str, look: Callable[[], Iterator[AssayError]]) -> Iterator[Refusal]:
    """What `look` yields, and what it raises: then it saw no further."""
    try:
        for error in look():
            yield Refusal(topic=topic, text=error.sentence, code=int(error.exit_code))
    except AssayError as error:
        yield Refusal(topic=topic, text=error.sentence, code=int(error.exit_code))


def _looks(root: Path) -> Iterator[tuple[str, Callable[[], Iterator[AssayError]]]]:
    yield "git", lambda: _repository(root)
    yield "dvc", lambda: _pipeline(root)
    yield "params", lambda: _parameters(root)
    params = _params(root)
    if params is None:
        return
    if not params.is_script:  # which the run in small looks at
        yield "task", lambda: task_problems.of_members(root, params)
        yield "metric", lambda: task_problems.of_metric(root, params)
    if git.inside(root):
        if params.search is not None:
            yield "search", lambda: search_problems.of_section(ProjectPaths(root), params.search)
        yield "code", lambda: _code(root, params)
        yield "baseline", lambda: _baseline(root, params)


def _params(root: Path) -> Params | None:
    try:
        return params_problems.problems(dvc_yaml.parameters(root))[1]
    except AssayError:
        return None


def _repository(root: Path) -> Iterator[AssayError]:
    if not git.inside(root):
        yield UsageError(f"{root} is in no Git repository", hint="git init && git add . && git commit -m Start")
    elif git.resolve(root, "HEAD") is None:
        yield UsageError(f"{root} has no commit yet", hint="git add . && git commit -m Start")
    if dvc_yaml.dvc_root(root) is None:
        inside = git.inside(root) and git.top(root).resolve() != root.resolve()
        yield UsageError(f"{root} is in no DVC repository", hint=f"dvc init{' --subdir' if inside else ''}")


def _pipeline(root: Path) -> Iterator[AssayError]:
    layout = ProjectPaths(root)
    stages = parse(files.read_bytes(layout.pipeline), PIPELINE).get("stages")
    declared = stages if isinstance(stages, dict) else {}
    params = _params(root)
    needed = [name for name in STAGES if not (params and params.is_script and name in OF_DATA)]
    if missing := [name for name in needed if name not in declared]:
        yield UsageError(
            f"dvc.yaml has no stage {', '.join(missing)}",
            allowed=", ".join(needed),
            hint="assay init, or take them from the dvc.yaml of Assay",
        )
    listed = dvc_yaml.dependencies(layout, params.task.name if params else "")
    for stage in (name for name in STAGES if name in listed):
        for path in listed[stage]:
            if not (root / path).exists() and not Path(path).is_relative_to(IN_PROJECT.environment.parent):
                yield UsageError(
                    f"stage {stage} depends on {path}, which is not there",
                    hint=f"bring it back, or take the line out of stages.{stage}.deps in dvc.yaml",
                )


def _parameters(root: Path) -> Iterator[AssayError]:
    yield from params_problems.problems(dvc_yaml.parameters(root, "write it, as in the README"))[0]


def _code(root: Path, params: Params) -> Iterator[AssayError]:
    task = params.task.name
    parts = (*task_code.MEMBERS, task_code.SHOW)
    paths = sorted({file for part in parts for file in task_code.closure(root, task, part)})
    looks: tuple[Callable[[], None], ...] = (
        lambda: tracked_code_check.check_known(root, [path.as_posix() for path in paths]),
        lambda: metric_input_files.check_known(root, task),
        lambda: training_reads.check_known(root, dvc_yaml.dependencies(ProjectPaths(root), task).get("train", [])),
        lambda: shadowed_modules.check(root, import_closure.third_party(root, paths)),
        lambda: editable_install_check.check(root, root),
    )
    for look in looks:
        try:
            look()
        except (UsageError, ProvenanceError) as error:
            yield error


def _baseline(root: Path, params: Params) -> Iterator[AssayError]:
    accepted_strategy.resolve(dvc_yaml.current(root), params.baseline)
    yield from ()


def ended(code: int) -> str:
    """Why the run in small gave no answer, by its exit code; below 0 it is the signal that ended it."""
    if code < 0:
        return f"the run in small was ended by signal {-code}, most often for too little memory"
    return "the run in small ended early, see the lines above"


def _run(root: Path, stage: str | None, quiet: bool) -> Iterator[Refusal]:
    """What refuses when it runs: a child in the foreground, with this terminal, so that a debugger can talk."""
    with tempfile.TemporaryDirectory(prefix="assay-check-") as folder:
        answer = Path(folder) / "problems.json"
        command = library_fingerprint.command("check_run", str(answer), *([stage] if stage else []))
        own = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, cwd=root, env=own, stdout=sys.stderr if quiet else None)
        if done.returncode:
            yield Refusal(topic="run", text=ended(done.returncode), code=max(done.returncode, int(Exit.BUG)))
        for one in json.loads(answer.read_text(encoding="utf-8")) if answer.is_file() else []:
            yield Refusal(topic=one["topic"], text=one["sentence"], code=one["code"])
