"""show() of a task: called by `evaluate` in a process of its own; whatever it does, there is a record and a verdict."""

from __future__ import annotations

import importlib
import io
import json
import re
from typing import Any

import numpy as np
import pytest
from msgspec import UNSET
from PIL import Image

from assay.core import schemas
from assay.core.case_records import CasesRecord
from assay.core.errors import UsageError
from assay.core.paths import CODED
from assay.data import example_display
from assay.data.encoded_file import EncodedFile
from assay.report import cases_text
from assay.runtime import stage_fingerprint, stage_setup
from assay.stages import context, example_displays, show_examples
from assay.stages.example_displays import TimeLimits
from pipeline.test_task_file_commands import alone, ran
from support.project import CHECKOUT, Project

SHOW = "src/tasks/digits/show.py"
#: what a digit's darkness decides: all that show() can do wrong
EVIL = '''
import os, sys, time
import numpy as np


def show(example):
    """A digit (8, 8) of grey levels."""
    case = int(example.sum()) % 8
    if case == 0:
        raise RuntimeError(f"no {object()}")
    if case == 1:
        return object()
    if case == 2:
        return np.zeros((1, 10_000))
    if case == 3:
        return "x" * 2**20
    if case == 4:
        sys.exit(3)
    if case == 5:
        print("drawn with \\x1b[31m care")
        return {"darkness": int(example.sum()), "</script>": "=1+1"}
    return example
'''
DYING = "import os, time\n\n\ndef show(example):\n    {}\n"


def record(project: Project) -> CasesRecord:
    return schemas.decode((project.root / "results/cases.json").read_bytes(), CasesRecord, "cases.json")


def written(project: Project, text: str) -> None:
    (project.root / SHOW).write_text(text, encoding="utf-8")
    project.commit("show")


def test_whatever_show_does_is_a_sentence_and_the_verdict_stands(tried: Project) -> None:
    before = tried.metrics, tried.read("results/verdict.txt"), record(tried)
    assert before[2].notes == [] and all("picture" in str(case.display) for case in before[2].cases)
    written(tried, EVIL)
    tried.stage("context")
    assert SHOW in json.loads(tried.read("context/code-evaluate.json"))["shows"]
    said = tried.stage("evaluate")
    assert (
        tried.metrics | {"commit": ""} == before[0] | {"commit": ""} and tried.read("results/verdict.txt") == before[1]
    )
    found = record(tried)
    assert [case.id for case in found.cases] == [case.id for case in before[2].cases]
    shown = str([case.display for case in found.cases])
    for sentence in (
        f"show() failed at {SHOW}:10: RuntimeError: no <object object at 0x…>",
        "show() returned object; allowed: PNG bytes",
        "a picture of 1×10,000 cannot be looked at",
        "cut: 1,048,576 characters",
        f"show() failed at {SHOW}:18: SystemExit: 3",
        "['</script>', '=1+1']",
    ):
        assert sentence in shown
    assert len(found.notes) == 1 and re.match(r"\d+ of \d+ examples are not shown; the first: ", found.notes[0])
    assert f"evaluate: {found.notes[0]}" in said.stdout and "drawn with  [31m care" in said.stdout
    content = tried.read("results/cases.json")
    tried.stage("evaluate")
    assert tried.read("results/cases.json") == content, "byte for byte the same twice"
    assert len(content) < 200_000 and " by luck alone, between 3 and 3 replicates" in cases_text.luck_line(found)


@pytest.mark.extra
@pytest.mark.parametrize(
    ("does", "said"),
    [("time.sleep(99)", "show() took too long"), ("os._exit(7)", "the process of show() ended with code 7")],
)
def test_one_that_hangs_or_dies_is_given_up(tried: Project, does: str, said: str) -> None:
    written(tried, DYING.format(does))
    tried.stage("context")
    ctx = stage_setup.start(tried.root, "evaluate")
    found = example_displays.of_rows(ctx, [3, 1, 2, 0, 4], TimeLimits(first=3.0, each=1.0, all=20.0))
    assert [str(found.by_row[row].note).startswith(said) for row in (3, 1, 2)] == [True] * 3
    assert found.by_row[4].note == "not shown: show() was given up before"
    assert found.notes[0].startswith(f"3 of 5 examples are not shown; the first: {said}")


def hashes(project: Project) -> dict[str, Any]:
    return {stage: stage_fingerprint.find(project.root, stage, "digits").hashes for stage in CODED}


def test_an_edit_of_show_runs_evaluate_alone_and_is_no_dependency_of_the_metric(fresh: Project) -> None:
    """A file of its own, whose packages are not those of the metric."""
    bare = hashes(fresh)
    written(fresh, "import PIL.Image\n\n\ndef show(example):\n    return example\n")
    first = hashes(fresh)
    fresh.edit(SHOW, "return example", "return example * 2")
    second = hashes(fresh)
    assert [stage for stage in CODED if bare[stage] != first[stage]] == ["evaluate"]
    assert [stage for stage in CODED if first[stage] != second[stage]] == ["evaluate"]
    code = stage_fingerprint.find(fresh.root, "evaluate", "digits")
    assert code.sources == ["src/tasks/digits/metrics.py", SHOW]
    assert context.packages(fresh.root, code) == {"numpy"}


def test_what_show_of_a_task_py_imports_is_no_dependency_of_training_or_metric(fresh: Project) -> None:
    """In the same file as model and metric: by what each reaches, top-level imports included."""
    project = alone(fresh)
    bare, used = hashes(project), environment(project)
    text = project.read("task.py").replace("import torch\n", "import PIL.Image\nimport torch\n", 1)
    more = "\n\ndef draw(example):\n    import sklearn\n    return PIL.Image.fromarray(example)\n"
    shown = f"{text}{more}\n\ndef show(example):\n    return draw(example)\n"
    (project.root / "task.py").write_text(shown, encoding="utf-8")
    project.commit("show")
    first = hashes(project)
    assert [stage for stage in CODED if bare[stage] != first[stage]] == ["evaluate"]
    assert environment(project) == used == {"train": {"numpy", "torch"}, "evaluate": {"numpy", "torch"}}
    project.edit("task.py", "import sklearn", "import scipy")
    assert [stage for stage in CODED if first[stage] != hashes(project)[stage]] == ["evaluate"]


def environment(project: Project) -> dict[str, set[str]]:
    """Packages that count for a stage's numbers."""
    found = {stage: stage_fingerprint.find(project.root, stage, "task") for stage in ("train", "evaluate")}
    return {stage: context.packages(project.root, one) for stage, one in found.items()}


@pytest.mark.extra
def test_an_untracked_show_is_refused_before_anything_runs(fresh: Project) -> None:
    (fresh.root / SHOW).write_text("def show(example):\n    return example\n", encoding="utf-8")
    refused = fresh.stage("context", ok=False)
    assert refused.returncode == 4 and f"{SHOW} is imported but Git does not track it" in refused.stderr


@pytest.mark.extra
@pytest.mark.parametrize("single", [False, True])
def test_dvc_runs_evaluate_alone_after_an_edit_of_show(request: pytest.FixtureRequest, single: bool) -> None:
    """And the metric's key stays: that of the digits is known."""
    project: Project = request.getfixturevalue("fresh" if single else "tried")
    project = alone(project) if single else project
    file = "task.py" if single else SHOW
    if single:
        (project.root / file).write_text(project.read(file) + "\n\ndef show(example):\n    return str(example)\n")
        project.commit("show")
    else:
        written(project, "def show(example):\n    return str(example)\n")
    project.dvc("repro")
    key, content = project.metrics["metric_version"], project.read("results/cases.json")
    project.edit(file, "return str(example)", "return repr(example)")
    project.commit("draw otherwise")
    assert ran(project.dvc("repro").stdout) == {"evaluate"}
    assert project.metrics["metric_version"] == key and project.read("results/cases.json") != content
    assert single or key == "accuracy-1.d5fcde12"


def test_encoded_files_and_rows_show_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no array: an image in its own shape, another file by its name, and a sentence where Pillow is missing."""
    stream = io.BytesIO()
    Image.new("RGB", (300, 150), (200, 10, 10)).save(stream, "JPEG")
    photo = show_examples.by_itself(EncodedFile("photos/a.jpg", stream.getvalue()))
    assert photo.size == [88, 44] and photo.text == "photos/a.jpg" and photo.note is UNSET
    other = show_examples.by_itself(EncodedFile("sound.wav", b"RIFF"))
    assert other.note == "no picture: no image that Pillow knows" and other.text == "sound.wav"
    assert show_examples.by_itself({"age": 3.5, "name": None}).row == [["age", "3.5"], ["name", ""]]
    assert show_examples.by_itself("good").text == "good"

    def missing(name: str) -> None:
        raise UsageError("images need Pillow, which is not installed", hint="pip install 'dvc-assay[ready]'")

    monkeypatch.setattr(importlib, "import_module", missing)
    without = show_examples.by_itself(EncodedFile("photos/a.jpg", stream.getvalue()))
    assert "pip install 'dvc-assay[ready]'" in str(without.note) and without.text == "photos/a.jpg"


def test_the_documented_show_draws() -> None:
    """As docs/cases.md has it."""
    page = (CHECKOUT / "docs/cases.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0], names)
    shown = example_display.of_shown(names["show"](np.array([0.5, -1.0])))
    assert shown.size == [64, 64] and shown.note is UNSET
