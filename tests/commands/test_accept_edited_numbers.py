"""`assay accept` and numbers that somebody edited: a hash in dvc.lock proves nothing, as `dvc commit` renews it."""

from __future__ import annotations

import csv
import io
import json

import pytest

from assay.commands import accept, accept_confirmation
from assay.commands.accept_tree import Regenerated
from assay.tags.strategy_events import RecordedComparison
from support.project import Project, environment


def forged(project: Project) -> tuple[float, float]:
    """The experiment `forged`: `fast-lr`, whose candidate is .01 better and whose baseline is .01 worse in both files
    of results; the true means of both."""
    table, record = project.root / "results/replicates.csv", project.root / "results/metrics.json"
    rows = list(csv.DictReader(io.StringIO(table.read_text(encoding="utf-8"))))
    for row in rows:
        row["accuracy"] = repr(float(row["accuracy"]) + {"candidate": 0.01, "baseline": -0.01}.get(row["arm"], 0.0))
    found = json.loads(record.read_text(encoding="utf-8"))
    true = float(found["accuracy"]), float(found["baseline"])
    found |= {"accuracy": found["accuracy"] + 0.01, "baseline": found["baseline"] - 0.01}
    found |= {name: found[name] + 0.02 for name in ("delta", "ci_low", "ci_high")}
    content = io.StringIO()
    writer = csv.DictWriter(content, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    table.write_text(content.getvalue(), encoding="utf-8")
    record.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    project.dvc("commit", "--force", "--quiet", "evaluate")
    project.dvc("exp", "save", "--name", "forged")
    shown = json.loads(project.git("show", "refs/exps/" + ref(project, "forged") + ":results/metrics.json"))
    assert shown["accuracy"] == found["accuracy"] and "evaluate" not in project.dvc("status", "evaluate").stdout
    return true


def ref(project: Project, name: str) -> str:
    """What stands behind refs/exps/ for an experiment."""
    listed = project.git("for-each-ref", "--format=%(refname:strip=2)", "refs/exps").splitlines()
    return next(line for line in listed if line.endswith(f"/{name}"))


@pytest.mark.extra
def test_edited_numbers_do_not_reach_the_selection(ready: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    true, seen = forged(ready), list[RecordedComparison]()
    for name, value in environment(ready.home).items():
        monkeypatch.setenv(name, value)

    def stop(tree: Regenerated, _say: object) -> None:  # before it trains
        seen.append(tree.selection)
        raise KeyboardInterrupt

    monkeypatch.setattr(accept_confirmation, "confirm", stop)
    with pytest.raises(KeyboardInterrupt):
        accept.accept(ready.root, "forged", "forged", [], "", False, print)
    (selection,) = seen
    assert (selection.candidate.mean, selection.baseline.mean) == pytest.approx(true, abs=1e-9)
    assert selection.delta == pytest.approx(true[0] - true[1], abs=1e-9)
