"""Trainings killed at random moments: each must end with the very bytes of an undisturbed one.

    python benchmarks/kills_training.py [--kills 50] [--seed 1]

Three replicates train again and again until they come to an end, with a checkpoint every few steps; each
attempt is ended by SIGKILL after a random time. Exits with 1 when a single byte differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys

from nets import ROOT, Bench, machine

_DRIVER = """
import sys
sys.path.insert(0, {source!r})
from pathlib import Path
import msgspec
from assay.training import checkpoint
from assay.training.train_and_predict import measure
from assay.core.schemas import MeasureRequest
checkpoint.SECONDS, checkpoint.SHARE = 0.02, float("inf")
request = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=MeasureRequest)
print("ready", flush=True)
measure(request, Path({root!r}))
"""


def content(bench: Bench) -> str:
    """One hash over weights and predictions."""
    out = bench.root / "out"
    kept = sorted([*out.rglob("*.safetensors"), *out.rglob("*.npy")])
    return hashlib.sha256(b"".join(path.read_bytes() for path in kept)).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    bench = Bench("convolution", epochs=8)
    cache = bench.root / "cache"
    bench.run(3, "sequential")
    undisturbed = content(bench)
    request = json.loads((bench.root / "request.json").read_text())
    (bench.root / "request.json").write_text(json.dumps({**request, "cache": str(cache)}))
    driver = _DRIVER.format(source=str(ROOT / "src"), root=str(bench.root))
    command = [sys.executable, "-c", driver, str(bench.root / "request.json")]
    kills, ends, wrong = 0, 0, 0
    while kills < asked.kills:
        if attempt(command, chance.uniform(0.0, 1.5)):
            ends += 1
            wrong += content(bench) != undisturbed
            shutil.rmtree(cache)
        else:
            kills += 1
    while not attempt(command, 600):
        pass
    ends += 1
    wrong += content(bench) != undisturbed
    print(f"{machine()}: {kills} kills, {ends} trainings brought to their end, {wrong} with other bytes")
    sys.exit(1 if wrong else 0)


def attempt(command: list[str], seconds: float) -> bool:
    """Whether the training came to its end within `seconds` of being ready; else it is killed."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        if process.wait(timeout=seconds):
            raise SystemExit("the training failed on its own")
        return True
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return False


if __name__ == "__main__":
    main()
