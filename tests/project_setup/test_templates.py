"""What `assay init` writes is what this project itself runs on: its dvc.yaml, its charts, its parameters."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.utils.data import TensorDataset

from assay.core import params_yaml
from assay.core.yaml12 import parse
from assay.project_setup import output_conflicts, templates
from assay.runtime import task_source

ROOT = Path(__file__).parents[2]


def test_dvc_yaml_is_this_projects_without_its_task() -> None:
    own = (ROOT / "dvc.yaml").read_text(encoding="utf-8").replace("src/tasks/${task.name}/data.py", "${data.path}")
    whole = templates.text("dvc.yaml")
    assert re.sub(r" *- logs/.*\n", "", whole) == re.sub(r" *- src/tasks/.*\n", "", own)
    for name, template in templates.TEMPLATES.items():
        logs = re.findall(r" *- (logs/.*)\n", templates.pipeline(template, reads=False))
        assert logs == (["logs/baseline", "logs/candidate"] if name in ("loop", "script") else [])
    assert "${data.path}" not in templates.pipeline(templates.TEMPLATES["loop"], reads=False)


def test_charts_are_this_projects() -> None:
    charts = {path.name: path.read_bytes() for path in (ROOT / ".dvc/plots").iterdir()}
    assert {path.name: path.read_bytes() for path in (templates.PLACE / "plots").iterdir()} == charts


def test_sections_are_this_projects() -> None:
    own = parse((ROOT / "params.yaml").read_bytes())
    made = parse(templates.params(templates.TEMPLATES["table"], "mine", {"file": "x.csv", "target": "y"}))
    assert list(made) == list(own)
    for section in ("split", "train", "judge", "machine"):
        assert made[section].keys() == own[section].keys()


@pytest.mark.parametrize("name", [name for name, one in templates.TEMPLATES.items() if "task.py" in one.files])
def test_a_template_is_a_whole_task(name: str, tmp_path: Path) -> None:
    template = templates.TEMPLATES[name]
    (tmp_path / "task.py").write_text(templates.text(template.files["task.py"]), encoding="utf-8")
    parts = {part: task_source.read(tmp_path, "mine", part) for part in ("data", "learning", "metrics")}
    assert template.metric in (task_source.metrics(parts["metrics"]) or {})
    given = dict.fromkeys(template.reads, "x") | ({"target": "y"} if "kind" in template.data else {})
    loaded = params_yaml.load(templates.params(template, "mine", given))
    task_source.check_options(parts["learning"], "model", loaded.model, "model")
    task_source.check_options(parts["data"], "prepare", loaded.data, "data")
    pipeline = templates.pipeline(template, reads=True)
    assert all(f"      - ${{data.{key}}}\n" in pipeline for key in template.reads)
    assert "data.path" not in pipeline and ast.get_docstring(parts["data"].tree)


def test_the_loop_loads_what_it_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that its accepted strategy can be exported."""
    (tmp_path / "task.py").write_text(templates.text("loop.task.txt"), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    task = importlib.import_module("task")
    del sys.modules["task"]  # by hand: a monkeypatch would put it back
    params = {"lr": 0.01, "model": {"hidden": 4}, "train": {"epochs": 1, "batch_size": 8}}
    inputs = torch.rand(16, 8, 8)
    train = TensorDataset(inputs, torch.arange(16) % 10)
    fitted = task.fit(params, SimpleNamespace(train=train), 1, lambda *_, **__: None)
    assert torch.equal(task.load(params, fitted.state_dict())(inputs), fitted(inputs))


def test_lines_of_gitignore_are_exact() -> None:
    patterns = {one.pattern for one in output_conflicts.outputs(templates.text("dvc.yaml")) if one.cached}
    assert {"/models/candidate/", "/context/", "/results/verdict.txt"} < patterns
    assert not patterns & {"/models/", "/data/", "/results/", "/data/split/"}
