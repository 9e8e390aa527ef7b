"""The sides of a comparison: from a file, a Git revision or an experiment's name to a group.

Covers: finding what a user named, the columns of results/replicates.csv, the strategy that a record was measured
against. Not covered: comparing (`commands.compare`).
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass, replace
from pathlib import Path

from assay.commands import compare_detect_column, compare_metric_options, compare_one_run_per_row, compare_run_files
from assay.commands.compare_metric_options import MetricRow
from assay.core.errors import UsageError
from assay.core.metric_version import metric_name
from assay.core.paths import METRICS, PIPELINE, REPLICATES, RULERS
from assay.history.replicates_csv import SAME_AS
from assay.history.replicates_rows import BLOCK, OVERLAP
from assay.metrics import ran_on_this_machine, result_tables
from assay.runtime import files, git, table_files
from assay.runtime.table_files import Table
from assay.stats import verdict_rule
from assay.stats.strategy_replicates import Member, MetricConditions, ReplicateGroup

SCHEMA = 1
#: columns of a record that are no metric
RECORDED = (
    *("arm", "strategy", "identity", "replicate", "seed", "status", "metric_version", "profile"),
    *("environment", "direction", "min_effect", "worst", "execution", "same_as", "fixed", OVERLAP, BLOCK),
)


@dataclass(frozen=True)
class SideSource:
    """What a user named: a table, and for a revision its commit and the table's hash; "" for a file.

    `computed_here`: an `evaluate` on this machine wrote this very table.
    """

    name: str
    table: Table
    commit: str = ""
    digest: str = ""
    experiment: bool = False
    computed_here: bool = False
    rulers: Table | None = None  # its results/rulers.csv

    @property
    def is_record(self) -> bool:
        """Written by `evaluate`: several arms under one metric version."""
        return "arm" in self.table and "metric_version" in self.table

    @property
    def fixed(self) -> bool:
        """Nothing in its task was random when it ran; what its params.yaml says may be of later."""
        return self.is_record and set(self.table.get("fixed", ())) == {result_tables.YES}

    @property
    def told_apart(self) -> bool:
        """Its replicates' predictions were compared: equal numbers among those that are left are ties."""
        return SAME_AS in self.table


def home(start: Path) -> Path:
    """The project that `start` lies in, so that records are found from its subfolders too; else `start`."""
    return next((folder for folder in (start, *start.parents) if (folder / PIPELINE).is_file()), start)


def find(root: Path, name: str) -> SideSource:
    """The file at `name`, else the experiment or revision called so. Raises UsageError naming what is near."""
    path = Path(name)
    if compare_run_files.is_pattern(name):
        return _checked(SideSource(name, compare_run_files.matching(name)))
    if (arm := compare_run_files.arm(name)) is not None:
        return _checked(SideSource(name, compare_run_files.rows_of(*arm)))
    if path.is_file() or path.suffix.lower() in (".csv", ".json"):
        return _file(root, name, path)
    if not git.inside(root):
        raise UsageError(f"{name} is no file, and {root} is in no Git repository", allowed="a CSV or JSON file")
    refs = git.run(root, "for-each-ref", "--format=%(objectname)", f"refs/exps/*/*/{name}", check=False).split()
    if len(set(refs)) > 1:
        raise UsageError(f"{len(refs)} experiments are called {name!r}", allowed=", ".join(ref[:12] for ref in refs))
    commit = refs[0] if refs else git.resolve(root, name)
    if commit is None:
        raise UsageError(f"there is no file, revision or experiment {name!r}", allowed=_near(root, name))
    content, rulers = _recorded(root, commit, name), git.read(root, commit, RULERS) or b""
    table = _counted(table_files.parse(content, f"{REPLICATES} of {name}"))
    return SideSource(
        name,
        table,
        commit,
        files.digest(content),
        bool(refs),
        ran_on_this_machine.computed(root, (content, rulers)),
        table_files.parse(rulers, f"{RULERS} of {name}") if rulers else None,
    )


def _counted(table: Table) -> Table:
    """Rows of replicates that differ: those with the predictions of an earlier one are that one."""
    same = table.get(SAME_AS)
    if same is None:
        return table
    kept = [row for row, earlier in enumerate(same) if not earlier]
    return {name: [cells[row] for row in kept] for name, cells in table.items()}


def _file(root: Path, name: str, path: Path) -> SideSource:
    """A table on disk; one that `evaluate` wrote has its rulers beside it. One of another tool needs no Git."""
    content = files.read_bytes(path, hint="name an existing CSV or JSON file")
    alone = compare_run_files.single(path, content)
    found = SideSource(name, alone or table_files.parse(content, name))
    if not found.is_record:
        return _checked(found)
    beside = path.with_name(Path(RULERS).name)
    rulers = files.read_bytes(beside) if beside.is_file() else b""
    table = table_files.parse(rulers, str(beside)) if rulers else None
    return replace(found, computed_here=ran_on_this_machine.computed(root, (content, rulers)), rulers=table)


def _checked(found: SideSource) -> SideSource:
    """A table of another tool, whose rows are runs."""
    compare_one_run_per_row.check(found.table, found.name)
    return found


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
            f"{name} ({commit[:12]}) has no {REPLICATES}", allowed="a revision with results", hint="dvc exp run"
        )
    return content


def _check_schema(content: bytes | None, name: str) -> None:
    try:
        found = json.loads(content) if content else {}
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{METRICS} of {name} is damaged: {error}", hint="dvc exp run") from error
    schema = found.get("schema", SCHEMA) if isinstance(found, dict) else SCHEMA
    if schema != SCHEMA:
        raise UsageError(f"{METRICS} of {name} has schema {schema}", allowed=f"schema {SCHEMA}", hint="update Assay")


def column(source: SideSource, chosen: str) -> str:
    """The column to compare: the chosen one, the metric that decides, or the only one of numbers."""
    metrics = [name for name in source.table if name not in RECORDED]
    if chosen:
        if chosen not in source.table:
            listed = ", ".join(map(repr, metrics)) or "none"
            raise UsageError(f"{source.name} has no column {chosen!r}", allowed=listed, hint="--column NAME")
        return chosen
    if source.is_record:
        decides = metric_name(source.table["metric_version"][0])
        if decides not in source.table:
            raise UsageError(
                f"{source.name} has no column {decides!r}", allowed=", ".join(metrics), hint="--column NAME"
            )
        return decides
    return compare_detect_column.only_one(source.table, source.name, RECORDED)


def recorded(source: SideSource, metric: str) -> MetricRow:
    """How `metric` is judged, as the record or the file says it. Raises UsageError for a metric without a row."""
    if not source.is_record:
        return compare_metric_options.of_file(source.table, source.name)
    return compare_metric_options.of_record(source.table, source.rulers, metric, source.name)


def overlap(source: SideSource) -> float | None:
    """How much the splits of a record overlap, where each of its replicates has one."""
    return float(source.table[OVERLAP][0]) if source.is_record and source.table.get(OVERLAP) else None


def group(
    source: SideSource,
    name: str,
    direction: str,
    arm: str = "candidate",
    *,
    finished_only: bool = False,
    floor: str = "",
) -> ReplicateGroup:
    """All replicates of one side under the direction given: of a record one arm, of any other table all rows.

    `floor`: name of one, whose rows are one a split, where each replicate has one.
    """
    table = source.table
    rows = [row for row in range(len(table[name])) if not source.is_record or table["arm"][row] == arm]
    rows = [row for row in rows if not floor or table["strategy"][row] == floor]
    if not rows:
        raise UsageError(f"{source.name} records no {arm}", allowed=", ".join(sorted(set(table["arm"]))))
    cells, where = [table[name][row] for row in rows], source.name
    ends = _ended(source, rows, cells, finished_only)
    finite = [row for row, end in zip(rows, ends, strict=True) if end]
    values = dict(zip(finite, table_files.numbers([table[name][row] for row in finite], name, where), strict=True))
    rows = [row for row, end in zip(rows, ends, strict=True) if end is not None]
    if not rows:
        raise UsageError(f"no run of {where} has ended", hint="wait for them")
    seeds = map(compare_one_run_per_row.seed, _cells(table, compare_one_run_per_row.seeds(table), rows))
    blocks = _cells(source.table, BLOCK if source.is_record else None, rows)
    members = tuple(map(Member, map(values.get, rows), seeds, _rulers(source, name, rows, direction), blocks))
    name = table["strategy"][rows[0]] if arm == "baseline" else source.name
    return ReplicateGroup(name, members, overlap(source))


def _ended(source: SideSource, rows: list[int], cells: list[str], finished_only: bool) -> list[bool | None]:
    """For each row whether its run finished, None for one that is left out."""
    column = "status" if source.is_record else compare_one_run_per_row.state_column(source.table, source.name)
    if column is not None:
        states = _cells(source.table, column, rows)
        return compare_one_run_per_row.ended(states, cells, source.name, finished_only=finished_only)
    if "" in cells:
        raise UsageError(
            f"replicate {cells.index('') + 1} of {source.name} has no number",
            allowed=f"a number, or a column `status` that says {', '.join(table_files.LOST)}",
        )
    return [True] * len(rows)


def still_running(source: SideSource) -> int:
    """Runs of a table that have not ended."""
    column = None if source.is_record else compare_one_run_per_row.state_column(source.table, source.name)
    return (
        0
        if column is None
        else sum(state.casefold() == compare_one_run_per_row.RUNNING for state in source.table[column])
    )


def _rulers(source: SideSource, metric: str, rows: list[int], direction: str) -> list[MetricConditions]:
    """The ruler of each row; rows under the same one share it. A record's other metrics have keys of their own."""
    versions = _cells(source.table, "metric_version", rows)
    said = recorded(source, metric) if source.is_record else MetricRow()
    if source.is_record and said.key != source.table["metric_version"][0]:
        versions = [said.key] * len(rows)
    recorded_fields = _cells(source.table, "profile", rows), _cells(source.table, "environment", rows)
    fields = list(zip(versions, *recorded_fields, strict=True))
    made = {one: MetricConditions(*one, direction=direction, metric_packages=said.packages) for one in set(fields)}
    return [made[one] for one in fields]


def _cells(table: Table, name: str | None, rows: list[int]) -> list[str]:
    return [table[name][row] for row in rows] if name is not None and name in table else [""] * len(rows)


def executions(source: SideSource, arm: str) -> list[str]:
    """How each replicate of one side was made, where the table says it: of a record one arm, of any other all rows."""
    recorded = source.table.get("execution", [])
    return [way for row, way in enumerate(recorded) if not source.is_record or source.table["arm"][row] == arm]


def identity(source: SideSource, arm: str) -> str:
    """Hash of the strategy behind an arm of a record, "" where there is none."""
    if not source.is_record or "identity" not in source.table:
        return ""
    table = source.table
    return next((made for name, made in zip(table["arm"], table["identity"], strict=True) if name == arm), "")


def strategy(source: SideSource, arm: str) -> str:
    """Name of the strategy behind an arm of a record, "" where it has no such arm."""
    pairs = zip(source.table["strategy"], source.table["arm"], strict=True)
    return next((name for name, one in pairs if one == arm), "")


def best_floor(source: SideSource, name: str, direction: str) -> tuple[str, float] | None:
    """Name and value of the best floor in a record, None without one."""
    table = source.table
    rows = [row for row, arm in enumerate(table["arm"]) if arm == "floor" and table[name][row]]
    each: dict[str, list[float]] = {}
    numbers = table_files.numbers([table[name][row] for row in rows], name, source.name)
    for row, value in zip(rows, numbers, strict=True):
        each.setdefault(table["strategy"][row], []).append(value)
    found = {one: sum(values) / len(values) for one, values in each.items()}  # of splits the mean
    if not found:
        return None
    best = verdict_rule.best(found, direction)
    return best, found[best]
