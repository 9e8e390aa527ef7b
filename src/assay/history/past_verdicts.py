"""Verdicts that Git shows: one look for each different table of replicates that experiments and tags hold.

Covers: experiments, rejected ones and accepted strategies, read in one `git cat-file`. The same table under
several names (an experiment and the tag that keeps it) is one verdict. What the ledger begins with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from assay.core.errors import AssayError
from assay.core.metric_version import metric_name
from assay.core.params_yaml import Judge, MetricSection
from assay.core.paths import PARAMS, REPLICATES
from assay.core.schemas import DAMAGE
from assay.core.yaml12 import parse
from assay.history.replicates_rows import OVERLAP
from assay.runtime import files, git, table_files
from assay.runtime.git_objects import Object, reading, refs
from assay.runtime.table_files import Table
from assay.stats import compare_arms
from assay.stats.alpha_budget import LookEntry, LookKey, metric_label

#: columns that say which look it was
_ASKED = (
    *("arm", "strategy", "identity", "replicate", "seed", "metric_version", "environment"),
    *("direction", "min_effect", "worst", OVERLAP),
)
PATTERNS = ("refs/exps", "refs/tags/strategy", "refs/tags/rejected")
FLOOR = "floor"
#: the sections of params.yaml that say how a verdict was to be given
_SECTIONS = re.compile(rb"^(?:judge|metric):.*\n?(?:(?:[ \t#].*)?\n|[ \t#].*$)*", re.MULTILINE)


def looks(root: Path) -> list[LookEntry]:
    """Every look behind a verdict that experiments, strategies and rejected ideas carry, with no price.

    Tables that cannot be read are left out.
    """
    found = refs(root, *PATTERNS, "refs/tags")
    tags = {ref.name.removeprefix("refs/tags/"): ref.peeled for ref in found if ref.name.startswith("refs/tags/")}
    commits = sorted({ref.peeled for ref in found if ref.name.startswith(PATTERNS)})
    where = git.prefix(root)
    with reading(root) as objects:
        tables = objects.read([f"{commit}:{where}{REPLICATES}" for commit in commits])
        settings = objects.read([f"{commit}:{where}{PARAMS}" for commit in commits])
    pairs = zip(tables, settings, strict=True)
    every = [one for table, asked in pairs if table and (one := _read(table, _judging(asked), tags)) is not None]
    return list({(one.identity, one.baseline, one.key): one for one in every}.values())


def _judging(asked: Object | None) -> tuple[Judge, str]:
    """How the verdict was to be given, and the metric with its options; the defaults where nobody can tell."""
    sections = _SECTIONS.findall(asked.content if asked else b"")
    return _sections(b"".join(sections))


@lru_cache(maxsize=1024)
def _sections(content: bytes) -> tuple[Judge, str]:
    """Cached: thousands of experiments differ in other sections."""
    try:
        raw = parse(content)
        judge = msgspec.convert(raw.get("judge") or {}, Judge)
        decides = msgspec.convert(raw.get("metric"), MetricSection)
    except (AssayError, *DAMAGE):
        return Judge(), ""
    return judge, metric_label(decides.name, decides.options)


def _read(item: Object, settings: tuple[Judge, str], tags: Mapping[str, str]) -> LookEntry | None:
    try:
        table = _plain(item.content) or table_files.parse(item.content, REPLICATES)
        return recorded(table, *settings, tags, files.digest(item.content))
    except (AssayError, KeyError, *DAMAGE):
        return None


def _plain(content: bytes) -> Table | None:
    """The columns of a table as `evaluate` writes it: a third of the time of a CSV reader; None for any other."""
    header, *rows = content.decode("utf-8", "replace").removesuffix("\n").split("\n")
    names = header.split(",")
    cells = [row.split(",") for row in rows]
    if b'"' in content or b"\r" in content or any(len(row) != len(names) for row in cells) or not cells:
        return None
    return {name: [row[names.index(name)] for row in cells] for name in _ASKED if name in names}


def recorded(table: Table, judge: Judge, metric: str, tags: Mapping[str, str], unnamed: str) -> LookEntry:
    """The look that a table of replicates records. `tags`: name → commit; `unnamed`: the name of a strategy that the
    table does not name. Raises KeyError, ValueError for a table that says too little."""
    rows = {arm: [row for row, each in enumerate(table["arm"]) if each == arm] for arm in ("candidate", "baseline")}
    (first, *_), base = rows["candidate"], rows["baseline"]
    strategy = table["strategy"][base[0]] if base else FLOOR
    candidate, against = _seed(table, first), _seed(table, base[0]) if base else None
    paired = bool(base) and table["seed"][first] == table["seed"][base[0]]
    key = LookKey(
        candidate=candidate,
        against=against,
        n=len(rows["candidate"]),
        test=compare_arms.RESAMPLED if OVERLAP in table else judge.test,
        alpha=judge.alpha,
        plan=tuple(judge.looks),
        metric=metric or metric_name(table["metric_version"][0]),
    )
    return LookEntry(
        identity=table["identity"][first] if "identity" in table else unnamed,
        baseline=tags.get(strategy, strategy),
        environment=table["environment"][base[0] if base else first] if "environment" in table else "",
        place=int(table["replicate"][base[0]]) if base and not paired else None,
        key=key,
        level=0.0,
        spends=0.0,
        **({} if base else _terms(table, first)),
    )


def _terms(table: Table, row: int) -> dict[str, Any]:
    """By which terms the verdict against a floor was given, where the table says them."""
    if not {"direction", "min_effect", "worst"} <= table.keys():
        return {}
    worst = table["worst"][row]
    return {
        "direction": table["direction"][row],
        "min_effect": float(table["min_effect"][row]),
        "worst": float(worst) if worst else None,
    }


def _seed(table: Table, row: int) -> int:
    return int(table["seed"][row])
