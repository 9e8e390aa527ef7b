"""A replicate is trained once, never believed when damaged, and missed by nobody when the cache is gone."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from miniature import Make, Project, digits

from assay.commands.restore_weights import Stored, lost
from assay.core.schemas import Measurement
from assay.replicates import assemble_measurement, cache_entries, cache_pruning, replicate_cache
from assay.replicates import train_and_eval_examples as samples
from assay.replicates.cache_pruning import Pruned
from assay.runtime.file_locks import Lock
from assay.training import autotune_execution, missing_replicates, training_loop
from assay.training.train_and_predict import measure

SOURCE = Path(__file__).parents[2] / "src"
HERE = Path(__file__).parent


def cached(project: Project, numbers: list[int], out: str = "out", **more: object) -> Measurement:
    return project.measure(numbers, out, cache=str(project.root / "cache"), **more)


def trained(answer: Measurement) -> list[int]:
    return [one.number for one in answer.replicates if not one.reused]


def cached_files(project: Project) -> list[Path]:
    return sorted(path for path in (project.root / "cache").rglob("*") if path.is_file())


def test_growing_from_3_to_10_trains_exactly_7(make: Make) -> None:
    project = make()
    assert trained(cached(project, [0, 1, 2])) == [0, 1, 2]
    answer = cached(project, list(range(10)), "more")
    assert trained(answer) == [3, 4, 5, 6, 7, 8, 9]
    project.measure(list(range(10)), "afresh")
    assert np.array_equal(project.predictions("more"), project.predictions("afresh"))
    assert [project.weights(n, "more") for n in range(10)] == [project.weights(n, "afresh") for n in range(10)]
    assert (project.root / "more/curves.csv").read_text() == (project.root / "afresh/curves.csv").read_text()
    cached(project, list(range(10)), "third")
    assert (project.root / "third/curves.csv").read_text() == (project.root / "afresh/curves.csv").read_text()
    assert any("3 of 10 replicates were trained before" in line for line in project.report)


@pytest.mark.parametrize(
    "change",
    [
        {"code": "other"},
        {"environment": "elsewhere"},
        {"purpose": "confirmation"},
        {"seed": 2},
        {"profile": "fast"},
        {"lr": 0.02},
        {"model": {"hidden": 8}},
        {"train": {"weight_decay": 0.1}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_makes_the_weights_is_in_the_name(make: Make, change: dict) -> None:
    project = make()
    cached(project, [0])
    asked = {
        name: value for name, value in change.items() if name in ("code", "environment", "purpose", "seed", "profile")
    }
    project.set(**{name: value for name, value in change.items() if name not in asked})
    assert trained(cached(project, [0], "other", **asked)) == [0]


def test_other_training_data_trains_again(make: Make) -> None:
    project = make()
    cached(project, [0])
    project.part("train", digits(0, 199))
    assert trained(cached(project, [0])) == [0]


@pytest.mark.parametrize("change", [{"machine": {"execution": "fused"}}, {"replicates": 9}, {"judge": {"alpha": 0.01}}])
def test_what_does_not_make_the_weights_is_not(make: Make, change: dict) -> None:
    project = make()
    cached(project, [0, 1])
    project.set(**change)
    assert trained(cached(project, [0, 1], execution="fused")) == []


def test_new_validation_examples_cost_an_inference(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make()
    cached(project, [0, 1])
    project.part("validation", digits(1200, 1290))
    project.measure([0, 1], "afresh")
    monkeypatch.setattr(training_loop, "train", None)
    for out in ("first", "second"):
        assert trained(cached(project, [0, 1], out)) == []
        assert np.allclose(project.predictions(out), project.predictions("afresh"), atol=1e-6)
    monkeypatch.setattr(missing_replicates.training_loop, "predict", None)
    cached(project, [0, 1], "third")


def test_the_executions_of_reused_replicates_are_kept(make: Make) -> None:
    project = make()
    cached(project, [0, 1], execution="fused")
    answer = cached(project, [0, 1, 2], "more", execution="sequential")
    assert [(one.execution, one.reused) for one in answer.replicates] == [
        ("fused", True),
        ("fused", True),
        ("sequential", False),
    ]


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "swap", "forge"])
def test_a_damaged_entry_is_discarded_and_trained_again(make: Make, damage: str) -> None:
    project = make()
    cached(project, [0, 1])
    expected = project.predictions(), project.weights(0), project.weights(1)
    files = [path for path in cached_files(project) if path.name == "weights"]
    assert len(files) == 2
    raw = files[0].read_bytes()
    if damage == "swap":
        files[0].write_bytes(files[1].read_bytes())
    elif damage == "forge":
        cache_entries.seal(files[0], b"\x08\0\0\0\0\0\0\0nonsense" + raw[100:])
    else:
        position = len(raw) // 2
        flipped = raw[:position] + bytes([raw[position] ^ 1]) + raw[position + 1 :]
        files[0].write_bytes({"flip": flipped, "truncate": raw[:position], "empty": b""}[damage])
    answer = cached(project, [0, 1], "again")
    assert len(trained(answer)) == 1
    assert np.array_equal(project.predictions("again"), expected[0])
    assert (project.weights(0, "again"), project.weights(1, "again")) == expected[1:]
    assert trained(cached(project, [0, 1], "third")) == []


def test_damaged_predictions_are_made_again(make: Make) -> None:
    project = make()
    cached(project, [0])
    expected = project.predictions()
    (kept,) = (path for path in cached_files(project) if path.name not in ("weights", "memo"))
    kept.write_bytes(kept.read_bytes()[:-1])
    assert trained(cached(project, [0], "again")) == []
    assert np.allclose(project.predictions("again"), expected, atol=1e-6)


def test_without_the_cache_everything_is_the_same_again(make: Make) -> None:
    project = make()
    cached(project, [0, 1])
    assert cache_pruning.prune(project.root / "cache", 0).freed > 0
    assert cached_files(project) == []
    assert trained(cached(project, [0, 1], "again")) == [0, 1]
    assert project.weights(0) == project.weights(0, "again")


def test_what_was_decided_outlives_the_cache(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Timed anew another way could come out, with other last bits."""
    project = make(train={"epochs": 1})
    cached(project, [0, 1, 2], execution="auto")
    shutil.rmtree(project.root / "cache")
    monkeypatch.setattr(autotune_execution, "_decide", lambda *_asked, **_more: pytest.fail("decided anew"))
    answer = cached(project, [0, 1, 2], "again", execution="auto")
    assert trained(answer) == [0, 1, 2]
    assert all(project.weights(number) == project.weights(number, "again") for number in range(3))


def test_the_last_decisions_are_kept(tmp_path: Path) -> None:
    for number in range(5):
        cache_entries.seal(tmp_path / str(number), b"")
        os.utime(tmp_path / str(number), ns=(0, number))
    cache_entries.keep_newest(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["3", "4"]


def test_a_diverged_replicate_is_a_result_and_is_kept(make: Make) -> None:
    source = (SOURCE / "tasks/digits/learning.py").read_text() + (
        "\ndef augment(inputs, targets, generator):\n"
        "    return inputs * (float('nan') if torch.initial_seed() == int(os.environ['BREAK']) else 1.0), targets\n"
        "import os\n"
    )
    project = make(source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BREAK", "-1")
        seed = project.measure([1]).replicates[0].seed
        patch.setenv("BREAK", str(seed))
        first = cached(project, [0, 1])
        second = cached(project, [0, 1], "again")
    assert first.replicates[1].diverged is not None
    assert second.replicates[1].diverged == first.replicates[1].diverged and trained(second) == []
    assert any("replicate 1" in line and "diverged" in line for line in project.report)


def test_a_task_with_its_own_loop_is_kept_for_the_examples_it_predicted(make: Make) -> None:
    project = make("""
        import numpy as np
        def fit(params, data, seed):
            return lambda inputs: np.random.default_rng(seed).dirichlet(np.ones(10), len(inputs))
    """)
    assert trained(cached(project, [0, 1])) == [0, 1]
    assert trained(cached(project, [0, 1])) == []
    project.part("validation", digits(1200, 1290))
    assert trained(cached(project, [0, 1])) == [0, 1]


def test_a_cache_that_cannot_be_written_costs_no_result(make: Make) -> None:
    project = make()
    (project.root / "cache").write_text("a file where a folder should be")
    answer = cached(project, [0, 1])
    assert trained(answer) == [0, 1] and len(answer.texts()) == 1
    assert "cannot be written" in answer.texts("uncached")[0]


def test_a_full_disk_costs_no_result_and_leaves_nothing_half_written(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make()

    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(cache_entries, "seal", full)
    answer = cached(project, [0, 1])
    assert answer.texts("uncached") == [
        f"nothing is kept for re-use: {project.root}/cache/replicates cannot be written (No space left on device)"
    ]
    assert [path for path in cached_files(project) if path.suffix != ".lock"] == []
    monkeypatch.undo()
    assert trained(cached(project, [0, 1])) == [0, 1]


def test_pruning_drops_what_was_longest_out_of_use(make: Make) -> None:
    project = make()
    cached(project, [0, 1, 2])
    root = project.root / "cache" / "replicates"
    for memo in root.glob("*/memo"):
        shutil.rmtree(memo.parent)
    by_age = cache_pruning.found(project.root / "cache")
    assert len(by_age) == 3
    for age, one in enumerate(by_age):
        for child in one.path.iterdir():
            os.utime(child, (1000 + age, 1000 + age))
    cache_entries.used(by_age[0].path / "weights")
    pruned = cache_pruning.prune(project.root / "cache", sum(one.size for one in by_age) - 1)
    assert pruned == Pruned(by_age[1].size, 0)
    assert not by_age[1].path.exists() and by_age[0].path.exists() and by_age[2].path.exists()
    assert cache_pruning.prune(project.root / "cache", 10**9) == Pruned(0, 0)


def test_all_of_the_cache_is_bounded_after_a_training(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replicates were, trees and the like were not: the oldest goes, whatever it is, and locks of the dead with it."""
    project = make()
    cached(project, [0])
    kept = sum(one.size for one in cache_pruning.found(project.root / "cache"))
    old, new = (project.root / "cache" / "trees" / name for name in ("old", "new"))
    for age, tree in ((1000, old), (2_000_000_000, new)):
        (tree / "src").mkdir(parents=True)
        (tree / "src" / "file").write_bytes(bytes(5000))
        os.utime(tree, (age, age))
    dead = project.root / "cache" / "replicates" / f"{'0' * 32}.lock"
    dead.touch()
    monkeypatch.setattr(cache_pruning, "LIMIT", 2 * kept + 9000)
    assert trained(cached(project, [1])) == [1]
    assert not old.exists() and new.exists() and not dead.exists()
    assert trained(cached(project, [0, 1])) == []


WANTING = """
import sys
sys.path[:0] = [{source!r}]
from pathlib import Path
import msgspec
from assay.training.train_and_predict import measure
from assay.core.schemas import MeasureRequest
request = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=MeasureRequest)
answer = measure(request, Path({root!r}))
print(*(one.number for one in answer.replicates if not one.reused))
"""


def test_two_processes_train_each_replicate_once(make: Make) -> None:
    project = make(train={"epochs": 40})
    started = []
    for out in ("one", "two"):
        request = project.request([0, 1, 2, 3], out, cache=str(project.root / "cache"))
        file = project.root / f"{out}.json"
        file.write_bytes(msgspec.json.encode(request))
        code = WANTING.format(source=str(SOURCE), root=str(project.root))
        started.append(subprocess.Popen([sys.executable, "-c", code, str(file)], stdout=subprocess.PIPE, text=True))
    said = [process.communicate(timeout=120)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0]
    assert sorted(" ".join(said).split()) == ["0", "1", "2", "3"]
    assert np.array_equal(project.predictions("one"), project.predictions("two"))


def test_who_waits_for_another_process_says_so(make: Make) -> None:
    """Which here lets go untrained as soon as it is waited for, and after a while at the latest."""
    project = make()
    request = project.request([0, 1], cache=str(project.root / "cache"))
    settings = assemble_measurement.requested(request, project.root)
    theirs = replicate_cache.store(request, settings, samples.read(request, settings), [])
    assert theirs.claim([1]) == [1]
    said: list[str] = []
    late = threading.Timer(20, theirs.close)
    late.start()

    def report(line: str) -> None:
        said.append(line)
        theirs.close()

    answer = measure(request, project.root, report)
    late.cancel()
    assert said == ["waiting for replicate 1, which another process trains"]
    assert said[0] in (project.root / "out/train.log").read_text().splitlines()
    assert trained(answer) == [0, 1]


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    code = (
        f"import sys, time; sys.path.insert(0, {str(SOURCE)!r})\n"
        "from pathlib import Path\nfrom assay.runtime.file_locks import Lock\n"
        f"lock = Lock.take(Path({str(tmp_path / 'entry')!r}), wait=True)\nprint('held', flush=True)\ntime.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    assert Lock.take(tmp_path / "entry", wait=False) is None
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    lock = Lock.take(tmp_path / "entry", wait=False)
    assert lock is not None
    lock.release()
    again = Lock.take(tmp_path / "entry", wait=False)
    assert again is not None
    again.release()


def test_weights_of_grouped_examples_are_found_again(make: Make) -> None:
    """Groups are no part of a replicate's name in the cache: what looks there must not read them."""
    project = make()
    grouped = replace(digits(0, 200), groups=np.array([f"writer {number // 10}" for number in range(200)]))
    project.part("train", grouped)
    answer = cached(project, [0, 1])
    shutil.rmtree(project.root / "out/models")
    stored = Stored(answer, project.root / "out/models", project.root / "out/curves.csv", "here", 1)
    parts = (project.root / "data" / name for name in ("train", "validation"))
    assert lost(stored, project.root / "cache/replicates", *parts) == {}
