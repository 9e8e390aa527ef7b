"""What `assay init` would do in a folder: which files it adds or adds to, where, and what a person has to know.

Nothing is written here. Covers: where the project goes (this folder, or one of its own), every file. Not covered: what
data there are (`project_setup.guess_data`), writing (`project_setup.commit_changes`).
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from assay.core.errors import UsageError
from assay.core.paths import LOCK, PARAMS, PIPELINE, PLOTS
from assay.project_setup import (
    dvc_setup,
    ignore_rules,
    output_conflicts,
    parameter_conflicts,
    requirements,
    templates,
    yaml_insertion,
)
from assay.project_setup.dvc_setup import Hydra
from assay.project_setup.file_changes import Edit, EditedFile
from assay.project_setup.file_changes import find as find_changes
from assay.project_setup.guess_data import Guess
from assay.project_setup.templates import Template
from assay.project_setup.yaml_insertion import UnsafeInsertionError
from assay.runtime import dvc_yaml, git, project_root, untracked_data

#: folder of our own where there is no room beside the user's stages
APART = "assay"
#: what Git must hold, so no pattern may leave it out
_HELD = (PIPELINE, LOCK, PARAMS, "task.py")
_DATA_HEADING = "# data that are in neither Git nor DVC: kept out of the commits of experiments"
_HEADING = "# what Assay and Python make, and Git leaves out"


@dataclass(frozen=True)
class ProjectPlace:
    """Where the project goes. All paths are absolute and without links."""

    top: Path  # of the Git work tree
    here: Path  # where the command runs
    folder: Path  # with dvc.yaml
    dvc: Path | None  # with .dvc; None where DVC is to be set up in `here`
    hydra: Hydra | None = None

    def named(self, path: Path | str) -> str:
        """A path as Git names it, from the top."""
        return os.path.relpath(self.folder / path, self.top).replace(os.sep, "/")


@dataclass(frozen=True)
class SetupPlan:
    """Everything that is to be done; nothing is where Assay is set up already."""

    place: ProjectPlace
    changes: list[EditedFile]
    apart: str = ""  # why the project has a folder of its own
    notes: list[str] = field(default_factory=list)


def place_of(here: Path, top: Path, folder: Path) -> ProjectPlace:
    """The place of a project in `folder`, for a command that runs in `here`."""
    found = dvc_yaml.dvc_root(folder)
    root = found if found and found.is_relative_to(top) else None
    return ProjectPlace(top, here, folder, root, dvc_setup.hydra(root) if root == folder else None)


def existing(here: Path, top: Path, own_folder: str = "") -> Path | None:
    """The folder that is set up already: `own_folder` if that is asked for, else `here`, one above it, or one below."""
    above = [one for one in (here, *here.parents) if one.is_relative_to(top) and (one / PIPELINE).is_file()]
    asked = [here / own_folder] if own_folder and (here / own_folder / PIPELINE).is_file() else []
    places = asked if own_folder else [*above, *project_root.below(here)]
    return next((one for one in places if output_conflicts.is_set_up((one / PIPELINE).read_bytes())), None)


def plan(here: Path, top: Path, guess: Guess, own_folder: str = "") -> SetupPlan:
    """The setup for `guess` in `here`, or in `own_folder` below it; there, too, where `here` has no room.

    Raises UsageError where the folder of its own has none either.
    """
    if own_folder:
        return _apart(here, top, guess, own_folder, "")
    try:
        return _in(place_of(here, top, here), guess)
    except NoRoomError as error:
        return _apart(here, top, guess, APART, error.problem)


class NoRoomError(UsageError):
    """A folder in which our stages would be in the way of something, or something in theirs."""


def _apart(here: Path, top: Path, guess: Guess, name: str, why: str) -> SetupPlan:
    folder = Path(os.path.normpath(here / name))
    if not folder.is_relative_to(here) or folder == here:
        raise UsageError(f"--in is {name!r}", allowed="a folder below this one", hint=f"assay init --in {APART}")
    place = place_of(here, top, folder)
    if ignore_rules.ignored(here, [f"{name}/"]):
        raise UsageError(f"Git leaves {name}/ out (.gitignore)", hint=f"assay init --in {name}-runs")
    try:
        return _in(place, guess, why or "--in")
    except NoRoomError as error:
        raise UsageError(f"{name}/ has no room either: {error.problem}", hint=f"assay init --in {name}-runs") from error


def again(place: ProjectPlace, guess: Guess) -> SetupPlan:
    """What is lacking of a setup whose files are written and not committed."""
    return _in(place, guess, begun=True)


def _in(place: ProjectPlace, guess: Guess, apart: str = "", *, begun: bool = False) -> SetupPlan:
    template = templates.named(guess.template)
    pipeline = templates.pipeline(template, reads=bool(guess.path))
    wanted = [*_HELD, *(one.path for one in output_conflicts.outputs(pipeline) if not one.cached)]
    if not begun:
        _check_room(place, template, pipeline, [] if apart else wanted)
        _check_parameters(place, parameters(place, guess, template))
    edits = edits_of(place, guess, template, pipeline, wanted)
    commit = git.resolve(place.top, "HEAD")
    try:
        changes = find_changes(place.top, edits, commit)
    except UnsafeInsertionError as error:
        raise NoRoomError(error.problem) from error
    return SetupPlan(place, changes, apart, notes(place, template))


def _check_room(place: ProjectPlace, template: Template, pipeline: str, wanted: Sequence[str]) -> None:
    """Raise NoRoomError for the first thing that is in the way."""
    if why := output_conflicts.find(place.folder, place.top, pipeline):
        raise NoRoomError(why)
    for name in template.files:
        if os.path.lexists(place.folder / name):
            raise NoRoomError(f"{name} is there already")
    if hidden := ignore_rules.hidden_folders(place.folder, wanted):
        raise NoRoomError(f"Git leaves {hidden[0]} out (.gitignore), where results belong")


def _check_parameters(place: ProjectPlace, ours: str) -> None:
    """Raise NoRoomError where our parameters cannot stand beside the user's."""
    if not place.hydra:
        _check_beside(place, place.folder / PARAMS, ours)
        return
    folder = place.folder / place.hydra.folder
    if (folder / "assay.yaml").exists():
        raise NoRoomError(f"{place.hydra.folder}/assay.yaml is there already")
    _check_beside(place, folder / f"{place.hydra.config}.yaml", ours)  # what Hydra writes into params.yaml
    _check_beside(place, place.folder / PARAMS, ours)


def _check_beside(place: ProjectPlace, file: Path, ours: str) -> None:
    if file.is_file() and (why := parameter_conflicts.find(place.folder, file.read_bytes(), ours)):
        raise NoRoomError(why if file.parent == place.folder else f"{why} ({file.relative_to(place.folder)})")


def edits_of(
    place: ProjectPlace, guess: Guess, template: Template, pipeline: str, wanted: Sequence[str]
) -> dict[str, Edit]:
    """File from the top → what is done to it."""
    edits: dict[str, Edit] = {}
    if place.dvc is None:
        for name, content in dvc_setup.initial_files(below_top=place.here != place.top).items():
            edits[place.named(place.here / name)] = _whole(content)
    for name in sorted(one.name for one in (templates.PLACE / "plots").iterdir()):
        path, content = (place.dvc or place.here) / ".dvc/plots" / name, _packed(f"{PLOTS}/{name}")
        if not path.is_file() or path.read_bytes() == content:  # else the user's own of that name, which stays
            edits[place.named(path)] = _whole(content)
    edits[place.named(PIPELINE)] = _stages(pipeline)
    if template.draws_curves:
        edits[place.named(templates.CURVES)] = _whole(_packed(templates.CURVES_TEXT))
    edits.update(_parameters(place, guess, template))
    for name, source in template.files.items():
        if not (place.folder / name).is_file() or (place.folder / name).read_bytes() == _packed(source):
            edits[place.named(name)] = _whole(_packed(source))
    if template.test and not test_left_out(place, template):
        edits[place.named(templates.TEST)] = _whole(_packed(template.test))
    lacking = ignore_rules.lines(place.folder, output_conflicts.outputs(pipeline), wanted)
    edits[place.named(".gitignore")] = _lines(lacking, _HEADING)
    if line := data_line(place, guess.path):
        name = place.named(place.here / ".gitignore")
        edits[name] = _then(edits.get(name), _lines([line], _DATA_HEADING))
    if requirements.is_open(place.here):
        edits[place.named(place.here / requirements.FILE)] = _lines([requirements.line(template.extra)], "")
    return edits


def _parameters(place: ProjectPlace, guess: Guess, template: Template) -> dict[str, Edit]:
    """params.yaml, or the file from which Hydra makes it."""
    ours = parameters(place, guess, template)
    if place.hydra:
        return {place.named(f"{place.hydra.folder}/assay.yaml"): _whole(f"# @package _global_\n{ours}".encode())}
    chunks = yaml_insertion.chunks(ours)
    return {place.named(PARAMS): lambda old: ours.encode() if old is None else yaml_insertion.with_keys(old, chunks)}


def parameters(place: ProjectPlace, guess: Guess, template: Template) -> str:
    """The text of a params.yaml with nothing but our keys."""
    if "script" in guess.data:
        above = seen_from(place, ".")
        lead = "" if above == "." else f"cd {shlex.quote(above)} && "
        command = f"{lead}python {shlex.quote(str(guess.data['script']))}"
        return templates.params(template, guess.template, {"command": command})
    paths = {}
    if guess.path:
        paths = {key: seen_from(place, one) for key, one in zip(template.reads, guess.paths, strict=True)}
    data = {**paths, **guess.data}
    task = guess.task or templates.task_name(guess.path or guess.template)
    return templates.params(template, task, data, guess.metric)


def seen_from(place: ProjectPlace, path: str) -> str:
    """The data's path from the folder with params.yaml."""
    if not path or Path(path).is_absolute():
        return path
    return os.path.relpath(place.here / path, place.folder).replace(os.sep, "/")


def _packed(name: str) -> bytes:
    return (templates.PLACE / name).read_bytes()


def _whole(content: bytes) -> Edit:
    """A file of ours: one that is there stays as it is."""
    return lambda old: content if old is None else old


def _stages(pipeline: str) -> Edit:
    def edit(old: bytes | None) -> bytes:
        if old is None:
            return pipeline.encode()
        return old if output_conflicts.is_set_up(old) else yaml_insertion.with_stages(old, pipeline)

    return edit


def _lines(lacking: Sequence[str], heading: str) -> Callable[[bytes | None], bytes | None]:
    return lambda old: ignore_rules.with_lines(old, lacking, heading)


def _then(first: Edit | None, second: Edit) -> Edit:
    return second if first is None else lambda old: second(first(old))


def data_line(place: ProjectPlace, path: str) -> str:
    """The line of .gitignore for data that are in neither Git nor DVC; "" for others, and where code lies among them.

    Without it DVC would put them into the commit of each experiment, all 10 GB of them.
    """
    data = place.here / path
    if not path or Path(path).is_absolute() or any(data.rglob("*.py")):
        return ""
    if (place.top / ".git").exists():
        tracked = git.run(place.here, "--literal-pathspecs", "ls-files", "--", path)
        if tracked or not untracked_data.is_untracked(place.here, path) or ignore_rules.ignored(place.here, [path]):
            return ""
    return "/" + re.sub(r"([\\*?\[ ])", r"\\\1", path)


def notes(place: ProjectPlace, template: Template) -> list[str]:
    """What a person has to do, and what was left as it is."""
    found = []
    if place.hydra:
        config = place.named(f"{place.hydra.folder}/{place.hydra.config}.yaml")
        found.append(f"Hydra writes params.yaml: add the line `  - assay` under `defaults:` in {config}, and commit it")
    if name := requirements.to_name(place.here, template.extra):
        found.append(name)
    if why := test_left_out(place, template):
        found.append(f"no test of the task was written: {why}")
    return found


def test_left_out(place: ProjectPlace, template: Template) -> str:
    """Why the template's test cannot be written; "" where it can."""
    file = place.folder / templates.TEST
    if not template.test:
        return ""
    if os.path.lexists(file) and not (file.is_file() and file.read_bytes() == _packed(template.test)):
        return f"{templates.TEST} is there already"
    if file.is_symlink() or file.parent.is_symlink() or (file.parent.exists() and not file.parent.is_dir()):
        return f"{templates.TEST.partition('/')[0]} is no plain folder"
    if ignore_rules.ignored(place.here, [os.path.relpath(file, place.here)]):
        return f"Git leaves {templates.TEST} out (.gitignore)"
    return ""
