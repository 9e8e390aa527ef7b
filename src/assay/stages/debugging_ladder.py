"""debugging_ladder: the task in four steps, from a made-up rule to a sample that beats the floors.

`assay stage debugging_ladder STEPS.json [KEY]`, started by `assay doctor --ladder`; no stage of dvc.yaml. Reads
data/split/train and data/split/validation, never the test part; everything else lies in a temporary place. Covers: made
examples, 300 examples, a nested sample. Not covered: `assay check`, which comes before, and the full run.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor

from assay.baseline import trivial_baselines
from assay.core import params_problems, params_yaml
from assay.core.errors import AssayError, UsageError
from assay.core.params_yaml import Params
from assay.core.paths import ProjectPaths
from assay.data import storage
from assay.data.storage import Examples
from assay.doctor import rehearsal
from assay.metrics import evaluation_setup, task_metrics
from assay.metrics.below_floor import below
from assay.metrics.scored_arm import Ruler
from assay.replicates import measure_request
from assay.replicates.train_and_eval_examples import NEEDED, sample, without
from assay.runtime import dvc_yaml, files, npy_files, task_source
from assay.stages import task_parts
from assay.stages.check_run import few
from assay.training import batches, configured_task, device, train_and_predict
from assay.training.batches import Tensors
from assay.training.task_interface import Task

#: made examples, of so many kinds
MADE, KINDS = 16, 4
#: share of a made example that is drawn anew, so that examples of a kind differ
NOISE = 0.05
#: real examples that are to be fitted, and the largest share of the way that may be left
REAL, LEFT = 300, 0.05
#: the same for made examples
MADE_LEFT = 0.2
#: most steps, and most processor seconds, of a fit
STEPS, SECONDS = 1500, 60.0
#: fewest examples of the sample, and its share of the training part
SAMPLE, SHARE = 500, 0.25
FACTORS = (1 / 3, 3.0)
PASS, FAIL, NOT_APPLICABLE = "pass", "fail", "not applicable"


@dataclass(frozen=True)
class Rung:
    """One step of the ladder. `result`: pass, fail, or not applicable with a `reason`."""

    step: str
    result: str
    measured: str = ""
    threshold: str = ""
    reason: str = ""


def main(root: Path, arguments: Sequence[str]) -> None:
    if not 1 <= len(arguments) <= 2:
        raise UsageError(f"debugging_ladder was given {len(arguments)} arguments", allowed="a path, and a parameter")
    problems, params = params_problems.problems(dvc_yaml.parameters(root))
    if problems or params is None:
        raise problems[0] if problems else UsageError("params.yaml cannot be read")
    found: list[Rung] = []
    with tempfile.TemporaryDirectory(prefix="assay-ladder-") as scratch:
        ladder = Ladder(root, params, Path(scratch), arguments[1] if len(arguments) > 1 else "")
        for step in (ladder.made, ladder.real, ladder.beats_floors):
            found.append(step())
            if found[-1].result == FAIL:
                break
    files.write_text(Path(arguments[0]), json.dumps([asdict(one) for one in found]) + "\n")


class Ladder:
    """The steps, on the parts of the project at `root`. `key` is a parameter that is varied beside the rate."""

    def __init__(self, root: Path, params: Params, scratch: Path, key: str) -> None:
        self.root, self.params, self.scratch, self.key = root, params, scratch, key
        layout = ProjectPaths(root)
        self.evaluated = storage.read(layout.part("validation"), NEEDED)[0]
        self.train = without(storage.read(layout.part("train"), NEEDED)[0], self.evaluated)[0]
        self.task = configured_task.load(params, root, self.train)
        self._refuse_key()

    def _refuse_key(self) -> None:
        if self.key and not isinstance(self._value(self.key), int | float):
            numbers = [name for name, value in _leaves(self._strategy()) if isinstance(value, int | float)]
            raise UsageError(f"there is no number {self.key!r} in params.yaml", allowed=", ".join(sorted(numbers)))

    def made(self) -> Rung:
        """Examples with a rule that anything learns, in the shapes of the project's own."""
        name = f"{MADE} made examples with a rule"
        if why := self._no_parts():
            return Rung(name, NOT_APPLICABLE, reason=why)
        if not isinstance(self.train.inputs, np.ndarray):
            return Rung(name, NOT_APPLICABLE, reason="inputs lie in files, and cannot be made up")
        return self._fitted(name, _made(self.train), MADE_LEFT)

    def real(self) -> Rung:
        """A few hundred real examples, with everything off that keeps a model from fitting them."""
        name = f"{REAL} examples, without augmentation, dropout, decay and schedule"
        if why := self._no_parts():
            return Rung(name, NOT_APPLICABLE, reason=why)
        return self._fitted(name, _consistent(few(self.train, REAL)), LEFT)

    def _no_parts(self) -> str:
        return "the task trains by fit(), a loop of its own" if self.task.fit is not None else ""

    def _fitted(self, name: str, examples: Examples, most: float) -> Rung:
        part, _ = batches.tensors(self.task, examples, examples, device.DTYPES[self.params.train.precision])
        outputs = batches.outputs(self.train)
        classes = None if self.train.classes is None else len(self.train.classes)
        first, last, least, steps = fitted(self.task, self.params, part, outputs, classes, most)
        left = (last - least) / max(first - least, 1e-12)
        return Rung(
            name,
            PASS if left <= most else FAIL,
            f"{100 * left:.1f} % of the way from loss {first:.4g} to {least:.4g} is left after {steps} steps",
            f"{100 * most:g} %",
        )

    def beats_floors(self) -> Rung:
        """A nested sample of the training part, as the strategy trains it, against the floors of that sample."""
        share = min(1.0, max(SHARE, SAMPLE / len(self.train)))
        chosen = sample(self.train, share)
        name = f"a nested sample of {len(chosen)} examples beats the floors"
        for folder, part in (("train", chosen), ("validation", self.evaluated)):
            storage.write(self.scratch / folder, folder, part)
        ruler = self._ruler()
        found = {"as it is": self._score(ruler, {})}
        for key in ("lr", *([self.key] if self.key else [])):
            value = self._value(key)
            found |= {f"{key} {_varied(value, by):g}": self._tried(ruler, key, _varied(value, by)) for by in FACTORS}
        floors = self._floors(ruler, chosen)
        beaten = (
            below([found["as it is"]], floors, ruler.metric.direction) if math.isfinite(found["as it is"]) else "any"
        )
        said = [f"{what} {value:.4g}" for what, value in found.items()]
        against = ", ".join(f"{floor} {value:.4g}" for floor, value in floors.items())
        return Rung(name, FAIL if beaten else PASS, f"{ruler.decides}: {', '.join(said)}", f"better than {against}")

    def _ruler(self) -> Ruler:
        module = task_source.load(self.root, self.params.task.name, "metrics")
        return evaluation_setup.read(self.root, self.params, module, self.evaluated.ids, self.evaluated.seen_targets)

    def _floors(self, ruler: Ruler, chosen: Examples) -> dict[str, float]:
        made = trivial_baselines.floors(chosen, self.evaluated)
        return {name: ruler.score(ruler.metric, predictions, name) for name, predictions in made.items()}

    def _tried(self, ruler: Ruler, key: str, value: float) -> float:
        try:
            return self._score(ruler, {key: value})
        except AssayError:  # such as that it diverges
            return math.nan

    def _score(self, ruler: Ruler, changes: dict[str, Any]) -> float:
        params = params_yaml.changed(dvc_yaml.parameters(self.root), {**changes, "replicates": 1, "train.sample": 1.0})
        request = measure_request.of_one_replicate(self.scratch, self.params, "ladder", "sequential")
        train_and_predict.measure(request, self.root, params=params)
        predictions = npy_files.read(self.scratch / "predictions" / "predictions.npy")[0]
        return float(task_metrics.score(ruler.metric, ruler.options, ruler.targets, predictions, "the sample"))

    def _strategy(self) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.to_builtins(self.params)
        return {name: found[name] for name in params_yaml.OVERLAID}

    def _value(self, key: str) -> Any:
        return dict(_leaves(self._strategy())).get(key)


def fitted(
    task: Task, params: Params, part: Tensors, outputs: int | dict[str, int], classes: int | None, goal: float
) -> tuple[float, float, float, int]:
    """Loss at the start and after training on all of `part`, the least that free outputs reach, and the steps.

    Ends early where the share `goal` of the way is left. Adam, or gradient descent where the strategy says so.
    """
    given = task_parts.arguments(task, params, part, part, outputs, classes)
    loss, model, group = given["loss"], given["model"], given["optimizer"].param_groups[0]
    held = group["params"]
    rule = rehearsal.Momentum(held, params.lr, group["momentum"]) if "momentum" in group else None
    step = (rule or rehearsal.Adam(held, params.lr)).step
    model.train()
    rehearsal.without_dropout(model)
    rows = torch.arange(len(part))
    inputs, targets = part.inputs[rows], part.targets[rows]
    with torch.no_grad():
        free = model(inputs)
    if not isinstance(free, Tensor):
        raise UsageError("the model returns more than one tensor", hint="call assay.doctor.examine with your parts")
    least = rehearsal.least(lambda made: loss(made[0], targets), [free], [free])
    first = last = float(loss(free, targets))
    generator, began, count = torch.Generator().manual_seed(task_parts.SEED), time.process_time(), 0
    while count < STEPS and time.process_time() - began < SECONDS and last - least > goal * (first - least):
        for chosen in torch.split(torch.randperm(len(part), generator=generator), params.train.batch_size):
            value = loss(model(part.inputs[chosen]), targets[chosen])
            for one, gradient in zip(held, torch.autograd.grad(value, held, allow_unused=True), strict=True):
                one.grad = gradient
            step()
            count += 1
        with torch.no_grad():
            last = float(loss(model(inputs), targets))
    return first, last, least, count


def _made(examples: Examples) -> Examples:
    """Examples in the shapes and values of real ones: each kind has a pattern of its own and a real target."""
    generator = np.random.Generator(np.random.PCG64(task_parts.SEED))
    first = _different(examples)
    inputs, targets = np.asarray(examples.inputs), np.asarray(examples.targets)
    pool = inputs[: 4 * MADE].ravel()
    patterns = generator.choice(pool, (len(first), *inputs.shape[1:]))
    kinds = np.arange(MADE) % len(first)
    made = patterns[kinds]
    other = generator.random(made.shape) < NOISE
    made = np.where(other, generator.choice(pool, made.shape), made).astype(inputs.dtype)
    chosen = examples.take(np.resize(first, MADE))
    return replace(chosen, inputs=made, targets=targets[first][kinds])


def _different(examples: Examples) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Rows of up to KINDS examples whose targets differ."""
    targets = np.asarray(examples.targets)
    _, first = np.unique(targets.reshape(len(targets), -1), axis=0, return_index=True)
    spread = np.linspace(0, len(first) - 1, min(KINDS, len(first))).astype(np.intp)
    return np.asarray(first[spread], dtype=np.intp)


def _consistent(examples: Examples) -> Examples:
    """Without examples whose input stands there with another target, too: nobody can fit both."""
    keys = storage.input_keys(examples)
    _, which = np.unique(keys, return_inverse=True)
    targets = np.asarray(examples.targets).reshape(len(examples), -1)
    kept = [at for at in range(len(examples)) if bool((targets[which == which[at]] == targets[at]).all())]
    return examples.take(np.array(kept, dtype=np.intp))


def _leaves(tree: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{above}{name}.")
        elif not isinstance(value, bool):
            yield f"{above}{name}", value


def _varied(value: float, by: float) -> float:
    return max(1, round(value * by)) if isinstance(value, int) else value * by
