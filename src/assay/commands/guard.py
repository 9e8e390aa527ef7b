"""`assay guard`: do two revisions train alike in every mode that was not meant to change?

Covers: finding the revisions, a process of its own for each with its own task code, a second run of the first
where they differ (training that differs from itself proves nothing). Not covered: training
(`assay.training`) and comparing traces (`changes.trace_diff`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import msgspec

from assay.baseline import accepted_strategy
from assay.changes import strategy_content
from assay.changes.trace_diff import Guarded, first_difference, guarded, ordered
from assay.core import params_yaml, schemas
from assay.core.errors import ProvenanceError, UsageError
from assay.core.paths import PARAMS, ProjectPaths
from assay.core.trace_records import Trace, TraceRequest
from assay.data import storage
from assay.runtime import cache_dirs, dvc_yaml, files, git, library_fingerprint, project_root, script_source, task_code
from assay.runtime.git_commit_hint import commit_command
from assay.scratch.scratch_repo import failed, run

WORK_TREE = "the work tree"
#: most steps: more would be a training
MOST_STEPS = 1000


@dataclass(frozen=True)
class Revision:
    """One side: its files, as they ran."""

    name: str
    commit: str  # "" for the work tree
    layout: ProjectPaths
    modes: tuple[str, ...]
    task: str

    @property
    def sources(self) -> dict[str, str]:
        """Path → text of every source that its training reaches."""
        return task_code.texts(self.layout.root, self.task, [task_code.LEARNING])


@dataclass(frozen=True)
class Guard:
    """What was asked and what was found."""

    base: str
    head: str
    steps: int
    seed: int
    modes: list[Guarded]

    @property
    def held(self) -> bool:
        return all(mode.held for mode in self.modes)


def guard(
    start: Path, base: str | None, head: str | None, excepted: Sequence[str], steps: int, say: cache_dirs.Say
) -> Guard:
    """Compare `base` (default: the accepted baseline) with `head` (default: the work tree as it stands).

    `say` is told when our cache takes nothing. Raises UsageError for a revision that is not there or cannot be
    traced, for an unknown mode in `excepted`, ProvenanceError for code in the work tree that Git does not track.
    """
    if not 1 <= steps <= MOST_STEPS:
        raise UsageError(f"--steps is {steps}", allowed=f"1 to {MOST_STEPS}")
    layout = project_root.find(start)
    script_source.refuse(layout.root, "nobody but the script sees its training steps", "dvc exp run, on both revisions")
    asked = params_yaml.resolved(dvc_yaml.parameters(layout.root))
    before = revision(layout, base or _baseline(asked.baseline), say)
    after = revision(layout, head, say) if head else work_tree(layout)
    modes = ordered(before.modes, after.modes)
    unknown = [mode for mode in excepted if mode not in modes]
    if unknown:
        raise UsageError(f"there is no mode {unknown[0]!r}", allowed=", ".join(modes), hint="assay guard --except MODE")
    storage.read_manifest(layout.part("train"))
    wanted = [mode for mode in before.modes if mode in after.modes and mode not in excepted]
    found = _compare(layout, (before, after), wanted, asked, steps)
    rest = {mode: Guarded(mode, "gone" if mode in before.modes else "new") for mode in modes if mode not in found}
    rest |= {mode: Guarded(mode, "excepted") for mode in excepted}
    return Guard(before.name, after.name, steps, asked.seed, [{**rest, **found}[mode] for mode in modes])


def _baseline(named: str) -> str:
    if named == accepted_strategy.FLOOR:
        raise UsageError("baseline is floor, which has no code to compare with", hint="assay guard BASE, e.g. main")
    return named


def revision(layout: ProjectPaths, name: str, say: cache_dirs.Say) -> Revision:
    """The files of a revision, unpacked."""
    commit = git.resolve(layout.root, name)
    if commit is None:
        raise UsageError(f"there is no revision {name!r}", allowed="a tag, branch or commit", hint="git fetch --tags")
    tree = accepted_strategy.unpack(dvc_yaml.current(layout.root), commit, say)
    return _described(name, commit, ProjectPaths(tree))


def work_tree(layout: ProjectPaths) -> Revision:
    """The files as they stand. Raises ProvenanceError for code that Git does not track."""
    found = _described(WORK_TREE, "", layout)
    untracked = strategy_content.untracked(layout.root, found.task)
    if untracked:
        raise ProvenanceError(
            f"{untracked[0]} is imported but Git does not track it", hint=commit_command(layout.root, untracked)
        )
    return found


def _described(name: str, commit: str, layout: ProjectPaths) -> Revision:
    where = PARAMS if not commit else f"params.yaml of {name}"
    checked = params_yaml.load(dvc_yaml.parameters(layout.root), where)
    return Revision(name, commit, layout, params_yaml.modes(checked), checked.task.name)


def _compare(
    layout: ProjectPaths, sides: tuple[Revision, Revision], modes: list[str], params: params_yaml.Params, steps: int
) -> dict[str, Guarded]:
    """Every one of `modes` in both revisions; where they part, the first one once more against itself."""
    if not modes:
        return {}
    request = TraceRequest(
        modes=modes,
        profile=params.profile,
        seed=params.seed,
        steps=steps,
        train=str(layout.part("train").resolve()),
        answer="",
    )
    before, after = _traced(layout, sides, request)
    old, new = (side.sources for side in sides)
    found = {mode: guarded(mode, before.modes[mode], after.modes[mode], old, new) for mode in modes}
    if any(one.state == "changed" for one in found.values()):
        (again,) = _traced(layout, sides[:1], request)
        for mode, one in found.items():
            itself = first_difference(before.modes[mode], again.modes[mode])
            if one.state == "changed" and itself is not None:
                found[mode] = Guarded(mode, "unsteady", *itself)
    return found


def _traced(layout: ProjectPaths, sides: Sequence[Revision], request: TraceRequest) -> list[Trace]:
    """The answers of `sides`, each from a process of its own, at the same time."""
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor() as pool:
        folders = [Path(scratch) / str(number) for number in range(len(sides))]
        return list(pool.map(lambda side, folder: _ask(layout, side, request, folder), sides, folders))


def _ask(layout: ProjectPaths, side: Revision, request: TraceRequest, folder: Path) -> Trace:
    path, answer = folder / "request.json", folder / "answer.json"
    asked = msgspec.structs.replace(request, answer=str(answer))
    files.write_bytes(path, schemas.encode(asked))
    root = side.layout.root
    code, said = run(library_fingerprint.command("trace", str(path)), root, layout.root, side.name)
    if code:
        raise failed(f"{side.name} does not train", said, f"see its files in {root}")
    return schemas.decode(files.read_bytes(answer), Trace, str(answer))
