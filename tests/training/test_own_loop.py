"""A loop of the task's own: what it is given, what it says, what it leaves."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from miniature import Make, Project, digits, some_ids

from assay.core.errors import UsageError
from assay.core.schemas import FOREGROUND
from assay.data.storage import Examples
from assay.replicates.replicate_result import Point
from assay.replicates.training_progress import Progress
from assay.runtime import fork_safety, parent_watch
from assay.training import device

HEAD = """
import torch
from torch import nn
from torch.utils.data import DataLoader

def preprocess(inputs):
    return inputs / 16

"""
LOOP = (
    HEAD
    + """
def fit(params, data, seed, log):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, data.outputs))
    optimizer = torch.optim.SGD(model.parameters(), lr=params["lr"] * 20)
    for epoch in range(params["train"]["epochs"]):
        for inputs, targets in DataLoader(data.train, batch_size=params["train"]["batch_size"], shuffle=True):
            loss = nn.functional.cross_entropy(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        log(epoch, loss=loss, accuracy=0.5, **{"odd, name": epoch})
    print("trained", seed)
    return model
"""
)


def curves(project: Project, out: str = "out") -> list[dict[str, str]]:
    with (project.root / out / "curves.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def log(project: Project, out: str = "out") -> str:
    return (project.root / out / "train.log").read_text()


def test_a_loop_trains_and_says_how(make: Make) -> None:
    project = make(LOOP)
    answer = project.measure([0, 1])
    assert [one.execution for one in answer.replicates] == ["task", "task"] and answer.weights == 650
    one, two = project.predictions()
    assert one.shape == (60, 10) and np.allclose(one.sum(1), 1, atol=1e-5) and not np.array_equal(one, two)
    rows = curves(project)
    assert [(row["replicate"], row["epoch"]) for row in rows] == [("0", "0"), ("0", "1"), ("1", "0"), ("1", "1")]
    assert all(float(row["train_loss"]) > 0 and row["validation_loss"] == "" for row in rows)
    assert [row["odd, name"] for row in rows] == ["0", "1", "0", "1"] and {row["accuracy"] for row in rows} == {"0.5"}
    assert f"replicate 1 | trained {answer.replicates[1].seed}" in log(project)
    project.measure([1], "again", execution=FOREGROUND)
    assert np.array_equal(project.predictions("again")[0], two), "in the foreground it is the same training"
    assert project.weights(1) == project.weights(1, "again")


BAD_ENDS = {
    "a bug": ("raise ValueError('of mine')", r"fit\(\) fails with ValueError: of mine at .*learning.py:\d+$"),
    "killed": ("os.kill(os.getpid(), 9)", r"the process of replicate 0, in which fit\(\) ran, was ended by signal 9"),
    "left": ("os._exit(3)", "ended with exit code 3"),
    "exit": ("sys.exit(1)", r"fit\(\) leaves with sys.exit\(1\)"),
    "nothing": ("return None", r"fit\(\) returns NoneType"),
    "shape": ("return lambda inputs: inputs[:, 0]", r"function of fit\(\) returns \(60, 8\); allowed: \(60, 10\)"),
    "predictor": ("return lambda inputs: inputs.nothing", r"fails with AttributeError: .* at .*learning.py:\d+"),
    "no holdout": ("data.holdout", r"no share is set; next: set train.holdout: 0.1 in params.yaml"),
    "old name": ("data.inputs", r"it is data.train.inputs"),
    "text": ("log('soon')", r"log\(\): epoch is 'soon'"),
    "no number": ("log(1, loss='low')", r"log\(\): loss is 'low' \(str\)"),
    "many": ("log(1, loss=torch.ones(3))", r"loss is tensor.* \(Tensor of shape \(3,\)\)"),
    "breakpoint": ("raise bdb.BdbQuit", "a breakpoint found no terminal: .*; next: assay check --stage train"),
    "taken": ("log(1, seed=3)", r"no value can be called 'seed'"),
}


@pytest.mark.parametrize("name", BAD_ENDS)
def test_what_goes_wrong_is_one_sentence(make: Make, name: str) -> None:
    body, said = BAD_ENDS[name]
    project = make(
        f"import bdb, os, sys, torch\ndef fit(params, data, seed, log):\n    print('so far', flush=True)\n    {body}\n"
    )
    with pytest.raises(UsageError, match=said) as caught:
        project.measure([0], cache=str(project.root / "cache"))
    assert "\n" not in caught.value.sentence and "replicate 0 | so far" in log(project)
    assert not (project.root / "out" / "answer.json").exists()
    assert not (project.root / "cache/checkpoints").exists() or not list((project.root / "cache/checkpoints").iterdir())
    if name == "a bug":
        assert "replicate 0 | ValueError: of mine" in log(project), "all of the traceback"


def test_a_process_of_its_own_for_each(make: Make) -> None:
    """Which leaves nothing behind in the next one, and nothing at work."""
    source = """
    import os, subprocess
    import torch
    seen = []

    def fit(params, data, seed, log):
        seen.append(seed)
        assert len(seen) == 1 and os.getpid() != int(os.environ["TESTS"])
        torch.ones(500, 500) @ torch.ones(500, 500)
        sleeper = subprocess.Popen(["sleep", "600"])
        print("sleeper", sleeper.pid)
        return lambda inputs: torch.rand(len(inputs), 10).softmax(1)
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESTS", str(os.getpid()))
        answer = make(source).measure([0])
    assert any("left process" in text and "sleep 600" in text for text in answer.texts())


def test_a_log_for_each_replicate(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it runs, with secrets masked; from the cache as it was printed then; nothing of other replicates stays."""
    monkeypatch.setenv("THEIR_API_KEY", "hunter2-hunter2")
    source = LOOP.replace('print("trained", seed)', "import os; print('seed', seed, os.environ['THEIR_API_KEY'])")
    project = make(source)
    cache, logs = str(project.root / "cache"), project.root / "logs"
    answer = project.measure([0, 1], cache=cache, logs=str(logs))
    expected = {f"{one.number}.log": f"seed {one.seed} ***\n" for one in answer.replicates}
    assert {path.name: path.read_text() for path in logs.iterdir()} == expected
    shutil.rmtree(logs)
    (project.root / "again").mkdir()
    (project.root / "again/7.log").write_text("another one's")
    more = project.measure([0, 1, 2], "second", cache=cache, logs=str(project.root / "again"))
    assert [one.reused for one in more.replicates] == [True, True, False]
    expected["2.log"] = f"seed {more.replicates[2].seed} ***\n"
    assert {path.name: path.read_text() for path in (project.root / "again").iterdir()} == expected
    failing = make("def fit(params, data, seed, log):\n    print('so far', flush=True)\n    raise ValueError\n")
    with pytest.raises(UsageError):
        failing.measure([0], logs=str(failing.root / "logs"))
    assert (failing.root / "logs/0.log").read_text().startswith("so far\n")
    plain = make()
    plain.measure([0], logs=str(plain.root / "logs"))
    assert [path.name for path in (plain.root / "logs").iterdir()] == ["README.txt"]


def test_a_secret_in_a_line_without_end_is_masked_wherever_it_is_cut(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THEIR_API_KEY", "sesame-open")
    project = make(
        "import os, torch\ndef fit(params, data, seed, log):\n"
        "    print(os.environ['THEIR_API_KEY'] * 20_000, end='')\n"
        "    return lambda inputs: torch.ones(len(inputs), 10) / 10\n"
    )
    project.measure([0])
    assert "***" in log(project) and "sesame" not in log(project) and "open" not in log(project)


@pytest.mark.extra  # imports torch once more, which takes longer than all other tests here
def test_a_fresh_process_where_a_copy_is_not_safe(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this process reaches a copy: every generator and the number of threads are those of a new one."""
    drawn = "python=random.random(), numpy=np.random.rand(), threads=torch.get_num_threads()"
    project = make("\nimport random\nimport numpy as np" + LOOP.replace("accuracy=0.5", drawn))
    project.measure([0], "copy")
    monkeypatch.setattr(fork_safety, "can_fork", lambda _known: False)
    project.measure([0], "fresh")
    assert project.weights(0, "copy") == project.weights(0, "fresh")
    assert curves(project, "copy") == curves(project, "fresh")


def test_a_copy_after_torch_used_threads(make: Make) -> None:
    """Without its pool given back first, the copy would wait for threads that it does not have."""
    with device.threads(2):
        (torch.ones(1000, 1000) @ torch.ones(1000, 1000)).exp().sum()
        before = fork_safety.native_threads()
        assert fork_safety.can_fork(()) and fork_safety.native_threads() < before
        make(
            "import torch\ndef fit(params, data, seed, log):\n    torch.set_num_threads(2)\n"
            "    (torch.ones(1000, 1000) @ torch.ones(1000, 1000)).exp().sum()\n"
            "    return lambda inputs: torch.ones(len(inputs), 10) / 10\n"
        ).measure([0])


def test_no_copy_of_a_process_that_asked_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fork_safety.can_fork(())
    monkeypatch.setattr(fork_safety, "libraries", lambda: {"/usr/lib/libcuda.so.1"})
    assert not fork_safety.can_fork(())
    monkeypatch.undo()
    stop = threading.Event()
    other = threading.Thread(target=stop.wait, name="of the task")
    other.start()
    try:
        assert not fork_safety.can_fork(()) and fork_safety.strange_threads(()) != []
    finally:
        stop.set()
        other.join()


def test_values_that_are_not_finite_are_said_and_not_drawn(make: Make) -> None:
    source = """
    import numpy as np, torch
    def fit(params, data, seed, log):
        log(1, loss=torch.tensor(0.5), val_loss=np.float32(0.25))
        log(2, loss=float("nan"), train_loss=1, val_loss=3)
        log(2, holdout_loss=4)
        log(epoch=3.5, accuracy=float("inf"))
        log(4, epoch=4.01, accuracy=1)
        return lambda inputs: torch.ones(len(inputs), 10) / 10
    """
    project = make(source)
    answer = project.measure([0], execution=FOREGROUND)
    rows = [tuple(row.values())[2:] for row in curves(project)]
    assert rows == [
        ("1", "0.5", "0.25", "", ""),
        ("2", "1", "4", "", ""),
        ("3.5", "", "", "", ""),
        ("4", "", "", "", "1"),
    ]
    assert [text for text in answer.texts() if "is nan" in text or "is inf" in text] == [
        "replicate 0: loss is nan at epoch 2: no point is drawn where it is",
        "replicate 0: accuracy is inf at epoch 3.5: no point is drawn where it is",
    ]
    cached = {"cache": str(project.root / "cache")}
    for out in ("one", "two"):
        project.measure([0], out, execution=FOREGROUND, **cached)
        assert [tuple(row.values())[2:] for row in curves(project, out)] == rows


def grouped(count: int) -> Examples:
    return replace(digits(0, count), groups=np.array([f"g{number // 4}" for number in range(count)]))


HELD = """
import numpy as np, torch
def fit(params, data, seed, log):
    print("held", *data.holdout.ids)
    print("kept", *data.train.ids)
    return lambda inputs: torch.ones(len(inputs), 10) / 10
"""


def held(project: Project, **more: object) -> list[list[str]]:
    project.measure([0], execution=FOREGROUND, **more)
    found = project.root / "found"
    return [line.split()[1:] for line in found.read_text().splitlines()]


def test_the_holdout_is_cut_by_content(make: Make) -> None:
    source = HELD.replace("print(", "print(file=open('FOUND', 'a'), *[").replace("ids)", "ids])")
    project = make(source, train={"holdout": 0.25})
    path = project.root / "src/tasks" / project.task / "learning.py"
    path.write_text(path.read_text().replace("FOUND", str(project.root / "found")))
    project.part("train", grouped(200))
    out, kept = held(project)
    assert 20 < len(out) < 80 and len(out) + len(kept) == 200 and not set(out) & set(kept)
    group = dict(zip(grouped(200).ids.tolist(), grouped(200).groups.tolist(), strict=True))
    assert not {group[name] for name in out} & {group[name] for name in kept}, "groups stay whole"
    project.part("train", grouped(400))
    (project.root / "found").unlink()
    more, _ = held(project)
    assert set(more) & set(group) == set(out), "when the data grow each example keeps its place"
    project.set(split={"by": "order"})
    (project.root / "found").unlink()
    last, _ = held(project)
    assert last == grouped(400).ids[-100:].tolist(), "the future is held out"


def test_a_holdout_is_never_ignored(make: Make) -> None:
    source = "def fit(params, data, seed):\n    return lambda inputs: inputs\n"
    with pytest.raises(UsageError, match=r"train.holdout is"):
        make(source, train={"holdout": 0.1}).measure([0], execution=FOREGROUND)


def test_what_data_offers(make: Make) -> None:
    source = (
        HEAD
        + """
def fit(params, data, seed, log):
    assert data.classes == tuple("0123456789") and data.outputs == 10 and data.shape == (8, 8)
    assert data.train.inputs.shape == (200, 8, 8) and data.train.inputs.max() <= 1
    assert data.train.targets.dtype == torch.int64 and len(data.train) == len(data.train.ids) == 200
    one, target = data.train[-1]
    assert torch.equal(one, data.train.inputs[199]) and target == data.train.targets[199]
    assert len(list(data.train)) == 200 and data.device.type == "cpu" and data.checkpoints.is_dir()
    (inputs, targets), *_ = DataLoader(data.train, batch_size=7, num_workers=1, collate_fn=data.train.collate)
    assert inputs.shape == (7, 8, 8) and targets.shape == (7,)
    assert params["train"]["optimizer"] == "adam" and params["lr"] == 0.01
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Softmax(1))
"""
    )
    answer = make(source).measure([0])
    assert any("are probabilities already, and stay as they are" in text for text in answer.texts())


def test_dict_batches_and_outputs_with_logits(make: Make) -> None:
    """As models of transformers take and give them; padded by the task's collate()."""
    source = """
    import torch
    from torch import nn
    from types import SimpleNamespace
    from torch.utils.data import DataLoader
    def decode(example):
        return torch.from_numpy(example[: 1 + int(example[0]) % 5].copy())
    def collate(examples):
        ids = nn.utils.rnn.pad_sequence(examples, batch_first=True)
        return {"input_ids": ids, "attention_mask": (ids != 0).float()}
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Embedding(50, 2)
        def forward(self, input_ids=None, attention_mask=None):
            return SimpleNamespace(logits=(self.body(input_ids) * attention_mask[..., None]).mean(1))
    def fit(params, data, seed, log):
        model = Model()
        for batch, targets in DataLoader(data.train, batch_size=8, collate_fn=data.train.collate):
            assert model(**batch).logits.shape == (len(targets), 2)
        return model
    """
    project = make(source)
    for name, count in (("train", 60), ("validation", 20)):
        tokens = np.random.default_rng(count).integers(1, 50, (count, 6))
        ids = some_ids(count, 0 if name == "train" else 500)
        project.part(name, Examples(ids, tokens, tokens[:, 0] % 2, classes=("a", "b")))
    project.measure([0], execution=FOREGROUND)
    assert project.predictions().shape == (1, 20, 2)


def test_values_scores_and_tables(make: Make) -> None:
    source = """
    import torch
    def fit(params, data, seed, log):
        assert data.classes is None and data.train.targets.dtype == torch.float32
        return torch.nn.Sequential(torch.nn.Linear(4, 1), torch.nn.Flatten(0))
    """
    project = make(source)
    for name, start, count in (("train", 0, 50), ("validation", 100, 20)):
        inputs = np.random.default_rng(start).normal(size=(count, 4))
        project.part(name, Examples(some_ids(count, start), inputs, inputs.sum(1)))
    project.measure([0], execution=FOREGROUND)
    assert project.predictions().shape == (1, 20)
    scored = make(
        source.replace("    def fit", "    def score(outputs, targets): return (outputs - targets).abs()\n    def fit")
    )
    for name in ("train", "validation"):
        shutil.copytree(project.root / "data" / name, scored.root / "data" / name, dirs_exist_ok=True)
    scored.measure([0], execution=FOREGROUND)
    targets = np.load(project.root / "data/validation/targets.npy")
    assert np.allclose(scored.predictions(), np.abs(project.predictions() - targets), atol=1e-5)


LOADED = (
    LOOP
    + """
def load(params, weights):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    model.load_state_dict(weights)
    return model
"""
)


def test_new_examples_are_only_predicted_where_the_task_can_load(make: Make) -> None:
    project = make(LOADED)
    cache = str(project.root / "cache")
    first = project.measure([0], cache=cache)
    old = project.predictions()
    project.part("validation", digits(1000, 1090))
    again = project.measure([0], cache=cache)
    assert not first.replicates[0].reused and again.replicates[0].reused
    assert project.predictions().shape == (1, 90, 10) and np.allclose(project.predictions()[:, :60], old, atol=1e-6)
    assert " | trained" not in log(project) and [row["epoch"] for row in curves(project)] == ["0", "1"]


def test_a_load_that_makes_another_model_is_said_and_not_used(make: Make) -> None:
    project = make(LOADED.replace("    model.load_state_dict(weights)\n", ""))
    cache = str(project.root / "cache")
    answer = project.measure([0], cache=cache, execution=FOREGROUND)
    assert ["load() predicts otherwise" in text for text in answer.texts("caution")] == [True]
    project.part("validation", digits(1000, 1090))
    assert not project.measure([0], cache=cache, execution=FOREGROUND).replicates[0].reused


def test_a_function_that_drops_out_is_said(make: Make) -> None:
    source = LOOP.replace("nn.Flatten(),", "nn.Flatten(), nn.Dropout(0.5),").replace(
        "return model\n", "return lambda inputs: model(inputs).softmax(1)\n"
    )
    answer = make(source).measure([0], execution=FOREGROUND)
    assert answer.texts("caution") == [
        "what fit() returns predicts the same examples otherwise when asked again: is it in eval()?"
    ]


RESUMING = """
import os, torch
def fit(params, data, seed, log):
    place = data.checkpoints / "last.pt"
    state = torch.load(place) if place.exists() else {"epoch": 0, "sum": torch.zeros(10)}
    for epoch in range(state["epoch"], 4):
        if epoch == 2 and not place.exists() or epoch == 2 and os.environ.get("KILL"):
            os.kill(os.getpid(), 9)
        state = {"epoch": epoch + 1, "sum": state["sum"] + torch.arange(10) * (epoch + 1)}
        log(epoch, loss=10 - epoch)
        torch.save(state, place)
    return lambda inputs: state["sum"].softmax(0).expand(len(inputs), 10)
"""


def test_a_killed_replicate_resumes_from_its_checkpoint(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make(RESUMING)
    cache = project.root / "cache"
    monkeypatch.setenv("KILL", "yes")
    with pytest.raises(UsageError, match="signal 9"):
        project.measure([0], cache=str(cache))
    assert len(list(cache.glob("checkpoints/*/files/last.pt"))) == 1
    with pytest.raises(UsageError, match="signal 9"):
        project.measure([0], cache=str(cache), code="other code")
    assert "resumes" not in log(project), "a checkpoint is for the code that wrote it"
    monkeypatch.delenv("KILL")
    project.measure([0], cache=str(cache))
    assert "replicate 0 resumes" in log(project) and [row["epoch"] for row in curves(project)] == ["0", "1", "2", "3"]
    assert len(list(cache.glob("checkpoints/*/files"))) == 1, "the one of the other code; this one is sealed"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_nothing_outlives_the_process_that_measures(make: Make, how: signal.Signals) -> None:
    source = """
    import os, pathlib, subprocess, time
    def fit(params, data, seed, log):
        sleeper = subprocess.Popen(["sleep", "600"], start_new_session=True)
        pathlib.Path(os.environ["PIDS"]).write_text(f"{os.getppid()} {os.getpid()} {sleeper.pid} ")
        time.sleep(600)
    """
    project = make(source)
    pids = project.root / "pids"
    child = os.fork()
    if not child:
        os.environ["PIDS"] = str(pids)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            project.measure([0])
        finally:
            os._exit(7)
    until = time.monotonic() + 60
    while not (pids.exists() and pids.read_text().endswith(" ")) and time.monotonic() < until:
        time.sleep(0.02)
    os.kill(child, how)
    os.waitpid(child, 0)
    theirs = [int(pid) for pid in pids.read_text().split()]
    while any(map(parent_watch.alive, theirs)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not [pid for pid in theirs if parent_watch.alive(pid)]


@pytest.mark.extra
def test_the_doctor_in_a_loop_changes_nothing(make: Make) -> None:
    looked = LOOP.replace(
        "    for epoch in",
        "    from assay.doctor import examine\n"
        "    loader = DataLoader(data.train, batch_size=32, shuffle=True)\n"
        "    print('findings', len(examine(model, nn.functional.cross_entropy, optimizer, loader).findings))\n"
        "    for epoch in",
    )
    plain, examined = make(LOOP), make(looked)
    for project in (plain, examined):
        project.measure([0])
    assert int(log(examined).partition(" | findings ")[2].split()[0]) > 10
    assert plain.weights(0) == examined.weights(0) and curves(plain) == curves(examined)


def test_the_foreground_is_this_process(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a debugger can stop it, as `assay check` wants."""
    source = """
    import os, torch
    def fit(params, data, seed, log):
        assert os.getpid() == int(os.environ["TESTS"])
        return lambda inputs: torch.ones(len(inputs), 10) / 10
    """
    monkeypatch.setenv("TESTS", str(os.getpid()))
    make(source).measure([0], execution=FOREGROUND)
    with pytest.raises(UsageError, match="AssertionError"):
        make(source).measure([0])


def test_progress_counts_epochs_of_a_loop(tmp_path: Path) -> None:
    progress = Progress(tmp_path / "curves.csv", tmp_path / "log", 6, replicates=2)
    for epoch in (1, 1.5, 2):
        progress.said(0, 7, Point(epoch, 0.5, float("nan"), {"=odd": 1.0}))
    assert progress.done.line(0).startswith("train: 0 of 2 replicates, epoch 2 of 3, about ")
    progress.close()
    assert (tmp_path / "curves.csv").read_text().splitlines() == [
        "replicate,seed,epoch,train_loss,validation_loss,'=odd",
        "0,7,1,0.5,,1",
        "0,7,1.5,0.5,,1",
        "0,7,2,0.5,,1",
    ]


def test_accelerators_that_start_later_are_seeded(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each replicate would draw alike there."""
    seeds: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds.append)
    answer = make(LOOP).measure([0], execution=FOREGROUND)
    assert seeds == [answer.replicates[0].seed]
