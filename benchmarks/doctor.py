"""How many planted faults the doctor finds, how often it alarms on healthy programs, and what that costs.

    python benchmarks/doctor.py [--seeds 3] [--budget 120] [--programs 15] [--part healthy|contracts|others]

Healthy programs are those of tests/support/doctor_healthy*.py; each kind of fault below and in doctor_faults.py is
planted into those that have a place for it, into up to 15 of each. FAULTS count as found with an error of a
contract in two of three seeds, WARNED with a warning of any check; a false alarm with either in any. The checks were
written with these kinds in mind: the rate is no first sight, and no blind one.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import doctor_faults

from assay.doctor import Report, tensor_tree
from assay.doctor.check_results import Contract
from assay.doctor.examine import CHECKS, CONTRACTS
from assay.doctor.examine import looked as examined
from assay.doctor.findings import LEVELS
from support.doctor_healthy_third import PROGRAMS

Program = dict[str, Any]


class Zero(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 0


class BatchMean(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - x.mean(0)


class AlwaysDropped(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.dropout(x, 0.2)


def behind(*layers: nn.Module) -> Callable[[Program], Program | None]:
    """Put layers behind a model that returns one tensor of rows and classes into cross_entropy."""

    def plant(program: Program) -> Program | None:
        if program["loss"] is not F.cross_entropy or isinstance(program["train_loader"], list):
            return None
        return {**program, "model": nn.Sequential(program["model"], *copy.deepcopy(layers))}

    return plant


def loss_of(change: Callable[[Any, Any, Any], Any]) -> Callable[[Program], Program | None]:
    def plant(program: Program) -> Program:
        loss = program["loss"]
        return {**program, "loss": lambda output, target: change(loss, output, target)}

    return plant


def detached(output: Any) -> Any:
    return tensor_tree.mapped(torch.Tensor.detach, output)


def negated(program: Program) -> Program | None:
    if program.get("task") == "gan":
        return None
    return loss_of(lambda loss, output, target: -loss(output, target))(program)


def cut_after_first(program: Program) -> Program | None:
    first = next((one for one in program["model"].children() if any(p.requires_grad for p in one.parameters())), None)
    if first is None or isinstance(program["optimizer"], list) or not isinstance(program["model"], nn.Sequential):
        return None
    first.register_forward_hook(lambda module, given, output: detached(output))
    return program


def half_held(program: Program) -> Program | None:
    needed = [one for one in program["model"].parameters() if one.requires_grad]
    if len(needed) < 4 or isinstance(program["optimizer"], list) or program.get("scheduler"):
        return None
    return {**program, "optimizer": torch.optim.Adam(needed[: len(needed) // 2])}


def of_a_copy(program: Program) -> Program | None:
    if program.get("scheduler") or isinstance(program["optimizer"], list):
        return None
    return {**program, "optimizer": torch.optim.Adam(copy.deepcopy(program["model"]).parameters())}


def rate_zero(program: Program) -> Program | None:
    if program.get("scheduler"):
        return None
    return {**program, "optimizer": torch.optim.SGD(program["model"].parameters(), lr=0.0)}


def tensors(program: Program) -> tuple[torch.Tensor, ...] | None:
    loader = program["train_loader"]
    found = loader.dataset.tensors if isinstance(getattr(loader, "dataset", None), TensorDataset) else None
    return None if found is None else tuple(one.clone() for one in found)


def with_data(program: Program, data: tuple[torch.Tensor, ...], shuffle: bool = True) -> Program:
    return {**program, "train_loader": DataLoader(TensorDataset(*data), batch_size=8, shuffle=shuffle)}


def not_a_number(program: Program) -> Program | None:
    data = tensors(program)
    if data is None or not data[0].is_floating_point() or bool(data[0].isnan().any()):
        return None
    data[0][3].view(-1)[0] = torch.nan
    return with_data(program, data)


def plain_labels(program: Program) -> tuple[torch.Tensor, ...] | None:
    data = tensors(program)
    plain = data is not None and data[-1].ndim == 1 and data[-1].dtype == torch.long
    return data if plain and program["loss"] is F.cross_entropy else None


def one_label(program: Program) -> Program | None:
    data = plain_labels(program)
    return None if data is None else with_data(program, (*data[:-1], torch.zeros_like(data[-1])))


def sorted_labels(program: Program) -> Program | None:
    data = plain_labels(program)
    if data is None:
        return None
    order = data[-1].argsort()
    return with_data(program, tuple(one[order] for one in data), shuffle=False)


def copied_validation(program: Program) -> Program | None:
    data = tensors(program)
    if data is None or "val_loader" in program:
        return None
    return {**program, "val_loader": DataLoader(TensorDataset(*(one[:32] for one in data)), batch_size=8)}


class NormWithoutEnd(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / x.flatten(1).norm(dim=1).view(-1, *[1] * (x.ndim - 1))


class UnseededNoise(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.as_tensor(np.random.default_rng().standard_normal(x.shape)).to(x)


class Halved(TensorDataset):
    def __getitem__(self, index: int) -> Any:
        item = super().__getitem__(index)
        item[0].div_(2)
        return item


def last_linear(program: Program) -> nn.Linear | None:
    found = [one for one in program["model"].modules() if isinstance(one, nn.Linear)]
    return found[-1] if found and program["loss"] is F.cross_entropy else None


def large_start(program: Program) -> Program | None:
    layer = last_linear(program)
    if layer is None:
        return None
    layer.weight.data.mul_(300)
    return program


def dead_start(program: Program) -> Program | None:
    model = program["model"]
    if not isinstance(model, nn.Sequential) or not isinstance(model[0], nn.Linear) or not isinstance(model[1], nn.ReLU):
        return None
    if model[0].bias is None:
        return None
    model[0].bias.data.fill_(-1000.0)
    return program


def floats(program: Program) -> tuple[torch.Tensor, ...] | None:
    data = plain_labels(program)
    plain = data is not None and len(data) == 2 and data[0].dtype == torch.float32 and data[0].ndim == 2
    return data if plain and not bool(data[0].isnan().any()) and program.get("forward") is None else None


def changed_inputs(change: Callable[[torch.Tensor], Any]) -> Callable[[Program], Program | None]:
    def plant(program: Program) -> Program | None:
        data = floats(program)
        if data is None or len(data[0]) < 64:
            return None
        change(data[0])
        return with_data(program, data)

    return plant


def rate(value: float) -> Callable[[Program], Program | None]:
    def plant(program: Program) -> Program | None:
        if program.get("scheduler") or isinstance(program["optimizer"], list) or program.get("accumulate"):
            return None
        held = [one for one in program["model"].parameters() if one.requires_grad]
        return {**program, "optimizer": torch.optim.SGD(held, lr=value), "planned_steps": 36}

    return plant


def wrong_unit(program: Program) -> Program | None:
    if program.get("scheduler") or isinstance(program["optimizer"], list):
        return None
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(program["optimizer"], T_max=10)
    return {**program, "scheduler": schedule, "scheduler_unit": "step", "planned_steps": 1000}


def parted(change: Callable[[list[torch.Tensor], list[torch.Tensor]], Any]) -> Callable[[Program], Program | None]:
    """Inputs and labels of two parts, of which one is changed in place."""

    def plant(program: Program) -> Program | None:
        data = floats(program)
        if data is None or "val_loader" in program:
            return None
        width, classes = data[0].shape[1], int(data[1].max()) + 1
        x = torch.randn(256, width)
        y = (x @ torch.randn(width, classes)).argmax(1)
        parts = [x[:160].clone(), y[:160].clone()], [x[160:].clone(), y[160:].clone()]
        change(*parts)
        loaders = [DataLoader(TensorDataset(*one), batch_size=8, shuffle=True) for one in parts]
        return {**program, "train_loader": loaders[0], "val_loader": loaders[1]}

    return plant


def in_front(layer: nn.Module, zero_row: bool = False) -> Callable[[Program], Program | None]:
    def plant(program: Program) -> Program | None:
        data = floats(program)
        if data is None or isinstance(program["optimizer"], list):
            return None
        if zero_row:
            data[0][3] = 0
        program = with_data(program, data)
        return {**program, "model": nn.Sequential(copy.deepcopy(layer), program["model"])}

    return plant


def read_and_changed(program: Program) -> Program | None:
    data = floats(program)
    return None if data is None else {**program, "train_loader": DataLoader(Halved(*data), batch_size=8, shuffle=True)}


def torn_labels(program: Program) -> Program | None:
    data = floats(program)
    if data is None or len({*data[0][:32].flatten().tolist()}) < 32:
        return None
    return with_data(program, (torch.cat([data[0]] * 2), torch.cat([data[1], data[1].roll(1)])))


def target_column(program: Program) -> Program | None:
    if floats(program) is None:
        return None
    x = torch.randn(96, 8)
    y = x.sum(1, keepdim=True) + 0.3 * torch.randn(96, 1)
    model = nn.Sequential(nn.Linear(9, 16), nn.ReLU(), nn.Linear(16, 1))
    made = {"model": model, "loss": F.mse_loss, "optimizer": torch.optim.Adam(model.parameters())}
    return {**made, **with_data({}, (torch.cat([x, y], 1), y))}


#: faults of which a warning is asked
WARNED: dict[str, Callable[[Program], Program | None]] = {
    "last layer 300 times too large": large_start,
    "dead first layer": dead_start,
    "inputs far from 0": changed_inputs(lambda x: x.add_(1e4)),
    "inputs far too large": changed_inputs(lambda x: x.mul_(1e5)),
    "rate 1e-8, run of 36 steps": rate(1e-8),
    "rate 100": rate(1e2),
    "schedule in another unit": wrong_unit,
    "labels of training permuted": parted(lambda ours, _: ours.__setitem__(1, ours[1][torch.randperm(160)])),
    "labels of training shifted": parted(lambda ours, _: ours.__setitem__(1, ours[1].roll(1))),
    "labels of validation permuted": parted(lambda _, theirs: theirs.__setitem__(1, theirs[1][torch.randperm(96)])),
    "labels of validation from 1 on": parted(lambda _, theirs: theirs[1].add_(1)),
    "validation times 255": parted(lambda _, theirs: theirs[0].mul_(255)),
    "validation not centred": parted(lambda _, theirs: theirs[0].add_(3)),
    "missing values as -999": changed_inputs(lambda x: x[::7, 1].fill_(-999)),
    "norm of a row of zeros": in_front(NormWithoutEnd(), zero_row=True),
    "noise without a seed": in_front(UnseededNoise()),
    "examples halved when read": read_and_changed,
    "equal inputs, other labels": torn_labels,
    "target among the inputs": target_column,
}


FAULTS: dict[str, Callable[[Program], Program | None]] = {
    "softmax before cross_entropy": behind(nn.Softmax(-1)),
    "sigmoid before cross_entropy": behind(nn.Sigmoid()),
    "tanh before cross_entropy": behind(nn.Tanh()),
    "softmax over the batch": behind(nn.Softmax(0)),
    "output times zero": behind(Zero()),
    "mean over the batch": behind(BatchMean()),
    "dropout in evaluation": behind(AlwaysDropped()),
    "loss negated": negated,
    "loss of a detached output": loss_of(lambda loss, output, target: loss(detached(output), target)),
    "graph cut after the first layer": cut_after_first,
    "half of the parameters held": half_held,
    "optimizer of a copy": of_a_copy,
    "rate zero": rate_zero,
    "NaN in one example": not_a_number,
    "one label": one_label,
    "sorted, not shuffled": sorted_labels,
    "validation copied from training": copied_validation,
}


#: rehearsal steps of each examination
BUDGET = [120]


def looked(program: Program, checks: Sequence[Contract] = CHECKS) -> tuple[Report, float]:
    began = time.process_time()
    report = examined(checks, **{"budget": BUDGET[-1], **program})
    return report, time.process_time() - began


def healthy(seeds: int) -> list[float]:
    alarmed, taken = {"error": set(), "warning": set()}, []
    for name, build in PROGRAMS.items():
        for seed in range(seeds):
            torch.manual_seed(seed)
            report, seconds = looked(build())
            taken.append(seconds)
            for one in report.failed:
                if one.level in alarmed:
                    alarmed[one.level].add(name)
    for level, names in alarmed.items():
        print(f"healthy programs with {level}s: {len(names)} of {len(PROGRAMS)} {sorted(names) or ''}")
    return taken


def faulty(
    seeds: int,
    faults: dict[str, Callable[[Program], Program | None]],
    level: str,
    checks: Sequence[Contract] = CHECKS,
    most: int = 1000,
) -> None:
    """One line a fault: how many programs with it have a finding; of those with a place for it up to `most`, spread."""
    all_found = all_tried = 0
    levels = LEVELS[: LEVELS.index(level) + 1]
    for fault, plant in faults.items():
        having = [name for name, build in PROGRAMS.items() if planted(plant, build, 0) is not None]
        chosen = having[:: -(-len(having) // most)] if having else []
        missed = []
        for name in chosen:
            programs = [planted(plant, PROGRAMS[name], seed) for seed in range(seeds)]
            reports = [looked(one, checks)[0] for one in programs if one is not None]
            hits = [any(finding.level in levels for finding in one.failed) for one in reports]
            missed += [name] if 3 * sum(hits) < 2 * len(hits) else []
        found, tried = len(chosen) - len(missed), len(chosen)
        all_found, all_tried = all_found + found, all_tried + tried
        print(f"{fault:<34} {found:>3} of {tried:>3}  {', '.join(missed)}", flush=True)
    print(f"found {all_found} of {all_tried}, by findings of level {level} or graver")


def planted(plant: Callable[[Program], Program | None], build: Callable[[], Program], seed: int) -> Program | None:
    torch.manual_seed(seed)
    return plant(build())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", type=int, default=120, help="rehearsal steps")
    parser.add_argument("--programs", type=int, default=15, help="programs into which a kind of fault is planted")
    parser.add_argument("--part", choices=["healthy", "contracts", "others"], help="one part alone")
    given = parser.parse_args()
    seeds = given.seeds
    BUDGET.append(given.budget)
    looked(PROGRAMS["plain_classifier"]())  # what torch imports on first use
    if given.part in (None, "healthy"):
        taken = healthy(seeds)
        print(f"CPU seconds a program: median {statistics.median(taken):.3f}, largest {max(taken):.3f}")
    if given.part in (None, "contracts"):
        faulty(seeds, FAULTS | doctor_faults.FAULTS, "error", CONTRACTS, most=given.programs)
    if given.part in (None, "others"):
        faulty(seeds, WARNED | doctor_faults.WARNED, "warning", most=given.programs)


if __name__ == "__main__":
    main()
