"""`assay reject`: an idea that did not work, kept where everybody finds it."""

from __future__ import annotations

from pathlib import Path

from assay.acceptance.write_tags import check_free, check_identity, check_why, write
from assay.changes.experiment_diffs import changes
from assay.core.metric_version import metric_name
from assay.history import metrics_json, name_lookup
from assay.history.experiments import Experiment, read
from assay.history.strategy_status import fold
from assay.runtime import project_root
from assay.runtime.git_objects import reading
from assay.tags.strategy_events import Rejected, check_name


def reject(start: Path, name: str, why: str) -> Rejected:
    """Write the tag `rejected/NAME` for the experiment (or commit) `name`; its evidence."""
    root = project_root.find(start).root
    reason = check_why(why)
    repository = read(root)
    tried = name_lookup.experiment(root, repository, name)
    check_name(tried.name)
    check_free(repository.refs, "rejected", tried.name)
    check_identity(root)
    event = _event(root, tried, reason, fold(repository.tags).sequence + 1)
    write(root, event, f"Reject {tried.name}", reason)
    return event


def _event(root: Path, tried: Experiment, why: str, sequence: int) -> Rejected:
    version = metrics_json.text(tried.metrics, "metric_version")
    with reading(root) as objects:
        changed = changes(root, [(tried.base, tried.commit)], objects)
    return Rejected(
        name=tried.name,
        sequence=sequence,
        commit=tried.commit,
        why=why,
        metric=metric_name(version),
        metric_version=version,
        profile=metrics_json.text(tried.metrics, "profile"),
        baseline=tried.baseline,
        changed=changed[tried.commit].parts if tried.commit in changed else [],
        measured=metrics_json.comparison(tried.metrics),
        tried_for=tried.why or None,
    )
