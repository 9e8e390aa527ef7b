"""Memory and processor time of data that are large: whole runs under DVC, in a repository made for it.

    python benchmarks/data_scale.py images [--examples 200000]    # arrays: 3×32×32 bytes each, 2 + 2 replicates
    python benchmarks/data_scale.py table [--examples 1000000]    # a CSV file of 18 columns, the ready task
    python benchmarks/data_scale.py files [--examples 50000]      # image files in a folder for each class

Memory is what processes hold beyond the page cache (RssAnon), summed over all that a stage runs at once; Linux only.
Time is that of processors, so that other work on the machine changes little.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from data_scale_tasks import TASKS, Bench
from tabulate import tabulate

ROOT = Path(__file__).resolve().parents[1]
DVC = [sys.executable, "-m", "dvc"]
#: batches alone, and steps of one replicate alone on a batch that is at hand, in processor seconds
_LOADER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from assay.core.params_yaml import resolved
from assay.core.schemas import MeasureRequest
from assay.replicates import train_and_eval_examples as samples
from assay.replicates.training_progress import Progress
from assay.training import training_setup
from assay.training.batches import Feed
from assay.training.vmap import equivalence_check

root = Path.cwd()
words = {name: str(root / "out") for name in ("models", "predictions", "curves", "log", "answer")}
request = MeasureRequest(
    profile="full", purpose="candidate", seed=1, replicates=[0], device="cpu", environment="", code="",
    execution="sequential", train=str(root / "data/split/train"), evaluate=str(root / "data/split/validation"),
    cache=str(root / ".dvc/tmp/assay"), **words,
)
params = resolved(Path("params.yaml").read_bytes())
sample = samples.read(request, params)
progress = Progress(root / "curves.csv", root / "log.txt", 1)
plan = training_setup.prepare(request, root, params, sample).group(request, params, progress, []).plan
feed = Feed(plan.task, plan.train, params.train.batch_size, [plan.streams(0)])
started = time.process_time()
for inputs, targets in feed.epoch(1):
    pass
loading = time.process_time() - started
engine, steps = equivalence_check.alone(plan, 0), min(100, feed.steps)
inputs, targets = next(feed.epoch(1))
started = time.process_time()
for step in range(steps):
    engine.step(inputs, targets, 1e-3, step + 1)
training = (time.process_time() - started) / steps / len(targets[0])
rate = len(plan.train) / loading
print(f"the loader gives {rate:.0f} examples a CPU second, the model takes {1 / training:.0f}: {rate * training:.1f} x")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=TASKS)
    parser.add_argument("--examples", type=int)
    parser.add_argument("--threads", default="2")
    parser.add_argument("--keep", type=Path, help="a folder to work in, that stays")
    asked = parser.parse_args()
    bench = TASKS[asked.kind]
    folder = asked.keep or Path(tempfile.mkdtemp(prefix="assay-scale-"))
    try:
        run(bench, folder / "project", asked.examples or bench.examples, asked.threads)
    finally:
        if asked.keep is None:
            shutil.rmtree(folder)


def run(bench: Bench, root: Path, examples: int, threads: str) -> None:
    environment = os.environ | {
        "OMP_NUM_THREADS": threads,
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(root.parent / "site"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    size = bench.write(root, examples)
    for command in bench.setup:
        subprocess.run(command, cwd=root, env=environment, check=True, stdout=subprocess.DEVNULL)
    if bench.strategy:  # a first run, whose strategy is the baseline of the one that is measured
        subprocess.run([*DVC, "repro", "--quiet"], cwd=root, env=environment, check=True)
        for command in bench.accept:
            subprocess.run(command, cwd=root, env=environment, check=True, stdout=subprocess.DEVNULL)
        bench.candidate(root)
        shutil.rmtree(root / ".dvc" / "tmp" / "assay")
        shutil.rmtree(root / ".dvc" / "cache" / "runs", ignore_errors=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with Sampler() as sampler:
        targets = bench.stages and ["--single-item", *bench.stages]
        subprocess.run([*DVC, "repro", "--force", *targets], cwd=root, env=environment, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    rows = [[stage, f"{peak / 2**20:.0f}", f"{sampler.cpu[stage]:.1f}"] for stage, peak in sampler.peaks.items()]
    print(tabulate(rows, ["stage", "MiB beyond the page cache", "CPU s"], tablefmt="pipe", disable_numparse=True))
    stored = sum(path.stat().st_size for path in (root / ".dvc" / "cache" / "files").rglob("*") if path.is_file())
    print(f"\n{examples} examples, {size / 1e6:.0f} MB; all in all {cpu:.1f} s of CPU")
    print(f"DVC keeps {stored / size:.2f} times the input, models and predictions included")
    if bench.loader:
        subprocess.run([sys.executable, "-c", _LOADER, str(ROOT / "src")], cwd=root, env=environment, check=True)


class Sampler:
    """Looks at all processes below this one, twenty times a second, while the block runs."""

    def __init__(self) -> None:
        self.peaks: dict[str, int] = {}
        self.cpu: dict[str, float] = {}
        self._seen: dict[int, tuple[str, float]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.is_set():
            self._look()
            time.sleep(0.05)

    def _look(self) -> None:
        stages = {process: stage for process in _below(os.getpid()) if (stage := _stage(process))}
        asked = {one for one in stages.values() if one not in ("measure", "floors", "warm_candidate_cache")}
        name = next(iter(asked), "")
        if not name:
            return
        self.peaks[name] = max(self.peaks.get(name, 0), sum(map(_anonymous, stages)))
        for process in stages:
            self._seen[process] = (name, _seconds(process) or self._seen.get(process, ("", 0.0))[1])
        self.cpu[name] = sum(spent for stage, spent in self._seen.values() if stage == name)


def _below(process: int) -> list[int]:
    try:
        threads = Path(f"/proc/{process}/task").iterdir()
        children = [int(child) for one in threads for child in (one / "children").read_text().split()]
    except OSError:
        return []
    return [*children, *(inner for child in children for inner in _below(child))]


def _stage(process: int) -> str:
    """The stage that a process runs, of a worker its parent's; "" for others."""
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes().decode().split("\0")
    except OSError:
        return ""
    if any(Path(word).name in ("sh", "bash") for word in words[:1]):
        return ""
    return words[words.index("stage") + 1] if "stage" in words[:-1] else ""


def _anonymous(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def _seconds(process: int) -> float:
    """Processor seconds of a process by itself."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
