"""How much sooner replicates are done on several places of `machine.devices`: work of fixed length that sleeps.

    python benchmarks/devices.py [--rounds 3] [--seconds 10] [--replicates 64 10]

Each replicate sleeps, so that eight processes pinned to whatever cores there are do not wait for each other: what is
measured is what Assay adds. 64 replicates, and ten, on one pinned process and on eight. Times hold reading, starting
the processes and writing; the import of torch and the first call, which warms caches, are outside of them.
"""

from __future__ import annotations

import argparse
import os
import time
from itertools import cycle, islice
from statistics import median

import msgspec
import torch
from nets import Bench, machine, middle
from tabulate import tabulate

from assay.core.schemas import MeasureRequest
from assay.training import device
from assay.training.train_and_predict import measure

PROCESSES = 8
#: replicates → times sooner that eight processes should be
GOALS = {64: 7.0, 10: 4.5}

SLEEPS = """
import time
from torch import nn

def model(shape, outputs, net):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, outputs))

def loss(outputs, targets):
    return -outputs.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).mean()

def preprocess(inputs):
    return inputs.float() / 16

def augment(inputs, targets, generator):  # one batch a training: once a replicate
    time.sleep({seconds})
    return inputs, targets
"""


def asked(bench: Bench, count: int, processes: int) -> MeasureRequest:
    """`count` replicates on so many processes, pinned to the cores of this machine by turns."""
    request = msgspec.json.decode(bench.request(count, "sequential").read_bytes(), type=MeasureRequest)
    return msgspec.structs.replace(request, devices=[*islice(cycle(sorted(os.sched_getaffinity(0))), processes)])


def seconds(bench: Bench, count: int, processes: int) -> float:
    """Of one measurement."""
    began = time.perf_counter()
    measure(asked(bench, count, processes), bench.root)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="of one replicate")
    parser.add_argument("--replicates", type=int, nargs="+", default=[*GOALS], choices=[*GOALS])
    given = parser.parse_args()
    print(machine())
    torch.set_num_threads(1)
    bench = Bench("linear", epochs=1, batch_size=2048)
    (bench.root / "src" / "tasks" / "bench" / "learning.py").write_text(SLEEPS.format(seconds=given.seconds))
    assert device.places("cpu", [min(os.sched_getaffinity(0))]), "replicates would train in this process"
    seconds(bench, 1, 1)
    rows = []
    for count in given.replicates:
        times = {places: [] for places in (1, PROCESSES)}
        for _ in range(given.rounds):
            for places, found in times.items():  # by turns: other work on the machine meets both
                found.append(seconds(bench, count, places))
        ratios = [one / eight for one, eight in zip(times[1], times[PROCESSES], strict=True)]
        ideal = count / -(-count // PROCESSES)
        over = (median(times[1]) - count * given.seconds) / count
        rows.append([count, *map(middle, times.values()), middle(ratios), f"{ideal:.3g}", GOALS[count], f"{over:.2f}"])
        print(rows[-1], flush=True)
    head = ["replicates", "one process, s", "eight, s", "times sooner", "ideal", "goal", "added a replicate, s"]
    print(tabulate(rows, head, tablefmt="github"))
    print(machine())


if __name__ == "__main__":
    main()
