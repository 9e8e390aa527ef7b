"""`assay cache` in a real repository."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from assay.cli.root import run
from assay.keeping import entries
from assay.words.layout import Store


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "Start"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    for number in range(3):
        entries.seal(Store(tmp_path).replicates / f"entry{number}" / "weights", bytes(2000))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shown(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out)


def test_shows_and_prunes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cache", "--json"]) == 0
    before = shown(capsys)
    assert before["entries"] == 3 and before["size"] > 6000 and before["freed"] == 0
    assert run(["cache", "--prune", "5k", "--json"]) == 0
    after = shown(capsys)
    assert after["entries"] == 2 and after["freed"] == before["size"] - after["size"]
    assert run(["cache", "--prune", "0"]) == 0
    assert capsys.readouterr().out.startswith("freed 4.09 kB; 0 entries, 0 B of at most 4.29 GB")
    assert not list(Store(home).replicates.iterdir())


def test_refuses_a_size_it_does_not_understand(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cache", "--prune", "lots"]) == 2
    assert capsys.readouterr().err == "assay: --prune is 'lots'; allowed: a size such as 0, 500M or 2G\n"
