"""`assay rates`: price, one training of all lanes, the range; the work tree stays, and what was trained is read."""

from __future__ import annotations

import json

import pytest

from assay.commands.rates import rates
from assay.core.errors import AssayError
from support.project import Project


def test_the_price_comes_first(_first: Project) -> None:
    said = list[str]()
    assert rates(_first.root, None, said.append, dry_run=True) is None
    assert said[0].startswith("price: 48 trainings, each 10% of the steps (1 epochs, 0.3 of the examples), at most ")
    with pytest.raises(AssayError, match="are no span"):
        rates(_first.root, (1.0, 0.5), said.append)


@pytest.mark.extra
def test_a_whole_run(project: Project) -> None:
    before = project.git("status", "--porcelain")
    found = json.loads(project.assay("rates", "--json").stdout)
    assert len(found["means"]) == 16 and (found["epochs"], found["sample"]) == (1, 0.3)
    assert 0.005 < found["low"] <= found["best"] <= found["high"] < 0.2 < found["edge"]
    again = project.assay("rates")
    assert "range, not choice: " in again.stdout and "HEAD's 0.003 lies outside of it" in again.stdout
    assert project.git("status", "--porcelain") == before
