"""Ten replicates together over the faster of one after another: seconds of training, side by side in rounds.

    python benchmarks/throughput.py [--rounds 5] [--replicates 10] [--device cuda]

Every arm runs at one thread and at all threads, in processes of its own, and counts with the faster; a
round runs all arms, so that other work on the machine meets them alike.
"""

from __future__ import annotations

import argparse
import os
from statistics import median

from nets import NETS, Bench, machine, middle
from tabulate import tabulate

ARMS = ("sequential", "fused", "auto")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--replicates", type=int, default=10)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--nets", nargs="+", default=NETS, choices=NETS)
    asked = parser.parse_args()
    print(machine())
    rows = []
    for net in asked.nets:
        bench = Bench(net)
        times: dict[tuple[str, int], list[float]] = {}
        made: dict[str, str] = {}
        for _ in range(asked.rounds):
            for arm in ARMS:
                for threads in sorted({1, os.cpu_count() or 1}):
                    found = bench.run(asked.replicates, arm, threads, asked.device)
                    times.setdefault((arm, threads), []).append(found["training"])
                    made[arm] = found["execution"]
        best = {
            arm: min((median(taken), taken) for (name, _), taken in times.items() if name == arm)[1] for arm in ARMS
        }
        gain = median(best["sequential"]) / median(best["fused"])
        chosen = median(best["sequential"]) / median(best["auto"])
        rows.append([net, *(middle(best[arm]) for arm in ARMS), f"{gain:.2f}", f"{chosen:.2f}", made["auto"]])
        print(rows[-1], flush=True)
    head = ["net", *(f"{arm}, s" for arm in ARMS), "fused gains", "auto gains", "auto chose"]
    print(tabulate(rows, head, tablefmt="github"))
    print(machine())


if __name__ == "__main__":
    main()
