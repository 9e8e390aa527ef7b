"""The interpreter of a script's command: which one it is, and what is installed there.

Covers: finding it among the words of the command, by its name or behind the first line of a program such as torchrun;
versions of the packages that the script imports; packages that an installation takes from the user's work tree, which a
copy has to take from itself. Nothing of the user's is imported. Not covered: what decides numbers beside it
(`runtime.environment`).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from assay.core.errors import UsageError
from assay.core.schemas import DAMAGE
from assay.runtime import script_source

_PYTHON = re.compile(r"(.*/)?(python|pypy)[0-9.]*t?(\.exe)?")
_SETTING = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
_OPERATORS = ("&&", "||", ";", "|", "&")
_SECONDS = 120
#: distributions that make numbers, whoever imports them
_NUMBERS = ("numpy", "torch", "jax", "jaxlib", "tensorflow", "scipy", "scikit-learn")
#: run by the command's own interpreter, which may be older than ours: versions of packages and of what they require
#: that makes numbers, and folders that modules of the project are imported from
_PROBE = """
import sys
sys.path[:] = [path for path in sys.path if path]  # modules of the project may be called like Python's own
import importlib.util, json, os, platform, re
from importlib import metadata
packages, own, numbers, top = json.loads(sys.argv[1])
sys.path[:] = [path for path in sys.path if path != os.getcwd()]
makers = getattr(metadata, "packages_distributions", dict)()
plain = lambda name: re.sub(r"[-_.]+", "-", name).lower()
def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
found, seen = {}, set()
waiting = [makers.get(name, [name])[0] for name in packages]
for name in waiting:
    if version(name):
        found[plain(name)] = version(name)
while waiting:
    name = plain(waiting.pop())
    if name in seen or not version(name):
        continue
    seen.add(name)
    if name in numbers:
        found[name] = version(name)
    lines = metadata.requires(name) or []
    waiting += [re.split(r"[^\\w.-]", line)[0] for line in lines if "extra ==" not in line]
folders = []
for name in own:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        continue
    places = list(spec.submodule_search_locations or []) if spec else []
    if spec and (places or spec.origin):
        place = os.path.dirname(os.path.realpath(places[0] if places else spec.origin))
        if place == top or place.startswith(top + os.sep):
            folders.append(os.path.relpath(place, top))
said = {"python": platform.python_version(), "packages": found, "folders": sorted(set(folders))}
print("\\n" + json.dumps(said))
"""


class Interpreter(msgspec.Struct, frozen=True):
    """What the command's interpreter said. `folders`: those of the work tree, from its top, that it imports from."""

    python: str
    packages: dict[str, str]
    folders: list[str] = []


@dataclass(frozen=True)
class Program:
    """How the command starts its interpreter: words of a command line, none where it starts no Python."""

    words: tuple[str, ...]


def find(command: str, root: Path, environment: Mapping[str, str]) -> Program:
    """The interpreter of `command`, started in `root`."""
    for part in _parts(script_source.words(command)):
        for number, word in enumerate(part):
            if _PYTHON.fullmatch(word):
                return Program(tuple(part[: number + 1]))
        if part and (line := _first_line(part[0], root, environment)):
            return Program(line)
    return Program(())


def _parts(words: Sequence[str]) -> list[list[str]]:
    """The commands of a line, without variables that are set before them, nor changes of folder."""
    parts: list[list[str]] = [[]]
    for word in words:
        if word.rstrip(";") == "" or word in _OPERATORS:
            parts.append([])
        else:
            parts[-1].append(word)
    bare = [_without_settings(part) for part in parts]
    return [part for part in bare if part and part[0] != "cd"]


def _without_settings(words: list[str]) -> list[str]:
    first = next((number for number, word in enumerate(words) if not _SETTING.fullmatch(word)), len(words))
    return words[first:]


def _first_line(word: str, root: Path, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The interpreter that the first line of a program names, where that is a Python."""
    place = root / word if "/" in word else Path(shutil.which(word, path=environment.get("PATH")) or "/")
    try:
        with place.open("rb") as stream:
            line = stream.readline(500)
    except OSError:
        return ()
    words = tuple(os.fsdecode(line[2:]).split()) if line.startswith(b"#!") else ()
    return words if any(_PYTHON.fullmatch(one) for one in words) else ()


def ask(
    program: Program, root: Path, top: Path, packages: Iterable[str], own: Iterable[str], environment: Mapping[str, str]
) -> Interpreter:
    """What is installed there of `packages` (import names), and where it finds the modules `own` of the project.

    Raises UsageError where the interpreter does not start.
    """
    if not program.words:
        return Interpreter("", {})
    asked = json.dumps([sorted(packages), sorted(own), _NUMBERS, str(top.resolve())])
    try:
        done = subprocess.run(
            [*program.words, "-c", _PROBE, asked],
            cwd=root,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _refused(program, str(error)) from error
    said = done.stdout.decode("utf-8", "replace").strip().split("\n")[-1]
    try:
        return msgspec.json.decode(said, type=Interpreter)
    except DAMAGE as error:
        lines = done.stderr.decode("utf-8", "replace").strip().split("\n")
        raise _refused(program, lines[-1] or f"exit code {done.returncode}") from error


def _refused(program: Program, said: str) -> UsageError:
    return UsageError(
        f"params.yaml: {' '.join(program.words)}, the interpreter of task.command, does not run: {said}",
        hint="activate the script's environment, or write the path of its python in task.command",
    )
