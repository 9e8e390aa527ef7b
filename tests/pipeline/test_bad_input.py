"""Bad input: refused by the first stage that runs, in one sentence, with the last good results still there."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from assay.core.errors import UsageError
from assay.stages import context
from support.project import Project, environment
from support.weights import digests

#: what is written into params.yaml (old → new), and what the sentence must say
PARAMETERS = [
    ("lr: 0.003", "lr: abc", "lr is 'abc'; allowed: a number"),
    ("lr: 0.003", "lr: -1", "lr is -1; allowed: a number > 0"),
    ("lr: 0.003", "lr: .nan", "lr is nan; allowed: a finite number"),
    ("lr: 0.003", "lr: .inf", "lr is inf; allowed: a finite number"),
    ("lr: 0.003", "lr: true", "lr is True; allowed: a number"),
    ("lr: 0.003", "lr:", "lr is None; allowed: a number"),
    ("lr: 0.003", "lr: '0.003'", "lr is '0.003'; allowed: a number"),
    ("lr: 0.003", "learning_rate: 0.003", "unknown parameter 'learning_rate'"),
    ("lr: 0.003", "lr: 0.003\nlr: 0.004", "has the key 'lr' twice"),
    ("lr: 0.003", "lr: 0.003\nlearning-rate: 1", "unknown parameter 'learning-rate'"),
    ("lr: 0.003", "lr: [", "is not valid YAML"),
    ("replicates: 3", "replicates: 0", "replicates is 0; allowed: a whole number >= 1"),
    ("replicates: 3", "replicates: 2.5", "replicates is 2.5; allowed: a whole number"),
    ("seed: 1", "seed: -1", "seed is -1; allowed: a whole number >= 0"),
    ("profile: full", "profile: quick", "profile is 'quick'; allowed: fast, full"),
    ("baseline: strategy/first", "baseline: 7", "baseline is 7; allowed: text"),
    (
        "name: digits",
        "name: digit",
        "task 'digit' has no src/tasks/digit/data.py, and there is no task.py; allowed: digits",
    ),
    ("name: digits", "name: ../digits", "task.name is '../digits'"),
    (
        "data: {}",
        "data: {size: 3}",
        "unknown parameter 'data.size'; allowed: nothing, as data.py:16: prepare() takes",
    ),
    ("validation: 0.2", "validation: 0.9", "split.validation + split.test is 1; allowed: less than 1"),
    ("validation: 0.2", "validation: 0", "split.validation is 0; allowed: a number > 0"),
    ("hidden: 128", "hiden: 128", "unknown parameter 'model.hiden'; allowed: hidden, layers, dropout"),
    ("hidden: 128", "hidden: wide", "model.hidden is 'wide'; allowed: a value of type int"),
    ("optimizer: adam ", "optimizer: lion ", "train.optimizer is 'lion'; allowed: adam, adamw, sgd"),
    ("batch_size: 64", "batch_sizes: 64", "unknown parameter 'train.batch_sizes'"),
    ("name: accuracy", "name: acuracy", "metric.name is 'acuracy'; allowed: accuracy, cross_entropy"),
    ("options: {}", "options: {k: 5}", "unknown parameter 'metric.options.k'"),
    ("test: welch", "test: t", "judge.test is 't'; allowed: welch, student, paired, permutation"),
    ("device: auto", "device: tpu", "machine.device is 'tpu'"),
    ("device: auto", "device: cuda:7", "machine.device is 'cuda:7', but there is"),
    ("  full: {}", "  full: {seed: 3}", "profiles.full changes 'seed'; allowed: lr, model, train"),
    ("      sample: 0.5", "      samples: 0.5", "unknown parameter 'train.samples'"),
]


#: where the allowed values are the next step
NO_NEXT = ("profiles.full changes 'seed'; allowed: lr, model, train", "machine.device is 'cuda:7', but there is")


def sentence(done: subprocess.CompletedProcess[str], stage: str) -> str:
    """The only line on stderr, which must be a sentence of `stage`."""
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith(f"assay: {stage}: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_parameters(project: Project) -> None:
    """In this process: starting one for each would take longer than all other tests of bad input."""
    good, before = project.read("params.yaml"), digests(project)
    for old, new, said in PARAMETERS:
        project.edit("params.yaml", old, new)
        with pytest.raises(UsageError) as caught:
            context.main(project.root, [])
            pytest.fail(f"{new} was accepted")
        assert said in caught.value.sentence, new
        assert "; next: " in caught.value.sentence or said in NO_NEXT, caught.value.sentence
        (project.root / "params.yaml").write_text(good, encoding="utf-8")
    for stage in ("context", "prepare", "train", "evaluate"):  # each checks all of the file
        project.edit("params.yaml", "  alpha: 0.05", "  alfa: 0.05")
        said = sentence(project.stage(stage, ok=False), stage)
        assert "unknown parameter 'judge.alfa'; allowed: test, alpha, " in said and "did you mean 'alpha'?" in said
        (project.root / "params.yaml").write_text(good, encoding="utf-8")
    assert digests(project) == before

    # DVC reads 1e-3 as a number, and so do we.
    project.edit("params.yaml", "lr: 0.003", "lr: 1e-3")
    context.main(project.root, [])


def test_dvc_passes_the_sentence_on(project: Project) -> None:
    """What -S lets through, the first stage refuses; nothing is lost, and the next good run needs no repair."""
    good, before = project.read("params.yaml"), digests(project)
    for setting, said in (("lr=abc", "lr is 'abc'"), ("replicates=0", "replicates is 0"), ("profile=quick", "profile")):
        # A failed run leaves its value there, of the same length and within the second: Git may see no change.
        (project.root / "params.yaml").write_text(good, encoding="utf-8")
        done = project.dvc("exp", "run", "-S", setting, ok=False)
        assert said in done.stderr and "Traceback" not in done.stderr, done.stderr
        assert digests(project) == before
    assert project.dvc("exp", "list", "--name-only").stdout == "", "a refused run is no experiment"
    (project.root / "params.yaml").write_text(good, encoding="utf-8")
    project.dvc("exp", "run")
    assert digests(project) == before


#: file of the task, edit, stage that refuses, what it says
TASKS: list[tuple[str, str, str, str, str]] = [
    ("learning.py", "import torch\n", "import torch\nimport nothing_like_it\n", "train", "nothing_like_it"),
    ("learning.py", "def loss(", "def lost(", "context", "learning.py defines no loss"),
    ("learning.py", "def model(", "def mdl(", "context", "learning.py defines no model"),
    ("learning.py", "def loss(", "def loss(:", "context", "learning.py:21 "),
    ("learning.py", "nn.Linear(width, outputs)", "nn.Linear(width, 7)", "train", "learning.py"),
    ("learning.py", "/ 16.0", "/ missing", "train", "missing"),
    ("learning.py", ".mean()", "", "train", "loss() returns"),
    (
        "learning.py",
        "return nn.Sequential(*stack, nn.Linear(width, outputs))",
        "return 3",
        "train",
        "model() returns int",
    ),
    ("data.py", "def prepare(", "def prepares(", "context", "data.py defines no prepare"),
    ("data.py", '"targets": table', '"labels": table', "prepare", "prepare() returned inputs, labels, classes"),
    ("data.py", "reshape(-1, 8, 8)", "reshape(-1, 64)[:9]", "prepare", "9 inputs but 1797 targets"),
    ("data.py", "return {", "raise RuntimeError('no disk')\n    return {", "prepare", "RuntimeError: no disk"),
    ("metrics.py", "METRICS = {", "TABLE = {", "context", "metrics.py defines no METRICS"),
    (
        "metrics.py",
        '"direction": "maximize"',
        '"direction": "up"',
        "evaluate",
        "direction is 'up'; allowed: maximize, minimize",
    ),
    ("metrics.py", '"min_effect": 0.005', '"min_effect": -1', "evaluate", "min_effect is -1"),
    ("metrics.py", "return float(correct", "return np.nan * float(correct", "evaluate", "gives nan for"),
    ("metrics.py", "return float(correct", "return undefined(correct", "evaluate", "NameError"),
    ("metrics.py", "REVISION = 1", "REVISION = 'b'", "evaluate", "REVISION is 'b'"),
    ("metrics.py", '"accuracy": {"function"', '"top1": {"function"', "context", "'accuracy'; allowed: top1, cross_e"),
    ("metrics.py", '"cross_entropy": {"function"', '"sd": {"function"', "evaluate", "METRICS has the name 'sd'"),
    (
        "metrics.py",
        "import numpy as np\n",
        "import numpy as np\nimport nothing_like_it\n",
        "evaluate",
        "nothing_like_it",
    ),
]


@pytest.mark.extra
def test_tasks(project: Project) -> None:
    before = digests(project, "results", "predictions")
    for file, old, new, stage, said in TASKS:
        path = f"src/tasks/digits/{file}"
        good = project.read(path)
        project.edit(path, old, new)
        if stage != "context":
            context.main(project.root, [])
        found = sentence(project.stage(stage, ok=False), stage)
        assert said in found, (new, found)
        (project.root / path).write_text(good, encoding="utf-8")
    assert digests(project, "results", "predictions") == before


#: last line of prepare(), and what prepare says
DATA = [
    ("inputs = inputs.astype(float); inputs[5, 2, 2] = np.nan", "the input of example 5 contains nan (1 such of 1797)"),
    ("inputs = inputs.astype(float); inputs[7:9, 0, 0] = -np.inf", "the input of example 7 contains -inf (2 such"),
    ("inputs, targets = inputs[:0], targets[:0]", "prepare() returned no examples"),
    ("targets = targets * 0 + 4", "all 1797 examples have the label 4; allowed: two classes or more"),
    ("targets[11] = 10", "the label of example 11 is 10 (1 such of 1797); allowed: 0 to 9"),
    ("targets[12] = -1", "the label of example 12 is -1 (1 such of 1797); allowed: 0 to 9"),
    ("targets = targets / 2", "targets are float64 of shape (1797,); allowed: whole numbers"),
    ("inputs = [['a']] * 1797", "inputs are <U1"),
    ('inputs = list(inputs[:-1]) + [["a", "b"]]', "the input of example 1796 is <U1; allowed: an array of numbers"),
    ("inputs = inputs[0, 0, 0]", "inputs are uint8 of shape ()"),
    ("names = 'ab'", "classes are 'ab'; allowed: a list of different names"),
    ("names = ['a', 'a']", "classes are ['a', 'a']"),
]


@pytest.mark.extra
def test_data(project: Project) -> None:
    before = {path: path.read_bytes() for path in (project.root / "data/prepared").iterdir()}
    good = project.read("src/tasks/digits/data.py")
    body = "    inputs, targets = table[:, :64].reshape(-1, 8, 8), table[:, 64].astype(np.int64)\n"
    body += "    names = [str(digit) for digit in range(10)]\n    # here\n"
    body += '    return {"inputs": inputs, "targets": targets, "classes": names}\n'
    head = good[: good.index("    return {")]
    for line, said in DATA:
        (project.root / "src/tasks/digits/data.py").write_text(head + body.replace("# here", line), encoding="utf-8")
        assert said in sentence(project.stage("prepare", ok=False), "prepare"), line
    assert {path: path.read_bytes() for path in (project.root / "data/prepared").iterdir()} == before


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def older(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8").replace('"schema": 1', '"schema": 9'), encoding="utf-8")


def edited(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"schema": 1,', '"schema": 1, "note": "mine",'), encoding="utf-8")


def fewer(path: Path) -> None:
    np.save(path, np.load(path)[:-1])


DAMAGE: list[tuple[str, Callable[[Path], object], str, str]] = [
    ("data/prepared/manifest.json", cut, "split", "is damaged"),
    ("data/prepared/manifest.json", older, "split", "has schema 9; allowed: schema 1"),
    ("data/prepared/targets.npy", flip, "split", "does not match its manifest"),
    ("data/split/train/inputs.npy", cut, "train", "cannot be read"),
    ("data/split/train/inputs.npy", flip, "train", "does not match its manifest"),
    ("data/split/validation/manifest.json", edited, "evaluate", "is not a valid Part record"),
    ("data/split/validation/targets.npy", flip, "evaluate", "does not match its manifest"),
    ("data/split/validation/ids.npy", Path.unlink, "evaluate", "cannot be read"),
    ("arms/candidate.json", cut, "evaluate", "is damaged"),
    ("arms/baseline.json", edited, "evaluate", "is not a valid Arm record"),
    ("arms/baseline.json", Path.unlink, "evaluate", "is missing"),
    ("predictions/candidate/predictions.npy", cut, "evaluate", "cannot be read"),
    ("predictions/baseline/predictions.npy", fewer, "evaluate", "holds 2 replicates, its record 3"),
    ("predictions/candidate/ids.npy", fewer, "evaluate", "predictions for other examples"),
    ("predictions/floors/ids.npy", fewer, "evaluate", "holds other examples"),
    ("predictions/floors/prior.npy", fewer, "evaluate", "prior"),
    ("context/environment.json", cut, "train", "is damaged"),
    ("context/baseline.json", edited, "baseline", "is not a valid AcceptedStrategy record"),
]


@pytest.mark.extra
def test_damaged_files(project: Project) -> None:
    results = project.read("results/metrics.json")
    for name, damage, stage, said in DAMAGE:
        path = project.root / name
        good = path.read_bytes()
        damage(path)
        found = sentence(project.stage(stage, ok=False), stage)
        assert said in found and path.parent.name in found and "next: " in found, (name, found)
        path.write_bytes(good)
    assert project.read("results/metrics.json") == results

    # Under DVC none of this needs a person: it sees that an output is not the one it knows.
    before = digests(project)
    for name, damage in (("data/split/validation/targets.npy", flip), ("predictions/candidate/predictions.npy", cut)):
        damage(project.root / name)
    (project.root / "arms/baseline.json").unlink()
    project.dvc("repro")
    assert digests(project) == before


def test_a_failed_evaluate_says_how_to_bring_the_results_back(project: Project) -> None:
    results = project.read("results/metrics.json")
    project.edit("src/tasks/digits/metrics.py", "return float(correct", "return undefined(correct")
    done = project.dvc("exp", "run", ok=False)
    assert "NameError" in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert not (project.root / "results/metrics.json").exists(), "DVC removes what a stage is about to write"
    said = next(line for line in done.stderr.splitlines() if line.startswith("assay: "))
    command = said.partition("to bring them back: ")[2]
    project.run(*command.split())
    assert project.read("results/metrics.json") == results


def test_preparing_again_to_other_examples_is_said(project: Project) -> None:
    """Not where it gives the same, and not where code or parameters changed."""
    said = "the same code, parameters and files gave other examples before"
    assert said not in project.stage("prepare").stdout + project.stage("prepare").stdout
    drawn = '"targets": np.random.default_rng().permutation(table[:, 64]).astype(np.int64),'
    project.edit("src/tasks/digits/data.py", '"targets": table[:, 64].astype(np.int64),', drawn)
    assert said not in project.stage("prepare").stdout
    assert "next: seed what prepare() draws" in project.stage("prepare").stdout


@pytest.mark.parametrize("stage", ["context", "prepare", "split", "baseline", "train", "evaluate"])
def test_full_disk(project: Project, stage: str) -> None:
    """Writing fails in the middle of a file: one sentence, and no file is left half-written."""
    limit = 16 if stage in ("context", "evaluate") else 3000
    done = subprocess.run(
        ["assay", "stage", stage],
        cwd=project.root,
        env=environment(project.home),
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    lines = done.stderr.strip().splitlines()
    processes = 3 if stage == "baseline" else 2  # floors and the strategy's own code each meet the full disk
    assert lines[-1].startswith(f"assay: {stage}: ") and len(lines) <= processes, done.stderr
    assert "File too large" in lines[0] and "free some space" in lines[0]
    assert not list(project.root.rglob(".*.npy.*")), "no scratch file stays"
    project.stage(stage)


@pytest.mark.extra
@pytest.mark.parametrize("place", ["", "trees", "replicates"])
def test_a_cache_that_takes_nothing(tried: Project, tmp_path: Path, place: str) -> None:
    """A file where a folder should be, as root may write everywhere. The numbers are right, and one line says why."""
    expected = digests(tried)
    spoilt = tried.root / ".dvc/tmp/assay" / place
    shutil.rmtree(tried.root / ".dvc/tmp/assay")
    spoilt.parent.mkdir(exist_ok=True)
    spoilt.write_text("mine", encoding="utf-8")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    done = tried.dvc("repro", "-f", TMPDIR=str(temporary))
    assert digests(tried) == expected, "no number depends on the cache"
    said = done.stdout + done.stderr
    assert "Traceback" not in said and said.count("nothing is kept for re-use") == 1
    assert f"context: nothing is kept for re-use: {spoilt} is no folder; next: rm '{spoilt}'\n" in said
    assert "changed against strategy/first: lr 0.003 → 0.02" in said, "the accepted strategy's files were read"
    assert [path.name for path in temporary.iterdir()] == [], "what takes the cache's place goes with its process"
    assert spoilt.read_text(encoding="utf-8") == "mine"

    tried.run("sh", "-c", said.partition("is no folder; next: ")[2].partition("\n")[0])
    assert "nothing is kept" not in tried.dvc("repro", "-f").stdout
    assert digests(tried) == expected and (tried.root / ".dvc/tmp/assay/trees").is_dir()


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unwritable for root")
def test_a_cache_that_may_not_be_written(project: Project) -> None:
    expected, cache = digests(project), project.root / ".dvc/tmp/assay"
    shutil.rmtree(cache)
    cache.mkdir(mode=0o500)
    said = project.dvc("repro", "-f").stdout
    assert (
        f"nothing is kept for re-use: {cache} cannot be written (Permission denied); next: chmod u+rwx '{cache}'"
        in said
    )
    assert digests(project) == expected and not list(cache.iterdir())
