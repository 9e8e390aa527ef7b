"""`assay compare` on TensorBoard's event files: PyTorch's scalars and Keras', cut off, damaged, several of one run."""

from __future__ import annotations

import base64
import json
import re
import struct
from pathlib import Path

import pytest

from assay.core.errors import UsageError
from assay.runtime import tensorboard_events

#: written by tensorboard 2.21.0: val/acc 0.2 at step 0 and 0.9 at 10, loss -1.25 at 10, keras/acc 0.75 at 300 as a
#: tensor, and a histogram
REAL = (
    "SAAAAAAAAAD+kkidCSZg8wVhw9pBGg1icmFpbi5FdmVudDoyUi4KLHRlbnNvcmJvYXJkLnN1bW1hcnkud3JpdGVyLmV2ZW50"
    "X2ZpbGVfd3JpdGVyjm9pcBsAAAAAAAAAGg2eEwkAAAAAAAD4PyoQCg4KB3ZhbC9hY2MVzcxMPvd6NagqAAAAAAAAAK6NkfUJ"
    "AAAAAAAABEAQCiodCg4KB3ZhbC9hY2MVZmZmPwoLCgRsb3NzFQAAoL88xZW8NAAAAAAAAABeMxdcCQAAAAAAAAhAEKwCKiYK"
    "JAoJa2VyYXMvYWNjQgoIARIAKgQAAEA/SgsKCQoHc2NhbGFyc7fhmksgAAAAAAAAACntqVAJAAAAAAAADEAQBSoTChEKBGhp"
    "c3QqCREAAAAAAADwP5njE2A="
)


def field(number: int, kind: int, content: bytes) -> bytes:
    length = bytes([len(content)]) if kind == 2 else b""
    return bytes([number << 3 | kind]) + length + content


def record(step: int, tag: str, value: float, wall_time: float = 1.0) -> bytes:
    """One event as torch's SummaryWriter writes it."""
    said = field(1, 2, tag.encode()) + field(2, 5, struct.pack("<f", value))
    event = field(1, 1, struct.pack("<d", wall_time)) + field(2, 0, bytes([step])) + field(5, 2, field(1, 2, said))
    length = struct.pack("<Q", len(event))
    checksums = (tensorboard_events._masked(tensorboard_events._crc32c(part)) for part in (length, event))
    first, second = (struct.pack("<I", one) for one in checksums)
    return length + first + event + second


def write(name: str, content: bytes) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_a_file_of_tensorboards_own(tmp_path):
    content = base64.b64decode(REAL)
    whole = write(f"{tmp_path}/events.out.tfevents.1", content)
    found = {"val/acc": 0.9, "loss": -1.25, "keras/acc": 0.75}
    assert tensorboard_events.last_scalars([whole]) == found
    later = write(f"{tmp_path}/events.out.tfevents.2", record(11, "val/acc", 0.5) + record(9, "loss", 7.0))
    assert tensorboard_events.last_scalars([later, whole]) == {**found, "val/acc": 0.5}


def test_cut_off_at_any_byte_and_damaged(tmp_path):
    """A run that goes on, or was killed, has written whole records and perhaps a part of one."""
    content = record(1, "acc", 0.25) + record(2, "acc", 0.75)
    for length in range(len(content) + 1):
        path = write(f"{tmp_path}/events.out.tfevents.1", content[:length])
        if length < len(content) // 2:
            with pytest.raises(UsageError, match="holds no scalars"):
                tensorboard_events.last_scalars([path])
        else:
            assert tensorboard_events.last_scalars([path]) == {"acc": 0.75 if length == len(content) else 0.25}
    for place in range(len(content)):
        path = write(f"{tmp_path}/events.out.tfevents.1", content[:place] + b"\xff" + content[place + 1 :])
        try:
            tensorboard_events.last_scalars([path])
        except UsageError as error:
            assert "is damaged" in str(error) or "holds no scalars" in str(error)


def test_runs_of_event_files(assay):
    """One folder is one run, however often it was resumed; Lightning's steps and epochs are no metric."""
    for side, values in {"base": (0.70, 0.71, 0.69), "wide": (0.90, 0.91, 0.89)}.items():
        for run, value in enumerate(values):
            folder = f"{side}/version_{run}/events.out.tfevents"
            write(f"{folder}.1.host", record(1, "val_acc", 0.1) + record(1, "epoch", 0.0))
            write(f"{folder}.2.host", record(2, "val_acc", value) + record(2, "epoch", 1.0))
    code, out, err = assay("base/*/events*", "wide/*/events*", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["candidate"]["n"] == 3 and found["delta"] == pytest.approx(0.2) and found["metric"] == "val_acc"
    code, out, _ = assay("wide/version_0/events.out.tfevents.2.host", "--fixed", "0.5", "--json")
    assert code == 0 and json.loads(out)["candidate"]["mean"] == pytest.approx(0.9)
    write("wide/version_0/events.out.tfevents.1.host", b"no event at all, however long it is")
    code, _, err = assay("wide/*/events*", "--fixed", "0.5", "--direction", "maximize")
    assert code == 2 and "version_0/events.out.tfevents.1.host is damaged at byte 0" in err and err.count("\n") == 1


def chart(*runs: str, last: float = 0.9, metric: str = "val/acc") -> str:
    """A chart as W&B exports it: each run in three columns, of unequal lengths."""
    header = ",".join(f'"{run} - {metric}","{run} - {metric}__MIN","{run} - {metric}__MAX"' for run in runs)
    first = ",".join('"0.2","0.2","0.2"' for _ in runs)
    value = ",".join(f'"{last + place / 100}",""' + ',""' for place, _ in enumerate(runs))
    return f'"Step",{header}\n"0",{first}\n"10",{value}\n"20",{",".join(["", "", ""] * len(runs))}\n'


def test_a_chart_of_wandb(assay):
    Path("base.csv").write_text(chart("calm-sea-1", "adam - wide-2", "x", last=0.7))
    Path("wide.csv").write_text(chart("a", "b", "c", last=0.9))
    code, out, err = assay("base.csv", "wide.csv", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["baseline"]["n"] == 3 and found["baseline"]["mean"] == pytest.approx(0.71)
    assert found["delta"] == pytest.approx(0.2) and found["metric"] == "val/acc"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("wandb/run-1/run-1.wandb", "is W&B's own record of a run; allowed: files/wandb-summary.json of each run"),
        ("mlflow.db", "is a database, as MLflow writes; allowed: .* next: mlflow experiments csv --experiment-id"),
    ],
)
def test_records_that_only_their_tool_reads(assay, name, said):
    write(name, b"\x00\xff:W&B")
    for asked in (name, f"{name[:-1]}?"):
        code, _, err = assay(asked, "--fixed", "0.5", "--direction", "maximize")
        assert code == 2 and err.count("\n") == 1
        assert re.search(said, err), err
    write("wandb/run-1/files/wandb-summary.json", b"{}")
    code, _, err = assay("wandb/run-1/run-1.wandb", "--fixed", "0.5") if "wandb" in name else (2, "", "")
    assert "next: name wandb/run-1/files/wandb-summary.json" in err or "wandb" not in name
