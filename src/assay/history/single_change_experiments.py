"""Changes that some experiment made alone, among thousands: read in one process, parsed where it matters.

Covers: experiments with the baseline's code whose parameters differ from its own in one. Not covered: what differs
in the work tree (`changes.baseline_diff`).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from assay.baseline import baseline_param
from assay.changes import baseline_diff
from assay.changes.baseline_diff import ARROW
from assay.core import params_yaml
from assay.core.errors import UsageError
from assay.core.paths import ProjectPaths
from assay.history import metrics_json
from assay.history.experiments import Experiment
from assay.runtime import dvc_yaml, git
from assay.runtime.git_objects import Object, reading

#: a parameter on a line of its own, with a plain value; a profile lays others over it
_PLAIN = re.compile(rb"( *(?!profile)[A-Za-z_]\w*): +([-+.\w]+)")
#: how lines begin that hold no parameter of a strategy
_ELSE = (b"#", b"baseline:", b"seed:", b"replicates:")
#: text that Python writes otherwise
_CONSTANTS = ("true", "false", "null")


def measured_alone(
    root: Path, experiments: Iterable[Experiment], baseline: str, version: str, wanted: Collection[str]
) -> set[str]:
    """Those of `wanted` that an experiment with a verdict under `version` made alone against `baseline`."""
    wanted = [change for change in wanted if not change.startswith("code: ")]
    judged = [
        item.commit
        for item in experiments
        if metrics_json.text(item.metrics, "verdict") and metrics_json.text(item.metrics, "metric_version") == version
    ]
    commits, prefix = [baseline, *judged], git.prefix(root)
    task = params_yaml.load(dvc_yaml.parameters(root)).task.name
    paths = [posixpath.normpath(prefix + path) for path in sorted(baseline_diff.reached(ProjectPaths(root), task))]
    with reading(root) as objects:
        code = {commit: _names(objects.read([f"{commit}:{path}" for path in paths])) for commit in commits}
        alike = [commit for commit in commits if code[commit] == code[baseline]]
        files = objects.read([f"{commit}:{prefix}{baseline_param.PARAMS}" for commit in alike])
    before = _own(root, files[0].content) if files[0] else b""
    distinct = {item.name: _own(root, item.content) for item in files[1:] if item is not None}
    return {change for after in distinct.values() for change in _alone(before, after, wanted)}


def _own(root: Path, content: bytes) -> bytes:
    """Without sections of the user's own, which today's dvc.yaml tells."""
    return dvc_yaml.own_parameters(content, (root / "dvc.yaml").read_bytes())


def _names(sources: Sequence[Object | None]) -> list[str]:
    return ["" if source is None else source.name for source in sources]


def _alone(before: bytes, after: bytes, wanted: Collection[str]) -> list[str]:
    """The one change between two params.yaml where it is wanted; nothing of a file that cannot be read."""
    if not _may_matter(before, after, wanted):
        return []
    try:
        found = baseline_diff.between(before, after)
    except UsageError:
        return []
    return found if len(found) == 1 and found[0] in wanted else []


def _may_matter(before: bytes, after: bytes, wanted: Collection[str]) -> bool:
    """Whether parsing could find a wanted change: not where `-S` replaced values, none by a wanted one."""
    old, new = _lines(before), _lines(after)
    was, now = _values(old - new), _values(new - old)
    if not was or not now or sorted(key for key, _ in was) != sorted(key for key, _ in now):
        return True
    values = [change.rpartition(ARROW)[2] for change in wanted]
    return any(_same(value, one) for _, value in now for one in values)


def _lines(content: bytes) -> set[bytes]:
    """Lines that could belong to a strategy, without the comments at their ends."""
    lines = (line.partition(b" #")[0].rstrip() for line in content.split(b"\n"))
    return {line for line in lines if not line.startswith(_ELSE)}


def _values(lines: Iterable[bytes]) -> list[tuple[bytes, str]] | None:
    """(indented key, value) of lines that each hold one plain value; None where one holds anything else."""
    found = [_PLAIN.fullmatch(line) for line in lines]
    return None if None in found else [(match[1], match[2].decode()) for match in found if match]


def _same(text: str, value: str) -> bool:
    try:
        return float(text) == float(value)
    except ValueError:
        return text == value or text.casefold() in _CONSTANTS
