"""The sides of a comparison: from a file, a Git revision or an experiment's name to a group.

Covers: finding what a user named, the columns of results/replicates.csv, the strategy that a record was measured
against. Not covered: comparing (`verbs.compare`).
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass, replace
from pathlib import Path

from assay.judging import verdict
from assay.judging.groups import Group, Member, Ruler
from assay.lineage import columns
from assay.lineage.columns import Table
from assay.outside import files, git
from assay.scoring import trusted
from assay.words.errors import UsageError
from assay.words.yaml12 import parse

REPLICATES, METRICS = "results/replicates.csv", "results/metrics.json"
SCHEMA = 1
DIVERGED = "diverged"
#: column that names an earlier replicate with the same predictions
SAME_AS = "same_as"
#: columns of a record that are no metric
RECORDED = (
    *("arm", "strategy", "identity", "replicate", "seed", "status", "metric_version", "profile"),
    *("environment", "direction", "min_effect", "worst", "execution", "same_as"),
)


@dataclass(frozen=True)
class Source:
    """What a user named: a table, and for a revision its commit and the table's hash; "" for a file.

    `computed_here`: an `evaluate` on this machine wrote this very table.
    """

    name: str
    table: Table
    commit: str = ""
    digest: str = ""
    experiment: bool = False
    computed_here: bool = False
    fixed: bool = False  # nothing in its task is random

    @property
    def is_record(self) -> bool:
        """Written by `evaluate`: several arms under one metric version."""
        return "arm" in self.table and "metric_version" in self.table

    @property
    def told_apart(self) -> bool:
        """Its replicates' predictions were compared: equal numbers among those that are left are ties."""
        return SAME_AS in self.table


def home(start: Path) -> Path:
    """The project that `start` lies in, so that records are found from its subfolders too; else `start`."""
    return next((folder for folder in (start, *start.parents) if (folder / "dvc.yaml").is_file()), start)


def find(root: Path, name: str) -> Source:
    """The file at `name`, else the experiment or revision called so. Raises UsageError naming what is near."""
    path = Path(name)
    if path.is_file() or path.suffix.lower() in (".csv", ".json"):
        content = files.read_bytes(path, mend="name an existing CSV or JSON file")
        found = Source(name, columns.parse(content, name))  # a file of another tool needs no Git
        return replace(found, computed_here=found.is_record and trusted.computed(root, content))
    if not git.inside(root):
        raise UsageError(f"{name} is no file, and {root} is in no Git repository", allowed="a CSV or JSON file")
    refs = git.run(root, "for-each-ref", "--format=%(objectname)", f"refs/exps/*/*/{name}", check=False).split()
    if len(set(refs)) > 1:
        raise UsageError(f"{len(refs)} experiments are called {name!r}", allowed=", ".join(ref[:12] for ref in refs))
    commit = refs[0] if refs else git.resolve(root, name)
    if commit is None:
        raise UsageError(f"there is no file, revision or experiment {name!r}", allowed=_near(root, name))
    content = _recorded(root, commit, name)
    table = _counted(columns.parse(content, f"{REPLICATES} of {name}"))
    computed = trusted.computed(root, content)
    return Source(name, table, commit, files.digest(content), bool(refs), computed, _fixed(root, commit))


def _counted(table: Table) -> Table:
    """Rows of replicates that differ: those with the predictions of an earlier one are that one."""
    same = table.get(SAME_AS)
    if same is None:
        return table
    kept = [row for row, earlier in enumerate(same) if not earlier]
    return {name: [cells[row] for row in kept] for name, cells in table.items()}


def _fixed(root: Path, commit: str) -> bool:
    """Whether the record's own params.yaml says that nothing in its task is random."""
    content = git.read(root, commit, "params.yaml")
    task = parse(content).get("task") if content else None
    return isinstance(task, dict) and task.get("fixed") is True


def _near(root: Path, name: str) -> str:
    refs = git.run(root, "for-each-ref", "--format=%(refname)", "refs/exps", "refs/heads", "refs/tags", check=False)
    short = {
        ref.rpartition("/")[2] if ref.startswith("refs/exps") else ref.split("/", 2)[2]
        for ref in refs.split("\n")
        if ref
    }
    near = difflib.get_close_matches(name, short, 3) or sorted(short)[:5]
    return f"a file, a revision or an experiment, e.g. {', '.join(near) or 'HEAD'}"


def _recorded(root: Path, commit: str, name: str) -> bytes:
    _check_schema(git.read(root, commit, METRICS), name)
    content = git.read(root, commit, REPLICATES)
    if content is None:
        raise UsageError(
            f"{name} ({commit[:12]}) has no {REPLICATES}", allowed="a revision with results", mend="dvc exp run"
        )
    return content


def _check_schema(content: bytes | None, name: str) -> None:
    try:
        found = json.loads(content) if content else {}
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{METRICS} of {name} is damaged: {error}", mend="dvc exp run") from error
    schema = found.get("schema", SCHEMA) if isinstance(found, dict) else SCHEMA
    if schema != SCHEMA:
        raise UsageError(f"{METRICS} of {name} has schema {schema}", allowed=f"schema {SCHEMA}", mend="update Assay")


def column(source: Source, chosen: str) -> str:
    """The column to compare: the chosen one, the metric that decides, or the only one of numbers."""
    metrics = [name for name in source.table if name not in RECORDED]
    if chosen:
        if chosen not in source.table:
            listed = ", ".join(map(repr, metrics)) or "none"
            raise UsageError(f"{source.name} has no column {chosen!r}", allowed=listed, mend="--column NAME")
        return chosen
    if source.is_record:
        return source.table["metric_version"][0].rpartition("-")[0]
    numeric = [name for name in metrics if columns.number(source.table[name][0]) is not None]
    if len(metrics) == 1 or len(numeric) == 1:
        return (numeric or metrics)[0]
    listed = ", ".join(map(repr, numeric or metrics))
    raise UsageError(f"{source.name} has {len(metrics)} columns", allowed=listed, mend="choose one with --column NAME")


def group(source: Source, name: str, direction: str, arm: str = "candidate") -> Group:
    """All replicates of one side: of a record one arm, of any other table all rows."""
    table = source.table
    rows = [row for row in range(len(table[name])) if not source.is_record or table["arm"][row] == arm]
    if not rows:
        raise UsageError(f"{source.name} records no {arm}", allowed=", ".join(sorted(set(table["arm"]))))
    status = _cells(table, "status", rows)
    finite = [row for row, state in zip(rows, status, strict=True) if state != DIVERGED]
    where = source.name
    values = dict(zip(finite, columns.numbers([table[name][row] for row in finite], name, where), strict=True))
    rulers = _rulers(table, rows, direction)
    seeds = _cells(table, "seed", rows)
    members = tuple(map(Member, map(values.get, rows), seeds, rulers))
    return Group(table["strategy"][rows[0]] if arm == "baseline" else source.name, members)


def _rulers(table: Table, rows: list[int], direction: str) -> list[Ruler]:
    """The ruler of each row; rows under the same one share it."""
    recorded = [_cells(table, name, rows) for name in ("metric_version", "profile", "environment")]
    directions = _cells(table, "direction", rows) if "direction" in table else [direction] * len(rows)
    fields = list(zip(*recorded, directions, strict=True))
    made = {each: Ruler(*each) for each in set(fields)}
    return [made[each] for each in fields]


def _cells(table: Table, name: str, rows: list[int]) -> list[str]:
    return [table[name][row] for row in rows] if name in table else [""] * len(rows)


def min_effect(source: Source) -> float:
    """The smallest effect that matters, where the record says so; else 0."""
    cells = source.table.get("min_effect", [])
    return columns.numbers(cells[:1], "min_effect", source.name)[0] if cells and cells[0] else 0.0


def worst(source: Source) -> float | None:
    """What a diverged replicate counts as, where the record says so."""
    cells = source.table.get("worst", [])
    return columns.numbers(cells[:1], "worst", source.name)[0] if cells and cells[0] else None


def executions(source: Source, arm: str) -> list[str]:
    """How each replicate of one side was made, where the table says it: of a record one arm, of any other all rows."""
    recorded = source.table.get("execution", [])
    return [way for row, way in enumerate(recorded) if not source.is_record or source.table["arm"][row] == arm]


def identity(source: Source, arm: str) -> str:
    """Hash of the strategy behind an arm of a record, "" where there is none."""
    if not source.is_record or "identity" not in source.table:
        return ""
    table = source.table
    return next((made for name, made in zip(table["arm"], table["identity"], strict=True) if name == arm), "")


def best_floor(source: Source, name: str, direction: str) -> tuple[str, float] | None:
    """Name and value of the best floor in a record, None without one."""
    table = source.table
    rows = [row for row, arm in enumerate(table["arm"]) if arm == "floor" and table[name][row]]
    found = dict(
        zip(
            [table["strategy"][row] for row in rows],
            columns.numbers([table[name][row] for row in rows], name, source.name),
            strict=True,
        )
    )
    if not found:
        return None
    best = verdict.best(found, direction)
    return best, found[best]
