"""`task.command` in params.yaml: placeholders, refusals, the script's own parameters."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from assay.core import params_yaml, reported_key, script_command
from assay.core.errors import UsageError
from assay.metrics import metric_definition
from assay.runtime import dvc_yaml
from assay.script import interpreter
from assay.stages import verdict_lines
from support import scripted


def resolved(text: str) -> params_yaml.Params:
    return params_yaml.resolved(text)


def test_all_keys_that_are_not_ours_are_parameters_of_the_script() -> None:
    text = scripted.params(command=f"{scripted.COMMAND} --decay {{optim.decay}}")
    text = text.replace('"lr": 0.1', '"lr": 0.1, "optim": {"decay": 1e-4, "name": "sgd"}, "train": {"warmup": 3}')
    found = resolved(text)
    assert found.is_script and found.metric.name == "accuracy"
    assert params_yaml.lines(found) == [
        "lr: 0.1",
        "optim.decay: 0.0001",
        'optim.name: "sgd"',
        "train.warmup: 3",
        'task: "script"',
        f'task.command: "{scripted.COMMAND} --decay {{optim.decay}}"',
    ]


def test_a_profile_lies_over_any_of_them() -> None:
    text = scripted.params().replace(
        '"lr": 0.1', '"lr": 0.1, "profiles": {"full": {}, "fast": {"lr": 0.2, "a": {"b": 1}}}'
    )
    found = params_yaml.resolved(text, "fast")
    assert found.own == {"lr": 0.2, "a": {"b": 1}}


def test_a_section_that_a_foreign_stage_declares_is_read_where_the_command_names_it() -> None:
    content = scripted.params(command=f"{scripted.COMMAND} --a {{a.b}}").replace(
        '"lr": 0.1', '"lr": 0.1, "a": {"b": 1}, "c": 2'
    )
    pipeline = b"stages: {theirs: {cmd: x, params: [a.b, c]}}"
    assert resolved(dvc_yaml.own_parameters(content.encode(), pipeline).decode()).own == {"lr": 0.1, "a": {"b": 1}}


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (
            {"command": "python train.py --lr {rate} --seed {seed}"},
            "{rate}, which no parameter is; allowed: {lr}, {seed}, {out}",
        ),
        ({"command": "python train.py --lr {lr}"}, "names no {seed}"),
        ({"command": 'python train.py --name "a {lr}" {seed}'}, "has {lr} inside of quotes"),
        ({"command": "python train.py '{seed}'"}, "has {seed} inside of quotes"),
        ({"result": None}, "lacks task.result"),
        (
            {"result": {**scripted.RESULT, "direction": "up"}},
            "task.result.direction is 'up'; allowed: maximize, minimize",
        ),
        ({"result": {**scripted.RESULT, "file": "{lr}/a.json"}}, "task.result.file names {lr}; allowed: {out}, {seed}"),
        ({"parallel": 0}, "task.parallel is 0"),
        ({"timeout": -1}, "task.timeout is -1"),
        ({"rulers": []}, "unknown parameter 'task.rulers'"),
        ({"command": None}, "has task.result and no task.command"),
    ],
)
def test_what_is_refused(task: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError) as error:
        resolved(scripted.params(**task).replace('"task"', '"metric": {"name": "accuracy"}, "task"'))
    text = error.value.sentence.replace("task.result.timeout", "task.timeout")
    assert said in text or ("name" in text and task == {"command": None})


def test_a_key_that_is_nearly_ours_is_no_parameter() -> None:
    with pytest.raises(UsageError, match=r"unknown parameter 'replicats'.*did you mean 'replicates'"):
        resolved(scripted.params().replace('"seed"', '"replicats": 9, "seed"'))


def test_a_task_of_modules_has_no_field_of_a_script() -> None:
    text = "lr: 0.1\nreplicates: 2\nseed: 1\nmetric: {name: a}\ntask: {name: digits}\n"
    assert not resolved(text).is_script
    with pytest.raises(UsageError, match="unknown parameter 'own'"):
        resolved(f"{text}own: {{a: 1}}\n")
    with pytest.raises(UsageError, match=r"task\.keep and no task\.command"):
        resolved(text.replace("digits}", "digits, keep: [a]}"))


def test_seed_none() -> None:
    assert resolved(scripted.params(command="python train.py", seed="none")).task.seed == "none"


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (0.1, "0.1"),
        (3, "3"),
        (True, "true"),
        (None, "null"),
        ("a b", "'a b'"),
        ("$(rm -rf x)", "'$(rm -rf x)'"),
        ([1, 2], "'[1, 2]'"),
        ("", "''"),
        ("it's", "'it'\"'\"'s'"),
    ],
)
def test_a_value_is_one_word_for_the_shell(value: object, word: str) -> None:
    line = script_command.fill("run --x {x} ${HOME} {{x}}", {"x": value})
    assert line == f"run --x {word} ${{HOME}} {{x}}"
    assert shlex.split(line)[2] == script_command.written(value)


def test_keys() -> None:
    key = reported_key.key("accuracy", 1, "0123456789")
    assert key == "accuracy-1.reported.01234567" and key.rpartition("-")[0] == "accuracy"
    assert reported_key.label("accuracy", key) == "accuracy (reported)"
    assert (
        reported_key.label("accuracy", reported_key.key("accuracy", 0, "f" * 32))
        == "accuracy (reported, ruler unproven)"
    )
    assert reported_key.label("accuracy", "accuracy-1.d5fcde12") == "accuracy"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("python train.py", ("python",)),
        ("cd sub && OMP_NUM_THREADS=1 env/bin/python3 -m train", ("env/bin/python3",)),
        ("uv run python train.py; echo done", ("uv", "run", "python")),
        ("make data && python3.11 train.py", ("python3.11",)),
        ("echo nothing", ()),
    ],
)
def test_the_interpreter_that_a_command_starts(command: str, words: tuple[str, ...], tmp_path: Path) -> None:
    """The rest of a line, what is set before it and changes of folder are left out."""
    assert interpreter.find(command, tmp_path, {"PATH": ""}).words == words


def test_the_interpreter_is_asked_without_modules_of_the_project(tmp_path: Path) -> None:
    """A random.py beside the script is the script's, and not what the question imports."""
    (tmp_path / "random.py").write_text("raise SystemExit('not yours')\n", encoding="utf-8")
    program = interpreter.Program((sys.executable,))
    assert interpreter.ask(program, tmp_path, tmp_path, ["numpy"], ["random"], os.environ).packages.keys() == {"numpy"}


def test_all_runs_that_say_the_same_are_named() -> None:
    """Also where there is nothing to compare with, and so no comparison to say it."""
    candidate = SimpleNamespace(replicates=[0, 1, 2], same_as={1: 0, 2: 0})
    (said,) = verdict_lines.alike(SimpleNamespace(candidate=candidate, fixed=False))
    assert said.startswith("all 3 runs of the candidate are the same, which is one run (n=1): does the seed reach")
    candidate.same_as = {1: 0}
    assert not list(verdict_lines.alike(SimpleNamespace(candidate=candidate, fixed=False)))


def test_another_number_of_the_commit_before_says_nothing_of_this_one() -> None:
    """The template's accuracy is maximized; a loss that is named by hand is not judged by that."""
    content = {"params.yaml": SCRIPT_OF_BEFORE.encode()}
    read = metric_definition.ReadFile(content.get, ())
    same, other = (metric_definition.definition(read, name, "floor", recorded=False) for name in ("accuracy", "loss"))
    assert same.terms == ("maximize", 0.0, None) and other.terms is None and other.code == ""


SCRIPT_OF_BEFORE = """
replicates: 5
seed: 1
task:
  command: python train.py --seed {seed} --out {out}
  result: {file: "{out}/metrics.json", key: accuracy, direction: maximize}
"""
