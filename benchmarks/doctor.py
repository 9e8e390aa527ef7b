"""How many planted faults the doctor finds, how often it alarms on healthy programs, and what that costs.

    python benchmarks/doctor.py [--seeds 3]

Healthy programs are those of tests/support/doctor_healthy.py; each kind of fault below is planted into every one that
has a place for it. A fault counts as found with an error in two of three seeds, a false alarm with a warning or an
error in any. The checks were written with these kinds in mind: the rate is no first sight, and no blind one.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from assay.doctor import Report, examine, tensor_tree
from support.doctor_healthy_more import PROGRAMS

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


def looked(program: Program) -> tuple[Report, float]:
    began = time.process_time()
    report = examine(**program)
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


def faulty(seeds: int) -> None:
    all_found = all_tried = 0
    for fault, plant in FAULTS.items():
        missed, tried = [], 0
        for name, build in PROGRAMS.items():
            hits = []
            for seed in range(seeds):
                torch.manual_seed(seed)
                program = plant(build())
                if program is not None:
                    hits.append(bool(looked(program)[0].errors))
            if hits:
                tried += 1
                missed += [name] if 3 * sum(hits) < 2 * len(hits) else []
        all_found, all_tried = all_found + tried - len(missed), all_tried + tried
        print(f"{fault:<34} {tried - len(missed):>3} of {tried:>3}  {', '.join(missed)}")
    print(f"found {all_found} of {all_tried}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    looked(PROGRAMS["plain_classifier"]())  # what torch imports on first use
    taken = healthy(seeds)
    print(f"CPU seconds a program: median {statistics.median(taken):.3f}, largest {max(taken):.3f}")
    faulty(seeds)


if __name__ == "__main__":
    main()
