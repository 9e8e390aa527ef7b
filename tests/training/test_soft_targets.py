"""Soft targets: against torch's own cross-entropy of probabilities; files that are none, or of other examples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from miniature import Make, Project, digits
from test_recipe import TASK, adam, hold, plan_of, project_of, reference
from torch import Tensor
from torch.nn import functional

from assay.core.errors import UsageError
from assay.core.params_yaml import Train
from assay.data import teacher_file
from assay.training import soft_targets

EXAMPLES = 4 * 32
FILE = "weights/teacher.safetensors"


def probabilities(count: int, classes: int = 10) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(count, classes, generator=generator).softmax(1)


def put(project: Project, ids: list[str], made: Tensor, path: str = FILE) -> str:
    (project.root / path).parent.mkdir(exist_ok=True)
    (project.root / path).write_bytes(teacher_file.content(ids, made.numpy()))
    return path


@pytest.mark.extra
@pytest.mark.parametrize("share", [1.0, 0.3])
def test_the_loss_is_that_of_both(make: Make, share: float) -> None:
    project = project_of(make, TASK.replace("def loss", "def other"), epochs=50)
    project.set(loss={"name": "cross_entropy"}, train={"soft_targets": FILE, "soft_share": share})
    part, teacher = digits(0, EXAMPLES), probabilities(EXAMPLES)
    order = np.random.default_rng(1).permutation(EXAMPLES)  # a file in another order
    put(project, part.ids[order].tolist(), teacher[order])
    plan = plan_of(project, EXAMPLES)
    soft = soft_targets.read(project.root, plan.params.train, part, torch.float64)
    plan = replace(plan, soft=soft)
    rows = {row.numpy().tobytes(): number for number, row in enumerate(plan.train.inputs)}

    def mixed(module: torch.nn.Module, inputs: Tensor, targets: Tensor, _: tuple[int, int]) -> Tensor:
        mine = teacher[[rows[row.numpy().tobytes()] for row in inputs]].double()
        outputs = module(inputs)
        hard = functional.cross_entropy(outputs, targets)
        return share * functional.cross_entropy(outputs, mine) + (1 - share) * hard

    hold(plan, lambda number: reference(plan, number, adam, mixed=mixed))


def test_a_run_takes_them_and_processes_do_alike(make: Make) -> None:
    project = make(loss={"name": "cross_entropy"}, train={"holdout": 0.2})
    project.measure([0, 1], "plain")
    put(project, digits(0, 200).ids.tolist(), probabilities(200))
    project.set(train={"soft_targets": FILE})
    project.measure([0, 1], "soft")
    assert project.weights(0, "plain") != project.weights(0, "soft")
    project.measure([0, 1], "apart", execution="processes")
    assert [project.weights(one, "soft") for one in (0, 1)] == [project.weights(one, "apart") for one in (0, 1)]


def test_a_loss_that_wants_class_numbers_is_refused(make: Make) -> None:
    project = make()
    put(project, digits(0, 200).ids.tolist(), probabilities(200))
    project.set(train={"soft_targets": FILE})
    with pytest.raises(UsageError, match=r"train.soft_targets makes probabilities .* allowed: a loss of both"):
        project.measure([0])


def damaged(change: str) -> bytes:
    ids, made = digits(0, 200).ids.tolist(), probabilities(200)
    match change:
        case "no file of its kind":
            return b"PK\x03\x04 a pickle"
        case "others":
            return teacher_file.content(ids[1:], made[1:].numpy())
        case "classes":
            return teacher_file.content(ids, probabilities(200, 7).numpy())
        case "sums":
            return teacher_file.content(ids, 2 * made.numpy())
        case "counts":
            return teacher_file.content(ids[1:], made.numpy())
        case _:
            return teacher_file.content(ids, made.where(made > 0.05, torch.tensor(float("nan"))).numpy())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("no file of its kind", "holds no soft targets"),
        ("others", "lacks 1 of 200 training examples"),
        ("classes", r"has \(200, 7\) probabilities; allowed: 10 an example"),
        ("sums", "sum over the classes is not 1"),
        ("counts", r"has 199 ids for \(200, 10\)"),
        ("nan", "below 0, or that are not finite"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, change: str, said: str) -> None:
    (tmp_path / "soft").write_bytes(damaged(change))
    with pytest.raises(UsageError, match=f"soft in train.soft_targets .*{said}.*next: make it again"):
        soft_targets.read(tmp_path, Train(soft_targets="soft"), digits(0, 200), torch.float32)


def test_values_have_no_soft_targets(tmp_path: Path) -> None:
    values = replace(digits(0, 20), classes=None)
    with pytest.raises(UsageError, match="are not one class an example"):
        soft_targets.read(tmp_path, Train(soft_targets="soft"), values, torch.float32)


def test_a_share_needs_a_file(make: Make) -> None:
    with pytest.raises(UsageError, match=r"train\.soft_share 0\.5 needs train\.soft_targets"):
        make(train={"soft_share": 0.5}).measure([0])
