"""A CSV file of a million rows and 18 columns, strings and gaps among them, through the stages of `assay init`.

    python benchmarks/table_scale.py [--rows 1000000] [--folder FOLDER]

Seconds and peak memory of each stage, one training of one epoch. The peak is that of the operating system, so files
that are mapped count. Not covered: other forms of data (`data_scale.py`).
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow
from numpy.typing import NDArray
from pyarrow import csv

ASSAY = str(Path(sys.executable).with_name("assay"))
CHANGES = {"replicates: 5": "replicates: 1", "epochs: 20": "epochs: 1", "batch_size: 32": "batch_size: 1024"}


def written(path: Path, rows: int) -> None:
    """Twelve columns of numbers, five of categories, and a label of two classes; two cells of a hundred are empty."""
    chance = np.random.default_rng(0)
    numbers = chance.normal(size=(rows, 12)).round(4)
    kinds = [np.array([f"town {number}" for number in range(count)]) for count in (40, 40, 40, 500, 500)]
    label = np.where(numbers[:, 0] * numbers[:, 1] + 0.3 * chance.normal(size=rows) > 0, "yes", "no")

    def gaps() -> NDArray[np.bool_]:
        return np.asarray(chance.random(rows) < 0.02)

    columns = {f"n{place}": pyarrow.array(numbers[:, place], mask=gaps()) for place in range(12)}
    for place, names in enumerate(kinds):
        drawn = names[chance.integers(0, len(names), rows)]
        columns[f"c{place}"] = pyarrow.array(drawn.tolist(), mask=gaps())
    csv.write_csv(pyarrow.table({**columns, "label": pyarrow.array(label.tolist())}), path)


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--folder", type=Path)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        # apart, as the peak of a child begins with that of its parent
        making = multiprocessing.get_context("spawn").Process(target=written, args=(folder / "rows.csv", given.rows))
        making.start()
        making.join()
        for command in (["git", "init", "--quiet"], [ASSAY, "init", "rows.csv"]):
            subprocess.run(command, cwd=folder, check=True)
        params = folder / "params.yaml"
        text = params.read_text(encoding="utf-8")
        for old, new in CHANGES.items():
            text = text.replace(old, new)
        params.write_text(text, encoding="utf-8")
        print("stage     wall, s   CPU, s   peak, MiB")
        for stage in ("context", "prepare", "split", "baseline", "train"):
            begun = time.perf_counter()
            running = subprocess.Popen([ASSAY, "stage", stage], cwd=folder, stdout=subprocess.DEVNULL)
            _, status, used = os.wait4(running.pid, 0)
            if status:
                raise SystemExit(f"{stage} ended with {os.waitstatus_to_exitcode(status)}")
            wall, cpu = time.perf_counter() - begun, used.ru_utime + used.ru_stime
            print(f"{stage:9} {wall:7.1f}  {cpu:7.1f}  {used.ru_maxrss / 1024:9.0f}", flush=True)


if __name__ == "__main__":
    main()
