"""More healthy programs, most odd but right: what counterfactuals, statistics and schedules may take for a fault.

`PROGRAMS` holds these and those of `doctor_healthy`.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from support.doctor_healthy import PROGRAMS, Block, mlp, parts, pictures, program, rows

__all__ = ["PROGRAMS"]


def scheduled(make, unit="step", steps=60, **others):
    found = parts(mlp(), F.cross_entropy, *rows(), rate=1e-2)
    schedule = make(found["optimizer"])
    return {**found, "scheduler": schedule, "scheduler_unit": unit, "planned_steps": steps, **others}


def taught(model, loss, x, y, steps=60):
    """A model that was trained before, as a resumed run has it."""
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()
    optimizer.zero_grad()
    return model, optimizer


@program
def pixels_behind_batch_norm():
    x, y = pictures()
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 2))
    return parts(model, F.cross_entropy, 127 + 60 * x, y)


@program
def pixels_as_they_are():
    x, y = pictures()
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 2))
    return parts(model, F.cross_entropy, 127 + 60 * x, y)


@program
def small_inputs_behind_a_norm():
    x, y = rows()
    return parts(nn.Sequential(nn.LayerNorm(8), mlp()), F.cross_entropy, 1e-2 * x, y)


@program
def targets_of_thousands():
    x = torch.randn(96, 8)
    return parts(mlp(outputs=1), F.mse_loss, x, 1000 + 50 * x[:, :1])


@program
def missing_as_minus_one():
    x, y = rows()
    x = x.abs()
    x[torch.rand_like(x) > 0.9] = -1
    return parts(mlp(), F.cross_entropy, x, y)


@program
def prices_up_to_ten_thousand():
    x, y = rows()
    x[:, 2] = torch.randint(1, 10_000, (96,)).float()
    x[:5, 2] = 9999
    return parts(nn.Sequential(nn.BatchNorm1d(8), mlp()), F.cross_entropy, x, y)


@program
def warm_restarts():
    return scheduled(lambda one: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(one, 10))


@program
def one_cycle():
    return scheduled(lambda one: torch.optim.lr_scheduler.OneCycleLR(one, 1e-2, total_steps=61))


@program
def cosine_over_the_run():
    return scheduled(lambda one: torch.optim.lr_scheduler.CosineAnnealingLR(one, 60))


@program
def warm_up_then_cosine():
    def make(optimizer):
        up = torch.optim.lr_scheduler.LinearLR(optimizer, 1e-3, total_iters=10)
        down = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 50)
        return torch.optim.lr_scheduler.SequentialLR(optimizer, [up, down], [10])

    return scheduled(make)


@program
def steps_by_epoch():
    return scheduled(lambda one: torch.optim.lr_scheduler.StepLR(one, 3, gamma=0.1), "epoch", 60)


@program
def exponential_by_epoch():
    return scheduled(lambda one: torch.optim.lr_scheduler.ExponentialLR(one, 0.9), "epoch", 300)


@program
def rate_that_follows_the_loss():
    return scheduled(torch.optim.lr_scheduler.ReduceLROnPlateau, "epoch", 60)


@program
def cyclic_rate():
    return scheduled(lambda one: torch.optim.lr_scheduler.CyclicLR(one, 1e-4, 1e-2, 8, cycle_momentum=False))


@program
def fine_tuning_at_a_tiny_rate():
    x, y = rows()
    model, _ = taught(mlp(), F.cross_entropy, x, y)
    return parts(model, F.cross_entropy, x, y, rate=1e-6, planned_steps=2000)


@program
def resumed_with_state():
    x, y = rows()
    model, optimizer = taught(mlp(), F.cross_entropy, x, y, 200)
    return {**parts(model, F.cross_entropy, x, y), "optimizer": optimizer}


@program
def batches_of_two():
    return parts(mlp(), F.cross_entropy, *rows(), size=2)


@program
def frozen_batch_norm_and_batches_of_two():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 2))
    return parts(model, F.cross_entropy, *pictures(), size=2)


@program
def labels_that_are_noise():
    x, y = rows()
    return parts(mlp(), F.cross_entropy, x, y[torch.randperm(96)])


@program
def labels_with_much_noise_and_a_validation_part():
    x, y = rows(300)
    flipped = torch.where(torch.rand(300) < 0.4, torch.randint(0, 3, (300,)), y)
    validation = DataLoader(TensorDataset(x[200:], flipped[200:]), batch_size=16)
    return parts(mlp(), F.cross_entropy, x[:200], flipped[:200], val_loader=validation)


@program
def one_hot_table():
    x = F.one_hot(torch.randint(0, 4, (96, 3)), 4).float().flatten(1)
    return parts(mlp(12, 2), F.cross_entropy, x, (x[:, 0] + x[:, 5] > 0).long())


@program
def exclusive_or():
    x = torch.randint(0, 2, (96, 2)).float()
    return parts(mlp(2, 2), F.cross_entropy, x, (x.sum(1) == 1).long())


@program
def one_column_line():
    x = torch.randn(96, 1)
    return parts(nn.Linear(1, 1), F.mse_loss, x, 3 * x + 1)


@program
def mean_and_variance():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = mlp(outputs=2)

        def forward(self, x):
            mean, log = self.inner(x).chunk(2, 1)
            return mean, log.exp()

    x = torch.randn(96, 8)
    return parts(Both(), lambda o, t: F.gaussian_nll_loss(o[0], t, o[1]), x, x[:, :1] + torch.randn(96, 1) / 5)


@program
def three_quantiles():
    def pinball(output, target):
        level, error = torch.tensor([0.1, 0.5, 0.9]), target - output
        return torch.maximum(level * error, (level - 1) * error).mean()

    x = torch.randn(96, 8)
    return parts(mlp(outputs=3), pinball, x, x[:, :1])


@program
def two_tasks_by_name():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.kind, self.size = nn.Linear(8, 16), nn.Linear(16, 3), nn.Linear(16, 1)

        def forward(self, x):
            h = F.relu(self.body(x))
            return {"kind": self.kind(h), "size": self.size(h)}

    def both(output, target):
        kind, size = target[:, 0].long(), target[:, 1:]
        return F.cross_entropy(output["kind"], kind) + F.mse_loss(output["size"], size)

    x, y = rows()
    return parts(Two(), both, x, torch.stack([y.float(), x[:, 0]], 1))


@program
def targets_that_miss():
    def masked(output, target):
        known = ~target.isnan()
        return F.mse_loss(output[known], target[known])

    x = torch.randn(96, 8)
    y = x[:, :2].clone()
    y[torch.rand_like(y) > 0.7] = torch.nan
    return parts(mlp(outputs=2), masked, x, y)


@program
def accumulation_and_clipping():
    return parts(mlp(), F.cross_entropy, *rows(), size=4, accumulate=4, clip=1.0)


@program
def decay_in_groups():
    model = mlp()
    flat, rest = ([one for one in model.parameters() if (one.ndim < 2) is small] for small in (True, False))
    groups = [{"params": rest, "weight_decay": 0.1}, {"params": flat, "weight_decay": 0.0}]
    return {**parts(model, F.cross_entropy, *rows()), "optimizer": torch.optim.AdamW(groups)}


@program
def second_order():
    model = mlp()
    return {**parts(model, F.cross_entropy, *rows()), "optimizer": torch.optim.LBFGS(model.parameters())}


@program
def signs_of_momentum():
    class Lion(torch.optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {"lr": 1e-4})

        @torch.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for one in group["params"]:
                    held = self.state[one].setdefault("momentum", torch.zeros_like(one))
                    if one.grad is not None:
                        one.sub_(held.lerp(one.grad, 0.1).sign(), alpha=group["lr"])
                        held.lerp_(one.grad, 0.01)

    model = mlp()
    return {**parts(model, F.cross_entropy, *rows()), "optimizer": Lion(model.parameters())}


@program
def large_epsilon():
    model = mlp()
    optimizer = torch.optim.RMSprop(model.parameters(), 1e-2, eps=1.0, momentum=0.9)
    return {**parts(model, F.cross_entropy, *rows()), "optimizer": optimizer}


@program
def sparse_units():
    model = mlp(hidden=64)
    nn.init.constant_(model[0].bias, -0.8)
    return parts(model, F.cross_entropy, *rows())


@program
def binary_units():
    class Step(torch.autograd.Function):
        @staticmethod
        def forward(_, x):
            return (x > 0).to(x)

        @staticmethod
        def backward(_, gradient):
            return gradient

    class Binary(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(8, 16), nn.Linear(16, 3)

        def forward(self, x):
            return self.two(Step.apply(self.one(x)))

    return parts(Binary(), F.cross_entropy, *rows())


@program
def reversed_gradients():
    class Reverse(torch.autograd.Function):
        @staticmethod
        def forward(_, x):
            return x.view_as(x)

        @staticmethod
        def backward(_, gradient):
            return -gradient

    class Adapted(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.kind, self.domain = nn.Linear(8, 16), nn.Linear(16, 3), nn.Linear(16, 2)

        def forward(self, x):
            h = F.relu(self.body(x))
            return self.kind(h), self.domain(Reverse.apply(h))

    def both(output, target):
        return F.cross_entropy(output[0], target) + F.cross_entropy(output[1], target % 2)

    return parts(Adapted(), both, *rows())


@program
def spectral_norm():
    model = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(8, 16)), nn.ReLU(), nn.Linear(16, 3))
    return parts(model, F.cross_entropy, *rows())


@program
def denoising_by_random_times():
    class Denoiser(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = mlp(9, 8, 32)

        def forward(self, x):
            time, noise = torch.rand(len(x), 1), torch.randn_like(x)
            mixed = (1 - time) * x + time * noise
            return self.inner(torch.cat([mixed, time], 1)), noise

    x = torch.randn(96, 8)
    return parts(Denoiser(), lambda o, _: F.mse_loss(*o), x, x)


@program
def values_and_a_slow_copy():
    class Values(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = mlp(outputs=2)
            self.slow = copy.deepcopy(self.inner).requires_grad_(False)

        def forward(self, x):
            with torch.no_grad():
                later = self.slow(x.roll(1, 1)).amax(1)
            return self.inner(x), later

    def temporal(output, target):
        chosen = output[0].gather(1, (target > 0).long()[:, None])[:, 0]
        return F.smooth_l1_loss(chosen, target + 0.9 * output[1])

    x = torch.randn(96, 8)
    return parts(Values(), temporal, x, x[:, 0])


@program
def slopes_in_the_loss():
    class Field(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))

        def forward(self, x):
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                made = self.inner(x)
                (slope,) = torch.autograd.grad(made.sum(), x, create_graph=True)
            return torch.cat([made, slope], 1)

    x = torch.rand(96, 2)
    field = torch.cat([x.prod(1, keepdim=True), x.flip(1)], 1)
    return parts(Field(), F.mse_loss, x, field)


@program
def angles_with_a_margin():
    class Angles(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.kinds = mlp(outputs=16), nn.Parameter(torch.randn(3, 16))

        def forward(self, x):
            return F.linear(F.normalize(self.inner(x)), F.normalize(self.kinds))

    def arc(output, target):
        angle = output.clamp(-0.999, 0.999).acos() + 0.3 * F.one_hot(target, 3)
        return F.cross_entropy(32 * angle.cos(), target)

    return parts(Angles(), arc, *rows())


@program
def low_temperature():
    class Views(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = mlp(outputs=8)

        def forward(self, x):
            one, two = (F.normalize(self.inner(x + 0.1 * torch.randn_like(x))) for _ in range(2))
            return one @ two.T / 0.05

    x = torch.randn(96, 8)
    return parts(Views(), lambda o, _: F.cross_entropy(o, torch.arange(len(o))), x, torch.zeros(96))


@program
def bags_with_offsets():
    class Bags(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = nn.EmbeddingBag(50, 8), nn.Linear(8, 2)

        def forward(self, words, offsets):
            return self.head(self.embed(words, offsets))

    def collate(chosen):
        lengths = torch.tensor([0] + [len(words) for words, _ in chosen[:-1]])
        return torch.cat([words for words, _ in chosen]), lengths.cumsum(0), torch.tensor([one for _, one in chosen])

    data = [(torch.randint(0, 50, (3 + at % 5,)), at % 2) for at in range(64)]
    model = Bags()
    loader = DataLoader(data, batch_size=8, shuffle=True, collate_fn=collate)
    given = {"model": model, "loss": F.cross_entropy, "optimizer": torch.optim.Adam(model.parameters())}
    return {**given, "train_loader": loader}


@program
def next_value_of_a_series():
    series = torch.randn(400).cumsum(0) / 5
    x = torch.stack([series[at : at + 16] for at in range(200)])
    return parts(nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1)), F.mse_loss, x, series[16:216, None])


@program
def double_precision():
    x, y = rows()
    return parts(mlp().double(), F.cross_entropy, x.double(), y)


@program
def heavy_dropout():
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(8, 64), nn.ReLU(), nn.Dropout(0.8), nn.Linear(64, 3))
    return parts(model, F.cross_entropy, *rows())


@program
def stochastic_depth():
    class Deep(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.layers = nn.Linear(8, 16), nn.ModuleList(nn.Linear(16, 16) for _ in range(6))
            self.last = nn.Linear(16, 3)

        def forward(self, x):
            x = self.first(x)
            for layer in self.layers:
                if not self.training or torch.rand(()) < 0.7:
                    x = x + F.relu(layer(x))
            return self.last(x)

    return parts(Deep(), F.cross_entropy, *rows())


@program
def noise_of_its_own_generator():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.rng = mlp(), np.random.default_rng(3)

        def forward(self, x):
            if self.training:
                x = x + 0.1 * torch.as_tensor(self.rng.standard_normal(x.shape)).float()
            return self.inner(x)

    return parts(Noisy(), F.cross_entropy, *rows())


@program
def inputs_normalised_as_they_come():
    class Normal(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = mlp()
            self.register_buffer("mean", torch.zeros(8))

        def forward(self, x):
            if self.training:
                self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
            return self.inner(x - self.mean)

    return parts(Normal(), F.cross_entropy, *rows())


def read(dataset, **others):
    model = mlp()
    given = {"model": model, "loss": F.cross_entropy, "optimizer": torch.optim.Adam(model.parameters())}
    return {**given, "train_loader": DataLoader(dataset, batch_size=8, shuffle=True), **others}


@program
def dataset_that_keeps_what_it_decoded():
    class Kept(Dataset):
        def __init__(self):
            self.raw, self.y = rows()
            self.done, self.made = np.zeros(96, bool), np.zeros((96, 8), np.float32)

        def __len__(self):
            return 96

        def __getitem__(self, index):
            if not self.done[index]:
                self.made[index], self.done[index] = self.raw[index] * 2, True
            return self.made[index].copy(), int(self.y[index])

    return read(Kept())


@program
def dataset_with_a_random_crop_of_its_own():
    class Shaken:
        def __init__(self):
            self.rng = np.random.default_rng()

        def __call__(self, row):
            return row + 0.1 * torch.as_tensor(self.rng.standard_normal(8)).float()

    class Changed(Dataset):
        def __init__(self):
            (self.x, self.y), self.change = rows(), Shaken()

        def __len__(self):
            return 96

        def __getitem__(self, index):
            return self.change(self.x[index]), int(self.y[index])

    return read(Changed())


@program
def validation_of_another_year():
    x, y = rows(300)
    later = 1.5 * x[200:] + 0.8
    validation = DataLoader(TensorDataset(later, y[200:]), batch_size=16)
    return parts(mlp(), F.cross_entropy, x[:200], y[:200], val_loader=validation)


@program
def rare_label_that_validation_misses():
    x, y = rows(300, classes=2)
    y[:200][::50] = 2
    validation = DataLoader(TensorDataset(x[200:], y[200:]), batch_size=16)
    return parts(mlp(), F.cross_entropy, x[:200], y[:200], val_loader=validation)


@program
def deep_residual_transformer():
    class Deep(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.blocks = nn.Linear(4, 16), nn.ModuleList(Block() for _ in range(4))
            self.last = nn.Linear(16, 2)

        def forward(self, x):
            x = self.first(x)
            for block in self.blocks:
                x = block(x)
            return self.last(x.mean(1))

    x = torch.randn(48, 6, 4)
    return parts(Deep(), F.cross_entropy, x, (x.mean((1, 2)) > 0).long())


@program
def copies_with_other_labels_by_design():
    """Three people label each picture."""
    x, y = rows(32)
    answers = torch.cat([y, y, (y + (torch.rand(32) < 0.3)) % 3])
    return parts(mlp(), F.cross_entropy, x.round().repeat(3, 1), answers)


@program
def half_precision_in_parts():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = mlp()

        def forward(self, x):
            with torch.autocast("cpu", torch.bfloat16):
                return self.inner(x)

    return parts(Mixed(), lambda o, t: F.cross_entropy(o.float(), t), *rows())
