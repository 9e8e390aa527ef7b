"""What every process that imports a task has in common: the order of sets; and what tells environments apart."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from assay.runtime import environment
from assay.training import device
from support.project import Project


def test_a_task_sees_sets_in_the_same_order_in_every_process(fresh: Project) -> None:
    text = fresh.read("src/tasks/digits/data.py")
    words = "print(list({'cat', 'dog', 'cow', 'ant', 'bee', 'owl'}))\n"
    end = text.index("\n", text.index("from __future__")) + 1
    (fresh.root / "src/tasks/digits/data.py").write_text(text[:end] + words + text[end:], encoding="utf-8")
    fresh.stage("context")
    stage = ("assay", "stage", "prepare")
    said = {fresh.run(*stage, PYTHONHASHSEED=seed).stdout.splitlines()[0] for seed in ("random", "1", "2")}
    assert len(said) == 1
    assert "cat" in said.pop()


@pytest.mark.parametrize("flags", [(), ("-E",)])
def test_a_command_starts_itself_again_under_its_own_number(flags: tuple[str, ...]) -> None:
    code = "import os; print(os.getpid(), hash('cat'), flush=True); from assay.cli.root import main; main()"
    command = [sys.executable, *flags, "-c", code, "--version"]
    told = []
    for seed in ("1", "2"):
        done = subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        told.append([line.split() for line in done.stdout.splitlines()])
    if flags:  # Python was told to read no variables: it would start for ever
        assert [len(lines) for lines in told] == [2, 2]
        return
    assert [len(lines) for lines in told] == [3, 3]
    assert all(lines[0][0] == lines[1][0] for lines in told)
    assert told[0][1][1] == told[1][1][1] != told[0][0][1]


def test_variables_that_change_numbers_are_part_of_the_environment() -> None:
    harmless = {"PYTORCH_CUDA_ALLOC_CONF": "x", "PYTORCH_VERSION": "2", "CUBLAS_LOGINFO_DBG": "1", "PATH": "/bin"}
    assert environment.variables({**harmless, "NVIDIA_TF32_OVERRIDE": ""}) == {}
    counted = {"NVIDIA_TF32_OVERRIDE": "0", "CUBLAS_WORKSPACE_CONFIG": ":16:8", "PYTORCH_MPS_FAST_MATH": "1"}
    assert environment.variables({**harmless, **counted}) == counted


def test_what_training_sets_itself_is_no_other_environment() -> None:
    assert device  # importing it sets them
    assert {name: os.environ.get(name) for name in environment.OURS} == environment.OURS
    assert environment.variables(os.environ) == {}


def test_the_key_stays_where_none_is_set_and_differs_where_one_is(fresh: Project) -> None:
    fresh.stage("context")
    plain = json.loads(fresh.read("context/environment.json"))
    assert set(plain) == {"schema", "device", "machine", "system", "packages", "library", "hardware"}
    said = fresh.run("assay", "stage", "context", NVIDIA_TF32_OVERRIDE="0").stdout
    assert "; NVIDIA_TF32_OVERRIDE=0; training code " in said
    assert json.loads(fresh.read("context/environment.json")) == plain | {"variables": {"NVIDIA_TF32_OVERRIDE": "0"}}
