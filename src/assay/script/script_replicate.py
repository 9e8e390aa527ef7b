"""One replicate of a script: its command in a copy of the tree, the number that it reports, the files that are kept.

Covers: what a script may get wrong: it fails, takes too long, prints no number or two, changes what is not its own,
leaves processes behind. Not covered: which replicates run, and when (`script.script_arm`).
"""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec import UNSET

from assay.core import script_command
from assay.core.errors import UsageError
from assay.core.schemas import Divergence, Replicate
from assay.core.task_section import TaskSection
from assay.runtime import accelerators, redacted_log, script_environment
from assay.runtime.device_places import Place
from assay.runtime.supervised_command import CommandEnd, CommandLine, SupervisedCommand
from assay.script import input_files, interpreter, reported_result, tree_copy
from assay.script.input_files import InputFile
from assay.script.script_cache import ScriptReplicate
from assay.script.tree_copy import TreeCopy

#: how a replicate's record says that a script ran
EXECUTION = "script"
#: lines of a log that a sentence shows
_SHOWN = 3


@dataclass(frozen=True)
class ScriptSetup:
    """What all replicates of an arm share. `logs` is a folder, `home` the user's own checkout."""

    arm: str
    task: TaskSection
    values: Mapping[str, Any]  # dotted name of a parameter → value
    first: TreeCopy
    inputs: Sequence[InputFile]
    python_path: Sequence[str]  # folders from the top of the repository
    logs: Path
    home: Path


class ScriptRun:
    """One replicate at work, in a folder of its own. `stop` from any thread."""

    def __init__(self, setup: ScriptSetup, number: int, seed: int, folder: Path, place: Place | None = None) -> None:
        self.setup, self.number, self.seed, self.folder, self.place = setup, number, seed, folder, place
        self.who = f"{setup.arm} replicate {number} (seed {seed})"
        self.log = setup.logs / f"{number}.log"
        self._command: SupervisedCommand | None = None
        self._stopped = False

    def stop(self) -> None:
        self._stopped = True
        if self._command is not None:
            self._command.stop()

    def result(self) -> ScriptReplicate:
        """Run it. Raises UsageError for what the script gets wrong, KeyboardInterrupt where it was stopped."""
        tree, out = tree_copy.replicate(self.setup.first, self.folder / "tree"), self.folder / "out"
        out.mkdir()
        self._link(tree)
        before, shared = tree_copy.states(tree), self._shared()
        began = time.monotonic()
        end = self._run(tree, out)
        seconds = time.monotonic() - began
        self._check_end(end)
        number = self._number(end, tree, out)
        tree_copy.refuse_changed(tree_copy.changed(tree, before, self.setup.first), self.who)
        self._check_shared(shared)
        kept = [] if math.isnan(number) else self._keep(tree, out)
        diverged = Divergence(epoch=0, step=0, tensor=self.setup.task.reported.key) if math.isnan(number) else None
        record = Replicate(
            number=self.number,
            seed=self.seed,
            execution=EXECUTION,
            reused=False,
            seconds=round(seconds, 3),
            steps=0,
            diverged=diverged,
            reported=UNSET if diverged else number,
        )
        notes = [f"{self.who} left {', '.join(end.left[:3])} at work, which was ended"] if end.left else []
        return ScriptReplicate(record, self.log.read_bytes(), notes, self.folder / "kept", kept)

    def _link(self, tree: TreeCopy) -> None:
        """Files from outside of Git, and an environment of the project's own that the command names by a relative
        path."""
        for one in self.setup.inputs:
            if one.place is not None and not Path(one.name).is_absolute():
                tree_copy.link(one.place, tree.project / one.name)
        program = interpreter.find(self.setup.task.command, self.setup.home, os.environ)
        for word in program.words[:1]:
            first = Path(word).parts[0]
            if "/" in word and not Path(word).is_absolute() and (self.setup.home / word).exists():
                tree_copy.link(self.setup.home / first, tree.project / first)

    def _run(self, tree: TreeCopy, out: Path) -> CommandEnd:
        values = {**self.setup.values, script_command.SEED: self.seed, script_command.OUT: str(out)}
        line = script_command.fill(self.setup.task.command, values)
        variables = script_environment.variables([tree.top / folder for folder in self.setup.python_path])
        place, core = self.place, None
        if place is not None and place.visible:
            variables = {**variables, accelerators.VISIBLE: place.visible}
        elif place is not None:
            core = place.number
        if self._stopped:
            raise KeyboardInterrupt
        self._command = SupervisedCommand(CommandLine(line, tree.project, variables, self.log, core))
        if self._stopped:
            self._command.stop()
        limit = self.setup.task.timeout
        try:
            return self._command.wait(limit)
        except subprocess.TimeoutExpired:
            self._command.stop()
            self._command.wait()
            raise self._failed(f"took longer than task.timeout ({limit:g} s) and was ended") from None

    def _check_end(self, end: CommandEnd) -> None:
        if end.code is None:
            raise KeyboardInterrupt

    def _number(self, end: CommandEnd, tree: TreeCopy, out: Path) -> float:
        """What the script reports; NaN where it says that it diverged, however it ended."""
        path = self._filled(self.setup.task.reported.file, tree, out)
        try:
            number = reported_result.read(path, self.setup.task.reported.key, self.who)
        except UsageError as error:
            if end.code:
                raise self._ended(end) from None
            raise UsageError(f"{error.problem}; its log: {self.log}", allowed=error.allowed, hint=error.hint) from None
        if end.code and not math.isnan(number):
            raise self._ended(end)
        return number

    def _ended(self, end: CommandEnd) -> UsageError:
        code = end.code or 0
        number = -code if code < 0 else code - 128  # as a shell tells of a command that a signal ended
        signaled = number in signal.valid_signals()
        return self._failed(f"was ended by signal {number}" if signaled else f"ended with exit code {code}")

    def _failed(self, what: str) -> UsageError:
        lines = redacted_log.last_lines(self.log, _SHOWN)
        said = f"; it said last: {' | '.join(lines)}" if lines else "; it said nothing"
        return UsageError(f"{self.who}: the script {what}{said}", hint=f"see {self.log}")

    def _filled(self, template: str, tree: TreeCopy, out: Path) -> Path:
        values = {script_command.SEED: self.seed, script_command.OUT: str(out)}
        return tree.project / script_command.fill(template, values, quote=False)

    def _keep(self, tree: TreeCopy, out: Path) -> list[str]:
        """Copies of what `task.keep` names, by their names there."""
        names = []
        for template in self.setup.task.keep:
            path = self._filled(template, tree, out)
            if not path.exists():
                raise UsageError(
                    f"{self.who} wrote no {template}, which task.keep names",
                    hint="set task.keep in params.yaml to files that it writes, such as {out}/model.pt",
                )
            base = next((one for one in (out, tree.project) if path.is_relative_to(one) and path != one), path.parent)
            files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
            for file in files:
                name = file.relative_to(base).as_posix()
                (self.folder / "kept" / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, self.folder / "kept" / name)
                names.append(name)
        return names

    def _shared(self) -> dict[str, input_files.States]:
        return {one.name: input_files.states(one.place) for one in self.setup.inputs if one.place is not None}

    def _check_shared(self, before: dict[str, input_files.States]) -> None:
        """Refuse a change of what all replicates read."""
        for name, states in self._shared().items():
            if states != before[name]:
                changed = sorted({file for file, *_ in set(states) ^ set(before[name])})
                raise UsageError(
                    f"{self.who} changed {name}{f' ({changed[0]})' if changed != ['.'] else ''}, which task.files "
                    "shares with all replicates",
                    allowed="reading it",
                    hint="let the script write to {out}",
                )
