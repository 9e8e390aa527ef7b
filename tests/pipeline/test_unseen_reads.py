"""What a metric reads beside its code: named in READS it is in key and dependencies, unnamed it gives no verdict."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import pytest

from support.project import Project

METRICS, WEIGHT = "src/tasks/digits/metrics.py", "src/tasks/digits/w.json"
VERDICT = "results/verdict.txt"
READS = 'READS = ["w.json"]\n'


@pytest.fixture
def weighted(project: Project) -> Project:
    """`project`, whose accuracy is multiplied by what a tracked file beside metrics.py says."""
    project.edit(METRICS, "import numpy as np\n", "import json\nfrom pathlib import Path\n\nimport numpy as np\n")
    project.edit(
        METRICS,
        "float(correct(targets, predictions).mean())",
        'float(correct(targets, predictions).mean()) * json.loads(Path(__file__).with_name("w.json").read_text())',
    )
    (project.root / WEIGHT).write_text("1.0")
    project.commit("weigh accuracy")
    return project


def ruler(project: Project) -> dict[str, str]:
    """The row of accuracy in results/rulers.csv."""
    rows = csv.DictReader(io.StringIO(project.read("results/rulers.csv")))
    return next(row for row in rows if row["metric"] == "accuracy")


def test_a_file_that_the_metric_reads_is_named_and_then_watched(weighted: Project) -> None:
    """Unnamed: a verdict that says so, and no failed stage. Named: another content is another key, and is scored."""
    weighted.stage("context")
    weighted.stage("evaluate")
    said = weighted.read(VERDICT)
    assert f'incomparable: metrics.py reads w.json; add READS = ["w.json"] to {METRICS}\n' in said
    assert weighted.metrics["verdict"] == "incomparable" and "p" not in weighted.metrics
    assert ruler(weighted)["unseen"] == "w.json"
    for options in ([], ["--rescore"]):
        refused = weighted.assay("compare", "results/replicates.csv", *options, ok=False)
        assert refused.returncode == 3 and "w.json" in refused.stderr

    weighted.edit(METRICS, "REVISION = 1\n", f"REVISION = 1\n{READS}")
    weighted.commit("name it")
    weighted.dvc("repro", "--quiet")
    before, first = weighted.metrics, ruler(weighted)
    assert before["verdict"] == "same" and first["unseen"] == ""
    assert first["packages"].startswith("numpy ")
    weighted.commit("measure")

    (weighted.root / WEIGHT).write_text("0.5")
    weighted.dvc("repro", "--quiet")
    after = weighted.metrics
    assert after["accuracy"] == pytest.approx(float(str(before["accuracy"])) / 2)
    assert after["metric_version"] != before["metric_version"]
    assert json.loads(weighted.read("context/code-evaluate.json"))["reads"].keys() == {WEIGHT}
    assert "metric changed against strategy/first: code of accuracy · file w.json" in weighted.read(VERDICT)


SCRIPT = """
import importlib.util, json, os, runpy, sqlite3, sys, threading
from pathlib import Path
from assay.metrics import undeclared_file_reads as unseen_reads
root = Path(sys.argv[1])
task = root / "src/tasks/t"
sys.prefix = str(root / ".venv")  # as in a project with its environment inside
os.chdir(root)
open("before.txt").read()
def metric():
    for name in [*sys.argv[2:], json.__file__]:
        open(name, "rb").read()
    if Path("missing.txt").exists():
        open("missing.txt")
    open("written.txt", "w").write("1")
    threading.Thread(target=lambda: (task / "thread.txt").read_text()).start()
    runpy.run_path("run.py")
    spec = importlib.util.spec_from_file_location("m", root / "load.py")
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    sqlite3.connect("base.db").close()
    os.close(os.open(b"low.bin", os.O_RDONLY))
with unseen_reads.watching():
    metric()
open("after.txt").read()
print(json.dumps(unseen_reads.found(root, "t")))
print(unseen_reads.hint(root, "t", ["a.bin", "b.bin"]))
"""


#: files of the project, or in its folder, that are no unseen reads
APART = (
    *("src/tasks/t/metrics.py", "src/tasks/t/helper.py", "src/tasks/t/named.npy", "data/split/validation/ids.npy"),
    *(".venv/lib/thing.py", "other/lib/python3.11/site-packages/p.py", ".git/HEAD", "src/x.egg-info/entry_points.txt"),
    *("src/tasks/__init__.py", "src/tasks/t/__init__.py"),
    *("src/tasks/t/__pycache__/metrics.cpython-311.pyc", "src/tasks/t/__pycache__/f.nbi"),
)
SOURCES = {
    "src/tasks/t/metrics.py": 'from tasks.t import helper\nREADS = ["named.npy"]\nMETRICS = {}\n',
    "src/tasks/t/helper.py": "x = 1\n",
}


def test_what_counts_as_a_read_of_the_project(tmp_path: Path, fresh: Project) -> None:
    root = tmp_path / "my project"
    unseen = ("run.py", "load.py", "base.db", "low.bin", "src/tasks/t/thread.txt")
    for name in {*APART, *unseen, "before.txt", "after.txt"}:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(SOURCES.get(name, ""))
    ours = str(fresh.root / "src")
    said = fresh.run(sys.executable, "-c", SCRIPT, str(root), *APART, PYTHONPATH=ours).stdout.splitlines()
    assert json.loads(said[0]) == [f"../../../{name}" for name in ("base.db", "load.py", "low.bin", "run.py")] + [
        "thread.txt"
    ]
    assert said[1] == 'add "a.bin", "b.bin" to READS in src/tasks/t/metrics.py'
