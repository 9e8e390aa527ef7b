"""Ten replicates together over one after another, side by side in rounds.

    python benchmarks/throughput.py [--rounds 5] [--replicates 10] [--threads 1] [--device cuda]

Times one measurement: trials, proofs, training, writing, but not the import of torch. Networks of this size
run on one thread whatever is allowed (`assay.learning.work`). CPU seconds stand beside the clock's, because
other work on a shared machine moves the clock alone; gains are those of CPU seconds on a CPU, else of the
clock's.
"""

from __future__ import annotations

import argparse
from statistics import median
from typing import Any

from nets import NETS, Bench, machine, middle
from tabulate import tabulate

ARMS = ("sequential", "fused", "auto")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--replicates", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--nets", nargs="+", default=NETS, choices=NETS)
    asked = parser.parse_args()
    print(machine())
    rows = [compared(net, asked) for net in asked.nets]
    head = ["net", *(f"{arm}, {unit}" for arm in ARMS for unit in ("s", "CPU s")), "fused gains", "auto gains", "auto"]
    print(tabulate(rows, head, tablefmt="github"))
    print(machine())


def compared(net: str, asked: argparse.Namespace) -> list[str]:
    """One row: seconds and CPU seconds of each arm, gains over sequential, what `auto` chose."""
    bench = Bench(net, epochs=20 if net == "perceptron" else 5)  # the default's twenty, fewer where steps are slower
    found: dict[str, list[dict[str, Any]]] = {arm: [] for arm in ARMS}
    for _ in range(asked.rounds):
        for arm in ARMS:
            found[arm].append(bench.run(asked.replicates, arm, asked.threads, asked.device))
    unit = "cpu" if asked.device == "cpu" else "measure"
    cost = {arm: median(one[unit] for one in runs) for arm, runs in found.items()}
    row = [net]
    for arm in ARMS:
        row += [middle([one["measure"] for one in found[arm]]), middle([one["cpu"] for one in found[arm]])]
    chosen = sorted({one["execution"] for one in found["auto"]})
    gains = [f"{cost['sequential'] / cost[arm]:.2f}" for arm in ("fused", "auto")]
    print(row := [*row, *gains, " or ".join(chosen)], flush=True)
    return row


if __name__ == "__main__":
    main()
