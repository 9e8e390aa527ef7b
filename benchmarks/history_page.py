"""`assay report --history` over 1,000 experiments: at most 3 s and 2 MiB.

A real repository, scripted and not trained (`history_scale.build`): strategies that were accepted one after the other,
experiments with their verdicts, replicates and lines, a look at each in the ledger, rejected ideas with their reasons,
openings of the test part. Times are of whole processes with nothing kept from
before, then of the same page again.

    python benchmarks/history_page.py --strategies 20 --experiments 1000
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import history_scale
from history_scale import WHO, commit, data, metrics, params

from assay.history import look_ledger
from assay.history.attempt_and_family_entries import OpeningEntry
from assay.stats.alpha_budget import LookEntry, LookKey
from assay.tags.strategy_events import RecordedComparison, Rejected, Score
from assay.tags.trailers import format_event

VERSION = "accuracy-1.5f3c9a2e"
HEADER = "arm,strategy,identity,replicate,seed,status,metric_version,profile,direction,min_effect,worst,environment,"
HEADER += "execution,same_as,accuracy,cross_entropy\n"
ENVIRONMENT = '"numpy 2.4.6, torch 2.13.0+cpu; cpu; x86_64; Linux; training code 9c5ae2b0cc39"'


def replicates(identity: str, number: int) -> str:
    """A results/replicates.csv of ten and ten, as `evaluate` writes it."""
    rows = [
        f"{arm},{arm},{identity},{seed},{1000 * number + seed},ok,{VERSION},full,maximize,0.005,,{ENVIRONMENT},fused,,"
        f"{0.9 + 0.001 * seed + 0.00001 * number:.16g},{0.3 - 0.001 * seed:.16g}\n"
        for arm in ("candidate", "baseline")
        for seed in range(10)
    ]
    return HEADER + "".join(rows)


def verdict(number: int) -> str:
    return (
        f"inconclusive accuracy 0.9{number % 97:02d} ±0.0040 (n=10) vs strategy/s000 0.9000 ±0.0040 (n=10)\n"
        f"           +0.0012 [-0.0030, +0.0030] 95% CI, Welch p=0.5 · {VERSION}\n"
    )


def git(root: Path, *arguments: str, stdin: str | None = None) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], input=stdin, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def populate(root: Path, strategies: int, experiments: int, rejected: int) -> None:
    """Experiments on all strategies, each with a look; the first ones are rejected with a reason."""
    bases = [git(root, "rev-parse", f"strategy/s{number:03d}^{{commit}}") for number in range(strategies)]
    stream, looks = "", []
    for number in range(experiments):
        base, identity = bases[number % strategies], f"{number + 1:032x}"
        files = {
            "params.yaml": params(number % strategies, 0.002 + number / 1e6),
            "results/metrics.json": metrics(number % strategies, number),
            "results/replicates.csv": replicates(identity, number),
            "results/verdict.txt": verdict(number),
            "src/code.py": f"x = {number if number % 2 else 1}\n",
        }
        one = commit(f"refs/exps/{base[:2]}/{base[2:]}/idea-{number}", 1000 + number, None, files)
        stream += one.replace("M 100644", f"from {base}\nM 100644", 1)
        key = LookKey(candidate=number, against=0, n=10, test="welch", alpha=0.05, metric="accuracy")
        looks.append(LookEntry(identity=identity, baseline=base, key=key, level=0.025, spends=0.025))
    git(root, "fast-import", "--quiet", stdin=stream)
    openings = [
        OpeningEntry(
            identity=f"{number:032x}", baseline=base, experiment=base, name=f"s{number:03d}", sequence=number, n=10
        )
        for number, base in enumerate(bases)
    ]
    look_ledger.add(root, lambda _: [*looks, *openings])
    measured = RecordedComparison("inconclusive", Score(10, 0.9, 0.004), Score(10, 0.9, 0.004), 0.001, -0.003, 0.005)
    stream = ""
    for number in range(rejected):
        target = git(root, "for-each-ref", "--format=%(objectname)", f"refs/exps/*/*/idea-{number}")
        said = Rejected(
            name=f"idea-{number}",
            sequence=1000 + number,
            commit=target,
            why=f"no gain that matters, and {number} s more",
            metric="accuracy",
            metric_version=VERSION,
            profile="full",
            baseline="strategy/s000",
            changed=[f"lr: {0.002 + number / 1e6:g}"],
            measured=measured,
        )
        message = data(format_event(said, f"Reject idea-{number}"))
        stream += f"tag rejected/idea-{number}\nfrom {target}\ntagger {WHO.format(when=1_700_000_000)}\n{message}"
    git(root, "fast-import", "--quiet", stdin=stream)


def timed(root: Path) -> tuple[float, float]:
    """Seconds of one `assay report --history` by the clock, and of processors with all that it starts."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(history_scale.SOURCE / "src"), "DVC_NO_ANALYTICS": "1"}
    command = [sys.executable, "-m", "assay", "report", "--history"]
    subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True)
    spent, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strategies", type=int, default=20)
    parser.add_argument("--experiments", type=int, default=1000)
    parser.add_argument("--rejected", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="folder for the repository, which then stays")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = (chosen.keep or Path(folder)) / "project"
        history_scale.build(root, chosen.strategies, 0)
        populate(root, chosen.strategies, chosen.experiments, chosen.rejected)
        found: dict[str, list[tuple[float, float]]] = {"made": [], "kept": []}
        for _ in range(chosen.repeats):
            shutil.rmtree(root / ".git/assay", ignore_errors=True)
            for kind in found:
                found[kind].append(timed(root))
        size = (root / "report.html").stat().st_size
        print(f"{chosen.experiments} experiments on {chosen.strategies} strategies: {size / 2**20:.2f} MiB")
        for kind, times in found.items():
            clock, processors = (sorted(column) for column in zip(*times, strict=True))
            print(f"{kind}: {clock[len(clock) // 2]:.2f} s (worst {clock[-1]:.2f}), ", end="")
            print(f"{processors[len(processors) // 2]:.2f} processor seconds (worst {processors[-1]:.2f})")


if __name__ == "__main__":
    main()
