"""context: settled before any time is spent: parameters, task, code, environment, baseline.

Always runs, and refuses what a later stage would trip over while the last good results are still in place.
Writes what DVC cannot see by itself, the environment and the commit behind `baseline:`, as files that
the arms depend on: another machine or a moved tag then re-runs them, and coming back restores them. The metric
as the baseline defines it is a file, too, on which the verdict alone depends.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assay.arms import accepted
from assay.context import environment, identity
from assay.history import detached
from assay.lineage import grown, metric_definition
from assay.outside import closure, files, pipeline, places, provenance, remembered, task_source
from assay.outside.start import Start, start
from assay.words import printable, records
from assay.words.errors import UsageError


def main(root: Path, _arguments: Sequence[str], protocol: int) -> None:
    begun = start(root, "context")
    check_task(begun)
    remembered.load(begun.run.store.sources)
    looked = closure.Looked()
    prove_all(begun, looked)
    grown.check_writable(begun.run.home, grown.LOOKS)
    if identity.ensure(begun.run.home):
        print(f"context: Git knew no identity; this repository now has {identity.NAME} <{identity.EMAIL}>")
    if begun.run.home == root and (note := detached.before_this_run(root, begun.run.experiment)):
        print(printable.line(f"context: {note}"))
    if note := places.trouble(begun.run.store):
        print(printable.line(f"context: {note}"))
    task = begun.params.task.name
    learning = closure.import_closure(root, [task_source.path(root, task, "learning").relative_to(root)], looked)
    outside = closure.third_party(root, [file for file in learning if file.parts[1] == "tasks"])
    found = environment.find(begun.params.machine.device, outside)
    baseline = accepted.resolve(begun.run, begun.params.baseline, protocol)
    metric = metric_definition.baseline_metric(
        root, begun.run.home, baseline.name, baseline.commit, begun.params.metric.name
    )
    files.write_bytes(begun.layout.environment, records.encode(found))
    files.write_bytes(begun.layout.baseline_metric, records.encode(metric))
    files.write_bytes(begun.layout.accepted, records.encode(baseline))
    remembered.save(begun.run.store.sources)
    print(f"context: {found.key}; baseline {baseline.name} {baseline.commit[:12]}".rstrip())


def check_task(begun: Start) -> None:
    """The task's members, and the keyword arguments that params.yaml gives them, as its sources have them."""
    root, given = begun.layout.root, begun.params
    data, learning, metrics = (
        task_source.read(root, given.task.name, name) for name in ("data", "learning", "metrics")
    )
    task_source.check_options(data, "prepare", given.data, "data")
    task_source.check_options(learning, "model", given.model, "model")
    known = task_source.metrics(metrics)
    if known is None:
        return
    if given.metric.name not in known:
        raise UsageError(
            f"params.yaml: metric.name is {given.metric.name!r}",
            allowed=f"{', '.join(known)} (METRICS in {metrics.path.relative_to(root)})",
            mend="set metric.name in params.yaml",
        )
    if function := known[given.metric.name]:
        task_source.check_options(metrics, function, given.metric.options, "metric.options")


def prove_all(begun: Start, looked: closure.Looked) -> None:
    """Every stage's sources, followed without running them, against Git and dvc.yaml."""
    root, task = begun.layout.root, begun.params.task.name
    listed = provenance.listing(root)
    for stage, declared in pipeline.dependencies(begun.layout, task).items():
        entries = [Path("src/stage.py"), Path(f"src/assay/stages/{stage}.py")]
        own = (f"src/tasks/{task}/", "src/assay/stages/")  # a stage may start another module beside itself
        entries += [Path(path) for path in declared if path.startswith(own) and path.endswith(".py")]
        if (root / entries[1]).is_file():  # a stage that a user added is his own
            reached = closure.import_closure(root, entries, looked)
            sources = [file.as_posix() for file in reached]
            provenance.check(root, stage, declared, sources, listed)
            if begun.run.home != root:
                provenance.check_left_behind(begun.run.home, root, stage, declared, sources)
