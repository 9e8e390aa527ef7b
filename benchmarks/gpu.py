"""What a GPU gives: precision, determinism, utilisation, and the time to a verdict. benchmarks/gpu.sh runs all of it.

    python benchmarks/gpu.py precision|determinism|verdict [--device cuda] [--quick]

`precision` trains three replicates one after another in each precision, and says how busy the device was, by torch's
own account; `determinism` trains the same replicates twice and compares all bytes; `verdict` times the pipeline, ten
replicates an arm, from an empty cache and with a fresh baseline. `--quick` takes little of
everything, to see that it runs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nets import Bench, machine, middle
from tabulate import tabulate
from time_to_verdict import Assay

PRECISIONS = ("float32", "tf32", "bfloat16")
NETS = ("wide", "convolution", "transformer")
#: examples of one training: enough that steps, not starts, are measured
MANY, FEW = 40_000, 600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    print(f"## {asked.part}: {machine()}, {name(asked.device)}\n", flush=True)
    columns, rows = PARTS[asked.part](asked.device, asked.quick)
    print(tabulate(rows, columns, tablefmt="github", disable_numparse=True), "\n", flush=True)


def name(device: str) -> str:
    """The device as its maker calls it. torch is asked in a process of its own, which then leaves the device free."""
    code = f"import torch; print(torch.cuda.get_device_name({device!r}) if {device!r} != 'cpu' else 'cpu')"
    return subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def precision(device: str, quick: bool) -> tuple[list[str], list[list[str]]]:
    rows = []
    for net in NETS[: 1 if quick else None]:
        seconds: dict[str, float] = {}
        for kind in PRECISIONS:
            bench = Bench(net, train=FEW if quick else MANY, batch_size=512, precision=kind)
            found = bench.run(1 if quick else 3, "sequential", device=device)
            seconds[kind] = found["training"]
            rows.append([net, kind, f"{found['training']:.2f}", f"{seconds['float32'] / seconds[kind]:.2f}",
                         f"{found['peak'] / 2**20:.0f}", _busy(bench)])  # fmt: skip
            print(f"# {rows[-1]}", file=sys.stderr, flush=True)
    return ["net", "precision", "training, s", "float32 ÷ this", "peak MiB", "busy, %"], rows


def _busy(bench: Bench) -> str:
    found = _answer(bench)["utilisation"]
    return "nobody could tell" if found is None else f"{found:.0f}"


def _answer(bench: Bench) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((bench.root / "out/answer.json").read_text(encoding="utf-8"))
    return found


def determinism(device: str, quick: bool) -> tuple[list[str], list[list[str]]]:
    rows = []
    for net in NETS[: 1 if quick else None]:
        for way in ("sequential", "fused"):
            bench = Bench(net, train=FEW, epochs=1 if quick else 3)
            seen = []
            for _ in range(2):
                bench.run(3 if quick else 16, way, device=device)
                seen.append(_bytes(bench.root / "out/models"))
            slow = ", ".join(_answer(bench)["nondeterministic"]) or "none"
            rows.append([net, way, "the same bytes" if seen[0] == seen[1] else "other bytes", slow])
    return ["net", "execution", "twice the same seeds", "operations without a deterministic kernel"], rows


def _bytes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*.safetensors"))
    assert files, f"no weights in {folder}"
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def verdict(device: str, quick: bool) -> tuple[list[str], list[list[str]]]:
    where = Path(tempfile.mkdtemp(prefix="gpu-verdict-"))
    try:
        assay = Assay(where, 3 if quick else 10, device)
        runs = {"from an empty cache": assay.empty, "with a fresh baseline": assay.fresh}
        taken = {arm: [run("1").seconds for _ in range(1 if quick else 3)] for arm, run in runs.items()}
    finally:
        shutil.rmtree(where, ignore_errors=True)
    return ["this pipeline", "seconds"], [[arm, middle(seconds)] for arm, seconds in taken.items()]


PARTS: dict[str, Callable[[str, bool], tuple[list[str], list[list[str]]]]] = {
    "precision": precision,
    "determinism": determinism,
    "verdict": verdict,
}

if __name__ == "__main__":
    main()
