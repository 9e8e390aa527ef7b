"""1,000 experiments on 200 strategies, read by a cold process: `assay log` under 1 s, `assay status` under 0.8 s.

Builds the repository with `git fast-import`, experiments as loose refs as DVC leaves them, and times whole
processes. `--loose` unpacks every object first, as in a repository that never saw `git gc`. `assay accept --dry-run`
of an experiment with two changes asks what all others changed: under 3 s with 3,000.

`--stages` times a real run that only judges again, without experiments and with as many as asked for: our stages
(0.2 s slower at most with 3,000) and DVC's own share, one beside the other.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from assay.tags.strategy_events import Accepted, RecordedComparison, Score, Seeds
from assay.tags.trailers import format_event

SOURCE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SOURCE / "tests"))

from support.project import PARTS  # noqa: E402

WHO = "Ada <ada@example.org> {when} +0000"


def metrics(strategy: int, experiment: int) -> str:
    """A results/metrics.json of the size that `evaluate` writes."""
    mean = 0.9 + 0.0001 * strategy + 0.00001 * experiment
    return json.dumps(
        {
            "schema": 1,
            "accuracy": mean,
            "sd": 0.004,
            "n": 10,
            "diverged": 0,
            "baseline": 0.9,
            "delta": 0.00001 * experiment,
            "ci_low": -0.003,
            "ci_high": 0.003,
            "p": 0.5,
            "verdict": "inconclusive",
            "metric_version": "accuracy-1.5f3c9a2e",
            "profile": "full",
        },
        indent=2,
    )


def params(strategy: int, lr: float) -> str:
    original = (SOURCE / "params.yaml").read_text(encoding="utf-8")
    tuned = re.sub(r"^lr: \S+", f"lr: {lr:g}", original, count=1, flags=re.MULTILINE)
    return tuned.replace("baseline: floor", f"baseline: strategy/s{strategy:03d}")


def event(number: int, commit: str) -> Accepted:
    better, worse = Score(10, 0.91, 0.004), Score(10, 0.9, 0.004)
    comparison = RecordedComparison("progress", better, worse, 0.01, 0.006, 0.014, 0.0001, 0.025)
    return Accepted(
        name=f"s{number:03d}",
        sequence=number + 1,
        commit=commit,
        metric="accuracy",
        metric_version="accuracy-1.5f3c9a2e",
        profile="full",
        baseline=f"strategy/s{number - 1:03d}" if number else "floor",
        baseline_commit=commit,
        experiment=f"exp-{number}",
        experiment_commit=commit,
        changed=[f"lr: {0.001 + number / 1e5:g}"],
        selection=comparison,
        confirmation=comparison,
        attempts=1,
        seeds=Seeds(1, "confirmation", 10, 20_000, 30_000),
        environment="torch 2.13.0; cpu; x86_64; Linux",
        test=Score(10, 0.9, 0.004),
    )


def data(content: str) -> str:
    return f"data {len(content.encode())}\n{content}\n"


def commit(ref: str, mark: int, parent: int | None, files: dict[str, str]) -> str:
    head = f"commit {ref}\nmark :{mark}\ncommitter {WHO.format(when=1_700_000_000 + mark)}\n{data('A commit')}"
    if parent is not None:
        head += f"from :{parent}\n"
    return head + "".join(f"M 100644 inline {path}\n{data(content)}" for path, content in files.items()) + "\n"


def build(root: Path, strategies: int, experiments: int) -> None:
    """The repository: a chain of strategies, `experiments` spread over them."""
    git = ["git", "-C", str(root)]
    subprocess.run(["git", "init", "-q", "-b", "main", str(root)], check=True)
    lock = "schema: '2.0'\nstages:\n" + "".join(
        f"  s{n}:\n    cmd: x\n    outs:\n    - path: missing{n}\n      md5: {n:032x}\n" for n in range(6)
    )
    first = {"dvc.yaml": "stages: {}\n", "dvc.lock": lock, "src/code.py": "x = 1\n"}
    stream, marks = "", root / ".git" / "marks"
    for number in range(strategies):
        files = {"params.yaml": params(number, 0.001 + number / 1e5), "results/metrics.json": metrics(number, 0)}
        parent = number if number else None
        stream += commit("refs/heads/main", number + 1, parent, {**first, **files})
    fast_import = [*git, "fast-import", "--quiet", f"--export-marks={marks}"]
    subprocess.run(fast_import, input=stream.encode(), check=True)
    shas = dict(line.split() for line in marks.read_text().splitlines())
    stream = ""
    for number in range(strategies):
        sha = shas[f":{number + 1}"]
        message = format_event(event(number, sha), f"Accept s{number:03d}")
        stream += f"tag strategy/s{number:03d}\nfrom {sha}\ntagger {WHO.format(when=1_700_000_000)}\n{data(message)}"
    for number in range(experiments):
        strategy = number % strategies
        base = shas[f":{strategy + 1}"]
        files = {
            "params.yaml": params(strategy, 0.002 + number / 1e6),
            "results/metrics.json": metrics(strategy, number),
            "src/code.py": f"x = {number if number % 2 else 1}\n",
        }
        one = commit(f"refs/exps/{base[:2]}/{base[2:]}/exp-{number}", 1000 + number, None, files)
        stream += one.replace("M 100644", f"from {base}\nM 100644", 1)
    base, last = shas[f":{strategies}"], strategies - 1
    two = {
        "params.yaml": params(last, 0.5).replace("epochs: 20", "epochs: 30"),
        "results/metrics.json": metrics(last, 0).replace("inconclusive", "progress"),
    }
    one = commit(f"refs/exps/{base[:2]}/{base[2:]}/two", 1000 + experiments, None, two)
    stream += one.replace("M 100644", f"from {base}\nM 100644", 1)
    subprocess.run([*git, "fast-import", "--quiet"], input=stream.encode(), check=True)
    subprocess.run([*git, "reset", "-q", "--hard", "main"], check=True)
    for name, value in (("user.name", "Ada"), ("user.email", "ada@example.org")):
        subprocess.run([*git, "config", name, value], check=True)


def unpack(root: Path) -> None:
    """Make every object loose."""
    for pack in (root / ".git" / "objects" / "pack").glob("*.pack"):
        moved = pack.rename(root / pack.name)
        with moved.open("rb") as stream:
            subprocess.run(["git", "-C", str(root), "unpack-objects", "-q"], stdin=stream, check=True)
        moved.unlink()


def run(root: Path, *command: str) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PYTHONPATH": str(SOURCE / "src"), "DVC_NO_ANALYTICS": "1", "PATH": path}
    done = subprocess.run([sys.executable, "-m", *command], cwd=root, env=environment, capture_output=True, text=True)
    if done.returncode and "not measured alone" not in done.stderr:
        sys.exit(f"{' '.join(command)} failed: {done.stderr}")
    return done.stdout


def timed(root: Path, *arguments: str) -> float:
    start = time.perf_counter()
    run(root, "assay", *arguments)
    return time.perf_counter() - start


def real(root: Path) -> None:
    """The project of this checkout, run once."""
    for part in PARTS:
        source, target = SOURCE / part, root / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)
    git = ["git", "-C", str(root)]
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    for message in ("Start", "First run"):
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, *identity, "commit", "-q", "-m", message], check=True)
        run(root, "dvc", "repro", "--quiet")


def populate(root: Path, experiments: int) -> None:
    """Experiments on HEAD, each with numbers of its own."""
    head = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    base, stream = head.stdout.strip(), ""
    table = (root / "results/replicates.csv").read_text(encoding="utf-8")
    for number in range(experiments):
        files = {"results/replicates.csv": table.replace("candidate,candidate,", f"candidate,candidate,{number:08x}")}
        one = commit(f"refs/exps/{base[:2]}/{base[2:]}/exp-{number}", 1 + number, None, files)
        stream += one.replace("M 100644", f"from {base}\nM 100644", 1)
    subprocess.run(["git", "-C", str(root), "fast-import", "--quiet"], input=stream.encode(), check=True)


def judged_again(root: Path, number: int) -> tuple[float, float]:
    """Seconds of our stages, and of DVC, in a run in which nothing but the level of the test changed."""
    found = json.loads(run(root, "assay", "profile", "--json", "-S", f"judge.alpha={0.05 + number / 1000:g}"))
    return sum(one["seconds"] for one in found["processes"] if not one["beside"]), found["dvc"]


def stages(root: Path, experiments: int, repeats: int) -> None:
    """Two copies of one project, with experiments and without, measured in turns: other work slows both alike."""
    empty, full = root / "empty", root / "full"
    empty.mkdir()
    real(empty)
    shutil.copytree(empty, full, symlinks=True)
    populate(full, experiments)
    rounds: dict[Path, list[tuple[float, float]]] = {empty: [], full: []}
    for number in range(repeats + 1):  # the first after the experiments came reads them, as after a fetch
        for project, found in rounds.items():
            found.append(judged_again(project, 1 + number))
    for project, present in ((empty, 0), (full, experiments)):
        first, *rest = rounds[project]
        ours, theirs = (statistics.median(column) for column in zip(*rest, strict=True))
        print(f"{present} experiments: our stages {ours:.2f} s (the first time {first[0]:.2f} s), DVC {theirs:.2f} s")
    pairs = [(many[0] / none[0], many[1] / none[1]) for none, many in zip(rounds[empty], rounds[full], strict=True)][1:]
    ratios = [sorted(column) for column in zip(*pairs, strict=True)]
    for name, column in zip(("our stages", "DVC"), ratios, strict=True):
        print(f"{name}: ratio {statistics.median(column):.2f} ({column[0]:.2f}–{column[-1]:.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strategies", type=int, default=200)
    parser.add_argument("--experiments", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--loose", action="store_true")
    parser.add_argument("--stages", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if chosen.stages:
            stages(root, chosen.experiments, chosen.repeats)
            return
        build(root, chosen.strategies, chosen.experiments)
        if chosen.loose:
            unpack(root)
        for arguments in (["log"], ["log", "--all"], ["status"], ["accept", "two", "again", "--dry-run"]):
            seconds = sorted(timed(root, *arguments) for _ in range(chosen.repeats))
            name, median = " ".join(arguments), seconds[len(seconds) // 2]
            print(f"assay {name:26} median {median:.2f} s, worst {seconds[-1]:.2f} s")


if __name__ == "__main__":
    main()
