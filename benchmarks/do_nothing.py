"""Seconds of a `dvc exp run` in which nothing has changed, in several checkouts by turns.

Give folders of projects whose `.venv` has everything installed, such as clones of two commits. Each is run once first,
so that nothing is left to train. Printed are the median with the smallest and the largest of `--repeats` turns,
processor seconds of all children, and how much more the median is than that of the first folder.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import time
from pathlib import Path


def run(folder: Path) -> tuple[float, float]:
    """Seconds by the clock, and of processors, of one run. Raises CalledProcessError where it fails."""
    environment = {**os.environ, "PATH": f"{folder / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("VIRTUAL_ENV", None)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([str(folder / ".venv/bin/dvc"), "exp", "run"], cwd=folder, env=environment, check=True, stdout=-3)
    after, taken = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - began
    return taken, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def said(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="+", type=lambda text: Path(text).resolve())
    parser.add_argument("--repeats", type=int, default=9)
    asked = parser.parse_args()
    for folder in asked.folders:
        run(folder)
    found: dict[Path, list[tuple[float, float]]] = {folder: [] for folder in asked.folders}
    for turn in range(asked.repeats):
        for folder in asked.folders[:: 1 if turn % 2 else -1]:
            found[folder].append(run(folder))
    print("| folder | seconds | processor seconds | more than the first |\n| --- | --- | --- | --- |")
    first = statistics.median(one for one, _ in found[asked.folders[0]])
    for folder, times in found.items():
        clock, processor = [one for one, _ in times], [one for _, one in times]
        more = statistics.median(clock) - first
        print(f"| {folder.name} | {said(clock)} | {said(processor)} | {more:+.2f} |")


if __name__ == "__main__":
    main()
