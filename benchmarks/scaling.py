"""How cost grows: CPU seconds and memory of one measurement over the number of replicates and of examples.

    python benchmarks/scaling.py [--rounds 5] [--device cuda] [--plot docs/measured/scaling.svg]

Prints two tables in Markdown; --plot draws both, as a picture or as an .html page that needs no network.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median
from typing import Any

import altair as alt
from nets import Bench, machine, middle
from tabulate import tabulate

REPLICATES = (1, 2, 4, 8, 16, 32, 64)
EXAMPLES = (10**3, 10**4, 10**5, 10**6)
#: examples that each training visits, so that a larger part takes fewer epochs and not a day
VISITS = 10**6


def measured(
    bench: Bench, replicates: int, execution: str, rounds: int, device: str
) -> tuple[list[float], list[float], float]:
    """CPU seconds and seconds of the measurement, one a round, and the largest peak in MiB."""
    found = [bench.run(replicates, execution, device=device) for _ in range(rounds)]
    peak = max(one["peak"] for one in found) / 2**20
    return [one["cpu"] for one in found], [one["measure"] for one in found], peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--largest", type=int, default=EXAMPLES[-1], help="leave out larger numbers of examples")
    parser.add_argument("--plot", type=Path)
    asked = parser.parse_args()
    print(machine())
    points: list[dict[str, Any]] = []
    rows = []
    bench = Bench("perceptron", epochs=5)
    for replicates in REPLICATES:
        cells: list[str] = []
        for execution in ("sequential", "fused"):
            if replicates == 1 and execution == "fused":
                cells += ["–", "–"]
                continue
            training, _, peak = measured(bench, replicates, execution, asked.rounds, asked.device)
            cells += [middle(training), f"{peak:.0f}"]
            points.append({"panel": "replicates", "x": replicates, "seconds": median(training), "way": execution})
        rows.append([replicates, *cells])
        print(rows[-1], flush=True)
    head = ["replicates", "sequential, CPU s", "peak, MiB", "fused, CPU s", "peak, MiB"]
    print(tabulate(rows, head, tablefmt="github"), "\n")
    rows = []
    for examples in (count for count in EXAMPLES if count <= asked.largest):
        bench = Bench("perceptron", train=examples, epochs=max(1, VISITS // 10 // examples))
        training, whole, peak = measured(bench, 10, "fused", asked.rounds, asked.device)
        visits = examples * max(1, VISITS // 10 // examples) * 10
        rate = visits / median(training)
        rows.append([f"{examples:,}", middle(training), middle(whole), f"{rate:,.0f}", f"{peak:.0f}"])
        points.append({"panel": "examples", "x": examples, "seconds": median(training), "way": "fused"})
        print(rows[-1], flush=True)
    head = ["examples", "CPU s", "s", "examples a CPU second", "peak, MiB"]
    print(tabulate(rows, head, tablefmt="github"))
    print(machine())
    if asked.plot:
        plot(points, asked.plot)


def plot(points: list[dict[str, Any]], path: Path) -> None:
    """Both tables as lines on logarithmic axes."""
    panels = []
    for panel in ("replicates", "examples"):
        data = alt.Data(values=[point for point in points if point["panel"] == panel])
        lines = alt.Chart(data, title=f"CPU seconds over {panel}").mark_line(point=True)
        scale = alt.Scale(type="log")
        panels.append(
            lines.encode(
                x=alt.X("x:Q", title=panel, scale=scale),
                y=alt.Y("seconds:Q", scale=scale),
                color=alt.Color("way:N", title=None),
            )
        )
    offline = {"inline": True} if path.suffix == ".html" else {}
    alt.hconcat(*panels).save(path, **offline)


if __name__ == "__main__":
    main()
