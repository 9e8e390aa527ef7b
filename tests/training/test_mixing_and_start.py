"""Mixup, cutmix, first weights and augmentation: against the published formulas and torch's own, alone and in lanes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from miniature import Make
from test_recipe import TASK, adam, hold, plan_of, project_of, reference
from torch import Tensor, nn

from assay.core import params_yaml
from assay.core.errors import UsageError
from assay.core.train_section import AUGMENT
from assay.ready import augmentation
from assay.training import configured_task, model_init
from assay.training.mixing import Mixing
from assay.training.training_spec import TrainingPlan

CROSS_ENTROPY = nn.CrossEntropyLoss()
BARE = TASK.partition("    def loss")[0]


def named_loss(make: Make, **train: object) -> TrainingPlan:
    project = project_of(make, BARE, **train)
    project.set(loss={"name": "cross_entropy"})
    return plan_of(project)


def draws(plan: TrainingPlan, number: int, place: tuple[int, int]) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(plan.streams(number).sequence("mixing", *place)))


def criterion(module: nn.Module, inputs: Tensor, targets: Tensor, order: Tensor, share: float) -> Tensor:
    """As the papers' own code has it: two losses of class numbers, weighed."""
    outputs = module(inputs)
    return share * CROSS_ENTROPY(outputs, targets) + (1 - share) * CROSS_ENTROPY(outputs, targets[order])


@pytest.mark.extra
def test_mixup_is_that_of_its_paper(make: Make) -> None:
    plan = named_loss(make, mixup=0.4)

    def expected(number: int) -> nn.Module:
        def mixed(module: nn.Module, inputs: Tensor, targets: Tensor, place: tuple[int, int]) -> Tensor:
            chance = draws(plan, number, place)
            share, order = chance.beta(0.4, 0.4), torch.from_numpy(chance.permutation(len(inputs)))
            return criterion(module, share * inputs + (1 - share) * inputs[order], targets, order, share)

        return reference(plan, number, adam, mixed=mixed)

    hold(plan, expected)


def boxed(inputs: Tensor, others: Tensor, share: float, chance: np.random.Generator) -> tuple[Tensor, float]:
    """rand_bbox of Yun et al. 2019, pixel by pixel."""
    ratio = np.sqrt(1.0 - share)
    high, wide = int(8 * ratio), int(8 * ratio)
    cy, cx = chance.integers(8), chance.integers(8)
    found, swapped = inputs.clone(), 0
    for y in range(8):
        for x in range(8):
            if cy - high // 2 <= y < cy + high // 2 and cx - wide // 2 <= x < cx + wide // 2:
                found[:, y, x] = others[:, y, x]
                swapped += 1
    return found, 1 - swapped / 64


@pytest.mark.extra
@pytest.mark.parametrize("mixup", [0.0, 0.4], ids=["alone", "or mixup, at random"])
def test_cutmix_is_that_of_its_paper(make: Make, mixup: float) -> None:
    plan = named_loss(make, cutmix=1.0, mixup=mixup)

    def expected(number: int) -> nn.Module:
        def mixed(module: nn.Module, inputs: Tensor, targets: Tensor, place: tuple[int, int]) -> Tensor:
            chance = draws(plan, number, place)
            cut = not mixup or chance.random() < 0.5
            strength = 1.0 if cut else mixup
            share, order = chance.beta(strength, strength), torch.from_numpy(chance.permutation(len(inputs)))
            if cut:
                inputs, share = boxed(inputs, inputs[order], share, chance)
            else:
                inputs = share * inputs + (1 - share) * inputs[order]
            return criterion(module, inputs, targets, order, share)

        return reference(plan, number, adam, mixed=mixed)

    hold(plan, expected)


def test_values_are_mixed_as_inputs_are() -> None:
    mixing = Mixing(0.5, 0.0, None)
    values = torch.arange(6.0)
    inputs, targets = mixing.lane(values[:, None].expand(6, 3), values, np.random.default_rng(0))
    assert torch.equal(inputs[:, 0], targets) and float(targets.sum()) == pytest.approx(15.0)
    assert not torch.equal(targets, values)


@pytest.mark.parametrize(
    ("source", "train", "said"),
    [
        (TASK, {"mixup": 0.2}, "train.mixup makes probabilities (B, 10) of class numbers (B,), and loss() fails with"),
        (
            TASK.replace("targets.unsqueeze(-1)", "targets.long().reshape(len(targets), -1)[:, :1]"),
            {"cutmix": 0.2},
            "and loss() gives",
        ),
        (TASK, {"augment": {"flip": 0.5}, "mixup": 0.2}, "loss.name: cross_entropy, focal, bce, dice, kl"),
    ],
    ids=["fails", "silently wrong", "names those that can"],
)
def test_a_loss_that_wants_class_numbers_is_refused(make: Make, source: str, train: dict, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        model_init.check(plan_of(project_of(make, source, **train)))
    assert said in caught.value.sentence


def test_cutmix_of_what_is_no_image_is_refused(make: Make) -> None:
    plan = named_loss(make, cutmix=1.0)
    flat = plan.train.__class__(plan.train.inputs.flatten(1), plan.train.targets)
    with pytest.raises(UsageError, match=r"train.cutmix is for images"):
        model_init.check(plan.__class__(**{**vars(plan), "train": flat}))


RULES = {
    "xavier_uniform": nn.init.xavier_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
    "kaiming_uniform": lambda one: nn.init.kaiming_uniform_(one, nonlinearity="relu"),
    "kaiming_normal": lambda one: nn.init.kaiming_normal_(one, nonlinearity="relu"),
}


@pytest.mark.parametrize("rule", RULES)
def test_first_weights_are_those_of_torch(make: Make, rule: str) -> None:
    """Drawn after model() has drawn its own, from the same stream; norms stay as they are."""
    plan = plan_of(project_of(make, init=rule))
    made = model_init.module(plan, 3, model_init.masks(plan, [3]))
    torch.manual_seed(plan.streams(3).integer("init"))
    assert plan.task.model is not None
    expected = plan.task.model((8, 8), 10)
    for one in expected.modules():
        if isinstance(one, nn.Linear):
            RULES[rule](one.weight)
            nn.init.zeros_(one.bias)
    for name, theirs in expected.state_dict().items():
        assert torch.equal(made.state_dict()[name], theirs.double()), name


def test_the_last_bias_predicts_what_is_frequent(make: Make) -> None:
    plan = plan_of(project_of(make, prior_bias=True))
    made = model_init.module(plan, 0, model_init.masks(plan, [0]))
    frequent = torch.bincount(plan.train.targets).double() / len(plan.train)
    assert torch.allclose(made[-1].bias.softmax(0), frequent, atol=1e-7)
    sigmoid = named_loss(make, prior_bias=True)
    sigmoid = sigmoid.__class__(**{**vars(sigmoid), "params": params_yaml.load(BCE)})
    assert torch.allclose(
        model_init.module(sigmoid, 0, model_init.masks(sigmoid, [0]))[-1].bias.sigmoid(), frequent, atol=1e-7
    )
    values = plan.train.__class__(plan.train.inputs, torch.arange(128.0)[:, None].expand(128, 10))
    regression = plan.__class__(**{**vars(plan), "train": values, "classes": None})
    bias = model_init.module(regression, 0, model_init.masks(regression, [0]))[-1].bias
    assert torch.allclose(bias, torch.full_like(bias, 63.5))


@pytest.mark.parametrize("prior", [False, True])
def test_values_are_counted_in_the_units_of_the_targets_that_train(make: Make, prior: bool) -> None:
    """Of classes the layer knows nothing."""
    scaled = TASK.replace("    from", "    from assay.ready.target_scale import TargetScale\n    from", 1)
    scaled = scaled.replace("nn.Linear(12, outputs)", "nn.Linear(12, outputs), TargetScale(outputs)")
    plan = plan_of(project_of(make, scaled, prior_bias=prior))
    values = plan.train.__class__(plan.train.inputs, 1e5 + torch.arange(128.0)[:, None].expand(128, 10))
    for classes, mean, spread in ((plan.classes, 0.0, 1.0), (None, 1e5 + 63.5, math.sqrt((128**2 - 1) / 12))):
        given = plan.__class__(**{**vars(plan), "train": plan.train if classes else values, "classes": classes})
        made = model_init.module(given, 0, model_init.masks(given, [0]))
        assert made[-1].mean.tolist() == [mean] * 10
        assert torch.allclose(made[-1].spread.double(), torch.full((10,), spread).double())
        if prior and classes is None:
            assert made[-2].bias.tolist() == [0.0] * 10


@pytest.mark.parametrize(("loss", "chances"), [("bce", torch.sigmoid), ("kl", lambda bias: bias.softmax(0))])
def test_the_last_bias_predicts_the_mean_of_targets_that_are_probabilities(
    make: Make, loss: str, chances: Callable[[Tensor], Tensor]
) -> None:
    """Of several labels at once, or of distributions; a label that is never there counts as half an example."""
    plan = plan_of(project_of(make, prior_bias=True))
    settings = params_yaml.load(BCE.replace("name: bce", f"name: {loss}"))
    rows = nn.functional.one_hot(plan.train.targets, 10).double()
    targets = rows.clone() if loss == "kl" else torch.where(torch.arange(10) == 3, 0.0, rows)
    data = plan.train.__class__(plan.train.inputs, targets)
    given = plan.__class__(**{**vars(plan), "train": data, "classes": None, "params": settings})
    bias = model_init.module(given, 0, model_init.masks(given, [0]))[-1].bias
    assert torch.allclose(chances(bias), targets.mean(0).clamp(min=0.5 / len(targets)), atol=1e-7)


BCE = """
lr: 0.1
replicates: 1
seed: 1
metric: {name: a}
loss: {name: bce}
train: {precision: float64, prior_bias: true}
"""


def test_a_last_layer_without_a_bias_is_refused(make: Make) -> None:
    bare = TASK.replace("nn.Linear(12, outputs)", "nn.Linear(12, outputs, bias=False)")
    with pytest.raises(UsageError, match="sets 10 outputs, and the last bias has 12 numbers"):
        model_init.check(plan_of(project_of(make, bare, prior_bias=True)))


# ---------------------------------------------------------------------------------------------------- augmentation


def images(channels: bool = True) -> Tensor:
    made = torch.randn(200, 3, 6, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return made if channels else made[:, 0]


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(1)


@pytest.mark.parametrize(("name", "side"), [("flip", -1), ("flip_vertical", -2)])
def test_flips_are_those_of_torch(name: str, side: int) -> None:
    given = images()
    made = augmentation.CHANGES[name](given, 0.3, generator())
    turned = [torch.equal(one, two.flip(side)) for one, two in zip(made, given, strict=True)]
    kept = [torch.equal(one, two) for one, two in zip(made, given, strict=True)]
    assert all(one != two for one, two in zip(turned, kept, strict=True))
    assert 40 <= sum(turned) <= 80
    assert torch.equal(augmentation.CHANGES[name](given, 1.0, generator()), given.flip(side))


def test_a_shift_is_a_crop_of_the_padded_image() -> None:
    given = images()
    made = augmentation.shift(given, 0.25, generator())
    padded = nn.functional.pad(given, (2, 2, 2, 2))
    crops = {(y, x): padded[:, :, y : y + 6, x : x + 8] for y in range(5) for x in range(5)}
    found = [
        next(place for place, crop in crops.items() if torch.equal(crop[number], made[number])) for number in range(200)
    ]
    assert set(found) == {(y, x) for y in range(5) for x in range(5)}  # 0.25 of 6 rows is 1.5, to the even 2


def test_a_turn_by_a_right_angle_is_that_of_torch() -> None:
    square = images()[:, :, :, :6]
    for angle, times in ((math.pi / 2, 1), (math.pi, 2)):
        made = augmentation._turned(square, torch.full((200,), angle, dtype=torch.float64))
        assert torch.allclose(made, torch.rot90(square, times, (2, 3)), atol=1e-9)
    half = augmentation._turned(images(), torch.full((200,), math.pi, dtype=torch.float64))
    assert torch.allclose(half, images().flip(2).flip(3), atol=1e-9)
    assert not torch.allclose(augmentation.rotate(images(), 10, generator()), images())


def test_brightness_contrast_and_noise_stay_within_their_reach() -> None:
    given = images()
    moved = (augmentation.brightness(given, 0.2, generator()) - given).flatten(1)
    assert torch.allclose(moved, moved[:, :1].expand_as(moved)) and 0.15 < float(moved.abs().max()) <= 0.2
    made = augmentation.contrast(given, 0.3, generator())
    centre = given.flatten(1).mean(1)
    assert torch.allclose(made.flatten(1).mean(1), centre)
    factor = made.flatten(1).std(1) / given.flatten(1).std(1)
    assert 0.7 <= float(factor.min()) < 0.75 and 1.25 < float(factor.max()) <= 1.3
    assert float((augmentation.noise(given, 0.1, generator()) - given).std()) == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize("channels", [True, False])
def test_erasing_sets_one_box_to_zero(channels: bool) -> None:
    given = images(channels)
    made = augmentation.erase(given, 0.5, generator())
    gone = (made == 0).reshape(200, -1, 6, 8)
    touched = gone.flatten(1).any(1)
    assert 75 <= int(touched.sum()) <= 125
    for one in gone[touched]:
        rows, columns = one[0].any(1), one[0].any(0)
        assert torch.equal(one[0], rows[:, None] & columns[None, :]) and (one == one[0]).all()
        assert 1 <= int(one[0].sum()) <= 0.6 * 48


def test_each_replicate_is_changed_by_its_own_stream(make: Make) -> None:
    """What lanes get is what each gets alone, after the task's own augment()."""
    own = "\n    def augment(inputs, targets, generator):\n        return inputs + 1, targets\n"
    project = project_of(make, TASK + own, augment={"flip": 0.5, "shift": 0.2, "noise": 0.1})
    plan = plan_of(project)
    settings = params_yaml.load((project.root / "params.yaml").read_bytes())
    task = configured_task._augmenting(plan.task, settings.train.augment)
    plan = plan.__class__(**{**vars(plan), "task": task})
    together, _ = next(iter(plan.feed([0, 3]).epoch(1)))
    for lane, number in enumerate((0, 3)):
        alone, _ = next(iter(plan.feed([number]).epoch(1)))
        assert torch.equal(together[lane], alone[0])
    assert float(together.mean()) > 1.0 and not torch.equal(together[0], together[1])


def test_the_table_of_changes_is_that_of_the_functions() -> None:
    assert set(AUGMENT) == set(augmentation.CHANGES)
    with pytest.raises(UsageError, match=r"unknown parameter 'train.augment.mirror'"):
        params_yaml.load(BCE.replace("prior_bias: true", "augment: {mirror: 1}"))
    with pytest.raises(UsageError, match=r"train.augment.flip is 2"):
        params_yaml.load(BCE.replace("prior_bias: true", "augment: {flip: 2}"))
