"""Ten replicates together over one after another, side by side in rounds; and a group that grows from 3 to 10.

    python benchmarks/throughput.py [--rounds 5] [--replicates 10] [--device cuda]

Times one measurement: trials, proofs, training, writing, but not the import of torch. Each arm runs with the
faster of one and all threads, which its first runs find. Gains are those of the clock, as `auto` may use several
processors: the machine should have nothing else to do.
"""

from __future__ import annotations

import argparse
import os
from statistics import median
from typing import Any

from nets import NETS, Bench, machine, middle
from tabulate import tabulate

ARMS = ("sequential", "fused", "auto")
GROWN = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--replicates", type=int, default=10)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--nets", nargs="+", default=NETS, choices=NETS)
    asked = parser.parse_args()
    print(machine())
    rows = [compared(net, asked) for net in asked.nets]
    head = ["net", *(f"{arm}, s" for arm in ARMS), "fused gains", "auto gains", "auto trains"]
    print(tabulate(rows, head, tablefmt="github"), "\n")
    print(
        tabulate([grown(net, asked) for net in asked.nets], ["net", "3 → 10, s", "÷ sequential", "trained"], "github")
    )
    print(machine())


def compared(net: str, asked: argparse.Namespace) -> list[str]:
    """One row: seconds of each arm, gains over sequential, what `auto` chose."""
    bench = benched(net)
    threads = {arm: faster(bench, arm, asked) for arm in ARMS}
    found: dict[str, list[dict[str, Any]]] = {arm: [] for arm in ARMS}
    for _ in range(asked.rounds):
        for arm in ARMS:
            found[arm].append(bench.run(asked.replicates, arm, threads[arm], asked.device))
    cost = {arm: median(one["measure"] for one in runs) for arm, runs in found.items()}
    chosen = sorted({one["way"] for one in found["auto"]})
    gains = [f"{cost['sequential'] / cost[arm]:.2f}" for arm in ("fused", "auto")]
    row = [net, *(middle([one["measure"] for one in found[arm]]) for arm in ARMS), *gains, " or ".join(chosen)]
    print(row, threads, flush=True)
    return row


def grown(net: str, asked: argparse.Namespace) -> list[str]:
    """One row: training seconds of what is missing from ten replicates when three are there, over those of all ten."""
    bench = benched(net)
    threads = faster(bench, "sequential", asked)
    seconds: dict[str, list[float]] = {"grown": [], "whole": []}
    trained = set()
    for number in range(asked.rounds):
        cache = str(bench.root / f"cache{number}")
        bench.run(GROWN, "sequential", threads, asked.device, cache)
        more = bench.run(asked.replicates, "sequential", threads, asked.device, cache)
        seconds["grown"].append(more["training"])
        trained.add(asked.replicates - more["reused"])
        seconds["whole"].append(bench.run(asked.replicates, "sequential", threads, asked.device)["training"])
    ratio = median(seconds["grown"]) / median(seconds["whole"])
    return [net, middle(seconds["grown"]), f"{ratio:.2f}", " or ".join(map(str, sorted(trained)))]


#: epochs of a net: the default's twenty, fewer where steps are slower
EPOCHS = {"perceptron": 20, "wide": 2}


def benched(net: str) -> Bench:
    return Bench(net, epochs=EPOCHS.get(net, 5))


def faster(bench: Bench, arm: str, asked: argparse.Namespace) -> int:
    """Threads, one or all, with which `arm` is sooner done."""
    counts = (1, os.cpu_count() or 1)
    return min(counts, key=lambda count: bench.run(asked.replicates, arm, count, asked.device)["measure"])


if __name__ == "__main__":
    main()
