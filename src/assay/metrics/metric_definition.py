"""What defines the metric that decides, in any tree of the project: compared, so that it cannot change with an idea.

Covers: code, options and name of the metric, read without running anything; direction, smallest effect and worst value
as `evaluate` recorded them, or as METRICS writes them; what differs between two trees. Not covered: the metric version,
which also counts the evaluated examples (`metrics.version.version_key`), and what follows from a difference
(`stages.evaluate`, `commands.accept_changed_metric`).
"""

from __future__ import annotations

import math
import posixpath
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import UNSET, UnsetType

from assay.core import ast_normal_form, params_yaml, schemas, script_section
from assay.core.ast_normal_form import Source
from assay.core.errors import UsageError
from assay.core.metric_version import metric_name
from assay.core.params_yaml import Params
from assay.core.paths import PARAMS, PIPELINE, REPLICATES, RULERS
from assay.core.yaml12 import parse
from assay.metrics.version import reported_version
from assay.metrics.version.version_key import metric_code, metric_fields, metric_revision, score_code
from assay.runtime import (
    dvc_yaml,
    files,
    git,
    import_closure,
    metric_input_files,
    source_roots,
    table_files,
    task_source,
)
from assay.runtime.git_objects import Objects, reading

#: what a task of one file is called where params.yaml does not say
TASK = params_yaml.TaskSection().name


class MetricTerms(NamedTuple):
    """How a metric's numbers are judged."""

    direction: str
    min_effect: float
    worst: float | None


@dataclass(frozen=True)
class ReadFile:
    """Files of a project by their paths relative to it, None where there is none; `folders` are where imports begin."""

    read: Callable[[str], bytes | None]
    folders: tuple[str, ...]

    def __call__(self, path: str) -> bytes | None:
        return self.read(path)


class MetricDefinition(schemas.Record, frozen=True, kw_only=True):
    """`context/metric.json`: today's metric as the tree of the baseline defines it, for the floor the parent's tree."""

    tree: str  # the baseline's name, or floor
    decides: str  # metric.name there, "" where it says none
    code: str  # hash of code and REVISION, "" where that tree has no such metric
    source: str  # hash of the module with METRICS
    options: dict[str, Any]
    direction: str  # "" where the tree does not say it in a form that can be read without running it
    min_effect: float
    worst: float | None
    reads: dict[str, str] | UnsetType = UNSET  # file that the metric says it reads → hash; left out where there is none
    score: str | UnsetType = UNSET  # hash of the code of score(), whose results the metric gets; left out without one
    packages: dict[str, str] | UnsetType = UNSET  # that today's metrics import → version; another makes evaluate run

    @property
    def terms(self) -> MetricTerms | None:
        return MetricTerms(self.direction, self.min_effect, self.worst) if self.direction else None


def definition(read: ReadFile, metric: str, tree: str, *, recorded: bool) -> MetricDefinition:
    """How the tree that `read` reads defines `metric`; with `recorded` its results speak before its sources."""
    if script := _script(read):
        return _reported(read, metric, tree, script, recorded=recorded)
    task, decides, given = _asked(read)
    options = given.get("options")
    modules = partial(_module, read)
    module, label = _place(modules, task)
    try:
        code = files.digest((metric_code(modules, module, metric, label) + metric_revision(modules, module)).encode())
    except UsageError:
        code = ""
    ways = [partial(_recorded, read, metric), partial(_written, modules, module, metric)]
    terms = next(filter(None, (way() for way in (ways if recorded else reversed(ways)))), MetricTerms("", 0.0, None))
    smallest = given.get("min_effect")
    if metric == decides and isinstance(smallest, int | float) and terms.direction:
        terms = terms._replace(min_effect=float(smallest))
    mine = dict(options) if metric == decides and isinstance(options, Mapping) else {}
    source = _source(modules, module)
    return MetricDefinition(
        tree=tree,
        decides=decides,
        code=code,
        source=source,
        options=mine,
        reads=_reads(read, modules, module) or UNSET,
        score=_score(modules, _place(modules, task, "learning")[0]) or UNSET,
        **terms._asdict(),
    )


def baseline_metric(root: Path, home: Path, baseline: str, commit: str, metric: str) -> MetricDefinition:
    """What today's metric is compared with: the baseline at its commit, for the floor (`commit` "") the parent's.

    `home` is the user's repository, which has the tags; `root` the one that runs.
    """
    if commit:
        return committed(home, commit, metric, baseline, recorded=True)
    return committed(root, dvc_yaml.parent(root), metric, baseline, recorded=False)


def present(root: Path, metric: str, tree: str) -> MetricDefinition:
    """`definition` of the project at `root` as it stands."""
    return definition(on_disk(root), metric, tree, recorded=False)


def committed(root: Path, revision: str, metric: str, tree: str, *, recorded: bool) -> MetricDefinition:
    """`definition` of the project at `root` as of `revision`."""
    with reading(root) as objects:
        return definition(at(objects, root, revision), metric, tree, recorded=recorded)


def scores_differ(before: MetricDefinition, root: Path, metric: str) -> bool:
    """Whether the tree at `root` keeps other scores than `before`, by the code that makes them."""
    return present(root, metric, "").score != before.score


def keeps_scores(root: Path, metric: str) -> bool:
    """Whether the metric in the tree at `root` gets what score() of the task made of predictions."""
    return present(root, metric, "").score is not UNSET


def at(objects: Objects, root: Path, revision: str) -> ReadFile:
    """Files of the project at `root` as of `revision`, as a checkout writes them."""
    prefix = git.prefix(root)

    def read(path: str) -> bytes | None:
        within = posixpath.normpath(prefix + path)
        found = None if within.startswith("../") else objects.read([f"{revision}:{within}"])[0]
        if found is None or found.kind != "blob":
            return None
        # What a filter stands before: its blob is not what a checkout writes.
        return git.read(root, revision, path) if git.is_filtered(root, path) else found.content

    return ReadFile(read, source_roots.project(root).folders)


def on_disk(root: Path) -> ReadFile:
    def read(path: str) -> bytes | None:
        return (root / path).read_bytes() if (root / path).is_file() else None

    return ReadFile(read, source_roots.project(root).folders)


def changes(before: MetricDefinition, after: MetricDefinition, terms: MetricTerms) -> list[str]:
    """What differs, one short text each; `terms` are today's, as METRICS gives them when it runs."""
    found = []
    if before.decides != after.decides:
        found.append(f"name {before.decides or '–'} → {after.decides}")
    if not before.code:
        return [*found, f"{after.decides} is new"]
    if before.code != after.code:
        found.append(f"code of {after.decides}")
    if before.score != after.score:
        found.append("score(), whose results it gets")
    found += [
        f"options.{key} {before.options.get(key, '–')} → {after.options.get(key, '–')}"
        for key in sorted(before.options.keys() | after.options.keys())
        if before.options.get(key, ...) != after.options.get(key, ...)
    ]
    old, new = ({} if one.reads is UNSET else one.reads for one in (before, after))
    found += [f"file {name}" for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
    return found + terms_changed(before, after, terms)


def terms_changed(before: MetricDefinition, after: MetricDefinition, terms: MetricTerms) -> list[str]:
    """What differs of direction, smallest effect and worst value, one short text each; `terms` are today's."""
    if before.terms is None:  # neither written out nor recorded
        same = before.source and before.source == after.source
        return [] if same else ["direction, min_effect and worst are not known there"]
    pairs = zip(MetricTerms._fields, before.terms, terms, strict=True)
    return [f"{name} {_shown(old)} → {_shown(new)}" for name, old, new in pairs if old != new]


def _shown(value: object) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _script(read: ReadFile) -> Params | None:
    """The parameters of a tree whose task is a script; None for any other, and where they cannot be read."""
    content = read(PARAMS) or b""
    try:
        if b"command" not in content or not script_section.is_script(parse(content, PARAMS)):
            return None
        return params_yaml.load(dvc_yaml.own_parameters(content, read(PIPELINE) or b""))
    except UsageError:
        return None


def _reported(read: ReadFile, metric: str, tree: str, params: Params, *, recorded: bool) -> MetricDefinition:
    """How a script's tree defines its number: `task.result`, and the files of `task.ruler`."""
    name, result = params.metric.name, params.task.reported
    written = MetricTerms(result.direction, result.min_effect, result.worst)
    if name != metric:  # another number: its direction and smallest effect say nothing of this one
        written = MetricTerms("", 0.0, None)
    terms = (_recorded(read, metric) if recorded else None) or written
    code = reported_version.result_digest(params.task) + str(result.revision)
    return MetricDefinition(
        tree=tree,
        decides=name,
        code=files.digest(code.encode()) if name == metric else "",
        source="",
        options={},
        reads={file: files.digest(read(file) or b"") for file in params.task.ruler} or UNSET,
        **terms._asdict(),
    )


def _asked(read: ReadFile) -> tuple[str, str, dict[str, Any]]:
    """Task, deciding metric and its section. All else in that params.yaml is for that tree's own code to read."""
    try:
        raw = parse(read(PARAMS) or b"", PARAMS)
    except UsageError:
        raw = {}
    task, metric = (raw[key] if isinstance(raw.get(key), Mapping) else {} for key in ("task", "metric"))
    return str(task.get("name", TASK)), str(metric.get("name", "")), dict(metric)


def _place(modules: Callable[[str], Source | None], task: str, part: str = "metrics") -> tuple[str, str]:
    """The module with a part of the task, and what it would be called if it held nothing else ("" where it does)."""
    named = f"tasks.{task}.{part}"
    alone = modules(named) is None and (found := modules(task_source.SINGLE)) is not None and not found.package
    return (task_source.SINGLE, named) if alone else (named, "")


def _module(read: ReadFile, name: str) -> Source | None:
    """Source of a module of the project, as `import_closure.read_module` finds it on disk.

    Assay's own modules are today's, whatever the tree: the library is environment.
    """
    parts = name.split(".")
    if parts[0] == source_roots.LIBRARY:
        return import_closure.read_module(source_roots.LIBRARY_TREE, name)
    if parts[0] in sys.stdlib_module_names or not all(part.isidentifier() for part in parts):
        return None
    for folder in read.folders:
        for ending in ("/__init__.py", ".py"):
            content = read(posixpath.join(folder, f"{'/'.join(parts)}{ending}"))
            if content is not None:
                return Source(content, ending == "/__init__.py")
    return None


def _source(modules: Callable[[str], Source | None], module: str) -> str:
    found = modules(module)
    try:
        return (
            ""
            if found is None
            else files.digest(ast_normal_form.text(ast_normal_form.parse(found.text, module)).encode())
        )
    except UsageError:
        return ""


def _score(modules: Callable[[str], Source | None], module: str) -> str:
    """Hash of the code that makes scores in place of predictions; "" where there is none."""
    try:
        code = score_code(modules, module)
    except UsageError:
        return ""
    return files.digest(code.encode()) if code else ""


def _reads(read: ReadFile, modules: Callable[[str], Source | None], module: str) -> dict[str, str]:
    """Name in READS → hash of the content; of what DVC tracks the hash of what Git holds about it."""
    source, folder = modules(module), module.rpartition(".")[0].replace(".", "/")
    try:
        names = [] if source is None else metric_input_files.listed(source.text, module)
    except UsageError:
        return {}
    found = {}
    for name in names:
        paths = [posixpath.normpath(posixpath.join(top, folder, name)) for top in read.folders]
        contents = (read(place) for path in paths for place in (*metric_input_files.pointers(path), path))
        found[name] = files.digest(next((content for content in contents if content is not None), b""))
    return found


def _written(modules: Callable[[str], Source | None], module: str, metric: str) -> MetricTerms | None:
    """As METRICS writes them out; None where only running it would tell."""
    try:
        fields = metric_fields(modules, module, metric, MetricTerms._fields)
    except UsageError:
        return None
    if fields is None or not isinstance(fields.get("direction"), str):
        return None
    smallest, worst = fields.get("min_effect", 0.0), fields.get("worst")
    if not isinstance(smallest, int | float) or not isinstance(worst, int | float | None):
        return None
    return _usable(str(fields["direction"]), float(smallest), None if worst is None else float(worst))


def _recorded(read: ReadFile, metric: str) -> MetricTerms | None:
    """As that tree's results say them: its row in rulers.csv, for an older tree replicates.csv, if it decided there."""
    found = _row(read(RULERS), RULERS, lambda row: row["metric"] == metric)
    return found or _row(read(REPLICATES), REPLICATES, lambda row: metric_name(row["metric_version"]) == metric)


def recorded_terms(root: Path, revision: str, metric: str) -> MetricTerms | None:
    """By which terms the results at `revision` judge `metric`; None where they do not say it."""
    with reading(root) as objects:
        return _recorded(at(objects, root, revision), metric)


def _row(content: bytes | None, where: str, wanted: Callable[[dict[str, str]], bool]) -> MetricTerms | None:
    """The terms in the first row that is `wanted`; None for a table that cannot be read or says none."""
    try:
        row = next(filter(wanted, _rows(table_files.parse(content or b"", where))))
        return _usable(row["direction"], float(row["min_effect"]), float(row["worst"]) if row.get("worst") else None)
    except (UsageError, KeyError, ValueError, StopIteration):
        return None


def _usable(direction: str, min_effect: float, worst: float | None) -> MetricTerms | None:
    """The terms, if a verdict can be given by them."""
    fits = direction in ("maximize", "minimize") and 0 <= min_effect < math.inf
    return MetricTerms(direction, min_effect, worst) if fits and math.isfinite(worst or 0.0) else None


def _rows(table: table_files.Table) -> Iterator[dict[str, str]]:
    return (dict(zip(table, cells, strict=True)) for cells in zip(*table.values(), strict=True))
