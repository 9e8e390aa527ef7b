"""`assay report` about a real result: at most 3 s and 300 KiB, and at most 0.5 s where no chart changed.

The digits of this checkout in a repository of their own: 10 and 10 replicates of 100 epochs, a strategy against the
floor, then an experiment against it. Times are of whole processes: no chart drawn before, charts at hand, nothing
changed, after a comment in params.yaml, after another experiment with its look.

    python benchmarks/report_page.py
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
from collections.abc import Callable
from pathlib import Path

import msgspec

from assay.history import look_ledger

CHECKOUT = Path(__file__).resolve().parents[1]
PARTS = ("src/tasks", ".dvc/config", ".dvc/.gitignore", ".dvc/plots", ".dvcignore", ".gitignore", "dvc.yaml")
PARTS += ("plots/dvc.yaml", "params.yaml")
WHO = ("-c", "user.name=Benchmark", "-c", "user.email=benchmark@localhost")


def run(root: Path, *command: str) -> None:
    subprocess.run(command, cwd=root, check=True, capture_output=True)


def commit(root: Path, message: str) -> None:
    run(root, "git", "add", "--all")
    run(root, "git", *WHO, "commit", "--quiet", "--message", message)


def edit(root: Path, old: str, new: str) -> None:
    path = root / "params.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def build(root: Path) -> None:
    """An accepted beginning, and the experiment `tried` against it."""
    for part in PARTS:
        target = root / part
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (CHECKOUT / part).is_dir() else shutil.copy2
        copy(CHECKOUT / part, target)
    edit(root, "  epochs: 20", "  epochs: 100")
    run(root, "git", "init", "--quiet", "--initial-branch=main")
    commit(root, "start")
    run(root, "dvc", "repro", "--quiet")
    commit(root, "first")
    run(root, "git", *WHO, "tag", "--annotate", "strategy/first", "--message", "first")
    edit(root, "baseline: floor", "baseline: strategy/first")
    run(root, "dvc", "repro", "--quiet")
    commit(root, "against it")
    run(root, "dvc", "exp", "run", "--quiet", "--name", "tried", "-S", "lr=0.01")


def timed(root: Path) -> tuple[float, float]:
    """Seconds of one `assay report` by the clock, and of processors with all that it starts."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run(root, sys.executable, "-m", "assay", "report", "tried")
    spent, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def no_chart(root: Path) -> None:
    shutil.rmtree(root / ".git/assay/charts", ignore_errors=True)
    no_page(root)


def no_page(root: Path) -> None:
    shutil.rmtree(root / ".git/assay/pages", ignore_errors=True)


def comment(root: Path) -> None:
    path = root / "params.yaml"
    path.write_text(f"{path.read_text(encoding='utf-8')}# {time.time()}\n", encoding="utf-8")


def experiment(root: Path) -> None:
    """As another run leaves it: a ref, and a look in the ledger."""
    number = time.time_ns()
    run(root, "git", "update-ref", f"refs/exps/aa/{'a' * 38}/other-{number}", "HEAD")
    look = look_ledger.read(root).looks[-1]
    other = msgspec.structs.replace(look, identity=f"{number:032x}", formerly=())
    look_ledger.add(root, lambda _: [other])


CASES: dict[str, Callable[[Path], None]] = {
    "no chart at hand": no_chart,
    "made, charts at hand": no_page,
    "nothing changed": lambda _: None,
    "a comment in params.yaml": comment,
    "another experiment": experiment,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    chosen = parser.parse_args()
    os.environ |= {"DVC_NO_ANALYTICS": "1", "OMP_NUM_THREADS": "1"}
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        build(root)
        for name, change in CASES.items():
            found = []
            for _ in range(chosen.repeats):
                change(root)
                found.append(timed(root))
            clock, processors = (sorted(column)[len(found) // 2] for column in zip(*found, strict=True))
            print(f"| {name} | {processors:.2f} | {clock:.2f} |")
        print(f"{(root / 'report.html').stat().st_size / 2**10:.0f} KiB")


if __name__ == "__main__":
    main()
