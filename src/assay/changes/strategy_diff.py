"""What differs between two strategies: parameters, files of code, and how many changes that is.

Covers: comparing resolved parameters and sources, the counting rule, sentences. Not covered: where they
come from. The caller hands in what belongs to a strategy: the resolved parameters that training reads
(profile applied; without `replicates`, `seed`, `baseline`, `judge`, `machine` and other profiles, which
are no part of it) and the source files in the closure of training.

The rule: an effect can be put down to a change only when there is one. Each changed parameter that
existed before counts as one; all edits of code, with the parameters they introduce or remove, count as
one; two or more are bundled. Parameters that come or go while no code differs count as one together.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from shlex import quote
from typing import Any

from assay.core import ast_normal_form, params_yaml
from assay.core.errors import UsageError

#: a parameter that one side does not have
ABSENT = object()
#: between two changes
SEPARATOR = " · "


@dataclass(frozen=True)
class ParameterChange:
    """One parameter by its dotted name; a side that lacks it holds ABSENT."""

    name: str
    before: Any
    after: Any

    def __str__(self) -> str:
        if self.before is ABSENT:
            return f"{self.name} {_shown(self.after)} (new)"
        if self.after is ABSENT:
            return f"{self.name} {_shown(self.before)} (removed)"
        return f"{self.name} {_shown(self.before)} → {_shown(self.after)}"


@dataclass(frozen=True)
class FileChange:
    """One file of code and its changed lines; `cosmetic` when only comments, docstrings or layout differ."""

    path: str
    added: int
    removed: int
    cosmetic: bool

    def __str__(self) -> str:
        text = f"{self.path} +{self.added} −{self.removed}"
        return f"{text} (comments or layout only)" if self.cosmetic else text


@dataclass(frozen=True)
class Changes:
    """All that differs, in the order of names."""

    changed: tuple[ParameterChange, ...]
    introduced: tuple[ParameterChange, ...]
    removed: tuple[ParameterChange, ...]
    code: tuple[FileChange, ...]

    @property
    def count(self) -> int:
        """Number of changes by the rule at the top of this module."""
        return len(self.changed) + bool(self.edited or self.introduced or self.removed)

    @property
    def bundled(self) -> bool:
        return self.count > 1

    @property
    def edited(self) -> dict[str, FileChange]:
        """Path → change of every file that does something else."""
        return {file.path: file for file in self.code if not file.cosmetic}

    @property
    def code_change(self) -> str:
        """All edits of code with the parameters that come or go with them, which are one change; "" for none."""
        files = ", ".join(map(str, self.code))
        return SEPARATOR.join([*map(str, (*self.introduced, *self.removed)), *([f"code: {files}"] if files else [])])

    @property
    def parts(self) -> list[str]:
        """The differences, one text a change: each parameter that was there before, then the code."""
        return [*map(str, self.changed), *([self.code_change] if self.code_change else [])]

    @property
    def settings(self) -> str:
        """The changed parameters as `-S key=value`."""
        return " ".join(f"-S {quote(f'{change.name}={_shown(change.after)}')}" for change in self.changed)

    def __str__(self) -> str:
        """`lr 0.001 → 0.0003 · code: src/tasks/digits/learning.py +12 −3 · 2 changes bundled`."""
        bundled = [f"{self.count} changes bundled"] if self.bundled else []
        return SEPARATOR.join([*self.parts, *bundled]) or "no difference"


def changes(
    before: Mapping[str, Any], after: Mapping[str, Any], code_before: Mapping[str, str], code_after: Mapping[str, str]
) -> Changes:
    """What differs between two strategies: nested parameters, and sources by path."""
    old, new = dict(params_yaml.leaves(before)), dict(params_yaml.leaves(after))
    found = [
        ParameterChange(name, old.get(name, ABSENT), new.get(name, ABSENT))
        for name in sorted(old.keys() | new.keys())
        if not _same(old.get(name, ABSENT), new.get(name, ABSENT))
    ]
    return Changes(
        changed=tuple(each for each in found if each.before is not ABSENT and each.after is not ABSENT),
        introduced=tuple(each for each in found if each.before is ABSENT),
        removed=tuple(each for each in found if each.after is ABSENT),
        code=tuple(_files(code_before, code_after)),
    )


def _same(one: object, other: object) -> bool:
    """Equal in value, where true is not 1; 1 and 1.0 are the same number."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    return one == other


def _files(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[FileChange]:
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path, ""), after.get(path, "")
        if old != new or (path in before) != (path in after):
            added, removed = _lines(old, new)
            yield FileChange(path, added, removed, cosmetic=form(path, old) == form(path, new))


def _lines(old: str, new: str) -> tuple[int, int]:
    """Lines added and removed."""
    matcher = difflib.SequenceMatcher(None, old.splitlines(), new.splitlines(), autojunk=False)
    blocks = [(i2 - i1, j2 - j1) for tag, i1, i2, j1, j2 in matcher.get_opcodes() if tag != "equal"]
    return sum(new for _, new in blocks), sum(old for old, _ in blocks)


def form(path: str, source: str) -> str:
    """What the file does; its very text where that is not Python."""
    if not path.endswith(".py"):
        return source
    try:  # as bytes, which may say in what encoding they are
        return ast_normal_form.text(ast_normal_form.parse(source.encode("utf-8", "surrogateescape"), path))
    except UsageError:
        return source


def _shown(value: object) -> str:
    if isinstance(value, str):
        return value if value and value.isprintable() and not value.isspace() else repr(value)
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_shown, value))}]"
    return str(value)
