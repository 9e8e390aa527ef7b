"""Networks and a driver that the benchmarks of execution share. Runs nothing by itself."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from ruamel.yaml import YAML
from sklearn.datasets import load_digits

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))

from assay.data.storage import Examples, write  # noqa: E402

TASK = """
import math
import torch
from torch import nn

def perceptron(outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, outputs))

def wide(outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(),
                         nn.Linear(1024, outputs))

def convolution(outputs):
    return nn.Sequential(
        nn.Unflatten(1, (1, 8)), nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(16, outputs))

class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.qkv, self.out, self.heads = nn.Linear(width, 3 * width), nn.Linear(width, width), heads
    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        weights = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).reshape(batch, length, width))

class Transformer(nn.Module):
    def __init__(self, outputs, width=16):
        super().__init__()
        self.embed, self.place = nn.Linear(8, width), nn.Parameter(torch.zeros(8, width))
        self.norm, self.attend = nn.LayerNorm(width), Attention(width, 2)
        self.mix = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 32), nn.GELU(), nn.Linear(32, width))
        self.out = nn.Linear(width, outputs)
    def forward(self, x):
        x = self.embed(x) + self.place
        x = x + self.attend(self.norm(x))
        return self.out((x + self.mix(x)).mean(1))

class Recurrent(nn.Module):
    def __init__(self, outputs, width=32):
        super().__init__()
        self.inner, self.again = nn.Linear(8, 3 * width), nn.Linear(width, 3 * width)
        self.out, self.width = nn.Linear(width, outputs), width
    def forward(self, x):
        state, inner = x.new_zeros(x.shape[0], self.width), self.inner(x)
        for step in range(8):
            r, z, n = inner[:, step].chunk(3, -1)
            a, b, c = self.again(state).chunk(3, -1)
            z = (z + b).sigmoid()
            state = (1 - z) * (n + (r + a).sigmoid() * c).tanh() + z * state
        return self.out(state)

NETS = dict(perceptron=perceptron, wide=wide, convolution=convolution, transformer=Transformer, recurrent=Recurrent)

def model(shape, outputs, net="perceptron"):
    return NETS[net](outputs)

def loss(outputs, targets):
    return -outputs.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).mean()

def preprocess(inputs):
    return inputs.float() / 16
"""

NETS = ("perceptron", "wide", "convolution", "transformer", "recurrent")

_DRIVER = """
import json, os, sys, time
started = time.perf_counter()
sys.path.insert(0, {source!r})
from pathlib import Path
import msgspec, torch
from assay.training.train_and_predict import measure
from assay.core.schemas import MeasureRequest
threads = int(sys.argv[2])
torch.set_num_threads(threads)
request = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=MeasureRequest)
ready, cpu = time.perf_counter(), sum(os.times()[:4])
answer = measure(request, Path({root!r}))
log = Path(request.log).read_text()
way = log.partition(": replicates train ")[2].partition("\\n")[0]
print(json.dumps({{"way": way, "import": ready - started, "measure": time.perf_counter() - ready,
                   "cpu": sum(os.times()[:4]) - cpu,
                   "training": sum(one.seconds for one in answer.replicates if not one.reused),
                   "execution": answer.replicates[-1].execution, "peak": answer.peak_memory,
                   "reused": sum(one.reused for one in answer.replicates)}}))
"""


class Bench:
    """A project in a folder of its own, measured by processes of their own."""

    def __init__(self, net: str, train: int = 1257, **settings: Any) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="assay-bench-")
        self.root = Path(self.folder.name)
        file = self.root / "src" / "tasks" / "bench" / "learning.py"
        file.parent.mkdir(parents=True)
        file.write_text(TASK)
        bunch = load_digits()
        order = np.random.default_rng(0).permutation(1797)
        for name, rows in (("train", np.resize(order[:1257], train)), ("validation", order[1257:1617])):
            start = 0 if name == "train" else 10**7
            ids = np.array([f"{number:032x}" for number in range(start, start + len(rows))])
            part = Examples(ids, bunch.images[rows].astype(np.uint8), bunch.target[rows], None, tuple("0123456789"))
            write(self.root / name, name, part)
        params = {
            "lr": 0.001,
            "replicates": 10,
            "seed": 1,
            "task": {"name": "bench"},
            "model": {"net": net},
            "train": {"epochs": 5, "batch_size": 64, **settings},
            "metric": {"name": "accuracy"},
        }
        with (self.root / "params.yaml").open("w") as stream:
            YAML().dump(params, stream)

    def request(self, replicates: int, execution: str, device: str = "cpu", cache: str = "") -> Path:
        """The file that asks for one measurement."""
        out = self.root / "out"
        request = {
            "profile": "full",
            "purpose": "candidate",
            "seed": 1,
            "replicates": list(range(replicates)),
            "device": device,
            "environment": "bench",
            "code": "bench",
            "execution": execution,
            "train": str(self.root / "train"),
            "evaluate": str(self.root / "validation"),
            "models": str(out / "models"),
            "predictions": str(out / "predictions"),
            "curves": str(out / "curves.csv"),
            "log": str(out / "log"),
            "answer": str(out / "answer.json"),
            "cache": cache,
        }
        file = self.root / "request.json"
        file.write_text(json.dumps(request))
        return file

    def run(
        self, replicates: int, execution: str, threads: int = 1, device: str = "cpu", cache: str = ""
    ) -> dict[str, Any]:
        """Seconds of one measurement: import, measure, training; how it was executed; peak memory in bytes."""
        file = self.request(replicates, execution, device, cache)
        driver = _DRIVER.format(source=str(ROOT / "src"), root=str(self.root))
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        command = [sys.executable, "-c", driver, str(file), str(threads)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def middle(values: list[float]) -> str:
    """Median with the smallest and the largest."""
    return f"{median(values):.3g} [{min(values):.3g}, {max(values):.3g}]"


def machine() -> str:
    """One line about where and when, for a committed table."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return (
        f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, load average {load:.1f}"
    )
