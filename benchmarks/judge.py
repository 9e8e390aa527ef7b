"""Every number that the judge promises, measured; one table in Markdown.

OMP_NUM_THREADS=1 PYTHONPATH=src python benchmarks/judge.py [DRAWS]      # 20,000 draws
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import judge_nulls as nulls
import numpy as np
from judge_nulls import Row
from tabulate import tabulate

from assay.stats.arm_comparison import compare


def seconds(draws: int) -> Iterator[Row]:
    """Wall clock of one comparison and of the whole process; the median of several."""
    rng = np.random.default_rng(0)
    taken = []
    for _ in range(min(draws, 300)):
        arms = rng.normal(size=(2, 20))
        start, before = time.perf_counter(), time.process_time()
        compare(arms[0], arms[1], min_effect=0.3)
        taken.append((time.perf_counter() - start, time.process_time() - before))
    wall, cpu = (float(np.median(kind)) for kind in zip(*taken, strict=True))
    yield Row("compare, n=20, median seconds", wall, "< 0.005", wall < 0.005)
    yield Row("compare, n=20, median CPU seconds", cpu, "for comparison", True)
    runs = [_process() for _ in range(9)]
    wall, cpu = (float(np.median(kind)) for kind in zip(*runs, strict=True))
    yield Row("assay compare on two files, median seconds", wall, "< 0.5", wall < 0.5)
    yield Row("assay compare on two files, median CPU seconds", cpu, "for comparison", True)


def _process() -> tuple[float, float]:
    """Wall clock and processor seconds of one process."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{name}.csv" for name in "ab"]
        for path in paths:
            path.write_text("loss\n" + "\n".join(f"{x:.4f}" for x in nulls.POOL[:20]) + "\n")
        code = "from assay.cli.root import main; main()"
        command = [sys.executable, "-c", code, "compare", *map(str, paths), "--direction", "minimize"]
        start, before = time.perf_counter(), os.times()
        subprocess.run(command, check=True, capture_output=True)
        wall, after = time.perf_counter() - start, os.times()
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        return wall, cpu


def rows(draws: int) -> Iterator[Row]:
    yield from nulls.null_pairs(draws)
    yield from nulls.uneven(draws)
    yield from nulls.guarded(draws // 5)
    yield from nulls.alike(draws // 20)
    yield from nulls.broken_nulls(draws // 5)
    yield from nulls.failure_bounds(draws)
    yield from nulls.cautions_on_normal(draws // 4)
    yield from nulls.new_example_coverage(draws // 4)
    yield from nulls.resampling(draws // 4)
    yield from nulls.look_errors(draws)
    yield from nulls.second_looks(draws)
    yield from nulls.anytime_errors(draws)
    yield from nulls.look_savings(draws // 4)
    yield from nulls.factorial_errors(draws // 5)
    yield from seconds(draws)


def main() -> None:
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    table = []
    for row in rows(draws):
        print(row, file=sys.stderr, flush=True)
        table.append((row.what, f"{row.measured:.4f}", row.bound, "yes" if row.holds else "NO"))
    print(tabulate(table, ("what", "measured", "bound", "holds"), tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
