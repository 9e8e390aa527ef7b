"""What an experiment changed against the commit that it was run on, for hundreds of experiments at once.

Covers: changed files through one `git diff-tree --stdin`, changed lines of params.yaml with the sections
they stand in. Not covered: parsing YAML: a thousand files would take seconds, and this is for reading only.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from assay.runtime import git
from assay.runtime.git_objects import Objects

PARAMS = "params.yaml"
#: files that follow from a run and say nothing about what was tried
FOLLOWING = ("dvc.lock", "results/", "plots/", "context/", "arms/")


def changes(root: Path, prefix: str, pairs: Sequence[tuple[str, str]], objects: Objects) -> dict[str, list[str]]:
    """Commit → changed parameters as `lr: 0.01`, then changed files, for each pair (base commit, commit).

    `prefix` is the project's path inside the repository. A commit whose base is not here is left out.
    """
    wanted = {commit: base for base, commit in pairs}
    asked = list(dict.fromkeys([*wanted.values(), *wanted]))  # many experiments share a base
    found = zip(asked, objects.read([f"{commit}:{prefix}{PARAMS}" for commit in asked]), strict=True)
    known = {commit: item.content.decode(errors="replace") for commit, item in found if item is not None}
    params = {
        commit: parameter_lines(known[base], known[commit])
        for commit, base in wanted.items()
        if base in known and commit in known
    }
    files = _files(root, prefix, [(wanted[commit], commit) for commit in params])
    return {commit: lines + files[commit] for commit, lines in params.items()}


def parameter_lines(before: str, after: str) -> list[str]:
    """Lines of `after` that are not in `before`, sections as a dotted path, comments and blanks left out."""
    known, lines = set(_lines(before)), list(_lines(after))
    return [line for line in lines if line not in known]


def _lines(content: str) -> Iterator[str]:
    above: list[tuple[int, str]] = []
    for line in content.split("\n"):
        bare = line.split(" #", 1)[0].rstrip()
        key = bare.strip()
        if not key or key.startswith("#"):
            continue
        indent = len(bare) - len(bare.lstrip())
        above = [(depth, name) for depth, name in above if depth < indent]
        if key.endswith(":"):
            above.append((indent, key[:-1]))
        else:
            yield ".".join([*(name for _, name in above), key])


def _files(root: Path, prefix: str, pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Changed files of each commit, relative to the project, without those that follow from a run."""
    asked = "".join(f"{commit} {base}\n" for base, commit in pairs)
    command = [
        "git",
        "-C",
        str(root),
        "diff-tree",
        "--stdin",
        "-r",
        "--no-relative",
        "--ignore-submodules=none",
        *git.NAMES,
    ]
    done = subprocess.run(command, input=asked.encode(), capture_output=True)
    found: dict[str, list[str]] = {commit: [] for _, commit in pairs}
    current: list[str] = []
    for word in done.stdout.decode("utf-8", "surrogateescape").split("\0"):
        if word in found:  # a commit's hash stands before its files
            current = found[word]
        elif word.startswith(prefix) and not _follows(word[len(prefix) :]):
            current.append(word[len(prefix) :])
    return found


def _follows(path: str) -> bool:
    return path in ("", PARAMS) or path.startswith(FOLLOWING)
