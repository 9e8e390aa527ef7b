"""The metric version: a short key that is the same exactly when the ruler is.

Covers: the fingerprint in it of the evaluated examples, the metric's options, the files it says it reads, and its code
with everything of the project that the code reaches. Not covered: the key as a value (`core.metric_version`), reading
sources and files (the caller hands in a reader and hashes), and numbers.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from assay.core import ast_normal_form
from assay.core.errors import UsageError
from assay.core.json_encoding import json_form
from assay.core.metric_version import MetricVersion
from assay.core.reachability.module_graph import Project, Reader
from assay.core.reachability.reachable_code import Reach
from assay.core.reachability.top_level_statements import Unit
from assay.core.reachability.used_and_mutated_names import scan

REGISTRY, REVISION, READS = "METRICS", "REVISION", "READS"
#: member of a task's learning.py whose results stand for predictions
SCORE = "score"
#: module of this library whose METRICS stands where a task has none
READY = "assay.ready.metrics"

#: entries of a metric that say how its numbers are judged or shown, not what they are
NOT_THE_RULER = frozenset({"min_effect", "per_example"})


def metric_version(
    read: Reader,
    module: str,
    name: str,
    revision: int,
    evaluated: str,
    options: Mapping[str, Any],
    reads: Mapping[str, str] | None = None,
    label: str = "",
) -> str:
    """The version of metric `name` in `METRICS` of `module`; `label` as for `metric_code`.

    `read` gives the source of a module of the project by its dotted name, None for all others;
    `evaluated` is the content hash of the evaluated examples, `options` the metric's keyword arguments,
    `reads` the files that its module says it reads, name → hash of the content.
    Raises UsageError when there is no such metric or a source is not valid Python.
    """
    settings = json.dumps(json_form(options), sort_keys=True, separators=(",", ":"))
    contents = [f"{READS} {file} {content}" for file, content in sorted((reads or {}).items())]
    ruler = "\n".join([evaluated, settings, metric_code(read, module, name, label), *contents])
    digest = hashlib.blake2b(ruler.encode(), digest_size=4).hexdigest()
    return str(MetricVersion.parse(f"{name}-{revision}.{digest}"))


def metric_code(read: Reader, module: str, name: str, label: str = "") -> str:
    """Normal form of the metric's entry in `METRICS` and of everything of the project that it reaches.

    `label` is given for a file that holds a whole task: what the module with the same metric alone would be called.
    There effects of importing count statement by statement, not the model beside the metric.
    """
    project = Project(read)
    effects, names = (project.acting(module), {module: label}) if label else (None, {})
    found = project.lookup(module, (REGISTRY,))
    registry = [hit.unit for hit in found if not hit.unit.is_import]
    if not registry and module != READY and project.has(READY):
        return metric_code(read, READY, name)
    if not registry:
        raise UsageError(f"{module} has no {REGISTRY}", allowed=f"{REGISTRY} = {{NAME: {{'function': …}}}}")
    table = _table(getattr(registry[0].node, "value", None)) if len(registry) == 1 else None
    if table is None:  # not written out at once: it counts as it stands
        return Reach(project, module, registry, {}, effects).text(names)
    if _is_changed(project, module, registry[0], effects):  # which may change any entry
        return Reach(project, module, registry, {registry[0]: _entries(registry[0], table)}, effects).text(names)
    if name not in table:
        raise UsageError(f"metric {name!r} is not in {REGISTRY} of {module}", allowed=", ".join(table))
    return Reach(project, module, [_entry(registry[0], table[name])], {}, effects).text(names)


def _is_changed(project: Project, module: str, registry: Unit, effects: list[Unit] | None) -> bool:
    """Whether what importing does may change the table after it was written."""
    if effects is None:
        return registry.module in project.with_effects(module)
    return registry in Reach(project, module, (), {}, effects).units


def score_code(read: Reader, module: str) -> str:
    """Normal form of `score` in `module` and of all definitions that it reaches; "" where there is none.

    What a metric is given is part of the ruler. What importing the module does besides is not: the model stands there.
    """
    project = Project(read)
    units = [hit.unit for hit in project.lookup(module, (SCORE,))]
    return Reach(project, "", units, {}).text() if units else ""


def metric_revision(read: Reader, module: str) -> str:
    """Normal form of what sets REVISION in `module`; "" where nothing does."""
    return "".join(unit.text for unit in Project(read).binding(module, REVISION))


def metric_fields(read: Reader, module: str, name: str, fields: Sequence[str]) -> dict[str, Any] | None:
    """Those of `fields` that METRICS gives to metric `name`; None where only running the module would tell."""
    project = Project(read)
    units = project.binding(module, REGISTRY) or project.binding(READY, REGISTRY)
    entries = _table(getattr(units[0].node, "value", None)) if len(units) == 1 else None
    entry = _table((entries or {}).get(name))
    if entry is None:
        return None
    try:
        return {field: ast.literal_eval(entry[field]) for field in fields if field in entry}
    except ValueError:
        return None


def _entry(registry: Unit, written: ast.expr) -> Unit:
    """A metric's entry as a unit, without what is not the ruler where its fields can be told apart."""
    values, text = _ruler(written)
    return replace(registry, place=-1, text=text, binds=frozenset(), scan=scan(values, ""))


def _entries(registry: Unit, table: Mapping[str, ast.expr]) -> Unit:
    """All entries as one unit, without what is not the ruler."""
    rulers = {name: _ruler(written) for name, written in table.items()}
    values = [value for used, _ in rulers.values() for value in used]
    return replace(
        registry, text="".join(f"{name}:{text}" for name, (_, text) in rulers.items()), scan=scan(values, "")
    )


def _ruler(written: ast.expr) -> tuple[list[ast.expr], str]:
    """What an entry says about its numbers, and that as text."""
    fields = _table(written)
    if fields is None:
        return [written], ast_normal_form.text(written)
    ruler = {field: value for field, value in sorted(fields.items()) if field not in NOT_THE_RULER}
    return list(ruler.values()), "".join(f"{field}={ast_normal_form.text(value)};" for field, value in ruler.items())


def _table(node: ast.AST | None) -> dict[str, ast.expr] | None:
    """A dictionary display with literal names as keys, None for anything else."""
    if not isinstance(node, ast.Dict):
        return None
    names = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
    written = {name: value for name, value in zip(names, node.values, strict=True) if isinstance(name, str)}
    return written if len(written) == len(names) else None
