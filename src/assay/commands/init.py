"""`assay init`: a repository of yours made ready for `dvc exp run`, and `--remove`: exactly that taken out again."""

from __future__ import annotations

import importlib.util
import os
import shlex
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from assay.commands import status_programs
from assay.core.errors import UsageError
from assay.core.paths import PARAMS, PIPELINE
from assay.core.schemas import Record
from assay.project_setup import (
    commit_changes,
    file_changes,
    guess_data,
    ignore_rules,
    output_conflicts,
    setup_plan,
    setup_removal,
    templates,
)
from assay.project_setup.file_changes import EditedFile
from assay.project_setup.guess_data import Guess
from assay.project_setup.setup_plan import ProjectPlace, SetupPlan
from assay.runtime import commit_one_file, git, git_operation, untracked_data

#: said before a first run, since it stands above all that the run says
FIRST_RUN = (
    "the first run begins with lines of DVC, `No file hash info found`, one for each output that no run has made yet: "
    "nothing is wrong"
)


@dataclass(frozen=True)
class Wishes:
    """What the command line asks for."""

    paths: tuple[str, ...] = ()
    template: str = ""
    folder: str = ""  # of its own, by --in
    dry_run: bool = False
    commit: bool = True
    make_git: bool = False
    remove: bool = False


class Setup(Record, frozen=True, kw_only=True):
    """What `assay init --json` prints."""

    folder: str  # with dvc.yaml, from the top of the repository
    template: str
    took: str  # what it found and guessed
    files: list[str]  # that were added or added to; those that would be, with --dry-run
    commit: str  # "" where there was nothing to commit, or it was told not to
    notes: list[str]
    next: list[str]  # commands, in their order
    diff: str  # with --dry-run


def init(start: Path, wishes: Wishes) -> Setup:
    """Set the repository around `start` up, or take the setup out. Nothing is written where this raises."""
    if os.name == "nt":
        raise UsageError("Assay runs on Linux and macOS", hint="run it inside WSL, the Linux of Windows")
    here = start.resolve()
    inside = git.inside(here)
    if not inside and not wishes.make_git:
        raise UsageError(f"{here} is in no Git repository", hint=shlex.join(["assay", "init", "--git", *wishes.paths]))
    top = git.top(here).resolve() if inside else here
    if inside:
        git_operation.refuse_under_way(top)
        commit_one_file.branch(top)
    return _remove(top, wishes) if wishes.remove else _set_up(here, top, wishes, inside)


def _set_up(here: Path, top: Path, wishes: Wishes, inside: bool) -> Setup:
    there = setup_plan.existing(here, top, wishes.folder)
    if there and _is_committed(there, top):
        return _nothing(there, top, here, wishes)
    if not inside and not wishes.dry_run:
        guess_data.guess(here, wishes.paths, wishes.template)  # refuses before there is a repository
        git.run(here, "init", "--quiet")
    guess = guess_data.guess(here, wishes.paths, wishes.template)
    plan = (
        setup_plan.again(setup_plan.place_of(here, top, there), guess)
        if there
        else setup_plan.plan(here, top, guess, wishes.folder)
    )
    notes = [*plan.notes, *_about_data(plan.place, guess, inside), *(line.text for line in status_programs.programs())]
    if guess.others:
        notes.insert(0, f"not taken: {', '.join(guess.others[:5])}; assay init PATH takes another")
    if plan.apart:
        name = plan.place.folder.relative_to(here).as_posix()
        notes.insert(0, f"in a folder of its own, {name}/, because {plan.apart}")
    if plan.changes:
        notes.append(FIRST_RUN)
    message = _message(guess)
    commit, diff = "", ""
    if wishes.dry_run:
        diff = file_changes.diff(plan.changes)
    else:
        commit = _land(top, plan.changes, message, wishes)
    commands = [*_untracked(top, here, guess), *_lacking(guess), *_commands(plan, here, guess.template)]
    if plan.changes and not wishes.commit:
        commands.insert(0, commit_changes.by_hand(plan.changes, message, _cd(here, top)))
    return Setup(
        folder=plan.place.named("."),
        template=guess.template,
        took=guess.says,
        files=[change.path for change in plan.changes],
        commit=commit,
        notes=notes,
        next=commands,
        diff=diff,
    )


def _untracked(top: Path, here: Path, guess: Guess) -> list[str]:
    """The command that tracks a task which the user has written: a run refuses code that Git does not have."""
    if not guess.file or git.run(top, "--literal-pathspecs", "ls-files", "--", str((here / guess.file).resolve())):
        return []
    name = shlex.quote(guess.file)
    return [f"git add {name} && git commit -m 'Add a task' -- {name}"]


def _lacking(guess: Guess) -> list[str]:
    """The command that installs what the template needs; none where it is there."""
    template = templates.named(guess.template)
    lacks = any(importlib.util.find_spec(name) is None for name in template.packages)
    return [f"pip install 'dvc-assay[{template.extra}]'"] if lacks else []


def _land(top: Path, changes: list[EditedFile], message: str, wishes: Wishes) -> str:
    return commit_changes.land(top, changes, message, commit=wishes.commit) if changes else ""


def _is_committed(folder: Path, top: Path) -> bool:
    content = git.read(folder, "HEAD", PIPELINE) if git.resolve(top, "HEAD") else None
    return output_conflicts.is_set_up(content)


def _nothing(folder: Path, top: Path, here: Path, wishes: Wishes) -> Setup:
    if wishes.template or wishes.folder:
        asked = f"--template {wishes.template}" if wishes.template else f"--in {wishes.folder}"
        raise UsageError(
            f"{os.path.relpath(folder / PIPELINE, here)} is set up already, {asked} changes nothing",
            hint=f"assay init --remove, then assay init {asked}",
        )
    plan = SetupPlan(setup_plan.place_of(here, top, folder), [])
    return Setup(
        folder=plan.place.named("."),
        template="",
        took="set up already; nothing was changed",
        files=[],
        commit="",
        notes=[line.text for line in status_programs.programs()],
        next=_commands(plan, here),
        diff="",
    )


def _message(guess: Guess) -> str:
    version = metadata.version("dvc-assay")
    what = f" for {guess.path}" if guess.path else ""
    return f"Set up Assay{what}\n\n{commit_changes.TRAILER}: {guess.template} {version}"


def _about_data(place: ProjectPlace, guess: Guess, inside: bool) -> list[str]:
    """Whether other clones can repeat what is measured on these data, and what makes it so."""
    if not guess.path:
        return []
    name = setup_plan.seen_from(ProjectPlace(place.top, place.here, place.here, place.dvc), guess.path)
    if Path(name).is_absolute():
        return [f"{name} lies outside of this repository: other clones cannot repeat what is measured on it"]
    if not untracked_data.is_untracked(place.here, name, inside):
        return []
    ignored = bool(setup_plan.data_line(place, guess.path)) or bool(ignore_rules.ignored(place.here, [name]))
    beside = [] if ignored else [os.path.join(os.path.dirname(name), ".gitignore")]  # noqa: PTH118, PTH120
    files = shlex.join([f"{name}.dvc", *beside])
    track = f"dvc add {shlex.quote(name)} && git add {files} && git commit -m {shlex.quote(f'Track {name}')} -- {files}"
    return [
        f"{name} is in neither Git nor DVC: runs and accept work in this checkout, other clones cannot repeat them "
        f"until: {track}"
    ]


def _commands(plan: SetupPlan, here: Path, template: str = "") -> list[str]:
    """What to run next, from the current folder: the first run, then one with a change."""
    pipeline = os.path.relpath(plan.place.folder / PIPELINE, here)
    change = "" if template == "script" else "lr=0.001"  # a script's parameters are its own
    if pipeline == PIPELINE:
        return ["dvc exp run", *([f"dvc exp run -S {change}"] if change else [])]
    name, given = shlex.quote(pipeline), shlex.quote(pipeline.replace(PIPELINE, PARAMS))
    return [f"dvc exp run {name}", *([f"dvc exp run {name} -S {given}:{change}"] if change else [])]


def _cd(here: Path, top: Path) -> str:
    return "" if here == top else f"cd {shlex.quote(os.path.relpath(top, here))} && "


def _remove(top: Path, wishes: Wishes) -> Setup:
    removal = setup_removal.plan(top)
    message = f"Take Assay out\n\n{commit_changes.TRAILER}: {commit_changes.REMOVED}"
    commit = "" if wishes.dry_run else _land(top, removal.changes, message, wishes)
    notes = [f"stays, as other stages or data need it: {', '.join(removal.kept)}"] if removal.kept else []
    return Setup(
        folder=".",
        template="",
        took="what assay init put in is taken out; what runs wrote (dvc.lock, results/, plots/, DVC's cache) stays",
        files=[change.path for change in removal.changes],
        commit=commit,
        notes=notes,
        next=[] if wishes.commit or not removal.changes else [commit_changes.by_hand(removal.changes, message)],
        diff=file_changes.diff(removal.changes) if wishes.dry_run else "",
    )
