"""`assay rates`: price, one training of all lanes, the range; the work tree stays, and what was trained is read."""

from __future__ import annotations

import json

import pytest

from assay.commands.rates import rates, shortened
from assay.core import params_yaml
from assay.core.errors import AssayError
from assay.stages.short_training_curves import BARE, over_profile
from support.project import Project


def test_the_price_comes_first(_first: Project) -> None:
    said = list[str]()
    assert rates(_first.root, None, said.append, dry_run=True) is None
    assert said[0].startswith("price: 48 trainings, each 10% of the steps (1 epochs, 0.3 of the examples), at most ")
    with pytest.raises(AssayError, match="are no span"):
        rates(_first.root, (1.0, 0.5), said.append)


def test_a_loop_of_the_tasks_own_is_refused_before_it_trains(project: Project) -> None:
    fit = "\n\ndef fit(params, data, seed, log):\n    raise RuntimeError\n"
    (project.root / "src/tasks/digits/learning.py").write_text(project.read("src/tasks/digits/learning.py") + fit)
    project.commit("a loop of its own")
    with pytest.raises(AssayError, match=r"a task's own fit\(\) cannot be cut short from outside"):
        rates(project.root, None, [].append)


def test_a_profile_makes_no_short_training_long() -> None:
    overlay = "{lr: 0.5, model: {hidden: 8}, train: {epochs: 8, sample: 0.5}}"
    content = f"{{lr: 0.1, replicates: 3, seed: 1, metric: {{name: a}}, profile: fast, profiles: {{fast: {overlay}}}}}"
    asked = params_yaml.resolved(content)
    tried = params_yaml.changed(content, over_profile(asked, {"lr": 0.2, **shortened(asked)}), BARE)
    assert (tried.lr, tried.model, tried.train.epochs, tried.train.sample) == (0.2, {"hidden": 8}, 1, 0.4)


@pytest.mark.extra
def test_a_whole_run(project: Project) -> None:
    before = project.git("status", "--porcelain")
    found = json.loads(project.assay("rates", "--json").stdout)
    assert len(found["means"]) == 16 and (found["epochs"], found["sample"]) == (1, 0.3)
    assert 0.005 < found["low"] <= found["best"] <= found["high"] < 0.2 < found["edge"]
    again = project.assay("rates")
    assert "range, not choice: " in again.stdout and "HEAD's 0.003 lies outside of it" in again.stdout
    assert project.git("status", "--porcelain") == before
