"""`assay data` on many examples: time, memory, and how much of what was planted it finds.

    python benchmarks/data_trust.py [--examples 1000000] [--numbers 64] [--classes 10]

Examples are points around centres of classes, in float32. 1 % of the labels in train and validation are wrong; 0.5 %
of the validation part are near copies of training examples. Memory is the peak of what the process holds beyond the
page cache (RssAnon); Linux only. A second row is with `--texts`: sentences of 20 words, near copies differ in one word.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from assay.core.paths import PARTS, ProjectPaths
from assay.data import arrow_rows, arrow_sources, content_hash, storage
from assay.data.storage import Examples
from assay.runtime import example_ids

WRONG, COPIED = 0.01, 0.005
SHARES = {"train": 0.7, "validation": 0.2, "test": 0.1}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--examples", type=int, default=1_000_000)
    asked.add_argument("--numbers", type=int, default=64)
    asked.add_argument("--classes", type=int, default=10)
    asked.add_argument("--texts", action="store_true")
    asked.add_argument("--folder", type=Path, help="where the project is written; kept")
    options = asked.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp())
    planted = make(folder, options)
    started = time.perf_counter()
    found, peak = measured(folder)
    print(f"{options.examples:,} examples: {time.perf_counter() - started:.0f} s, {peak / 2**20:,.0f} MiB")
    suspects = {(one["part"], one["id"]) for one in found["suspects"]}
    wrong = {(part, name) for part, names in planted["wrong"].items() for name in names}
    hit = len(suspects & wrong)
    print(f"wrong labels: {hit} of {len(wrong)} found, {len(suspects) - hit} others suspected")
    print(f"near copies: {found['near_across'].get('validation-train', 0)} of {planted['copies']} found")
    if options.folder is None:
        shutil.rmtree(folder)


def make(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    """A project with three parts and no pipeline; what was planted."""
    rng = np.random.default_rng(0)
    (folder / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
    (folder / "params.yaml").write_text("lr: 0.1\nreplicates: 2\nseed: 1\nmetric: {name: accuracy}\n", encoding="utf-8")
    subprocess.run(["git", "init", "-q", folder], check=True)
    quiet = ["git", "-C", folder, "-c", "user.name=Bench", "-c", "user.email=bench@example.org"]
    subprocess.run([*quiet, "commit", "-q", "--allow-empty", "-m", "Start"], check=True)
    layout, first, wrong, copies = ProjectPaths(folder), None, {}, 0
    words = np.array([f"word{number}" for number in range(5_000)])
    centres = rng.standard_normal((options.classes, options.numbers), dtype=np.float32)
    for part, share in SHARES.items():
        count = round(share * options.examples)
        truth = rng.integers(0, options.classes, count)
        near = rng.choice(count, round(COPIED * count), replace=False) if part == "validation" else []
        if options.texts:
            drawn = (rng.integers(0, 400, (count, 20)) + 400 * truth[:, None]) % 5_000
            if len(near):
                source = rng.choice(len(first[0]), len(near), replace=False)
                drawn[near], truth[near] = first[0][source], first[1][source]
                drawn[near, 7] = rng.integers(0, 5_000, len(near))
            raw = drawn
        else:
            raw = centres[truth] + 1.2 * rng.standard_normal((count, options.numbers), dtype=np.float32)
            if len(near):
                source = rng.choice(len(first[0]), len(near), replace=False)
                raw[near] = first[0][source] + 0.03 * rng.standard_normal((len(near), options.numbers), np.float32)
                truth[near] = first[1][source]
        copies += len(near)
        first = (raw, truth) if first is None else first
        labels = truth.copy()
        changed = rng.choice(count, round(WRONG * count), replace=False) if part != "test" else []
        labels[changed] = (labels[changed] + rng.integers(1, options.classes, len(changed))) % options.classes
        layout.part(part).mkdir(parents=True)
        inputs = raw if not options.texts else texts(words, raw, layout.part(part))
        keys = content_hash.row_keys(raw) if not options.texts else inputs.keys()
        ids = example_ids.from_keys(keys)
        names = tuple(f"class{number}" for number in range(options.classes))
        storage.write(layout.part(part), part, Examples(ids, inputs, labels, classes=names))
        wrong[part] = ids[changed].tolist() if len(changed) else []
    return {"wrong": wrong, "copies": copies}


def texts(words: np.ndarray, drawn: np.ndarray, folder: Path) -> arrow_rows.ArrowRows:
    return arrow_sources.texts((" ".join(words[row]) for row in drawn), folder / storage.ARROW)


def measured(folder: Path) -> tuple[dict[str, list[dict[str, str]]], int]:
    """What `assay data --json` prints, and the peak of RssAnon in bytes."""
    command = [sys.executable, "-m", "assay", "data", "--json", "--most", "1000000"]
    peak = [0]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE) as run:
        threading.Thread(target=watch, args=(run, peak), daemon=True).start()
        assert run.stdout is not None
        said = run.stdout.read()
    assert not run.returncode, run.returncode
    seconds = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    print(f"processor time: {seconds:.0f} s; parts: {', '.join(PARTS)}; {os.cpu_count()} cores")
    return json.loads(said), peak[0]


def watch(run: subprocess.Popen[bytes], peak: list[int]) -> None:
    while run.poll() is None:
        try:
            lines = Path(f"/proc/{run.pid}/status").read_text(encoding="utf-8").split("\n")
        except OSError:
            return
        held = next((int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)
        peak[0] = max(peak[0], held * 1024)
        time.sleep(0.05)


if __name__ == "__main__":
    main()
