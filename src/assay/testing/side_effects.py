"""What code of a task leaves behind beside what it returns: generators, files, parameters, variables, the folder.

The process is put back, so that one side effect is told once. Libraries draw numbers and set variables when they are
imported for the first time: each block is run twice, and told of is what the second time leaves. Covers: the process,
and files of the project. Not covered: files elsewhere, and the network.
"""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from assay.core.errors import UsageError
from assay.core.params_yaml import Params
from assay.training.random_streams import Globals

#: name of a file, as seen from the project → size and time of its last change
Files = dict[str, tuple[int, int]]


class SideEffects:
    """Watches blocks of a task's code. `found` has a sentence for each thing that one left changed."""

    def __init__(self, root: Path, params: Params) -> None:
        self.root, self.params = root, params
        self.given = _plain(params)
        self.files = _files(root)
        self.unsure: dict[str, str] = {}  # variables that were set the first time: by a library, or by the task
        self.found: list[UsageError] = []

    @contextmanager
    def first(self) -> Iterator[None]:
        """Around a block that runs for the first time: nothing is told of it, libraries keep their variables."""
        before, environ, folder, dtype = Globals(), dict(os.environ), Path.cwd(), torch.get_default_dtype()
        try:
            yield
        finally:
            before.restore()
            self.unsure |= {name: value for name, value in os.environ.items() if name not in environ}
            os.environ.update(environ)
            os.chdir(folder)
            torch.set_default_dtype(dtype)
            self._give_back()

    @contextmanager
    def again(self, who: str, *, generators: bool = True) -> Iterator[None]:
        """Around the same block. `who` begins the sentences; without `generators` drawing from the global ones is
        fine."""
        for name in self.unsure:
            os.environ.pop(name, None)
        before, environ, folder, dtype = Globals(), dict(os.environ), Path.cwd(), torch.get_default_dtype()
        try:
            yield
        finally:
            if generators:
                self._generators(who, before)
            before.restore()
            self._process(who, environ, folder, dtype)
            self._parameters(who)
            self._files(who)
            os.environ.update(self.unsure)

    def _say(self, problem: str, allowed: str, hint: str = "") -> None:
        self.found.append(UsageError(problem, allowed=allowed, hint=hint))

    def _generators(self, who: str, before: Globals) -> None:
        moved = {
            "Python's": before.python != random.getstate(),
            "NumPy's": not _equal(before.numpy, np.random.get_state(legacy=True)),
            "torch's": not torch.equal(before.torch, torch.get_rng_state()),
        }
        for name in (name for name, changed in moved.items() if changed):
            own = {"torch's": "torch.Generator().manual_seed(0)", "Python's": "random.Random(0)"}
            use = own.get(name, "numpy.random.default_rng(0)")
            self._say(f"{who} changes {name} global generator", f"a generator of its own, such as {use}")

    def _process(self, who: str, environ: dict[str, str], folder: Path, dtype: torch.dtype) -> None:
        changed = sorted(
            name for name in environ.keys() | os.environ.keys() if environ.get(name) != os.environ.get(name)
        )
        if changed:
            self._say(f"{who} changes {changed[0]} in the environment", "variables as they were")
            os.environ.clear()
            os.environ.update(environ)
            self.unsure = {name: value for name, value in self.unsure.items() if name not in changed}
        if Path.cwd() != folder:
            self._say(f"{who} changes the current folder to {Path.cwd()}", "the folder of dvc.yaml")
            os.chdir(folder)
        if torch.get_default_dtype() != dtype:
            self._say(f"{who} changes torch's default type to {torch.get_default_dtype()}", f"{dtype}, as it was")
            torch.set_default_dtype(dtype)

    def _parameters(self, who: str) -> None:
        now = _plain(self.params)
        if now != self.given:
            name = next(key for key in now if now[key] != self.given[key])
            self._say(
                f"{who} changes its parameters: {name} is {now[name]!r:.80}", f"{self.given[name]!r:.80}, as given"
            )
            self._give_back()

    def _give_back(self) -> None:
        """Let mappings of params.yaml that the task's functions were given be as they were."""
        for name, value in self.given.items():
            mapping = getattr(self.params, name)
            if isinstance(mapping, dict) and mapping != value:
                mapping.clear()
                mapping.update(copy.deepcopy(value))

    def _files(self, who: str) -> None:
        now = _files(self.root)
        if now != self.files:
            names = sorted(name for name in now.keys() | self.files.keys() if now.get(name) != self.files.get(name))
            verb = "removes" if names[0] not in now else "writes"
            more = f" and {len(names) - 1} more" if names[1:] else ""
            self._say(f"{who} {verb} {names[0]}{more} in the project", "no file there", "return what others need")
            self.files = now


def _equal(one: Any, other: Any) -> bool:
    """Whether two states of NumPy's generator are the same."""
    return all(np.array_equal(left, right) for left, right in zip(one, other, strict=True))


def _plain(params: Params) -> dict[str, Any]:
    """All parameters, as values that no later change reaches."""
    found: dict[str, Any] = copy.deepcopy(msgspec.structs.asdict(params))
    return found


def _files(root: Path) -> Files:
    """Files of the project but hidden ones and what Python keeps of sources."""
    found = {}
    for folder, inner, names in os.walk(root):
        inner[:] = [name for name in inner if not name.startswith(".") and name != "__pycache__"]
        for name in names:
            if not name.startswith("."):
                place = Path(folder, name)
                status = place.lstat()
                found[place.relative_to(root).as_posix()] = (status.st_size, status.st_mtime_ns)
    return found
