"""Text inserted into a foreign YAML file: every line of the file stays byte for byte, and reads as before.

What was written is read again and compared. Covers: stages at the end of `stages:`, missing keys at the end of
params.yaml. Not covered: what the text is (`project_setup.templates`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from assay.core.errors import UsageError
from assay.core.paths import PARAMS, PIPELINE
from assay.core.yaml12 import parse
from assay.core.yaml_limits import GENERATED

_BREAK = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
_NAME = PIPELINE
#: stands above our stages in a file of others
HEADING = "  # what Assay runs: docs/init.md says how to take it out again\n"


class UnsafeInsertionError(UsageError):
    """A file in which nothing can be inserted without changing what it says."""


def with_stages(content: bytes, ours: str) -> bytes:
    """dvc.yaml with the stages of `ours`, the text of another dvc.yaml, behind its own.

    Raises UnsafeInsertionError where the file cannot be read or its other stages would not read as before.
    """
    old, new = read(content, _NAME), parse(ours, _NAME, GENERATED)["stages"]
    stages = old.get("stages")
    if stages is not None and not isinstance(stages, dict):
        raise UnsafeInsertionError(f"{_NAME}: stages is a {type(stages).__name__}")
    if taken := [name for name in new if name in (stages or {})]:
        raise UnsafeInsertionError(f"{_NAME} has stages of its own called {', '.join(taken)}")
    wanted = {**old, "stages": {**(stages or {}), **new}}
    text = _text(content, _NAME)
    body = ours.partition("\n")[2]
    whole = "stages" not in old
    for line, indent in [(_last(text), 0)] if whole else _places(text):
        made = _inserted(text, line, f"stages:\n{body}" if whole else _indented(HEADING + body, indent))
        if _same(made, wanted, _NAME):
            return made
    raise UnsafeInsertionError(f"{_NAME}: its stages are written in a way that leaves no line to insert ours at")


def with_keys(content: bytes, chunks: Mapping[str, str], name: str = PARAMS) -> bytes:
    """params.yaml with those of `chunks` (top-level key → its text) behind that it lacks.

    Raises UnsafeInsertionError where the file cannot be read or its own keys would not read as before.
    """
    old = read(content, name)
    missing = {key: chunk for key, chunk in chunks.items() if key not in old}
    if not missing:
        return content
    text, added = _text(content, name), "".join(missing.values()).rstrip("\n") + "\n"
    wanted = {**old, **parse(added, name)}
    for gap in ("\n", "") if text.strip() else ("",):  # a blank line would belong to a block of text that keeps them
        made = _inserted(text, _last(text), gap + added)
        if _same(made, wanted, name):
            return made
    raise UnsafeInsertionError(f"{name} is written in a way that leaves no line to append ours at")


def chunks(text: str) -> dict[str, str]:
    """Top-level keys of a params.yaml of ours → their lines, comments above and below included."""
    found: dict[str, str] = {}
    key, above = "", ""
    for line in text.splitlines(keepends=True):
        begins = re.match(r"(\w+):", line)
        if begins:
            key = begins[1]
            found[key], above = above + line, ""
        elif key and not line.startswith("#"):
            found[key] += line
        else:
            above += line
    return found


def read(content: bytes, name: str) -> dict[str, Any]:
    """The mapping in `content`; empty where the file holds comments alone."""
    try:
        text = _text(content, name)
        if all(not line.strip() or line.lstrip().startswith("#") for line in _BREAK.split(text)):
            return {}
        return parse(content, name, GENERATED)
    except UnsafeInsertionError:
        raise
    except UsageError as error:
        raise UnsafeInsertionError(error.problem) from error


def _text(content: bytes, name: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise UnsafeInsertionError(f"{name} is not UTF-8") from error


def _same(made: bytes, wanted: Any, name: str) -> bool:
    """Whether `made` reads as `wanted`, order and types included."""
    try:
        return repr(parse(made, name, GENERATED)) == repr(wanted)
    except UsageError:
        return False


def _places(text: str) -> Iterator[tuple[int, int]]:
    """Lines before which stages may be inserted, the best first, and the column of the stages' names."""
    root = yaml.compose(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    pairs = root.value if isinstance(root, yaml.MappingNode) and not root.flow_style else []
    for number, (key, value) in enumerate(pairs):
        if key.value != "stages":
            continue
        inside = value.value if isinstance(value, yaml.MappingNode) and not value.flow_style else []
        if isinstance(value, yaml.MappingNode) and not inside:
            return
        column = inside[0][0].start_mark.column if inside else 2
        end = pairs[number + 1][0].start_mark.line if number + 1 < len(pairs) else _last(text)
        lines = _BREAK.split(text)
        after = end
        while after > key.start_mark.line + 1 and _between(lines[after - 1]):
            after -= 1
        yield after, column
        yield end, column
        return


def _between(line: str) -> bool:
    """Whether a line belongs to what follows it: a blank one, or a comment at the margin."""
    return not line.strip() or line.startswith("#")


def _last(text: str) -> int:
    """Number of the line behind all content: that of an end-of-document mark, or of the end of the file."""
    lines = _BREAK.split(text)
    ends = next((number for number, line in enumerate(lines) if re.match(r"\.\.\.(\s|$)", line)), len(lines))
    return ends - 1 if ends == len(lines) and not lines[-1] else ends


def _indented(body: str, column: int) -> str:
    """Lines of ours, whose stages stand at column 2, with the stages at `column`."""
    return "".join(
        f"{' ' * column}{line.removeprefix('  ')}" if line.strip() else line for line in body.splitlines(keepends=True)
    )


def _inserted(text: str, line: int, added: str) -> bytes:
    """`added` before line number `line` of `text`, with that text's line ends.

    Where it has no newline at its end, the result has none either.
    """
    ends = [match.end() for match in _BREAK.finditer(text)]
    newline = "\r\n" if "\r\n" in text and text.count("\r\n") * 2 > len(ends) else "\n"
    added = added.replace("\n", newline)
    at = 0 if line == 0 else ends[line - 1] if line <= len(ends) else len(text)
    if at == len(text) and text and not _BREAK.search(text[-1]):
        added = newline + added.removesuffix(newline)
    return (text[:at] + added + text[at:]).encode()
