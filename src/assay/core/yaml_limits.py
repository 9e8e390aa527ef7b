"""What a YAML text may ask for at most, checked on its events before anything is built of it.

Building nests as deep as the text does, and ends in a segmentation fault at some ten thousand levels; aliases of
aliases make a few hundred bytes into billions of values. Covers: size, depth, values with aliases written out, aliases
that hold themselves.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import yaml


class RefusedError(Exception):
    """What a text holds or is, as the rest of a sentence that begins with its name."""

    def __init__(self, problem: str, line: int | None = None, allowed: str = "", hint: str = "") -> None:
        super().__init__(problem)
        self.problem = problem if line is None else f"{problem} (line {line})"
        self.allowed = allowed
        self.hint = hint


class Limits(NamedTuple):
    characters: int
    values: int
    depth: int = 64


#: of what people write
WRITTEN = Limits(characters=1_000_000, values=20_000)
#: of what DVC writes: dvc.lock grows with the pipeline
GENERATED = Limits(characters=64_000_000, values=4_000_000)


class _Open(NamedTuple):
    """A collection whose end was not seen yet."""

    anchor: str | None
    before: int  # values before it


def check(text: str, limits: Limits, loader: Any) -> None:
    """Raise RefusedError for what is beyond `limits`, yaml.YAMLError for what is no YAML. `loader` parses."""
    if len(text) > limits.characters:
        raise RefusedError(f"has more than {limits.characters:,} characters")
    values = 0
    sizes: dict[str, int] = {}  # anchor → values below it
    within: list[_Open] = []
    for event in yaml.parse(text, loader):
        line = event.start_mark.line + 1 if event.start_mark else None
        if isinstance(event, yaml.DocumentStartEvent):
            _check_version(event, line)
        elif isinstance(event, yaml.AliasEvent):
            anchor = str(event.anchor)
            if any(anchor == one.anchor for one in within):
                raise RefusedError(f"has the alias *{anchor[:40]} within what it stands for", line)
            values += sizes.get(anchor, 1)
        elif isinstance(event, yaml.CollectionStartEvent):
            values += 1
            within.append(_Open(event.anchor, values - 1))
        elif isinstance(event, yaml.CollectionEndEvent):
            ended = within.pop()
            if ended.anchor:
                sizes[ended.anchor] = values - ended.before
        elif isinstance(event, yaml.ScalarEvent):
            values += 1
            if event.anchor:
                sizes[event.anchor] = 1
        if len(within) > limits.depth:
            raise RefusedError(f"is nested more than {limits.depth} levels deep", line)
        if values > limits.values:
            raise RefusedError(f"holds more than {limits.values:,} values, aliases written out", line)


def _check_version(event: Any, line: int | None) -> None:
    if event.version not in (None, (1, 2)):
        said = ".".join(map(str, event.version))
        raise RefusedError(
            f"says %YAML {said}", line, allowed="YAML 1.2", hint="remove the line that begins with %YAML"
        )
