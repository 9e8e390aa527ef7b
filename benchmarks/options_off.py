"""What options of the recipe cost while they are off: checkouts train the same by turns, in processor seconds.

    python benchmarks/options_off.py FOLDER FOLDER … [--repeats 7] [--epochs 60]

Give folders of checkouts, such as of the commit before an option came and of today's. Each trains ten replicates of a
perceptron one after another, and ten of them fused, on scikit-learn's digits, in one thread. What a training of one
epoch takes is taken off, and with it the start of the process. Printed is the throughput over that of the first folder:
the median of the pairs, with the smallest and the largest.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

TRAIN = "from nets import Bench; Bench('perceptron', epochs={epochs}).run(10, '{way}')"


def seconds(folder: Path, way: str, epochs: int) -> float:
    """Processor seconds of one measurement with the code of `folder`."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": f"{folder / 'src'}{os.pathsep}{folder / 'benchmarks'}",
    }
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code = TRAIN.format(epochs=epochs, way=way)
    subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=lambda text: Path(text).resolve())
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=60)
    asked = parser.parse_args()
    for way in ("sequential", "fused"):
        found: dict[Path, list[float]] = {folder: [] for folder in asked.folders}
        for turn in range(asked.repeats):
            for folder in asked.folders if turn % 2 else asked.folders[::-1]:
                found[folder].append(seconds(folder, way, asked.epochs) - seconds(folder, way, 1))
        first, *others = asked.folders
        print(f"{way}: {first.name} {statistics.median(found[first]):.2f} s")
        for folder in others:
            ratios = [one / other for one, other in zip(found[first], found[folder], strict=True)]
            took, middle = statistics.median(found[folder]), statistics.median(ratios)
            print(
                f"{way}: {folder.name} {took:.2f} s, throughput {middle:.3f} ({min(ratios):.3f}–{max(ratios):.3f})",
                flush=True,
            )


if __name__ == "__main__":
    main()
