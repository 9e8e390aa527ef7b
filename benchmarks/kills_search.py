"""A search killed at random moments: same settings, same numbers, nothing trained twice, as one that nobody disturbed.

    python benchmarks/kills_search.py [--kills 50] [--seed 1]

A script that takes no time is searched over 24 settings on two seeds, then by TPE. Each attempt is ended by SIGKILL of
its whole process group after a random time; the same command goes on, until it ends, and then another copy begins. The
script notes each training that it ends. One that ended as the kill came may be lost and made again: these are counted
apart. Exits with 1 when a record differs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support import scripted
from support.project import CHECKOUT, environment

TRAIN = """import argparse
import json
import math
import os
import random
from pathlib import Path

arguments = argparse.ArgumentParser()
for name in ("lr", "decay"):
    arguments.add_argument(f"--{name}", type=float)
arguments.add_argument("--seed", type=int)
arguments.add_argument("--log", type=Path)
arguments.add_argument("--out", type=Path)
given = arguments.parse_args()
value = -((math.log10(given.lr) + 2) ** 2) - (math.log10(given.decay) + 3) ** 2
value += random.Random(given.seed).gauss(0, 0.1)
(given.out / "metrics.json").write_text(json.dumps({"score": value}))
with given.log.open("a") as log:
    log.write(f"{given.lr} {given.decay} {given.seed}\\n")
"""
SPACE = {"lr": {"log": [1e-4, 1e0]}, "decay": {"log": [1e-5, 1e-1]}}
COMMAND = ("assay", "search", "--finalists", "0", "--sampler", "tpe", "--settings")


def create(root: Path, log: Path) -> Path:
    task = {
        "command": "python train.py --lr {lr} --decay {decay} --seed {seed} --log {log} --out {out}",
        "result": {"file": "{out}/metrics.json", "key": "score", "direction": "maximize"},
    }
    params = {"lr": 0.1, "decay": 0.01, "log": str(log), "replicates": 2, "seed": 1, "task": task}
    params["search"] = {"space": SPACE, "replicates": 2}
    root.mkdir(parents=True)
    files = {"train.py": TRAIN, "params.yaml": json.dumps(params, indent=1), ".gitignore": "/context\n/arms\n/models\n"}
    scripted.write(root, files)
    shutil.copy(CHECKOUT / "src/assay/templates/script/dvc.yaml", root / "dvc.yaml")
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    subprocess.run(["dvc", "init", "--quiet"], cwd=root, env=environment(root.parent), check=True)
    scripted.commit(root)
    return root


def records(root: Path) -> dict[str, object]:
    """Path → content of every record, without how long it took."""
    listed = scripted.git(root, "ls-tree", "-r", "--name-only", "refs/assay/search/search").splitlines()
    found = {}
    for path in listed:
        content = json.loads(scripted.git(root, "show", f"refs/assay/search/search:{path}"))
        if path != "use.json":
            found[path] = {key: value for key, value in content.items() if key != "seconds"}
    return found


def attempt(root: Path, settings: int, seconds: float | None) -> bool:
    """Whether the search came to its end before it was killed."""
    process = subprocess.Popen(
        [*COMMAND, str(settings)],
        cwd=root,
        env=environment(root.parent) | {key: os.environ[key] for key in ("PYTHONPATH",) if key in os.environ},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    try:
        _, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return False
    if process.returncode:
        sys.exit(f"the search failed: {said}")
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--settings", type=int, default=24)
    asked = parser.parse_args()
    chance, kills, ends, wrong, again = random.Random(asked.seed), 0, 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        log.touch()
        template = create(Path(folder) / "template" / "project", log)
        first = Path(folder) / "first" / "project"
        shutil.copytree(template, first, symlinks=True)
        began = time.monotonic()
        attempt(first, asked.settings, None)
        whole, expected = time.monotonic() - began, records(first)
        print(f"undisturbed: {len(expected)} records in {whole:.1f} s, {len(log.read_text().splitlines())} trainings")
        while kills < asked.kills:
            root = Path(folder) / f"copy-{ends}" / "project"
            shutil.copytree(template, root, symlinks=True)
            log.write_text("")
            while not attempt(root, asked.settings, chance.uniform(0.5, whole / 3) if kills < asked.kills else None):
                kills += 1
            ends += 1
            counts = Counter(log.read_text().splitlines())
            again += sum(count - 1 for count in counts.values())
            wrong += records(root) != expected
            print(
                f"{kills} kills: {'same records' if not wrong else 'OTHER RECORDS'}, {again} trainings made again",
                flush=True,
            )
            shutil.rmtree(root.parent)
    print(f"{kills} kills over {ends} searches; {wrong} with other records;", end=" ")
    print(f"{again} trainings that a kill cut off before they were kept")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
