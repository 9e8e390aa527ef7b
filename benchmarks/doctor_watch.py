"""How many faulty loops the watch finds, how often it alarms on healthy ones, and what it costs.

    python benchmarks/doctor_watch.py [--seeds 3] [--only loops|cost] [--repeats 9]

Loops are those of tests/support/watch_healthy.py and watch_faulty.py. A fault counts as found where its check is among
the failures at two of three seeds, a false alarm with a warning or an error at any. The checks were written with these
loops in mind: the rates are no first sight, and no blind ones. The cost is CPU time of 1,500 steps with and without
the watch, in turns.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from assay.doctor import Report, watch
from support.watch_faulty import FAULTS
from support.watch_healthy import LOOPS

STEPS = 1_500


def watched(train: Callable[[], Any], seed: int) -> Report:
    torch.manual_seed(seed)
    with watch() as seen:
        train()
    return seen.report


def healthy(seeds: int) -> None:
    alarms: dict[str, set[str]] = {"error": set(), "warning": set()}
    for name, train in LOOPS.items():
        for seed in range(seeds):
            for one in watched(train, seed).failed:
                if one.level in alarms:
                    alarms[one.level].add(f"{name}: {one.check}")
    for level, found in alarms.items():
        print(f"healthy loops with {level}s: {len(found)} of {len(LOOPS)} {sorted(found) or ''}")


def marked(train: Any) -> int:
    """Line of the source that is marked `# here`, 0 where none is."""
    lines, first = inspect.getsourcelines(train)
    return next((first + n for n, line in enumerate(lines) if line.rstrip().endswith("# here")), 0)


def faulty(seeds: int) -> None:
    found = first = placed = with_line = count = 0
    for check, trains in FAULTS.items():
        for train in trains:
            reports = [watched(train, seed) for seed in range(seeds)]
            hits = [[one.check for one in report.failed] for report in reports]
            seen = sum(check in one for one in hits) * 3 >= 2 * seeds
            count, found = count + 1, found + seen
            first += sum(one[:1] == [check] for one in hits) * 3 >= 2 * seeds
            line = marked(train)
            with_line += bool(line)
            right = [bool(r.failed) and r.failed[0].places[:1] == [f"watch_faulty.py:{line}"] for r in reports]
            placed += bool(line) and sum(right) * 3 >= 2 * seeds
            if not seen:
                print(f"missed {check}: {train.__name__} ({hits})")
    print(f"faulty loops found: {found} of {count}; first in the report {first}; first place {placed} of {with_line}")


def program(width: int, rows: int) -> Callable[[int], None]:
    """A loop of so many steps over a network of three layers, with a loss that is read in each step."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(32, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))
    optimizer = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9)
    x, y = torch.randn(rows, 32), torch.randint(0, 10, (rows,))

    def train(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()

    return train


def seconds(train: Callable[[int], None], around: Any) -> float:
    began = time.process_time()
    with around:
        train(STEPS)
    return time.process_time() - began


def cost(repeats: int) -> None:
    torch.set_num_threads(1)
    for name, width, rows in (("small", 16, 16), ("large", 512, 128)):
        train = program(width, rows)
        seconds(train, contextlib.nullcontext())
        plain, seen = [], []
        for turn in range(repeats):
            for kind in (plain, seen) if turn % 2 else (seen, plain):
                kind.append(seconds(train, watch() if kind is seen else contextlib.nullcontext()))
        one, other = statistics.median(plain), statistics.median(seen)
        print(
            f"{name}: {one / STEPS * 1e6:.0f} µs a step without, {other / STEPS * 1e6:.0f} µs with the watch: "
            f"{other / one - 1:+.1%} (median of {repeats} runs of {STEPS} steps, CPU time)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--only", choices=("loops", "cost"))
    given = parser.parse_args()
    if given.only != "cost":
        healthy(given.seeds)
        faulty(given.seeds)
    if given.only != "loops":
        cost(given.repeats)


if __name__ == "__main__":
    main()
