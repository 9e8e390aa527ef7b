"""`assay compare` on what `evaluate` really wrote, in a real Git and DVC repository."""

import json
import re
import shutil
from importlib import metadata

import pytest

LINE = "new examples: "


def said(text: str) -> str:
    """The line on new examples without its margin."""
    return next(line.strip() for line in text.splitlines() if LINE in line).removeprefix("- ")


def test_a_real_record(project):
    before = project.git("status", "--porcelain")
    done = project.assay("compare", "HEAD", "--json", ok=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["metric"] == "accuracy"
    assert found["candidate"]["n"] >= 2
    assert found["verdict"] in ("progress", "regression", "equivalent", "inconclusive")
    assert project.git("status", "--porcelain") == before


def test_evaluate_leaves_a_row_for_each_metric(project):
    """Another column is judged by it, and `dvc exp show` has no column more."""
    header, *rows = project.read("results/rulers.csv").splitlines()
    assert header == "metric,key,direction,min_effect,worst,packages,unseen"
    packages = f"numpy {metadata.version('numpy')}"
    assert rows[0] == f"accuracy,{project.metrics['metric_version']},maximize,0.005,,{packages},"
    assert re.fullmatch(r"cross_entropy,cross_entropy-1\.[0-9a-f]{8},minimize,0\.01,,numpy [^,]+,", rows[1])
    found = json.loads(project.assay("compare", "HEAD", "--column", "cross_entropy", "--json").stdout)
    assert (found["direction"], found["min_effect"]) == ("minimize", 0.01) and found["no_new_examples"] == ""
    assert found["metric_version"] == rows[1].split(",")[1] != project.metrics["metric_version"]
    assert "rulers" not in project.dvc("exp", "show", "--csv").stdout


@pytest.mark.extra
def test_new_examples_are_those_that_evaluate_printed(project):
    """Against the measured baseline, another experiment and the floor; from the cache alone."""
    printed = project.dvc("exp", "run", "-n", "fast", "-S", "lr=0.02").stdout
    assert said(project.assay("compare", "fast").stdout) == said(printed)
    assert said(project.assay("compare", "fast", "--markdown").stdout) == said(printed)
    project.git("checkout", "--quiet", "HEAD", "--", "params.yaml")
    project.dvc("exp", "run", "-n", "other", "-S", "lr=0.01", "-S", "seed=2")
    shutil.rmtree(project.root / "predictions")
    found = json.loads(project.assay("compare", "other", "fast", "--json").stdout)
    assert found["new_examples"]["delta"] == pytest.approx(found["delta"]) and found["no_new_examples"] == ""
    assert found["new_examples"]["ci_low"] < found["delta"] < found["new_examples"]["ci_high"]
    first = json.loads(project.assay("compare", "strategy/first", "--json").stdout)
    assert first["baseline"]["name"].startswith("floor ") and first["new_examples"]["delta"] == pytest.approx(
        first["delta"]
    )


def test_a_strategy_against_itself_is_neither_progress_nor_regression(project):
    """Also when its seeds say otherwise; a gate for CI lets it pass."""
    done = project.assay("compare", "HEAD", "--require", "no-regression")
    assert "held back: both sides are the same strategy" in done.stdout and "runs per arm would find" not in done.stdout
    refused = project.assay("compare", "HEAD", "--require", "progress", ok=False)
    assert refused.returncode == 5 and "the same strategy" in refused.stderr


def test_why_new_examples_are_not_known(project):
    """A ruler that never ran here, and a cache that lost them, take the line away and nothing else."""
    whole = json.loads(project.assay("compare", "HEAD", "--json").stdout)
    project.edit("src/tasks/digits/metrics.py", "REVISION = 1", "REVISION = 7")
    found = json.loads(project.assay("compare", "HEAD", "--json").stdout)
    assert "metrics.py as it stands did not run on this machine" in found["no_new_examples"]
    assert found["no_new_examples"].endswith("next: the same command with --rescore, which runs it")
    assert found["new_examples"] is None and found["ci_low"] == whole["ci_low"]
    other = project.assay("compare", "HEAD", "--rescore", ok=False)
    assert other.returncode == 3
    assert re.search(r"measured under accuracy-1\.\w+, and today.s metric .* accuracy-7\.\w+; next: ", other.stderr)
    project.git("checkout", "--quiet", "HEAD", "--", "src")
    shutil.rmtree(project.root / ".dvc/cache")
    assert "is not in DVC's cache here" in said(project.assay("compare", "HEAD").stdout)
