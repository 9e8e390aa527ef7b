"""What `assay watch` shows: curves and logs read while they grow, screens, lines, events. No run is needed for it."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from assay.commands.watch_arms import ArmPlan, ArmWatch, Pace
from assay.core.schemas import Divergence
from assay.replicates import live_arm, training_progress
from assay.replicates.live_arm import LiveArm
from assay.replicates.replicate_result import OWN_LOOP, Outcome, Point
from assay.replicates.training_progress import Progress
from assay.report import sparkline, watch_events, watch_text
from assay.report.watched_run import (
    CACHED,
    DIVERGED,
    DONE,
    TRAINING,
    WAITING,
    WatchedArm,
    WatchedExperiment,
    WatchedPoint,
    WatchedReplicate,
    WatchedResult,
)
from assay.runtime import stage_processes
from assay.runtime.appended_lines import AppendedLines
from assay.training.data_wait import DataWait


def outcome(number: int, **more: object) -> Outcome:
    given = {"seed": number + 70, "execution": "fused", "seconds": 1.234, "steps": 20, "weights": b"", **more}
    return Outcome(number=number, **given)  # type: ignore[arg-type]


def test_what_training_writes_is_read_again(tmp_path: Path) -> None:
    """Every line of the two files that says how far an arm is, as training itself writes it."""
    curves, log = tmp_path / "curves.csv", tmp_path / "log"
    live = LiveArm(curves, log)
    assert live.read() == [] and live.modified == 0
    progress = Progress(curves, log, 12, replicates=4)
    progress.points([(0, 70, Point(1, 0.5, 0.7)), (1, 71, Point(1, math.nan, 0.6, {"train kl, a": 2.0}))])
    wait = DataWait(progress.log, iter([0.0, 1.0, 1.5, 2.0, 2.5, 10.0]).__next__)
    assert list(wait.batches("a")) == ["a"]
    wait.tell(1, last=True)
    progress.log("epoch 1: accelerator 87 % busy, peak memory 1048576 bytes")
    found = live.read()
    assert [(one.replicate, one.seed, one.epoch, one.validation) for one in found] == [(0, 70, 1, 0.7), (1, 71, 1, 0.6)]
    assert found[1].more == {"train kl, a": 2.0} and math.isnan(found[1].train) and found[1].shown == 0.6
    assert (live.busy, live.device_memory, live.data_wait) == (87, 1048576, 0.1)

    progress.finished(outcome(0))
    progress.finished(outcome(1, diverged=Divergence(epoch=1, step=3, tensor="loss")))
    progress.finished(outcome(2, reused=True))
    progress.finished(outcome(3, execution=OWN_LOOP, curve=[Point(2, 0.1, math.nan, {"f1": 0.5})]))
    progress.log("replicate 2 | replicate 9 (seed 1): taken from the cache")  # printed by a loop of the task's own
    assert live.read() == []
    assert {number: (end.seed, end.how, end.seconds) for number, end in live.ended.items()} == {
        0: (70, live_arm.DONE, 1.23),
        1: (71, live_arm.DIVERGED, None),
        2: (72, live_arm.REUSED, None),
        3: (73, live_arm.DONE, 1.23),
    }
    progress.rewrite([outcome(0, curve=[Point(1, 0.5, 0.7), Point(2, 0.4, 0.6)])])
    progress.close()
    assert [one.epoch for one in live.read()] == [2], "what was known is not new, though the file was written anew"
    assert [one.epoch for one in live.curves[0]] == [1, 2] and 1 not in live.curves


def test_a_script_reports_in_its_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("replicate 0 (seed 5): reported 0.91, 12.00 s\n", encoding="utf-8")
    live = LiveArm(tmp_path / "none", tmp_path / "log")
    live.read()
    assert live.ended[0].how == live_arm.DONE and live.ended[0].seconds == 12.0


@pytest.mark.parametrize(
    "content",
    [
        b"\x00\xff\xfe" * 100,
        b"replicate,seed,epoch,train_loss,validation_loss\n\xff\xff\n1,2\n,,,,\n1,2,nan,1,1\n1,2,inf,1,1\n1,2,-1,1,1\n",
        b"other,columns\n1,2,3,4,5\n",
        b'replicate,seed,epoch,train_loss,validation_loss,"open\n0,1,1,0.5,0.5,1,2,3\n',
        b"replicate,seed,epoch,train_loss,validation_loss\n" + b"9" * 5000 + b",1,1,1,1\n",
        b"replicate " + b"9" * 5000 + b" (seed 1): taken from the cache\nepoch 1: " + b"9" * 5000 + b" % of the time\n",
        b"no line has an end" * 1000,
    ],
)
def test_bad_files_are_survived(tmp_path: Path, content: bytes) -> None:
    for name in ("curves", "log"):
        (tmp_path / name).write_bytes(content)
    watch = ArmWatch(
        ArmPlan("candidate", numbers=range(2), epochs=3), LiveArm(tmp_path / "curves", tmp_path / "log"), 0
    )
    found = watch.look(TRAINING)
    text = watch_text.screen([WatchedExperiment("x", "train", arms=(found,))], 80, 24)
    assert text[0] == "x: stage train" and all(line.isprintable() for line in text)
    (tmp_path / "curves").unlink()
    (tmp_path / "curves").mkdir()
    watch.look(TRAINING)


def test_half_a_line_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    lines = AppendedLines(path)
    assert lines.read() == (False, [])
    path.write_bytes(b"one\ntw")
    assert lines.read() == (True, ["one"])
    with path.open("ab") as stream:
        stream.write(b"o\nthree\n")
    assert lines.read() == (False, ["two", "three"]) and lines.read() == (False, [])
    path.write_bytes(b"1\n")
    assert lines.read() == (True, ["1"]), "shorter than what was read"
    (tmp_path / "new").write_bytes(b"another, longer\n")
    (tmp_path / "new").replace(path)
    assert lines.read() == (True, ["another, longer"]), "another file under the name"
    path.unlink()
    assert lines.read() == (False, []), "gone for a moment: what was read holds"


def test_a_long_curve_is_thinned(tmp_path: Path) -> None:
    rows = "".join(f"0,7,{epoch},{1 / epoch:.4g},\n" for epoch in range(1, 10_001))
    (tmp_path / "curves").write_text(training_progress.HEADER + rows, encoding="utf-8")
    live = LiveArm(tmp_path / "curves", tmp_path / "log")
    assert len(live.read()) == 10_000
    kept = live.curves[0]
    assert len(kept) <= live_arm.MOST and (kept[0].epoch, kept[-1].epoch) == (1, 10_000)


def test_sparklines() -> None:
    assert sparkline.sparkline([1, 2, 3, 4, 5, 6, 7, 8], 8) == "▁▂▃▄▅▆▇█"
    assert sparkline.sparkline([1, 1, 3, 3], 2) == "▁█"
    assert sparkline.sparkline([100, 10, 1], 8) == "█▅▁", "orders of magnitude"
    assert sparkline.sparkline([5, 5], 8) == "▁▁" and sparkline.sparkline([], 8) == sparkline.sparkline([1], 0) == ""
    assert sparkline.sparkline([0, 1], 8, (0, 2), sparkline.PLAIN) == "_="
    assert sparkline.mean([[1, 2, 3], [3, 4], []]) == [2, 3] and sparkline.mean([]) == []
    assert sparkline.extent([[1, 2], [-1]]) == (-1, 2) and sparkline.extent([[]]) is None
    assert sparkline.sparkline([1e-320, 1e308, 1], 3) != ""


def test_time_left_follows_the_pace_of_the_last_minute() -> None:
    pace = Pace(1000.0)
    assert pace.seconds_left(1001.0, 0, 100) is None, "nothing is done"
    assert pace.seconds_left(1010.0, 10, 100) == pytest.approx(90)
    for second in range(1011, 1080):
        left = pace.seconds_left(second, 10 + 0.5 * (second - 1010), 100)
    assert left == pytest.approx((100 - 44.5) / 0.5, rel=0.05), "it became slower, and that counts"
    assert pace.seconds_left(1081.0, 120, 100) is None, "more than was planned: nobody knows"


CURVE = (0.9, 0.6, 0.4, 0.3)
RUN = WatchedExperiment(
    experiment="wide",
    stage="train",
    base="1a2b3c",
    changed=("lr 0.003 → 0.01", "model.hidden 64 → 128"),
    spent=72.0,
    arms=(
        WatchedArm(
            "baseline",
            "strategy/mlp",
            DONE,
            2,
            20,
            tuple(WatchedReplicate(n, CACHED, 7, 20, 0.2, 0.3, None, CURVE) for n in range(2)),
        ),
        WatchedArm(
            "candidate",
            "",
            TRAINING,
            5,
            20,
            (
                WatchedReplicate(0, DONE, 70, 20, 0.1234567, 0.25, 12.5, CURVE),
                WatchedReplicate(1, DIVERGED, 71, 3, 9.5, None, None, (0.9, 9.9)),
                WatchedReplicate(2, TRAINING, 72, 4, 0.4, 0.5, None, CURVE),
                WatchedReplicate(3, WAITING),
                WatchedReplicate(4, WAITING),
            ),
            seconds_left=84.2,
            accelerator=87,
            device_memory=1_288_490_188,
            data_wait=0.031,
            new=(WatchedPoint(2, 72, 4, 0.4, None, {"f1": 0.5}),),
        ),
    ),
    processors=1.94,
    of_processors=2,
    memory=851_443_712,
)
SCREEN = """\
wide: stage train, 1 min 12 s so far
  lr 0.003 → 0.01 · model.hidden 64 → 128
  baseline strategy/mlp: 2 of 2 replicates, 2 from the cache
    mean  of 2    train 0.2  validation 0.3  ▃▂▂▁
    0     cached  train 0.2  validation 0.3  ▃▂▂▁
    1     cached  train 0.2  validation 0.3  ▃▂▂▁
  candidate: 2 of 5 replicates, 1 diverged, epoch 4 of 20, about 1 min 24 s left
    mean  of 1      train 0.1235  validation 0.25  ▃▂▂▁
    0     done      train 0.1235  validation 0.25  ▃▂▂▁
    1     diverged  train 9.5                      ▃█
    2     epoch 4   train 0.4     validation 0.5   ▃▂▂▁
    … and 2 more: 2 waiting
  1.9 of 2 processors busy · 812 MiB of memory · accelerator 87 % busy, 1.2 GiB · 3 % of the time waiting for data"""


def test_the_screen() -> None:
    shown = watch_text.screen([RUN], 120, 40)
    assert "\n".join(shown) == SCREEN
    narrow = watch_text.screen([RUN, RUN], 40, 14)
    assert len(narrow) <= 14 and max(map(len, narrow)) <= 40 and narrow[-1].startswith("… and ")
    plain = watch_text.screen([RUN], 120, 40, sparkline.PLAIN)
    assert not set("".join(plain)) & set(sparkline.BLOCKS)


def test_many_replicates_leave_room_for_those_at_work() -> None:
    many = tuple(WatchedReplicate(n, TRAINING if n == 3 else DONE, n, 20, 0.1, 0.2, 1.0, CURVE) for n in range(100))
    shown = watch_text.screen(
        [WatchedExperiment("big", "train", arms=(WatchedArm("candidate", "", TRAINING, 100, 20, many),))], 80, 24
    )
    assert len(shown) <= 24 and any(line.startswith("    3     epoch 20") for line in shown)
    assert shown[-1].strip().startswith("… and ") and shown[-1].endswith(" done")


def test_names_of_others_cannot_draw() -> None:
    name = "x\x1b[2J\n\u202eevil"
    says = WatchedReplicate(0, TRAINING, says="epoch 1\x1b[31m red " + "long " * 50)
    run = WatchedExperiment(
        name, "tr\x07ain", changed=(name,), arms=(WatchedArm("candidate", name, TRAINING, 1, 1, (says,)),)
    )
    shown = [*watch_text.screen([run], 100, 30), watch_text.line(run), watch_text.ended(name, None)]
    assert all(line.isprintable() for line in shown) and max(map(len, shown[:-2])) <= 100


def test_one_line() -> None:
    assert watch_text.line(RUN) == (
        "wide: train: candidate: 2 of 5 replicates, 1 diverged, epoch 4 of 20, about 1 min 24 s left; "
        "1.9 of 2 processors busy · 812 MiB of memory · accelerator 87 % busy, 1.2 GiB · "
        "3 % of the time waiting for data"
    )
    assert watch_text.line(WatchedExperiment("wide", "")) == "wide: DVC is at work"
    result = WatchedResult("progress", "accuracy", "accuracy-1.d5fcde12", "strategy/mlp", 0.97, 0.03, 0.02, 0.04)
    assert watch_text.ended("wide", result) == (
        "wide: progress  accuracy 0.9700  +0.0300 against strategy/mlp; next: assay report wide"
    )
    assert watch_text.ended("wide", None).endswith("; next: assay status")
    assert watch_text.ended("assay accept", None) == "assay accept has ended; next: assay log"


def test_events() -> None:
    first = list(watch_events.of_look({}, [RUN], progress=True))
    assert [one["event"] for one in first] == [
        "stage",
        "replicate",
        "replicate",
        "epoch",
        "replicate",
        "replicate",
        "progress",
    ]
    assert first[0] == {
        "event": "stage",
        "experiment": "wide",
        "base": "1a2b3c",
        "changed": ["lr 0.003 → 0.01", "model.hidden 64 → 128"],
        "stage": "train",
    }
    head = {"experiment": "wide", "arm": "candidate"}
    point = {"replicate": 2, "seed": 72, "epoch": 4, "train_loss": 0.4, "values": {"f1": 0.5}}
    assert first[3] == {"event": "epoch", **head, **point}
    assert first[4] == {"event": "replicate", **head, "replicate": 0, "seed": 70, "state": "done", "seconds": 12.5}
    told = first[-1]
    assert (told["processors_busy"], told["processors"], told["memory"], told["seconds"]) == (1.94, 2, 851443712, 72.0)
    arm = told["arms"][1]
    assert (arm["ended"], arm["diverged"], arm["replicates"], arm["epoch"], arm["epochs"]) == (2, 1, 5, 20, 20)
    assert (arm["seconds_left"], arm["accelerator_busy"], arm["data_wait"]) == (84.2, 87, 0.031)
    again = list(watch_events.of_look({"wide": RUN}, [RUN], progress=False))
    assert [one["event"] for one in again] == ["epoch"], "stages and ends are told once"
    assert watch_events.of_end("wide", None) == {"event": "ended", "experiment": "wide"}


def test_command_lines() -> None:
    own = [sys.executable, "/env/bin/assay"]
    assert stage_processes.is_stage([*own, "stage", "train"]) and not stage_processes.is_stage([*own, "status"])
    for words, label in (
        (["python", "/env/bin/dvc", "exp", "run", "--temp"], "dvc exp run"),
        (["python", "-m", "dvc", "repro", "train"], "dvc repro"),
        (["python", "-m", "dvc", "exp", "show"], ""),
        (["python", "-m", "dvc", "exp", "queue-worker", "dvc-exp-local-1"], "dvc queue"),
        ([*own, "sweep", "lr=1,2"], "assay sweep"),
        ([*own, "watch"], ""),
        ([*own], ""),
        (["vim", "stage"], ""),
    ):
        assert stage_processes.label_of(words) == label


def test_what_a_process_takes() -> None:
    meter, code = stage_processes.UseMeter(), "print(1, flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None and child.stdout.read(1) == b"1"
            first = meter.read(stage_processes.ProcessTable(), [os.getpid()])
            for _ in range(40):
                table = stage_processes.ProcessTable()
            second = meter.read(table, [os.getpid()])
            assert first is not None and first.processors is None and first.memory > 10 * 2**20
            assert second is not None and second.processors is not None and 0 < second.processors < 64
            assert child.pid in table.below([os.getpid()])
        finally:
            child.kill()
    assert meter.read(stage_processes.ProcessTable(), []) is None


def test_neither_torch_nor_numpy() -> None:
    code = "import sys, assay.cli.watch_run; sys.exit(bool({'torch', 'numpy', 'scipy', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_file_in_the_place_of_another_with_its_number_begins_anew(tmp_path: Path) -> None:
    """A file system gives the number of a file that is gone to the next one: rows were then read from its middle."""
    path = tmp_path / "curves.csv"
    path.write_text("a,1\nb,1\na,2\n", encoding="utf-8")
    lines = AppendedLines(path)
    assert lines.read() == (True, ["a,1", "b,1", "a,2"])
    with path.open("r+", encoding="utf-8") as same:
        same.write("a,1\na,2\nb,1\nb,2\n")
    assert lines.read() == (True, ["a,1", "a,2", "b,1", "b,2"])
    with path.open("a", encoding="utf-8") as more:
        more.write("b,3\n")
    assert lines.read() == (False, ["b,3"])
