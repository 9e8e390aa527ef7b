"""Trailers: an event as a Git tag's message, and back; format and parse are inverses.

A message is a title, an optional text, then one `Assay-…: value` line a field and a checksum over all
of it and the tag's own name. The checksum finds edits and copies, not forgers: whoever wants to know
whether the numbers are true runs `dvc repro` at the tag.

Not covered: what the fields mean (`tags.strategy_events`), reading and writing tags (`history`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

import msgspec

from assay.core.errors import UsageError
from assay.core.schemas import DAMAGE
from assay.tags.strategy_events import NO_EVIDENCE, SCHEMA, Event, UnverifiableError, kind_of, tag_of

#: the largest number of an event: replicates are counted from 20,000 times it, and fit into 64 bits
NEWEST = 10**9
_TRAILER = re.compile(r"Assay-([A-Za-z0-9-]+): (.*)")


def format_event(event: Event, title: str, text: str = "") -> str:
    """The message of the tag: title, text, trailers, checksum."""
    lines = [f"Assay-{key}: {value}" for key, value in _flatten(msgspec.to_builtins(event))]
    head = [" ".join(title.split()), ""] + ([*text.strip().splitlines(), ""] if text.strip() else [])
    body = "\n".join([*head, *lines]) + "\n"
    return f"{body}Assay-Checksum: {_checksum(tag_of(event), body)}\n"


def parse_event(tag: str, target: str, message: str) -> Event:
    """The event in `message`, the inverse of `format_event`.

    `target` is the commit that the tag points at. Raises UnverifiableError for a foreign or edited
    message, another name, another target, or a schema that this version does not know.
    """
    kind = kind_of(tag)
    body, mark, rest = message.rpartition("\nAssay-Checksum: ")
    if kind is None or not mark:
        raise UnverifiableError(tag, NO_EVIDENCE)
    if rest.split("\n", 1)[0] != _checksum(tag, body + "\n"):
        raise UnverifiableError(tag, "its message was edited, or belongs to another tag")
    event = _convert(tag, kind, _trailers(tag, body))
    if _tag(event) != tag:
        raise UnverifiableError(tag, f"its evidence is about {_tag(event) or event.name}")
    if not 0 <= event.sequence <= NEWEST:
        raise UnverifiableError(tag, "no strategy was the one with its number")
    if event.commit != target:
        raise UnverifiableError(tag, f"its evidence is about commit {event.commit[:12]}, it points at {target[:12]}")
    return event


def _tag(event: Event) -> str:
    """The tag that carries `event`, "" where none can be called so."""
    try:
        return tag_of(event)
    except UsageError:
        return ""


def _checksum(tag: str, body: str) -> str:
    content = f"{tag}\n{body}".encode("utf-8", "surrogateescape")
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _trailers(tag: str, body: str) -> dict[str, str]:
    """Fields of the last paragraph; a text above it may hold lines that look the same."""
    found: dict[str, str] = {}
    for line in body.rpartition("\n\n")[2].split("\n"):
        match = _TRAILER.fullmatch(line)
        if match is None or match[1] in found:
            raise UnverifiableError(tag, f"the line {line[:60]!r} is no trailer, or stands there twice")
        found[match[1]] = match[2]
    return found


def _convert(tag: str, kind: type[Event], trailers: dict[str, str]) -> Event:
    known = _paths(kind)
    nested: dict[str, Any] = {}
    try:
        for key, text in trailers.items():
            *above, last = known[key]
            place = nested
            for step in above:
                place = place.setdefault(step, {})
            place[last] = _value(text)
        event = msgspec.convert(nested, kind)
    except KeyError as error:
        raise UnverifiableError(tag, f"it has the unknown field Assay-{error.args[0]}; update Assay") from error
    except DAMAGE as error:
        raise UnverifiableError(tag, f"a field does not fit: {error}") from error
    if event.schema != SCHEMA:
        raise UnverifiableError(tag, f"it has schema {event.schema}, this version knows {SCHEMA}; update Assay")
    return event


def _flatten(fields: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        path = (*above, name)
        if isinstance(value, dict):
            yield from _flatten(value, path)
        elif value is not None:
            yield _key(path), _text(value)


@cache
def _paths(kind: type[Event]) -> dict[str, tuple[str, ...]]:
    return dict(_leaves(kind))


def _leaves(kind: type[msgspec.Struct], above: tuple[str, ...] = ()) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Trailer key → path of every field of `kind`."""
    if issubclass(kind, Event) and not above:
        yield "Event", ("event",)
    for field in msgspec.structs.fields(kind):
        path = (*above, field.name)
        candidates = (field.type, *get_args(field.type))
        inner = [part for part in candidates if isinstance(part, type) and issubclass(part, msgspec.Struct)]
        if inner:
            yield from _leaves(inner[0], path)
        else:
            yield _key(path), path


def _key(path: tuple[str, ...]) -> str:
    return "-".join(word.capitalize() for name in path for word in name.split("_"))


def _text(value: object) -> str:
    """Strings that read as themselves stay bare; everything else is JSON."""
    if isinstance(value, str) and _stands_bare(value):
        return value
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{value!r} is not valid Unicode, and cannot be kept as evidence") from error


def _stands_bare(text: str) -> bool:
    return bool(text) and text.isprintable() and text == text.strip() and not _looks_like_json(text)


def _value(text: str) -> Any:
    return msgspec.json.decode(text) if _looks_like_json(text) else text


def _looks_like_json(text: str) -> bool:
    """Whether the reader would take `text` for JSON: a number, a list, a quoted string, a constant."""
    if text[:1] in ('"', "[", "{"):
        return True
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return True
