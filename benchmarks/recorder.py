"""What the recorder beside a training costs, how large its record is, and whether a bit moved.

    python benchmarks/recorder.py [--seconds 10] [--only digits|small-images|large-images|many-classes]

Each task trains once without the recorder and once with it, for about so many seconds. The cost is the processor time
that is spent inside of the recorder, as a share of that of the whole training: the difference of two trainings on a
shared machine would be noise. Data are drawn with fixed seeds; images are noise around a mean of their class, which
compresses worst.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "training"))

from miniature import DIGITS, Project, digits, some_ids

from assay.data.storage import Examples
from assay.replicates import assemble_measurement
from assay.replicates import train_and_eval_examples as samples
from assay.replicates.assemble_measurement import Watch
from assay.replicates.replicate_cache import ReplicateCache
from assay.stages.train_recorder import MODULES
from assay.training import train_and_predict
from assay.training.recorder_beside_lanes import RecordedLanes

CONVOLUTIONS = """
import torch
from torch import nn

def model(shape, outputs):
    first, second = nn.Conv2d(3, 16, 5, stride=STRIDE, padding=2), nn.Conv2d(16, 32, 3, stride=2)
    last = nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(512, outputs)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), *last)

def loss(outputs, targets):
    return nn.functional.cross_entropy(outputs, targets)

def preprocess(inputs):
    return inputs.float() / 127.5 - 1

def augment(inputs, targets, generator):
    return inputs + 0.05 * torch.randn(inputs.shape, generator=generator), targets
"""


@dataclass(frozen=True)
class Case:
    source: str
    parts: Sequence[Examples]
    replicates: int
    execution: str
    epochs: int  # of a first, short training, which tells how many take the time that is wanted


def images(count: int, side: int, classes: int, first: int) -> Examples:
    chance = np.random.default_rng(first)
    targets = chance.integers(0, classes, count)
    means = np.random.default_rng(0).uniform(60, 190, (classes, 3, 1, 1))
    pixels = chance.normal(means[targets], 40, (count, 3, side, side)).clip(0, 255).astype(np.uint8)
    names = tuple(f"class number {number} with a long name" for number in range(classes))
    return Examples(ids=some_ids(count, first), inputs=pixels, targets=targets.astype(np.int64), classes=names)


def cases() -> dict[str, Callable[[], Case]]:
    def of_images(count: int, side: int, classes: int, stride: int, epochs: int) -> Case:
        parts = images(count, side, classes, 0), images(count // 4, side, classes, count)
        return Case(CONVOLUTIONS.replace("STRIDE", str(stride)), parts, 1, "sequential", epochs)

    return {
        "digits": lambda: Case(DIGITS.read_text(), (digits(0, 1250), digits(1250, 1600)), 10, "fused", 20),
        "small-images": lambda: of_images(1000, 32, 10, 1, 2),
        "large-images": lambda: of_images(200, 224, 10, 4, 2),
        "many-classes": lambda: of_images(1000, 32, 1000, 1, 2),
    }


class Clock:
    """Processor seconds inside of recorders."""

    def __init__(self) -> None:
        self.spent = 0.0

    def around(self, function: Any) -> Any:
        def timed(*given: Any) -> Any:
            began = time.process_time()
            try:
                return function(*given)
            finally:
                self.spent += time.process_time() - began

        return timed


def trained(project: Project, case: Case, epochs: int, recorder: str, out: str) -> tuple[float, ReplicateCache]:
    project.set(train={"epochs": epochs, "batch_size": 64})
    numbers = list(range(case.replicates))
    asked = project.request(numbers, out, execution=case.execution, cache=str(project.root / f"cache-{out}"))
    settings, kept = assemble_measurement.requested(asked, project.root), list[ReplicateCache]()
    watch = Watch(lambda: None, list, recorder=recorder, done=kept.append)
    sample = samples.read(asked, settings)
    began = time.process_time()
    train_and_predict.trained(asked, project.root, settings, sample, watch)
    return time.process_time() - began, kept[0]


def made(case: Case, root: Path, name: str) -> Project:
    file = root / "src" / "tasks" / name / "learning.py"
    file.parent.mkdir(parents=True)
    file.write_text(case.source)
    project = Project(root, name)
    for part, examples in zip(("train", "validation"), case.parts, strict=True):
        project.part(part, examples)
    section = {"name": name}
    profiles = {"full": {}, "fast": {"train": {"epochs": 1}}}
    project.set(lr=0.005, replicates=3, seed=1, profile="full", task=section, metric={"name": "accuracy"})
    project.set(profiles=profiles)
    return project


def measured(name: str, case: Case, seconds: float) -> str:
    with tempfile.TemporaryDirectory(prefix="assay-recorder-") as scratch:
        project = made(case, Path(scratch), name.replace("-", "_"))
        trained(project, case, 1, MODULES["records"], "warm")  # imports are paid once a process
        short, _ = trained(project, case, case.epochs, "", "short")
        epochs = max(case.epochs, round(case.epochs * seconds / short))
        plain, _ = trained(project, case, epochs, "", "plain")
        clock, guarded = Clock(), RecordedLanes._guarded
        RecordedLanes._guarded = clock.around(guarded)  # type: ignore[method-assign]
        follow, RecordedLanes._follow = RecordedLanes._follow, clock.around(RecordedLanes._follow)  # type: ignore[method-assign]
        try:
            whole, store = trained(project, case, epochs, MODULES["records"], "recorded")
        finally:
            RecordedLanes._guarded, RecordedLanes._follow = guarded, follow  # type: ignore[method-assign]
        same = all(project.weights(one, "plain") == project.weights(one, "recorded") for one in range(case.replicates))
        size = len(store.recorded(0))
    share = clock.spent / (whole - clock.spent)
    said = "the same bits" if same else "OTHER BITS"
    return (
        f"| {name} | {case.replicates} {case.execution} × {epochs} epochs | {plain:.1f} | {clock.spent:.3f} "
        f"| {share:.2%} | {size / 1024:.0f} KiB | {said} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--only")
    asked = parser.parse_args()
    print("| task | training | seconds | of the recorder | share | record | weights |")
    print("| --- | --- | ---: | ---: | ---: | ---: | --- |")
    for name, case in cases().items():
        if asked.only in (None, name):
            print(measured(name, case(), asked.seconds), flush=True)


if __name__ == "__main__":
    main()
