"""dvc.lock: what DVC knows of each stage's last run. The one place that reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from assay.core.paths import LOCK, PARAMS
from assay.core.yaml12 import parse
from assay.core.yaml_limits import GENERATED

#: the list of a stage's outputs, in the form that DVC writes
_OUTS = re.compile(rb"^    outs:\n((?:    [- ].*\n?)+)", re.MULTILINE)

Stages = dict[str, dict[str, Any]]


def stages(content: bytes) -> Stages:
    """Stage → its entry. Raises UsageError for what is no YAML."""
    found = parse(content, LOCK, GENERATED).get("stages")
    entries = found.items() if isinstance(found, dict) else ()
    return {str(stage): entry for stage, entry in entries if isinstance(entry, dict)}


def hashes(entry: Mapping[str, Any], kind: str) -> dict[str, str]:
    """Path → DVC's hash of a stage's `deps` or `outs`, "" where it has none."""
    return {str(one.get("path", "")): str(one.get("md5") or "") for one in entry.get(kind) or []}


def parameters(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted key of params.yaml → the value that a stage last ran with."""
    return (entry.get("params") or {}).get(PARAMS) or {}


def output_hash(content: bytes, path: str) -> str:
    """DVC's hash of the output `path` of any stage, "" where there is none.

    Where DVC wrote it nothing is parsed: a history has thousands.
    """
    return next(_written(content, path), "") or _parsed(content, path)


def _written(content: bytes, path: str) -> Iterator[str]:
    entry = re.compile(rb"- path: %b\n(?:\s+hash: md5\n)?\s+md5: ([0-9a-f]{32}(?:\.dir)?)\n" % re.escape(path.encode()))
    for outs in _OUTS.finditer(content):
        if match := entry.search(outs[1]):
            yield match[1].decode()


def _parsed(content: bytes, path: str) -> str:
    if path.encode() not in content:
        return ""
    found = (hashes(entry, "outs") for entry in stages(content).values())
    return next((outs[path] for outs in found if path in outs), "")
