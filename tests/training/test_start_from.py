"""Training that begins with the weights of a file."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import safetensors.torch
import torch
from miniature import Make, Project
from test_recipe import BODY, HEAD, TASK, adam, hold, plan_of, project_of, reference
from torch import Tensor, nn

from assay.core import params_yaml
from assay.core.errors import ProvenanceError, UsageError
from assay.replicates.measure_request import training_code
from assay.runtime import training_reads
from assay.training import model_init
from assay.training.random_streams import seed_globals
from assay.training.training_spec import TrainingPlan


def another(project: Project, keep: list[str] | None = None) -> dict[str, Tensor]:
    """Weights of such a model, drawn otherwise, in a file; all names or some."""
    plan = plan_of(project)
    seed_globals(99)
    assert plan.task.model is not None
    made = {name: one.clone() for name, one in plan.task.model((8, 8), 10).state_dict().items()}
    made = {name: one for name, one in made.items() if keep is None or name in keep}
    safetensors.torch.save_file(made, project.root / "first.safetensors")
    return made


def fresh(plan: TrainingPlan, number: int = 0) -> dict[str, Tensor]:
    return model_init.module(plan, number, model_init.masks(plan, [number])).state_dict()


@pytest.mark.extra
def test_it_begins_with_the_file_and_trains_on(make: Make) -> None:
    """The reference loads the same dict by `load_state_dict`, and keeps its own last layer."""
    project = project_of(make, epochs=10)
    plain = plan_of(project)
    given = another(project, BODY)
    project.set(train={"start_from": "first.safetensors", "start_skip": ["2"]})
    plan = plan_of(project)

    def expected(number: int) -> nn.Module:
        def before(module: nn.Module, epoch: int) -> None:
            if epoch == 1:
                found = module.load_state_dict(given, strict=False)
                assert found.missing_keys == HEAD and not found.unexpected_keys

        return reference(plain, number, adam, before=before)

    hold(plan, expected)


def test_replicates_begin_alike_where_all_of_it_is_given(make: Make) -> None:
    project = project_of(make)
    given = another(project)
    project.set(train={"start_from": "first.safetensors"})
    plan = plan_of(project)
    for number in (0, 1):
        assert all(torch.equal(given[name].double(), one) for name, one in fresh(plan, number).items())
    note = model_init.same_start(plan, [0, 1])
    assert note is not None and note.kind == "caution"


def test_weights_that_were_kept_are_a_beginning(make: Make) -> None:
    """A file of one's own training, under its own names."""
    project = make(TASK + "\n    def preprocess(inputs):\n        return inputs / 16\n", train={"epochs": 1})
    project.measure([0], "one")
    (project.root / "mine.safetensors").write_bytes(project.weights(0, "one"))
    project.set(train={"start_from": "mine.safetensors"}, lr=1e-12)
    project.measure([5], "two")
    one, two = (safetensors.torch.load(project.weights(number, out)) for number, out in ((0, "one"), (5, "two")))
    assert all(torch.allclose(one[name], two[name], atol=1e-6) for name in one)


def written(project: Project, tensors: dict[str, Tensor]) -> None:
    safetensors.torch.save_file(tensors, project.root / "first.safetensors")


def test_other_names_and_shapes_are_named(make: Make) -> None:
    project = project_of(make)
    given = another(project)
    project.set(train={"start_from": "first.safetensors"})
    plan = plan_of(project)
    renamed = {f"module.{name}": one for name, one in given.items()}
    cases = {
        "lacks 1.0.weight, 1.0.bias, 1.1.weight, 1.1.bias, 1.3.weight, 1.3.bias, … (8 in all) of the model": renamed,
        "lacks 2.weight, 2.bias of the model": {name: given[name] for name in BODY},
        "has more, which the model has not": {**given, "more": torch.zeros(2)},
        "has 2.weight of shape (3, 12), and the model's is (10, 12)": {**given, "2.weight": torch.zeros(3, 12)},
    }
    for said, tensors in cases.items():
        written(project, tensors)
        with pytest.raises(UsageError) as caught:
            model_init.check(plan)
        assert f"first.safetensors in train.start_from {said}" in caught.value.sentence
    assert "it has module.1.0.bias" in _said(plan, project, renamed)


def _said(plan: TrainingPlan, project: Project, tensors: dict[str, Tensor]) -> str:
    written(project, tensors)
    with pytest.raises(UsageError) as caught:
        model_init.check(plan)
    return caught.value.sentence


def test_a_pattern_to_skip_that_matches_nothing_is_refused(make: Make) -> None:
    project = project_of(make)
    another(project)
    project.set(train={"start_from": "first.safetensors", "start_skip": ["head"]})
    with pytest.raises(UsageError, match=r"train.start_skip has 'head', which matches no parameter"):
        model_init.check(plan_of(project))


def pickled(make: Make) -> tuple[Project, UsageError]:
    """A project that begins with a pickle, in both forms of torch.save, and what is said of it."""
    project = project_of(make)
    given = another(project)
    project.set(train={"start_from": "first.pt"})
    plan = plan_of(project)
    for old in (True, False):
        torch.save(given, project.root / "first.pt", _use_new_zipfile_serialization=not old)
        with pytest.raises(UsageError, match="is a pickle, which runs code when it is opened") as caught:
            model_init.check(plan)
    return project, caught.value


def test_a_pickle_is_refused_and_never_opened(make: Make) -> None:
    assert "s.save_file(torch.load('first.pt'" in pickled(make)[1].hint


@pytest.mark.extra
def test_the_command_in_the_hint_converts_a_pickle(make: Make) -> None:
    project, said = pickled(make)
    command = said.hint.partition(", and name")[0].replace("python", ".venv/bin/python", 1)
    python = Path(__file__).parents[2] / ".venv/bin/python"
    subprocess.run(command.replace(".venv/bin/python", str(python), 1), shell=True, cwd=project.root, check=True)
    project.set(train={"start_from": "first.safetensors"})
    model_init.check(plan_of(project))


def test_a_damaged_file_is_refused(make: Make) -> None:
    project = project_of(make)
    another(project)
    file = project.root / "first.safetensors"
    file.write_bytes(file.read_bytes()[:-5])
    project.set(train={"start_from": "first.safetensors"})
    with pytest.raises(UsageError, match="is no whole file of safetensors"):
        model_init.check(plan_of(project))


def test_another_content_is_another_training(make: Make) -> None:
    """What replicates are kept under, and what the stage train depends on."""
    project = project_of(make)
    plain = training_code(project.root, project.task)
    another(project)
    assert training_code(project.root, project.task) == plain
    project.set(train={"start_from": "first.safetensors"})
    codes, reads = set(), set()
    for name in ("a", "b"):
        written(project, {name: torch.zeros(2)})
        codes.add(training_code(project.root, project.task))
        reads.add(str(training_reads.hashes(project.root)))
    assert len(codes | {plain}) == 3 and len(reads) == 2
    project.set(train={"start_from": ""}, profiles={"fast": {"train": {"start_from": "first.safetensors"}}})
    assert list(training_reads.weights(project.root)) == ["first.safetensors"]


def test_a_file_that_nobody_keeps_is_refused(make: Make) -> None:
    project = project_of(make, start_from="first.safetensors")
    root = project.root
    with pytest.raises(UsageError, match="and there is no such file"):
        training_reads.check_known(root, [])
    written(project, {"a": torch.zeros(2)})
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    with pytest.raises(ProvenanceError, match="is neither in Git nor a dependency of the stage train"):
        training_reads.check_known(root, ["other"])
    training_reads.check_known(root, ["first.safetensors"])
    subprocess.run(["git", "add", "first.safetensors"], cwd=root, check=True)
    training_reads.check_known(root, [])


def test_a_pattern_to_skip_needs_a_file() -> None:
    base = "lr: 0.1\nreplicates: 1\nseed: 1\nmetric: {name: a}\n"
    with pytest.raises(UsageError, match=r"train.start_skip needs train.start_from"):
        params_yaml.load(f"{base}train: {{start_skip: [a]}}\n")
