"""End runs of the pipeline at random moments, and compare what the next run gives with an undisturbed one.

    python benchmarks/kills_pipeline.py [--kills 50] [--seed 0]

Each time a fresh copy of a project with an accepted baseline starts `dvc exp run -S seed=5`; after a random
time dvc alone, or all of its process group, gets SIGKILL, or SIGINT as from Ctrl-C. The same command then runs
to its end, after mending what docs/troubles.md names where dvc died while it wrote that. Weights, predictions, tables
and plots must be those of a run that nobody disturbed.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.kills import ENDS, again, interrupted, settle
from support.project import Project, accepted
from support.weights import digests

RUN = ("exp", "run", "-S", "seed=5")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        template = accepted(Path(folder) / "template")
        expected, seconds = _undisturbed(template, Path(folder))
        chance, counts, bad = random.Random(asked.seed), Counter[str](), 0
        for number in range(asked.kills):
            end, moment = chance.choice(ENDS), chance.uniform(0.2, seconds)
            good, running, mended = _once(template, Path(folder) / f"try{number}", end, moment, expected)
            counts[f"{end}, {'while running' if running else 'after its end'}"] += 1
            if mended:
                counts[f"killed while it wrote {mended}, mended as docs/troubles.md says"] += 1
            bad += not good
            print(f"{number + 1:3d}  {end:10s}  after {moment:5.2f} s  {'same numbers' if good else 'OTHER NUMBERS'}")
    for kind, count in sorted(counts.items()):
        print(f"{count:3d}  {kind}")
    print(f"{bad} of {asked.kills} gave other numbers than the undisturbed run of {seconds:.1f} s")
    sys.exit(bad > 0)


def _undisturbed(template: Project, folder: Path) -> tuple[dict[str, str], float]:
    project = template.copy(folder / "undisturbed")
    started = time.monotonic()
    project.dvc(*RUN)
    return digests(project), time.monotonic() - started


def _once(template: Project, where: Path, end: str, moment: float, expected: dict[str, str]) -> tuple[bool, bool, str]:
    """Whether the numbers are the expected ones, whether the run was still going when it was ended, what was mended."""
    project = template.copy(where)
    running = interrupted(project, RUN, moment, end)
    settle(project)
    mended = again(project, RUN)
    good = digests(project) == expected
    shutil.rmtree(where)
    return good, running, mended


if __name__ == "__main__":
    main()
