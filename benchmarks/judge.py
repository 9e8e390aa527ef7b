"""Every number that the judge promises, measured, part by part; one table in Markdown for each part.

OMP_NUM_THREADS=1 python benchmarks/judge.py --write docs/measured/judge.md  # all parts: about 9 minutes of one core
OMP_NUM_THREADS=1 python benchmarks/judge.py --parts order,guarded        # some; `--list` names them
OMP_NUM_THREADS=1 python benchmarks/judge.py --draws 2000                 # a tenth of the draws

Seeds are fixed: the same draws give the same numbers, but for seconds. `--write` replaces the tables of the parts that
ran, between their marks in that page, with the day, the machine and the draws above each, and leaves all else there.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import judge_blocks
import judge_nulls as nulls
import judge_order
import judge_splits
import numpy as np
import scipy
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


class Simulation(NamedTuple):
    """`rows` of so many draws; `share` of the draws asked for, where each is expensive."""

    rows: Callable[[int], Iterable[Row]]
    share: float
    what: str


PARTS = {
    "pairs": Simulation(nulls.null_pairs, 1, "Pairs of real runs of one recipe: every method and n"),
    "uneven": Simulation(nulls.uneven, 1, "Normal arms of unequal n and spread, Welch"),
    "guarded": Simulation(nulls.guarded, 1 / 5, "Spreads 5:1, Student and permutation behind their guards"),
    "alike": Simulation(nulls.alike, 1 / 20, "Runs that are all alike"),
    "shapes": Simulation(nulls.broken_nulls, 1 / 5, "Nulls of another shape, which no test can hold"),
    "failures": Simulation(nulls.failure_bounds, 1, "The bound on failures beside n"),
    "cautions": Simulation(nulls.cautions_on_normal, 1 / 4, "Cautions where there is nothing to warn of"),
    "order": Simulation(judge_order.order_cautions, 1, "Order: what resembling runs do, and how often it is said"),
    "examples": Simulation(nulls.new_example_coverage, 1 / 4, "New examples"),
    "splits": Simulation(nulls.resampling, 1 / 4, "Resampled splits"),
    "drawn": Simulation(judge_splits.drawn_splits, 1 / 20, "Splits that `vary` draws"),
    "blocks": Simulation(judge_blocks.false_verdicts, 1 / 4, "Classes of machine as blocks"),
    "looks": Simulation(nulls.look_errors, 1, "Looks, declared and not"),
    "second": Simulation(nulls.second_looks, 1, "A second look"),
    "anytime": Simulation(nulls.anytime_errors, 1, "The anytime test"),
    "futility": Simulation(nulls.look_savings, 1 / 4, "Looks with futility"),
    "factorial": Simulation(nulls.factorial_errors, 1 / 5, "Factorial designs"),
    "seconds": Simulation(seconds, 1, "Seconds"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=20_000)
    parser.add_argument("--parts", default=",".join(PARTS), help="names between commas; default: all of them")
    parser.add_argument("--list", action="store_true", help="name the parts and what their rows are about")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables into this page, too")
    asked = parser.parse_args()
    if asked.list:
        print("\n".join(f"{name:10} {part.what}" for name, part in PARTS.items()))
        return
    chosen = asked.parts.split(",")
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"unknown parts {', '.join(sorted(unknown))}; allowed: {', '.join(PARTS)}")
    begin = time.process_time()
    for name in chosen:
        text = measured(name, max(1, round(asked.draws * PARTS[name].share)))
        print(f"{text}\n", flush=True)
        if asked.write:  # part by part: a run that is stopped leaves what it has
            page = asked.write.read_text(encoding="utf-8")
            asked.write.write_text(written(page, name, text), encoding="utf-8")
    print(f"{time.process_time() - begin:.0f} s of processor time in all", file=sys.stderr)


def measured(name: str, draws: int) -> str:
    """The section of one part: what it is, when and where it ran, its table."""
    begin = time.process_time()
    table = []
    for row in PARTS[name].rows(draws):
        print(row, file=sys.stderr, flush=True)
        table.append((row.what, f"{row.measured:.4f}", row.bound, "yes" if row.holds else "NO"))
    spent = time.process_time() - begin
    day = datetime.now(tz=UTC).strftime("%-d %B %Y")
    where = f"{day}, {machine()}; {draws:,} draws, {spent:.0f} s of one core"
    body = tabulate(table, ("what", "measured", "bound", "holds"), tablefmt="github", disable_numparse=True)
    return f"### {PARTS[name].what}\n\n`{name}`: {where}\n\n{body}"


def machine() -> str:
    """Processor and versions that numbers and seconds depend on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").split("\n") if info.is_file() else []
    named = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}, SciPy {scipy.__version__}"
    return f"{named or platform.machine()} ({os.cpu_count()} cores), {versions}"


def written(page: str, name: str, text: str) -> str:
    """`page` with `text` between the marks of that part; the part is added at the end where it has no marks yet."""
    first, last = f"<!-- judge.py {name} -->", f"<!-- end of {name} -->"
    block = f"{first}\n{text}\n{last}"
    if first not in page:
        return f"{page.rstrip()}\n\n{block}\n"
    before, _, rest = page.partition(first)
    return f"{before}{block}{rest.partition(last)[2]}"


if __name__ == "__main__":
    main()
