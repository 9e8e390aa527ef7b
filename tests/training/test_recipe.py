"""Each option of the recipe against torch's own over 200 steps in float64: alone to 1e-9, in lanes to 1e-6."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from itertools import cycle, pairwise

import pytest
import torch
from miniature import Make, Project, digits
from torch import Tensor, nn
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from assay.core import params_yaml
from assay.core.errors import UsageError
from assay.core.params_yaml import Train
from assay.training import chosen_loss, device, model_init, task_interface
from assay.training.batches import Feed, Tensors
from assay.training.schedules import Schedule
from assay.training.training_loop import Training
from assay.training.training_spec import TrainingPlan
from assay.training.vmap import equivalence_check

LR = 0.01
STEPS, EPOCHS = 200, 50
PER_EPOCH = STEPS // EPOCHS
ALONE, LANES = 1e-9, 1e-6
TASK = """
    from torch import nn

    def model(shape, outputs):
        body = nn.Sequential(nn.Linear(64, 12), nn.LayerNorm(12), nn.Tanh(), nn.Linear(12, 12), nn.Tanh())
        return nn.Sequential(nn.Flatten(), body, nn.Linear(12, outputs))

    def loss(outputs, targets):
        return -outputs.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).mean()
"""
BODY = ["1.0.weight", "1.0.bias", "1.1.weight", "1.1.bias", "1.3.weight", "1.3.bias"]
HEAD = ["2.weight", "2.bias"]
DECAYING = ["1.0.weight", "1.3.weight", "2.weight"]
SPARED = [name for name in BODY + HEAD if name not in DECAYING]

Named = dict[str, nn.Parameter]
#: parameters by name → torch's optimizer
Optimizer = Callable[[Named], torch.optim.Optimizer]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with device.threads(1):
        yield


class Silent:
    """Nobody is told how training goes."""

    def points(self, rows: object) -> None: ...

    def log(self, line: str) -> None: ...

    def finished(self, outcome: object) -> None: ...


def plan_of(project: Project, examples: int = 4 * 32) -> TrainingPlan:
    settings = params_yaml.resolved((project.root / "params.yaml").read_bytes())
    task = task_interface.load(project.task, project.root, settings.model, settings.loss.name)
    part = digits(0, examples)
    task = chosen_loss.with_options(task, settings.loss, part)
    data = Tensors(torch.from_numpy(part.inputs).double() / 16, torch.from_numpy(part.targets))
    few = Tensors(data.inputs[:8], data.targets[:8])
    return TrainingPlan(task, settings, torch.device("cpu"), 1, "candidate", data, few, 10, 10)


def project_of(make: Make, source: str = TASK, **train: object) -> Project:
    return make(source, lr=LR, train={"precision": "float64", "epochs": EPOCHS, **train}, profiles={"fast": {}})


def trained(plan: TrainingPlan, numbers: list[int]) -> tuple[list[dict[str, Tensor]], Training]:
    """Weights of each replicate after all of training, as they would be kept."""
    engine = equivalence_check.alone(plan, numbers[0]) if len(numbers) == 1 else equivalence_check.fused(plan, numbers)
    training = Training(plan, engine, numbers, Silent())
    training.run()
    with engine.judged():
        return [engine.weights(lane) for lane in range(len(numbers))], training


def reference(
    plan: TrainingPlan,
    number: int,
    optimizer: Optimizer,
    *,
    schedule: Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler] | None = None,
    before: Callable[[nn.Module, int], None] = lambda module, epoch: None,
    penalty: Callable[[Named], Tensor] | None = None,
    after: Callable[[nn.Module], None] = lambda module: None,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    mixed: Callable[[nn.Module, Tensor, Tensor, tuple[int, int]], Tensor] | None = None,
) -> nn.Module:
    """The same replicate, trained by torch's own optimizer and scheduler."""
    module = model_init.module(plan, number, model_init.masks(plan, [number]))
    named = dict(module.named_parameters())
    rule = optimizer(named)
    rates = schedule(rule) if schedule else None
    feed = Feed(plan.task, plan.train, plan.params.train.batch_size, [plan.streams(number)])  # as it is, unmixed
    wanted = loss or plan.task.loss
    assert wanted is not None
    for epoch in range(1, plan.params.train.epochs + 1):
        before(module, epoch)
        for step, (inputs, targets) in enumerate(feed.epoch(epoch)):
            if mixed is not None:
                value = mixed(module, inputs[0], targets[0], (epoch, step))
            else:
                value = wanted(module(inputs[0]), targets[0])
            rule.zero_grad()
            (value if penalty is None else value + penalty(named)).backward()
            rule.step()
            if rates is not None:
                rates.step()
            after(module)
    return module


def differences(found: dict[str, Tensor], expected: nn.Module) -> float:
    theirs = expected.state_dict()
    assert set(found) == set(theirs)
    return max(float((found[name] - theirs[name]).abs().max()) for name in found)


def hold(plan: TrainingPlan, expected: Callable[[int], nn.Module]) -> None:
    """Two replicates alone and together, against the reference."""
    (alone,), _ = trained(plan, [3])
    twin = expected(3)
    start = model_init.module(plan, 3, model_init.masks(plan, [3]))
    assert differences(alone, start) > 1e-3  # it trained
    assert differences(alone, twin) <= ALONE
    lanes, _ = trained(plan, [0, 3])
    assert differences(lanes[1], twin) <= LANES
    assert differences(lanes[0], expected(0)) <= LANES


def groups(named: Named, **settings: list[str]) -> list[dict[str, object]]:
    return [{"params": [named[name] for name in names]} for names in settings.values()]


def adam(named: Named, **more: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(named.values(), lr=LR, foreach=False, **more)


def clipped(rule: torch.optim.Optimizer, largest: float) -> torch.optim.Optimizer:
    """`rule`, which clips what has a gradient before each step."""
    take = rule.step

    def step() -> None:
        torch.nn.utils.clip_grad_norm_([one for group in rule.param_groups for one in group["params"]], largest)
        take()

    rule.step = step  # type: ignore[method-assign]
    return rule


OPTIMIZERS: dict[str, tuple[dict[str, object], Optimizer]] = {
    "layer-wise": (
        {"layer_decay": 0.5, "lr_mult": {"2.bias": 3.0}},
        lambda p: torch.optim.Adam(
            [
                {"params": [p[name] for name in BODY], "lr": LR * 0.5},
                {"params": [p["2.weight"]], "lr": LR},
                {"params": [p["2.bias"]], "lr": LR * 3},
            ],
            foreach=False,
        ),
    ),
    "adamw betas": (
        {"optimizer": "adamw", "beta2": 0.95, "weight_decay": 0.1},
        lambda p: torch.optim.AdamW(p.values(), lr=LR, betas=(0.9, 0.95), weight_decay=0.1, foreach=False),
    ),
    "nesterov": (
        {"optimizer": "sgd", "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3},
        lambda p: torch.optim.SGD(p.values(), lr=LR, momentum=0.9, nesterov=True, weight_decay=1e-3, foreach=False),
    ),
    "rmsprop": (
        {"optimizer": "rmsprop", "alpha": 0.9, "eps": 1e-6, "weight_decay": 1e-3},
        lambda p: torch.optim.RMSprop(p.values(), lr=LR, alpha=0.9, eps=1e-6, weight_decay=1e-3, foreach=False),
    ),
    "rmsprop momentum": (
        {"optimizer": "rmsprop", "momentum": 0.5},
        lambda p: torch.optim.RMSprop(p.values(), lr=LR, momentum=0.5, foreach=False),
    ),
    "adagrad": (
        {"optimizer": "adagrad", "weight_decay": 1e-3},
        lambda p: torch.optim.Adagrad(p.values(), lr=LR, weight_decay=1e-3, foreach=False),
    ),
    "no decay": (
        {"optimizer": "adamw", "weight_decay": 0.5, "no_decay": ["biases", "norms"]},
        lambda p: torch.optim.AdamW(
            [
                {"params": [p[name] for name in DECAYING], "weight_decay": 0.5},
                {"params": [p[name] for name in SPARED], "weight_decay": 0.0},
            ],
            lr=LR,
            foreach=False,
        ),
    ),
    "betas": (
        {"beta1": 0.8, "beta2": 0.95, "eps": 1e-3},
        lambda p: torch.optim.Adam(p.values(), lr=LR, betas=(0.8, 0.95), eps=1e-3, foreach=False),
    ),
    "lr_mult": (
        {"optimizer": "sgd", "momentum": 0.9, "lr_mult": {"1": 0.1}},
        lambda p: torch.optim.SGD(
            [{"params": [p[name] for name in BODY], "lr": LR * 0.1}, {"params": [p[name] for name in HEAD]}],
            lr=LR,
            momentum=0.9,
            foreach=False,
        ),
    ),
    "freeze": (
        {"freeze": ["1.0", "*.1.*"]},
        lambda p: torch.optim.Adam([p[name] for name in p if not name.startswith(("1.0", "1.1"))], lr=LR),
    ),
}
#: whose rules test_rules.py holds bit for bit; the whole loop with them runs beside the default suite
EXTRA = {"adamw betas", "nesterov", "rmsprop", "rmsprop momentum", "adagrad", "lr_mult"}


def test_frozen_parameters_keep_their_bytes(make: Make) -> None:
    plan = plan_of(project_of(make, freeze=["1"], weight_decay=0.1))
    start = model_init.module(plan, 3, model_init.masks(plan, [3])).state_dict()
    for made in (trained(plan, [3])[0][0], trained(plan, [0, 3])[0][1]):
        assert [name for name in made if torch.equal(made[name], start[name])] == BODY


@pytest.mark.parametrize(
    "closed", [[], pytest.param(["1.0", "1.1"], marks=pytest.mark.extra)], ids=["all but the last", "by pattern"]
)
def test_gradual_unfreezing_is_torch_with_gradients_switched_on_later(make: Make, closed: list[str]) -> None:
    """`1.0` and `1.1` are of layer `1`: a layer is a name up to its first number. What is frozen is not clipped."""
    plan = plan_of(project_of(make, unfreeze_every=20, freeze=closed, clip=0.3))

    def before(module: nn.Module, epoch: int) -> None:
        for name, one in module.named_parameters():
            later = name.startswith(tuple(closed)) if closed else name in BODY
            one.requires_grad_(epoch > 20 or not later)

    hold(plan, lambda number: reference(plan, number, lambda named: clipped(adam(named), 0.3), before=before))


def lambdas(factor: Callable[[int], float]) -> Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler]:
    return lambda rule: lr_scheduler.LambdaLR(rule, factor)


def warmed(
    then: Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler], epochs: int
) -> Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler]:
    """A rise from 0, as transformers has it, and then another schedule from its own beginning."""
    steps = epochs * PER_EPOCH

    def both(rule: torch.optim.Optimizer) -> lr_scheduler.LRScheduler:
        rise = lr_scheduler.LambdaLR(rule, lambda k: k / steps)
        return lr_scheduler.SequentialLR(rule, [rise, then(rule)], milestones=[steps])

    return both


SCHEDULES: dict[str, tuple[dict[str, object], Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler]]] = {
    "constant": ({"warmup_epochs": 5}, lambdas(lambda k: min(1.0, k / (5 * PER_EPOCH)))),
    "linear": ({"schedule": "linear"}, lambda rule: lr_scheduler.LinearLR(rule, 1.0, 0.0, STEPS)),
    "linear to lowest": (
        {"schedule": "linear", "min_lr": 0.002, "warmup_epochs": 10},
        warmed(lambda rule: lr_scheduler.LinearLR(rule, 1.0, 0.2, STEPS - 10 * PER_EPOCH), 10),
    ),
    "cosine": (
        {"schedule": "cosine", "min_lr": 0.001, "warmup_epochs": 5},
        warmed(lambda rule: lr_scheduler.CosineAnnealingLR(rule, STEPS - 5 * PER_EPOCH, 0.001), 5),
    ),
    "onecycle": (
        {"schedule": "onecycle", "pct_start": 0.25},
        lambda rule: lr_scheduler.OneCycleLR(rule, LR, STEPS, pct_start=0.25, cycle_momentum=False),
    ),
    "step": (
        {"schedule": "step", "step_epochs": 15, "gamma": 0.3},
        lambda rule: lr_scheduler.StepLR(rule, 15 * PER_EPOCH, 0.3),
    ),
    "warm step": (
        {"schedule": "step", "step_epochs": 15, "warmup_epochs": 2},
        warmed(lambda rule: lr_scheduler.StepLR(rule, 15 * PER_EPOCH, 0.1), 2),
    ),
    "restarts": (
        {"schedule": "restarts", "restart_epochs": 5, "restart_mult": 2, "min_lr": 1e-4},
        lambda rule: lr_scheduler.CosineAnnealingWarmRestarts(rule, 5 * PER_EPOCH, 2, 1e-4),
    ),
}


WARNS = pytest.mark.filterwarnings("ignore:The epoch parameter:UserWarning", "ignore:Detected call:UserWarning")


@WARNS
@pytest.mark.parametrize("case", SCHEDULES)
def test_each_rate_of_a_schedule_is_torchs(case: str) -> None:
    settings, scheduler = SCHEDULES[case]
    rule = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=LR)
    theirs, ours = scheduler(rule), Schedule(LR, Train(epochs=EPOCHS, **settings), PER_EPOCH)
    for step in range(1, STEPS + 1):
        assert ours.rate(step) == pytest.approx(rule.param_groups[0]["lr"], rel=1e-9, abs=1e-15)
        rule.step()
        if step < STEPS:
            theirs.step()


@WARNS
@pytest.mark.parametrize(
    ("rule", "schedule"),
    [
        pytest.param(*pair, marks=pytest.mark.extra if pair[0] in EXTRA else ())
        for pair in zip(OPTIMIZERS, cycle(SCHEDULES), strict=False)
    ],
)
def test_the_weights_are_those_of_torchs_rule_under_torchs_schedule(make: Make, rule: str, schedule: str) -> None:
    settings, optimizer = OPTIMIZERS[rule]
    more, scheduler = SCHEDULES[schedule]
    plan = plan_of(project_of(make, **settings, **more))

    def without_last(given: torch.optim.Optimizer) -> lr_scheduler.LRScheduler:
        """torch steps a schedule once more than it gives rates, which OneCycleLR refuses."""
        made = scheduler(given)
        step, count = made.step, iter(range(STEPS))
        made.step = lambda: step() if next(count) < STEPS - 1 else None  # type: ignore[method-assign]
        return made

    hold(plan, lambda number: reference(plan, number, optimizer, schedule=without_last))


@pytest.mark.extra
@pytest.mark.parametrize("shape", ["constant", "linear", "cosine", "cosine to lowest"])
def test_the_schedule_is_that_of_transformers(shape: str) -> None:
    transformers = pytest.importorskip("transformers.optimization")
    rule = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=LR)
    theirs = {
        "constant": lambda: transformers.get_constant_schedule_with_warmup(rule, 20),
        "linear": lambda: transformers.get_linear_schedule_with_warmup(rule, 20, STEPS),
        "cosine": lambda: transformers.get_cosine_schedule_with_warmup(rule, 20, STEPS),
        "cosine to lowest": lambda: transformers.get_cosine_with_min_lr_schedule_with_warmup(
            rule, 20, STEPS, min_lr=0.002
        ),
    }[shape]()
    low = 0.002 if shape == "cosine to lowest" else 0.0
    ours = Schedule(LR, Train(epochs=EPOCHS, schedule=shape.partition(" ")[0], warmup_epochs=5, min_lr=low), PER_EPOCH)
    for step in range(1, STEPS + 1):
        assert ours.rate(step) == pytest.approx(rule.param_groups[0]["lr"], rel=1e-9, abs=1e-15)
        rule.step()
        theirs.step()


def test_the_running_mean_is_that_of_torch(make: Make) -> None:
    """What is kept and judged is the mean; what trains on is not."""
    plan = plan_of(project_of(make, ema_decay=0.97))

    def averaged(number: int) -> nn.Module:
        means: list[AveragedModel] = []

        def after(module: nn.Module) -> None:
            if not means:
                means.append(AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(0.97)))
            means[0].update_parameters(module)

        reference(plan, number, adam, after=after)
        return means[0].module

    hold(plan, averaged)
    kept, training = trained(plan, [0])
    assert not torch.equal(training.engine.weights(0)["2.bias"], kept[0]["2.bias"])


def test_l1_is_the_gradient_of_the_sum_of_absolute_weights(make: Make) -> None:
    plan = plan_of(project_of(make, l1=0.01, no_decay=["biases", "norms"], clip=1.0, optimizer="sgd", momentum=0.9))

    def penalty(named: Named) -> Tensor:
        return 0.01 * torch.stack([named[name].abs().sum() for name in DECAYING]).sum()

    def rule(named: Named) -> torch.optim.Optimizer:
        return clipped(torch.optim.SGD(named.values(), lr=LR, momentum=0.9, foreach=False), 1.0)

    hold(plan, lambda number: reference(plan, number, rule, penalty=penalty))


def test_accumulation_is_one_batch_of_all(make: Make) -> None:
    """Batches of 16, two to a step, are batches of 32: the same steps, schedule and weights, to rounding.

    The last step of an epoch has one and a bit of them.
    """
    small = plan_of(project_of(make, batch_size=16, accumulate=2, schedule="cosine", epochs=40), 150)
    large = plan_of(project_of(make, batch_size=32, schedule="cosine", epochs=40), 150)
    assert small.updates_per_epoch == large.updates_per_epoch == 5
    for numbers in ([0], [0, 3]):
        (one, *_), first = trained(small, numbers)
        (two, *_), second = trained(large, numbers)
        assert max(float((one[name] - two[name]).abs().max()) for name in one) <= ALONE
        assert first.curves[0][-1].train == pytest.approx(second.curves[0][-1].train, rel=1e-9)


def test_it_goes_on_from_a_checkpoint_within_a_step(make: Make) -> None:
    """Three of four batches into a step, with a running mean: what follows is the same to the last bit."""
    plan = plan_of(project_of(make, batch_size=8, accumulate=4, ema_decay=0.9, epochs=3, unfreeze_every=1))
    whole, _ = trained(plan, [0, 3])
    engine = equivalence_check.fused(plan, [0, 3])
    training = Training(plan, engine, [0, 3], Silent())
    for inputs, targets in training.feed.epoch(1):
        training.step += 1
        training.losses.append(training._step(inputs, targets, training.schedule.rate(training._update)))
        if training.step == 7:
            break
    state = copy.deepcopy(training.state())
    other = Training(plan, equivalence_check.fused(plan, [0, 3]), [0, 3], Silent())
    other.saver.read = lambda log: state  # type: ignore[method-assign, assignment]
    other.resume()
    other.run()
    with other.engine.judged():
        again = [other.engine.weights(lane) for lane in range(2)]
    assert all(torch.equal(one[name], two[name]) for one, two in zip(whole, again, strict=True) for name in one)


@pytest.mark.parametrize(
    ("train", "said"),
    [
        ({"no_decay": ["bn*"]}, "train.no_decay has 'bn*', which matches no parameter"),
        ({"freeze": ["encoder"]}, "train.freeze has 'encoder', which matches no parameter"),
        ({"lr_mult": {"head": 2.0}}, "train.lr_mult has 'head', which matches no parameter"),
        ({"lr_mult": {"2": 2.0, "2.*": 3.0}}, "has both '2' and '2.*'"),
        ({"freeze": ["1", "2"]}, "leaves nothing to train"),
        ({"freeze": ["1", "2"], "unfreeze_every": 1}, "nothing to train in the first epoch"),
    ],
)
def test_patterns_that_mean_nothing_are_refused_with_what_exists(make: Make, train: dict, said: str) -> None:
    plan = plan_of(project_of(make, **train))
    with pytest.raises(UsageError) as caught:
        model_init.check(plan)
    assert said in caught.value.sentence
    assert "1.0.weight" in caught.value.sentence or "both" in said


def test_norms_of_a_model_without_any_are_refused(make: Make) -> None:
    bare = TASK.replace("nn.LayerNorm(12), ", "")
    with pytest.raises(UsageError, match="'norms', which matches no parameter"):
        model_init.check(plan_of(project_of(make, bare, no_decay=["norms"])))


def test_options_of_a_rule_are_refused_beside_a_rule_of_the_tasks_own(make: Make) -> None:
    source = TASK + "\n    def optimizer(parameters, settings):\n        raise AssertionError\n"
    with pytest.raises(UsageError, match=r"optimizer\(\) decides what train.no_decay says"):
        model_init.check(plan_of(project_of(make, source, no_decay=["biases"])))


BASE = "lr: 0.01\nreplicates: 2\nseed: 1\nmetric: {name: a}\ntrain: {epochs: 10, %s}\n"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("nesterov: true", "train.nesterov, and train.optimizer is adam"),
        ("optimizer: sgd, nesterov: true", "train.nesterov needs train.momentum"),
        ("optimizer: sgd, beta1: 0.5", "train.beta1 with train.optimizer: adam, adamw"),
        ("schedule: onecycle, restart_epochs: 2", "train.restart_epochs with train.schedule: restarts"),
        ("schedule: onecycle, warmup_epochs: 2", "train.warmup_epochs, and train.schedule is onecycle"),
        ("schedule: restarts", "lacks train.restart_epochs"),
        ("schedule: step", "lacks train.step_epochs"),
        ("min_lr: 0.001", "train.min_lr, and train.schedule is constant"),
        ("schedule: cosine, min_lr: 0.1", "train.min_lr 0.1 is above lr 0.01"),
        ("warmup_epochs: 10", "leaves none of 10 epochs"),
        ("freeze: ['*']", "leaves nothing to train"),
        ("ema_decay: 1.0", "train.ema_decay is 1.0"),
    ],
)
def test_options_that_exclude_each_other_are_refused_before_anything_runs(written: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        params_yaml.load(BASE % written)
    assert said in caught.value.sentence


def test_an_option_at_its_default_is_no_part_of_the_strategy() -> None:
    plain = params_yaml.strategy(params_yaml.load(BASE % "clip: 0.0"))
    written = "nesterov: false, ema_decay: 0.0, freeze: [], eps: null, min_lr: 0.0, accumulate: 1"
    assert params_yaml.strategy(params_yaml.load(BASE % written)) == plain
    assert "ema_decay" not in plain["train"] and len(plain["train"]) == 10
    assert params_yaml.strategy(params_yaml.load(BASE % "ema_decay: 0.9"))["train"]["ema_decay"] == 0.9


def test_layers_are_told_apart_by_their_numbers(make: Make) -> None:
    """A deeper one: each layer trains at its own rate."""
    deep = """
        from torch import nn

        class Net(nn.Module):
            def __init__(self, outputs):
                super().__init__()
                self.embed = nn.Linear(64, 8)
                self.layers = nn.ModuleList([nn.Sequential(nn.Linear(8, 8), nn.Tanh()) for _ in range(3)])
                self.head = nn.Linear(8, outputs)

            def forward(self, inputs):
                made = self.embed(inputs.flatten(1))
                for one in self.layers:
                    made = one(made)
                return self.head(made)

        def model(shape, outputs):
            return Net(outputs)

        def loss(outputs, targets):
            return -outputs.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).mean()
    """
    plan = plan_of(project_of(make, deep, layer_decay=0.8))
    engine = equivalence_check.alone(plan, 0)
    assert [round(math.log(one.rate, 0.8)) for one in engine.groups] == [4, 3, 2, 1, 0]
    assert all(one.end == two.start for one, two in pairwise(engine.groups))
