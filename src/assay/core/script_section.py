"""`task.command` in params.yaml: a script of the user's own, and which values of the file are its parameters.

Covers: the keys under `task:` that belong to a script, telling the script's own parameters from Assay's. Not covered:
placeholders in the command (`core.script_command`), running it (`assay.script`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta

from assay.core.errors import UsageError
from assay.core.params_section import Section
from assay.core.script_command import placeholders
from assay.core.short_repr import excerpt

#: top-level keys that Assay reads in a script's project; all others are parameters of the script
RESERVED = ("replicates", "seed", "profile", "baseline", "task", "metric", "judge", "machine", "profiles", "modes")
#: key of the space of `assay search`
SEARCH = "search"
#: field of `Params` that holds a script's parameters; no key of the file
OWN = "own"


class ReportedResult(Section, frozen=True, kw_only=True):
    """Where the number stands that a script reports: one file, one key, and which way is better."""

    file: Annotated[str, Meta(min_length=1)]  # JSON file that a replicate writes, such as {out}/metrics.json
    key: Annotated[str, Meta(min_length=1)]  # dotted name of the number in that file
    direction: Literal["maximize", "minimize"]  # which way is better
    revision: Annotated[int, Meta(ge=1)] = 1  # raised when the number means something else
    min_effect: Annotated[float, Meta(ge=0)] = 0.0  # the smallest difference that matters
    worst: float | None = None  # what a diverged replicate counts as


def is_script(raw: Mapping[str, Any]) -> bool:
    """Whether a params.yaml as it was parsed names a command."""
    task = raw.get("task")
    return isinstance(task, Mapping) and bool(task.get("command"))


def named(raw: Mapping[str, Any]) -> set[str]:
    """Top-level keys that the command of `raw` names; empty where there is no command."""
    found = placeholders(str(raw["task"]["command"])) if is_script(raw) else []
    return {name.partition(".")[0] for name in found}


def typed(raw: Mapping[str, Any], where: str) -> dict[str, Any]:
    """`raw` as `Params` reads it: the script's own parameters in one field, names that were left out filled in."""
    own = {key: value for key, value in raw.items() if not _is_ours(key, value)}
    _refuse_misspelt(own, named(raw), where)
    task, metric = dict(raw["task"]), raw.get("metric")
    found = {key: value for key, value in raw.items() if _is_ours(key, value)}
    found["task"] = {"name": "script", **task}
    if metric is None or isinstance(metric, Mapping):
        found["metric"] = {"name": _metric_name(task.get("result")), **(metric or {})}
    return {"lr": 1.0, **found, OWN: own}


def _is_ours(key: str, value: object) -> bool:
    """Whether Assay reads a key; `search` with a space is that of `assay search`, another is the script's own."""
    return key in RESERVED or (key == SEARCH and isinstance(value, Mapping) and "space" in value)


def _metric_name(result: object) -> str:
    """The last part of the result's key, as a name: `val.top-1` is top_1."""
    key = str(result.get("key", "")) if isinstance(result, Mapping) else ""
    last = re.split(r"[./]", key.rstrip("./"))[-1]
    name = re.sub(r"\W", "_", last, flags=re.ASCII)
    return name if re.match(r"[A-Za-z_]", name) else f"result_{name}".rstrip("_")


def _refuse_misspelt(own: Mapping[str, Any], by_command: set[str], where: str) -> None:
    """Refuse a key that the command does not name and that is nearly one of Assay's; or one of a task's, `vary`."""
    for key in own:
        if key == "vary" and key not in by_command:
            raise UsageError(
                f"{where}: vary is {excerpt(own[key])}, and a script has one seed for all that it draws",
                hint="remove vary in params.yaml, or make a task of it (docs/tasks.md)",
            )
        near = difflib.get_close_matches(str(key), RESERVED, 1, 0.85)
        if near and key not in by_command:
            raise UsageError(
                f"{where}: unknown parameter {key!r}", allowed=", ".join(RESERVED), hint=f"did you mean {near[0]!r}?"
            )
