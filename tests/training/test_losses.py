"""Ready losses against torch's own, or the published formula, in float64: values and gradients, in lanes too."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import msgspec
import numpy as np
import pytest
import torch
from miniature import Make, digits
from test_recipe import LR, TASK, hold, plan_of, project_of, reference
from torch import Tensor, nn
from torch.nn import functional

from assay.core import params_yaml
from assay.core.errors import UsageError
from assay.core.loss_section import LOSSES
from assay.data.storage import Examples
from assay.ready import losses
from assay.runtime import stage_fingerprint, training_reads
from assay.training import chosen_loss

K, B = 5, 12
WEIGHTS = [0.5, 1.0, 2.0, 0.0, 3.0]
weights = torch.tensor(WEIGHTS, dtype=torch.float64)


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(len(shape)))


def classes(*shape: int) -> Tensor:
    return torch.randint(0, K, shape, generator=torch.Generator().manual_seed(1))


def soft() -> Tensor:
    return draw(B, K).softmax(1)


def padded() -> Tensor:
    found = classes(B, 7)
    found[:, 5:] = -1
    return found


def weighted(outputs: Tensor, targets: Tensor) -> Tensor:
    return nn.CrossEntropyLoss(weights, label_smoothing=0.1, ignore_index=-1)(outputs, targets)


def one_hot(targets: Tensor) -> Tensor:
    return functional.one_hot(targets, K).double()


def focal(outputs: Tensor, targets: Tensor, alpha: Tensor | float = 1.0) -> Tensor:
    chance = outputs.softmax(1)[torch.arange(B), targets]
    return (-alpha * (1 - chance) ** 1.5 * chance.log()).mean()


def dice(outputs: Tensor, targets: Tensor) -> Tensor:
    chances = outputs.softmax(1)
    found = []
    for label in range(K):
        p, t = chances[:, label], (targets == label).double()
        found.append((2 * (p * t).sum() + 0.5) / (p.sum() + t.sum() + 0.5))
    return 1 - sum(found) / K


def contrastive(outputs: Tensor, targets: Tensor) -> Tensor:
    z = outputs / outputs.norm(dim=1, keepdim=True)
    found = []
    for i in range(B):
        others = [a for a in range(B) if a != i]
        among = sum(torch.exp(z[i] @ z[a] / 0.2) for a in others)
        partners = [p for p in others if targets[p] == targets[i]]
        if partners:
            found.append(-sum(torch.log(torch.exp(z[i] @ z[p] / 0.2) / among) for p in partners) / len(partners))
    return sum(found) / len(found)


def paired(outputs: Tensor, targets: Tensor) -> Tensor:
    return nn.CosineEmbeddingLoss()(outputs, targets, torch.ones(B, dtype=torch.float64))


#: name, options, outputs, targets, what it should be
Case = tuple[str, dict[str, object], Tensor, Tensor, Callable[[Tensor, Tensor], Tensor]]
MIXED, IMAGES = (draw(B, K), soft()), (draw(B, K, 3, 4), classes(B, 3, 4))
CASES: dict[str, Case] = {
    "cross-entropy": ("cross_entropy", {}, draw(B, K), classes(B), nn.CrossEntropyLoss()),
    "smoothed": (
        "cross_entropy",
        {"label_smoothing": 0.1},
        draw(B, K),
        classes(B),
        nn.CrossEntropyLoss(label_smoothing=0.1),
    ),
    "weighted": ("cross_entropy", {"label_smoothing": 0.1, "class_weights": WEIGHTS}, draw(B, K), classes(B), weighted),
    "sequence": (
        "cross_entropy",
        {"label_smoothing": 0.1, "class_weights": WEIGHTS},
        draw(B, 7, K),
        padded(),
        lambda outputs, targets: weighted(outputs.movedim(2, 1), targets),
    ),
    "images": (
        "cross_entropy",
        {"class_weights": WEIGHTS},
        draw(B, K, 3, 4),
        classes(B, 3, 4),
        nn.CrossEntropyLoss(weights),
    ),
    "mixed": ("cross_entropy", {"label_smoothing": 0.2}, draw(B, K), soft(), nn.CrossEntropyLoss(label_smoothing=0.2)),
    "mixed and weighted": (
        "cross_entropy",
        {"class_weights": WEIGHTS},
        draw(B, K),
        soft(),
        nn.CrossEntropyLoss(weights),
    ),
    "focal": ("focal", {"gamma": 1.5}, draw(B, K), classes(B), focal),
    "focal weighted": (
        "focal",
        {"gamma": 1.5, "class_weights": WEIGHTS},
        draw(B, K),
        classes(B),
        lambda outputs, targets: focal(outputs, targets, weights[targets]),
    ),
    "focal mixed": (
        "focal",
        {"gamma": 1.5},
        draw(B, K),
        one_hot(classes(B)),
        lambda outputs, targets: focal(outputs, targets.argmax(1)),
    ),
    "bce": ("bce", {}, draw(B), (draw(B) > 0).double(), nn.BCEWithLogitsLoss()),
    "bce of one column": (
        "bce",
        {"pos_weight": 3.0},
        draw(B, 1),
        (draw(B) > 0).long(),
        lambda outputs, targets: nn.BCEWithLogitsLoss(pos_weight=torch.tensor(3.0))(outputs[:, 0], targets.double()),
    ),
    "bce of classes": (
        "bce",
        {"label_smoothing": 0.2},
        draw(B, K),
        classes(B),
        lambda outputs, targets: nn.BCEWithLogitsLoss()(outputs, one_hot(targets) * 0.8 + 0.1),
    ),
    "mse": ("mse", {}, draw(B, 1), draw(B), lambda outputs, targets: nn.MSELoss()(outputs[:, 0], targets)),
    "mae": ("mae", {}, draw(B, 2), draw(B, 2) + 1, nn.L1Loss()),
    "huber": ("huber", {"delta": 0.3}, draw(B, 2), draw(B, 2).flip(0), nn.HuberLoss(delta=0.3)),
    "hinge": ("hinge", {"margin": 0.7}, draw(B, K), classes(B), nn.MultiMarginLoss(margin=0.7)),
    "dice": ("dice", {"smooth": 0.5}, draw(B, K), classes(B), dice),
    "kl": (
        "kl",
        {},
        draw(B, K),
        soft(),
        lambda outputs, targets: nn.KLDivLoss(reduction="batchmean")(outputs.log_softmax(1), targets),
    ),
    "kl of classes": ("kl", {}, draw(B, K), classes(B), nn.CrossEntropyLoss()),
    "cosine": ("cosine", {}, draw(B, K), draw(B, K).flip(0), paired),
    "contrastive": ("contrastive", {"temperature": 0.2}, draw(B, K), classes(B), contrastive),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_the_one_that_the_field_knows(case: str) -> None:
    name, options, outputs, targets, expected = CASES[case]
    function = getattr(losses, name)
    ours, theirs = outputs.clone().requires_grad_(), outputs.clone().requires_grad_()
    made, wanted = function(ours, targets, **options), expected(theirs, targets)
    assert made.shape == () and float(abs(made - wanted).detach()) <= 1e-12
    made.backward()
    wanted.backward()
    assert torch.allclose(ours.grad, theirs.grad, rtol=0, atol=1e-12)
    lanes = torch.stack([outputs, outputs.flip(0)])
    together = torch.vmap(lambda one, two: function(one, two, **options))(lanes, torch.stack([targets, targets]))
    apart = [function(one, targets, **options) for one in lanes]
    assert torch.allclose(together, torch.stack(apart), rtol=0, atol=1e-12)


def test_a_gradient_at_zero_is_no_gradient_of_zero() -> None:
    """Weights of a last layer that begin at zero must be able to leave it."""
    for name, targets in (("bce", torch.ones(3)), ("cross_entropy", torch.tensor([0, 0, 1]))):
        outputs = torch.zeros(3, requires_grad=True) if name == "bce" else torch.zeros(3, 2, requires_grad=True)
        getattr(losses, name)(outputs, targets).backward()
        assert outputs.grad.abs().min() > 0.1


def test_padding_counts_for_nothing() -> None:
    targets = padded()
    for name in ("cross_entropy", "focal", "bce", "hinge", "dice", "kl"):
        outputs = draw(B, 7, K)
        other = outputs.clone()
        other[:, 5:] += 3
        assert torch.equal(getattr(losses, name)(outputs, targets), getattr(losses, name)(other, targets)), name


def test_the_table_of_losses_is_that_of_the_functions() -> None:
    for name, one in LOSSES.items():
        taken = inspect.signature(getattr(losses, name)).parameters.values()
        assert tuple(each.name for each in taken if each.kind is each.KEYWORD_ONLY) == one.options
    public = {name for name, one in vars(losses).items() if inspect.isfunction(one) and not name.startswith("_")}
    assert public == set(LOSSES)


BARE = TASK.partition("    def loss")[0]


@pytest.mark.extra
def test_a_task_without_a_loss_trains_by_a_named_one(make: Make) -> None:
    """Alone and in lanes as torch's: 200 steps with smoothing and weights for the classes."""
    project = project_of(make, BARE)
    project.set(loss={"name": "cross_entropy", "options": {"label_smoothing": 0.1, "class_weights": "balanced"}})
    plan = plan_of(project)
    labels = plan.train.targets
    balanced = len(labels) / (10 * torch.bincount(labels).double())
    by_torch = nn.CrossEntropyLoss(balanced, label_smoothing=0.1)

    def expected(number: int) -> nn.Module:
        return reference(
            plan, number, lambda named: torch.optim.Adam(named.values(), lr=LR, foreach=False), loss=by_torch
        )

    hold(plan, expected)


def test_it_is_measured_in_every_way_alike(make: Make) -> None:
    """A named loss stands in place of the task's own, in this process and in workers."""
    ready = "    def preprocess(inputs):\n        return inputs / 16\n"
    project = make(TASK + ready, examples=64, train={"epochs": 1})
    project.measure([0, 1], "own")
    project.set(loss={"name": "focal", "options": {"class_weights": {"3": 2.0}}})
    project.measure([0, 1], "one")
    project.measure([0, 1], "two", execution="processes")
    assert project.weights(0, "own") != project.weights(0, "one") == project.weights(0, "two")


def examples(targets: list[int] | list[float], names: tuple[str, ...] | None) -> Examples:
    count = len(targets)
    return Examples(
        ids=np.array([f"{number:032x}" for number in range(count)]),
        inputs=np.zeros((count, 2)),
        targets=np.array(targets),
        classes=names,
    )


ANIMALS = examples([0, 0, 0, 1], ("cat", "dog", "emu"))
BASE = "lr: 0.01\nreplicates: 2\nseed: 1\nmetric: {name: a}\n"


@pytest.mark.parametrize(
    ("written", "data", "said"),
    [
        ("{name: mse}", ANIMALS, "loss.name is mse, and the targets are classes; allowed: cross_entropy"),
        ("{name: hinge}", examples([0.5, 1.5], None), "the targets are values; allowed: bce, kl, mse"),
        (
            "{name: focal, options: {class_weights: balanced}}",
            ANIMALS,
            "balanced, and no training example is of class 'emu'",
        ),
        ("{name: focal, options: {class_weights: {cow: 2}}}", ANIMALS, "'cow', which is no class; allowed: cat, dog"),
        ("{name: focal, options: {class_weights: [1, 2]}}", ANIMALS, "has 2 numbers for 3 classes"),
    ],
)
def test_what_the_data_contradict_is_refused(make: Make, written: str, data: Examples, said: str) -> None:
    loss = params_yaml.load(f"{BASE}loss: {written}\n").loss
    with pytest.raises(UsageError) as caught:
        chosen_loss.with_options(plan_of(project_of(make)).task, loss, data)
    assert said in caught.value.sentence


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{name: crossentropy}", "loss.name is 'crossentropy'; allowed: cross_entropy, focal"),
        ("{options: {gamma: 1}}", "loss.options and no loss.name"),
        ("{name: hinge}\ntrain: {mixup: 0.2}", "hinge wants class numbers, and mixup or cutmix makes probabilities"),
        ("{name: focal, options: {delta: 1}}", "unknown parameter 'loss.options.delta' of focal; allowed: gamma"),
        ("{name: focal, options: {gamma: -1}}", "loss.options.gamma is -1; allowed: a number >= 0"),
        ("{name: focal, options: {class_weights: frequent}}", "allowed: balanced, a list"),
        ("{name: cross_entropy, options: {label_smoothing: 1}}", "a number >= 0 and < 1"),
    ],
)
def test_what_no_loss_has_is_refused_with_the_file(written: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        params_yaml.load(f"{BASE}loss: {written}\n")
    assert said in caught.value.sentence


def test_an_older_dvc_yaml_trains_again_for_another_loss(make: Make) -> None:
    """The stage depends on what context writes down, whether or not its parameters list `loss`."""
    project = make(TASK)
    assert training_reads.hashes(project.root) == {}
    project.set(loss={"name": "focal"})
    named = training_reads.hashes(project.root)
    project.set(loss={"options": {"gamma": 1.0}})
    other = stage_fingerprint.find(project.root, "train", project.task)
    assert other.reads == training_reads.hashes(project.root) != named
    before = msgspec.structs.replace(other, reads=named)
    assert list(stage_fingerprint.differences(before, other)) == ["loss in params.yaml"]
    plain = params_yaml.strategy(params_yaml.load(f"{BASE}loss: {{}}\n"))
    assert plain == params_yaml.strategy(params_yaml.load(BASE)) and "loss" not in plain


def test_digits_have_every_class_in_the_first_examples() -> None:
    """What the balanced weights above rest on."""
    assert set(digits(0, 128).targets.tolist()) == set(range(10))
