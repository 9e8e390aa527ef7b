"""Commands in sentences of ours, typed where the user stands: DVC has to be told of a pipeline elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.cli.commands_as_typed import located
from assay.core.errors import UsageError
from assay.runtime import project_root
from project_setup.conftest import Repository

HERE = "no results; next: dvc exp run"
COMMANDS = {
    HERE: "no results; next: dvc exp run assay/dvc.yaml",
    "dvc exp run -S lr=3 -S data.path=x, then look": "dvc exp run assay/dvc.yaml -S assay/params.yaml:lr=3 "
    "-S assay/params.yaml:data.path=x, then look",
    "dvc repro -f -s baseline && dvc exp run": "dvc repro -f -s assay/dvc.yaml:baseline && dvc exp run assay/dvc.yaml",
    "dvc repro context train": "dvc repro assay/dvc.yaml:context assay/dvc.yaml:train",
    "git checkout HEAD -- results plots": "git checkout HEAD -- assay/results assay/plots",
    "next: dvc exp run assay/dvc.yaml": "next: dvc exp run assay/dvc.yaml",
    "assay sweep -S lr=1,2": "assay sweep -S lr=1,2",
    '{"hint": "dvc exp run -S a=3"}': '{"hint": "dvc exp run assay/dvc.yaml -S assay/params.yaml:a=3"}',
}


def test_from_the_top_and_from_the_folder_itself(user: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    user.write("dvc.yaml", "stages:\n  train:\n    cmd: ./train\n")
    user.write("deep/x", "")
    user.commit("mine")
    user.init()
    monkeypatch.chdir(user.root)
    assert {text: located(text) for text in COMMANDS} == COMMANDS
    monkeypatch.chdir(user.root / "deep")
    assert located(HERE) == "no results; next: dvc exp run ../assay/dvc.yaml"
    monkeypatch.chdir(user.root / "assay")
    assert {text: located(text) for text in COMMANDS} == {text: text for text in COMMANDS}

    assert project_root.find(user.root).root == user.root / "assay"
    user.init(folder="other")
    assert project_root.find(Path.cwd()).root == user.root / "assay"
    with pytest.raises(UsageError, match="in none of the projects of this repository; allowed: assay, other"):
        project_root.find(user.root)
    monkeypatch.chdir(user.root)
    assert located(HERE) == HERE
