"""`assay compare` on what `evaluate` really wrote, in a real Git and DVC repository."""

import json


def test_a_real_record(project):
    before = project.git("status", "--porcelain")
    done = project.assay("compare", "HEAD", "--json", ok=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["metric"] == "accuracy"
    assert found["candidate"]["n"] >= 2
    assert found["verdict"] in ("progress", "regression", "equivalent", "inconclusive")
    assert project.git("status", "--porcelain") == before
