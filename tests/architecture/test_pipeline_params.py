"""dvc.yaml against what a stage reads of params.yaml, recorded while it runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from assay.core.params_yaml import STRATEGY, Section
from assay.runtime.stage_setup import StageContext
from assay.runtime.stage_setup import start as really_start
from assay.stages import baseline, prepare, split
from support.project import Project

ROOT = Path(__file__).parents[2]
#: read by every stage, and of no influence on numbers: where and how to compute
MACHINE = {"machine.device", "machine.devices", "machine.execution"}
#: names that dvc.yaml gives as a whole section, or that only find a file
SECTIONS = {"task.name": "task", "is_script": "task"}


class Recorded:
    """A section of the parameters that notes the dotted name of every value that is read."""

    def __init__(self, section: Section, read: set[str], above: str = "") -> None:
        self._section, self._read, self._above = section, read, above

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._section, name)
        if isinstance(value, Section):
            return Recorded(value, self._read, f"{self._above}{name}.")
        self._read.add(self._above + name)
        return value


def declared(stage: str) -> set[str]:
    return set(yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"][stage].get("params", []))


def watched(stage: ModuleType, project: Project, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Parameters that one run of `stage` reads, as dvc.yaml names them."""
    read: set[str] = set()

    def recording(root: Path, name: str) -> StageContext:
        ctx = really_start(root, name)
        return dataclasses.replace(ctx, params=Recorded(ctx.params, read))  # type: ignore[arg-type]

    monkeypatch.setattr(stage, "start", recording)
    monkeypatch.chdir(project.root)
    stage.main(project.root, [])
    return {SECTIONS.get(name, name.split(".")[0] if name.startswith("split.") else name) for name in read - MACHINE}


@pytest.mark.parametrize("stage", [prepare, split, baseline], ids=lambda stage: stage.__name__.split(".")[-1])
def test_a_stage_declares_the_parameters_that_it_reads(
    stage: ModuleType, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = stage.__name__.split(".")[-1]
    found = watched(stage, project, monkeypatch)
    # every stage needs the task's name to find its dependencies in dvc.yaml; a new name is a new dependency
    # `vary` reaches it through context/accepted.json, which it depends on
    assert found - {"task", "vary"} == declared(name) - {"task"}


def test_train_declares_what_its_request_and_the_strategy_hold() -> None:
    request = {"profile", "replicates", "seed"}
    strategy = set(STRATEGY) - {"data", "split", "loss"}  # two through the data that they made, one in code-train.json
    assert declared("train") == request | strategy | {"task", "profiles.${profile}"}


def test_evaluate_reads_all_of_it() -> None:
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]["evaluate"]
    assert stage["params"] == [{"params.yaml": None}]
