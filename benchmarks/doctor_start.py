"""CPU seconds that the doctor takes at the start of `train`, on the digits, its imports included.

    python benchmarks/doctor_start.py [--repeats 7]

Each repeat runs `assay stage train` of a fresh copy of the project in a process of its own, with the call that asks the
doctor (`train_doctor._asked`) between two readings of the process's CPU time. Prints each reading and the median.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.project import Project, create

DEMANDED = 0.15
TIMED = """
import sys, time
from assay.stages import train_doctor
asked = train_doctor._asked
def timed(*given):
    began = time.process_time()
    found = asked(*given)
    taken = time.process_time() - began
    print(f"doctor: {taken:.4f} CPU seconds, {len(found.findings)} findings, {found.why}", flush=True)
    return found
train_doctor._asked = timed
sys.argv = ["assay", "stage", "train"]
from assay.__main__ import main
main()
"""


def reading(project: Project) -> float:
    done = project.run(sys.executable, "-c", TIMED, ok=False)
    found = re.search(r"doctor: ([\d.]+) CPU seconds, (\d+) findings", done.stdout)
    if found is None or not int(found[2]):
        raise SystemExit(f"train did not ask the doctor:\n{done.stdout}\n{done.stderr}")
    return float(found[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as folder:
        first = create(Path(folder), "first")
        first.dvc("repro", "--quiet", "baseline")
        first.run("assay", "stage", "context")
        seconds = [reading(first.copy(Path(folder) / f"copy{number}")) for number in range(repeats)]
    print(", ".join(f"{one:.3f}" for one in seconds))
    print(f"median {statistics.median(seconds):.3f} CPU seconds; demanded {DEMANDED:g} at most")


if __name__ == "__main__":
    main()
