"""Time to a verdict over 10+10 trainings: this pipeline, a plain DVC pipeline, a bare loop; side by side.

    python benchmarks/time_to_verdict.py [--repeats 5] [--seeds 10] [--plain-repeats 5]

Every arm runs at the faster of one and all threads, found first. Each repeat runs all arms in turn, so that
whatever else the machine does touches all of them. Prints medians with the range, ratios, and peak memory
(the largest single process). The repositories are made in a temporary folder and removed.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from support.project import Project, create  # noqa: E402
from support.project import environment as bare_environment  # noqa: E402

CANDIDATE_LR = "0.01"


def environment(home: Path) -> dict[str, str]:
    """A user's: Python keeps bytecode beside sources, as it does unless told otherwise."""
    return {name: value for name, value in bare_environment(home).items() if name != "PYTHONDONTWRITEBYTECODE"}


class Taken(NamedTuple):
    seconds: float
    mebibytes: float


def timed(command: list[str], cwd: Path, env: dict[str, str]) -> Taken:
    """Wall seconds of a command, and the peak memory of its largest process."""
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} failed:\n{said.decode(errors='replace')}")
    return Taken(time.perf_counter() - began, usage.ru_maxrss / 1024)


def dvc(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "dvc", *arguments]


class Assay:
    """This pipeline with a tagged baseline; `threads` is passed on as OMP_NUM_THREADS."""

    def __init__(self, where: Path, seeds: int, device: str = "auto") -> None:
        self.made = create(where, "template")
        text = self.made.read("params.yaml").replace("replicates: 3", f"replicates: {seeds}")
        text = text.replace("  device: cpu", f"  device: {device}").replace("  device: auto", f"  device: {device}")
        text = text.replace("  epochs: 3", "  epochs: 20").replace("baseline: floor", "baseline: strategy/first")
        self.made.git("config", "user.name", "bench")
        self.made.git("config", "user.email", "bench@localhost")
        self.made.dvc("repro", "--quiet", "split")  # a lock with data hashes is all that a baseline must bring
        (self.made.root / "params.yaml").write_text(text, encoding="utf-8")
        self.made.commit("first")
        self.made.tag("strategy/first")
        self.where = where

    def empty(self, threads: str) -> Taken:
        """From an empty cache: data, baseline and candidate are all made."""
        project = self._copy()
        for made in (".dvc/cache", ".dvc/tmp", "data/prepared", "data/split", "context", "dvc.lock"):
            path = project.root / made
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        return self._run(project, CANDIDATE_LR, threads)

    def fresh(self, threads: str) -> Taken:
        """The baseline is measured already: only the candidate trains."""
        project = self._copy()
        self._run(project, "0.02", threads)
        return self._run(project, CANDIDATE_LR, threads)

    def _copy(self) -> Project:
        shutil.rmtree(self.where / "copy", ignore_errors=True)
        return self.made.copy(self.where / "copy")

    @staticmethod
    def _run(project: Project, lr: str, threads: str) -> Taken:
        env = environment(project.home) | {"OMP_NUM_THREADS": threads}
        return timed(dvc("exp", "run", "--quiet", "-S", f"lr={lr}"), project.root, env)


class Plain:
    """One `dvc exp run -S seed=S` a seed and arm."""

    def __init__(self, where: Path, seeds: int) -> None:
        self.root, self.home, self.seeds = where / "plain", where / "plain-home", seeds
        self.home.mkdir()
        shutil.copytree(HERE / "plain", self.root)
        (self.root / "pipeline.yaml").rename(self.root / "dvc.yaml")  # DVC would take it for a part of this project
        (self.root / ".gitignore").write_text("/data\n/model.pt\n__pycache__\n")
        project = Project(self.root, self.home)
        project.git("init", "--quiet")
        project.git("config", "user.name", "bench")
        project.git("config", "user.email", "bench@localhost")
        project.dvc("init", "--quiet")
        project.commit("start")

    def all(self, threads: str) -> Taken:
        """Every seed of both arms, from an empty cache."""
        for made in (".dvc/cache", ".dvc/tmp", "data"):
            shutil.rmtree(self.root / made, ignore_errors=True)
        runs = [self.one(seed, lr, threads) for lr in ("0.003", CANDIDATE_LR) for seed in range(self.seeds)]
        return Taken(sum(run.seconds for run in runs), max(run.mebibytes for run in runs))

    def one(self, seed: int, lr: str, threads: str) -> Taken:
        env = environment(self.home) | {"THREADS": threads, "OMP_NUM_THREADS": threads}
        return timed(dvc("exp", "run", "--quiet", "-S", f"seed={seed}", "-S", f"lr={lr}"), self.root, env)

    def bare(self, threads: str) -> Taken:
        """The loop in one process, on data that are already there."""
        env = environment(self.home) | {"THREADS": threads, "OMP_NUM_THREADS": threads}
        if not (self.root / "data").exists():
            subprocess.run([sys.executable, "prepare.py"], cwd=self.root, env=env, check=True)
        return timed([sys.executable, "bare.py", str(self.seeds), CANDIDATE_LR], self.root, env)


def faster(run: Callable[[str], Taken]) -> str:
    """The number of threads, one or all, at which `run` takes less time."""
    every = str(os.cpu_count() or 1)
    return min(("1", every), key=lambda threads: run(threads).seconds) if every != "1" else "1"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--plain-repeats", type=int, default=5, help="repeats of the plain pipeline, two minutes each")
    parser.add_argument("--seeds", type=int, default=10)
    asked = parser.parse_args()
    where = Path(tempfile.mkdtemp(prefix="time-to-verdict-"))
    try:
        measure(where, asked.repeats, asked.plain_repeats, asked.seeds)
    finally:
        shutil.rmtree(where, ignore_errors=True)


def measure(where: Path, repeats: int, plain_repeats: int, seeds: int) -> None:
    assay, plain = Assay(where, seeds), Plain(where, seeds)
    arms: dict[str, tuple[Callable[[str], Taken], str]] = {
        "assay, empty cache": (assay.empty, faster(assay.empty)),
        "assay, fresh baseline": (assay.fresh, faster(assay.fresh)),
        "bare loop": (plain.bare, faster(plain.bare)),
        "plain DVC": (plain.all, faster(lambda threads: plain.one(991 + int(threads), "0.003", threads))),
    }
    taken: dict[str, list[Taken]] = {name: [] for name in arms}
    for number in range(max(repeats, plain_repeats)):
        for name, (run, threads) in arms.items():
            if number < (plain_repeats if name == "plain DVC" else repeats):
                taken[name].append(run(threads))
                print(
                    f"# {number + 1} {name}: {taken[name][-1].seconds:.2f} s, load {os.getloadavg()[0]:.2f}", flush=True
                )
    report(taken, {name: threads for name, (_, threads) in arms.items()}, seeds)


def report(taken: dict[str, list[Taken]], threads: dict[str, str], seeds: int) -> None:
    medians = {name: statistics.median(run.seconds for run in runs) for name, runs in taken.items()}
    print(f"\n{seeds}+{seeds} trainings, {date.today()}, {os.cpu_count()} cores ({platform.machine()}), "
          f"Python {platform.python_version()}, load average {os.getloadavg()[0]:.2f}\n")  # fmt: skip
    print("| arm | seconds (min–max) | n | threads | plain DVC ÷ this | this ÷ bare loop | peak MiB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, runs in taken.items():
        seconds = [run.seconds for run in runs]
        ratios = f"{medians['plain DVC'] / medians[name]:.1f} | {medians[name] / medians['bare loop']:.2f}"
        spread = f"{medians[name]:.2f} ({min(seconds):.2f}–{max(seconds):.2f})"
        peak = max(run.mebibytes for run in runs)
        print(f"| {name} | {spread} | {len(runs)} | {threads[name]} | {ratios} | {peak:.0f} |")


if __name__ == "__main__":
    main()
