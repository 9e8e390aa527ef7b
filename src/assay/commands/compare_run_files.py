"""Runs of other tools that lie in a file each, or below each other in one: read into a table with a row a run.

Covers: `runs/*/metrics.json` and the like; a JSON object of numbers, W&B's wandb-summary.json, the Trainer's
trainer_state.json and all_results.json, MLflow's mlruns/…/metrics/NAME with the run's state, TensorBoard's event files,
and its scalars as CSV or JSON, JSON lines and CSV of one run's steps; a chart of W&B's as CSV, a run a column;
`FILE[COLUMN=VALUE]`, one arm of a table. Not covered: which column holds the numbers
(`commands.compare_detect_column`).
"""

from __future__ import annotations

import glob
import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from assay.commands import compare_one_run_per_row
from assay.core.errors import UsageError
from assay.core.yaml12 import parse as parse_yaml
from assay.runtime import files, table_files, tensorboard_events
from assay.runtime.table_files import Table

_ARM = re.compile(r"(?P<file>.+)\[(?P<column>[^=\]]+)=(?P<value>.*)\]", re.DOTALL)
#: columns that say where in its course a run was when the number was written, or what a tool keeps for itself
_COURSE = ("runtime", "timestamp", "totalflos", "logginsteps", "wallclock")
#: ending → what it is, what is read instead, what makes that
_BINARY = {
    ".wandb": (
        "W&B's own record of a run",
        "files/wandb-summary.json of each run, or the CSV of the runs table",
        "wandb sync FOLDER, then export the runs table in the browser",
    ),
    ".db": (
        "a database, as MLflow writes",
        "the CSV that mlflow makes of it",
        "mlflow experiments csv --experiment-id ID --filename runs.csv",
    ),
}
#: MLflow's numbers for how a run ended → the words that tables have
_MLFLOW = {"1": "running", "2": "running", "3": "finished", "4": "failed", "5": "killed"}
#: what W&B puts behind the name of a curve for its smallest and largest value
_BOUNDS = ("__MIN", "__MAX")


def arm(name: str) -> tuple[Path, str, str] | None:
    """File, column and value of `runs.csv[optimizer=adam]`; None for any other name."""
    found = None if Path(name).is_file() else _ARM.fullmatch(name)
    return (Path(found["file"]), found["column"], found["value"]) if found else None


def arms(path: str, column: str) -> list[str]:
    """`PATH[COLUMN=VALUE]` for each value of a column, in the order of the file. Raises UsageError without two."""
    table = table_files.read(Path(path))
    if column not in table:
        raise UsageError(f"{path} has no column {column!r}", allowed=", ".join(map(repr, table)), hint="--by COLUMN")
    values = list(dict.fromkeys(table[column]))
    if len(values) < 2 or "" in values:
        empty, named = table[column].count(""), [f"{path}[{column}={value}]" for value in values if value]
        what = f"{empty} empty cells in {len(table[column])} rows" if empty else f"the one value {values[0]!r}"
        raise UsageError(
            f"column {column!r} of {path} has {what}",
            allowed="a value a run, at least two different",
            hint=shlex.join(["assay", "compare", *named]) if len(named) > 1 else "",
        )
    return [f"{path}[{column}={value}]" for value in values]


def rows_of(path: Path, column: str, value: str) -> Table:
    """The rows of one arm, without the column that tells arms apart."""
    table = table_files.read(path)
    if column not in table:
        raise UsageError(f"{path} has no column {column!r}", allowed=", ".join(map(repr, table)))
    rows = [row for row, cell in enumerate(table[column]) if cell == value]
    if not rows:
        raise UsageError(f"column {column!r} of {path} has no {value!r}", allowed=", ".join(sorted(set(table[column]))))
    return {name: [cells[row] for row in rows] for name, cells in table.items() if name != column}


def is_pattern(name: str) -> bool:
    return any(mark in name for mark in "*?") and not Path(name).is_file()


def matching(pattern: str) -> Table:
    """One row for each file that `pattern` names. Raises UsageError where none does, or one is no single run."""
    paths = sorted(Path(found) for found in glob.glob(pattern, recursive=True) if Path(found).is_file())  # noqa: PTH207
    if not paths:
        raise UsageError(f"no file is called {pattern}", allowed="a pattern of files with a run each")
    runs = [_run(same) for same in _by_run(paths)]
    names = list(dict.fromkeys(name for run in runs for name in run))
    return {name: [run.get(name, "") for run in runs] for name in names}


def single(path: Path, content: bytes) -> Table | None:
    """The table of a file in a tool's own form: a single run, or a chart of W&B's; None for a table of runs."""
    if _is_events(path) or path.suffix in _BINARY:
        return {name: [cell] for name, cell in _run([path]).items()}
    if path.suffix.lower() == ".csv" and (chart := _wandb_chart(content, str(path))) is not None:
        return chart
    if not (_is_mlflow(path) or path.name in ("trainer_state.json", "wandb-summary.json", "all_results.json")):
        return None
    return {name: [cell] for name, cell in _numbers(path, content).items()}


def _by_run(paths: Sequence[Path]) -> list[list[Path]]:
    """Files of one run each: event files that lie in one folder are of one, which TensorBoard shows as one, too."""
    found: dict[Path, list[Path]] = {}
    for path in paths:
        found.setdefault(path.parent if _is_events(path) else path, []).append(path)
    return list(found.values())


def _is_events(path: Path) -> bool:
    return path.name.startswith(tensorboard_events.NAME)


def _run(paths: Sequence[Path]) -> dict[str, str]:
    path = paths[0]
    if _is_events(path):
        found = {name: str(value) for name, value in tensorboard_events.last_scalars(paths).items()}
        return {name: cell for name, cell in found.items() if not _is_course(name)}
    if path.suffix in _BINARY:
        what, allowed, hint = _BINARY[path.suffix]
        beside = path.parent / "files" / "wandb-summary.json"
        raise UsageError(f"{path} is {what}", allowed=allowed, hint=f"name {beside}" if beside.is_file() else hint)
    return _numbers(path, files.read_bytes(path))


def _wandb_chart(content: bytes, where: str) -> Table | None:
    """The runs of a chart that W&B exported: columns `RUN - METRIC` over steps, each with its bounds; a row a run."""
    if _BOUNDS[0].encode() not in content.partition(b"\n")[0]:
        return None
    table = table_files.parse(content, where)
    curves = [name for name in table if " - " in name and all(f"{name}{bound}" in table for bound in _BOUNDS)]
    if not curves:
        return None
    rows: dict[str, list[str]] = {"run": []}
    for number, curve in enumerate(curves, 1):
        _, _, metric = curve.rpartition(" - ")
        values = [cell for cell in table[curve] if cell]
        rows["run"].append(f"run-{number}")  # their names may be numbers, and alike
        rows.setdefault(metric, []).append(values[-1] if values else "")
    if len(rows) > 2:
        raise UsageError(f"{where} is a chart of {', '.join(list(rows)[1:])}", allowed="a chart of one metric")
    return rows


def _numbers(path: Path, content: bytes) -> dict[str, str]:
    if _is_mlflow(path):
        return _mlflow(path, content)
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        return _last_step(table_files.parse(content, str(path)), str(path))
    if isinstance(told, dict) and isinstance(told.get("log_history"), list):
        return _logged(told["log_history"])
    if isinstance(told, dict):
        return _plain(told)
    if isinstance(told, list) and told and all(isinstance(one, list) and len(one) == 3 for one in told):
        return {"Value": str(max(told, key=lambda one: float(one[1]))[2])}  # TensorBoard: wall time, step, value
    return _last_step(table_files.parse(content, str(path)), str(path))


def _is_mlflow(path: Path) -> bool:
    return not path.suffix and "metrics" in path.parts[:-1] and _mlflow_run(path) is not None


def _mlflow_run(path: Path) -> Path | None:
    """The folder of the run that a metric's file belongs to: names of metrics may have slashes in them."""
    return next((folder.parent for folder in path.parents if folder.name == "metrics"), None)


def _mlflow(path: Path, content: bytes) -> dict[str, str]:
    """Lines of timestamp, value, step: the last step counts, of equal steps the last line."""
    run = _mlflow_run(path)
    assert run is not None
    lines = [line.split() for line in content.decode("utf-8", "replace").splitlines() if line.strip()]
    if not lines or any(len(line) not in (2, 3) for line in lines):
        raise UsageError(f"{path} is no metric of MLflow's", allowed="lines of timestamp, value and step")
    steps = [float(line[2]) if len(line) == 3 else 0.0 for line in lines]
    last = max(range(len(lines)), key=lambda number: (steps[number], number))
    name = path.relative_to(run / "metrics").as_posix()
    return {name: lines[last][1], **_mlflow_state(run)}


def _mlflow_state(run: Path) -> dict[str, str]:
    try:
        status = str(parse_yaml((run / "meta.yaml").read_bytes(), "meta.yaml").get("status"))
    except (OSError, UsageError):
        return {}
    return {"status": _MLFLOW.get(status, status.casefold())}


def _logged(history: list[Any]) -> dict[str, str]:
    """The last value of everything that the Trainer logged."""
    found: dict[str, Any] = {}
    for entry in history:
        found.update(entry if isinstance(entry, dict) else {})
    return _plain(found)


def _plain(told: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """Numbers and words of nested mappings by dotted names; lists and what a tool keeps for itself are left out."""
    return {name: cell for name, cell in _leaves(told, above) if not _is_course(name)}


def _leaves(told: Mapping[str, Any], above: str) -> Iterator[tuple[str, str]]:
    for name, value in told.items():
        if str(name).startswith("_"):  # W&B's _step, _runtime, _wandb
            continue
        if isinstance(value, dict):
            yield from _leaves(value, f"{above}{name}.")
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            yield f"{above}{name}", str(value)


def _is_course(name: str) -> bool:
    bare = compare_one_run_per_row.plain(name)
    return bare in compare_one_run_per_row.STEPS or bare.endswith((*_COURSE, "persecond"))


def _last_step(table: Table, where: str) -> dict[str, str]:
    """The one row of a file, or that of the largest step where its rows are steps. Raises UsageError for many runs."""
    count = len(next(iter(table.values())))
    steps = next((name for name in table if compare_one_run_per_row.plain(name) in ("step", "globalstep", "epoch")), "")
    if count > 1 and not steps:
        raise UsageError(
            f"{where} holds {count} rows and no step, and a pattern means one run a file",
            allowed="a file of one run",
            hint="name the file alone, without a pattern",
        )
    order = table_files.numbers(table[steps], steps, where) if steps else [0.0]
    found: dict[str, str] = {}
    for row in sorted(range(count), key=order.__getitem__):  # a metric may not be logged at each step
        found.update({name: cells[row] for name, cells in table.items() if cells[row]})
    return {name: cell for name, cell in found.items() if name and not _is_course(name)}
