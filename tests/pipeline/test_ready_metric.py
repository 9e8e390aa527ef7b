"""A task without metrics.py: the name of a ready metric in params.yaml is enough."""

from __future__ import annotations

from support.project import Project


def test_a_name_alone_decides(tried: Project) -> None:
    (tried.root / "src/tasks/digits/metrics.py").unlink()
    tried.edit("params.yaml", "name: accuracy", "name: macro_f1")
    refused = tried.assay("stage", "context", ok=False)
    assert refused.returncode == 2 and "remove `- src/tasks/digits/metrics.py`" in refused.stderr
    tried.edit("dvc.yaml", "      - src/tasks/${task.name}/metrics.py\n", "")
    tried.edit("params.yaml", "name: macro_f1", "name: f1")
    assert "macro_f1, micro_f1" in tried.assay("stage", "context", ok=False).stderr
    tried.edit("params.yaml", "name: f1", "name: macro_f1")
    tried.git("add", "--all")
    said = tried.assay("stage", "context").stdout + tried.judged()
    assert "macro_f1 0." in said and "macro_f1-1." in said
    row = tried.replicates("candidate")[0]
    assert abs(float(row["macro_f1"]) - float(row["balanced_accuracy"])) < 0.1 and float(row["log_loss"]) > 0
    assert "metric changed against strategy/first" in said

    slices = '"slices": ["odd" if n % 2 else "even" for n in table[:, 64]],\n        "classes": ['
    tried.edit("src/tasks/digits/data.py", '"classes": [', slices)
    for stage in ("prepare", "split"):
        tried.stage(stage)
    said = tried.judged()
    assert "2 slices, each with Holm's correction" in said and "macro_f1-1." in said
    rows = [line.split(",") for line in tried.read("results/slices.csv").splitlines()]
    assert [row[:2] for row in rows[1:4]] == [["slice", "even"], ["slice", "odd"], ["class", "0"]]
    ensembles = [row for row in rows if row[0] == "ensemble"]
    assert "slices" in tried.metrics and len(rows) == 1 + 2 + 30 + len(ensembles)
    assert ensembles[0][3] == "macro_f1" and all(float(row[5]) > 0 for row in ensembles)
