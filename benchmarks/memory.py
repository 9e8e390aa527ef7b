"""Peak memory of fused replicates against as many times that of one run, both by torch's own account.

    python benchmarks/memory.py [--replicates 16] [--device cuda]

Each is a training of one epoch with its evaluation and predictions, in a process of its own. On a CPU the account is
the profiler's, of what torch's allocator has given out: what malloc keeps besides is in docs/design/training.md. Chunks
are made by what is `counted`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

from nets import NETS, ROOT, Bench, machine
from tabulate import tabulate

_DRIVER = """
import json, sys, tempfile
sys.path.insert(0, {source!r})
from pathlib import Path
import msgspec, torch
from torch.profiler import ProfilerActivity, profile
from assay.training import autotune_execution as choose, run_replicates as training, thread_count as work
from assay.training.train_and_predict import measure
from assay.core.schemas import MeasureRequest

def peak(trace):
    events = [one for one in json.loads(Path(trace).read_text())["traceEvents"] if one.get("name") == "[memory]"]
    events = sorted((one["ts"], one["args"]["Total Allocated"], one["args"]["Bytes"]) for one in events)
    return max(total for _, total, _ in events) - (events[0][1] - events[0][2])

def run(plan, group, numbers, execution, progress, store):
    with work.threads(plan):
        counted = choose.needed(plan, numbers[0])
        chunk = len(numbers) if execution == "fused" else 1
        training.here(plan, numbers, chunk, progress, [])  # what torch sets up once is not a run's
        if plan.device.type == "cuda":
            torch.cuda.synchronize()
            before = torch.cuda.memory_allocated(plan.device)
            torch.cuda.reset_peak_memory_stats(plan.device)
            found = training.here(plan, numbers, chunk, progress, [])
            most = torch.cuda.max_memory_allocated(plan.device) - before
        else:
            with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
                found = training.here(plan, numbers, chunk, progress, [])
            with tempfile.NamedTemporaryFile(suffix=".json") as trace:
                profiled.export_chrome_trace(trace.name)
                most = peak(trace.name)
    print(json.dumps({{"peak": most, "counted": counted}}))
    return found

training.run = run
measure(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=MeasureRequest), Path({root!r}))
"""


def taken(bench: Bench, replicates: int, execution: str, device: str) -> dict[str, int]:
    """Bytes: the peak, and what was counted for one replicate."""
    request = bench.request(replicates, execution, device)
    driver = _DRIVER.format(source=str(ROOT / "src"), root=str(bench.root))
    done = subprocess.run([sys.executable, "-c", driver, str(request)], check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicates", type=int, default=16)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--nets", nargs="+", default=NETS, choices=NETS)
    given = parser.parse_args()
    rows = []
    for net in given.nets:
        for batch_size in (64, 512):
            bench = Bench(net, epochs=1, batch_size=batch_size)
            one = taken(bench, 1, "sequential", given.device)
            all_ = taken(bench, given.replicates, "fused", given.device)
            share = all_["peak"] / given.replicates / one["peak"]
            mebibytes = [f"{value / 2**20:.2f}" for value in (one["counted"], one["peak"], all_["peak"])]
            rows.append([net, batch_size, *mebibytes, f"{share:.2f}"])
            print(rows[-1], file=sys.stderr)
    columns = ["net", "batch", "one, counted", "one, MiB", f"{given.replicates} fused, MiB", "of as many times one"]
    print(f"\n{machine()}, {given.device}\n")
    print(tabulate(rows, columns, tablefmt="pipe", disable_numparse=True))


if __name__ == "__main__":
    main()
