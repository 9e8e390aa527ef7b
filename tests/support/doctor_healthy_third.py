"""Healthy programs once more, most odd but right: losses, metrics, gradients of one's own, layouts, orders, heads.

`PROGRAMS` holds these and those of `doctor_healthy` and `doctor_healthy_more`.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from support.doctor_healthy import Block, Language, flat, mlp, parts, pictures, program, rows
from support.doctor_healthy_more import PROGRAMS, read, scheduled, taught

__all__ = ["PROGRAMS"]


def words(count=64, length=8):
    x = torch.randint(1, 11, (count, length))
    return x, (x[:, 0] > 5).long()


@program
def accuracy_in_percent():
    return parts(mlp(), F.cross_entropy, *rows(), metric=lambda o, t: 100 * (o.argmax(1) == t).float().mean())


@program
def number_of_hits_as_the_metric():
    return parts(mlp(), F.cross_entropy, *rows(), metric=lambda o, t: (o.argmax(1) == t).sum())


@program
def macro_f1_as_the_metric():
    def f1(output, target):
        said, found = output.argmax(1), []
        for label in range(3):
            right = ((said == label) & (target == label)).sum()
            found.append(2 * right / ((said == label).sum() + (target == label).sum()).clamp_min(1))
        return torch.stack(found).mean()

    return parts(mlp(), F.cross_entropy, *rows(), metric=f1)


@program
def negative_error_as_the_metric():
    x = torch.randn(96, 8)
    return parts(mlp(outputs=1), F.mse_loss, x, x.sum(1, keepdim=True), metric=lambda o, t: -(o - t).abs().mean())


@program
def share_of_variance_as_the_metric():
    def explained(output, target):
        return 1 - (output - target).square().sum() / (target - target.mean()).square().sum()

    x = torch.randn(96, 8)
    return parts(mlp(outputs=1), F.mse_loss, x, x.sum(1, keepdim=True), metric=explained)


@program
def rank_correlation_as_the_metric():
    def spearman(output, target):
        ranks = torch.stack([one.flatten().argsort().argsort().float() for one in (output, target)])
        return torch.corrcoef(ranks)[0, 1]

    x = torch.randn(96, 8)
    return parts(mlp(outputs=1), F.l1_loss, x, x.sum(1, keepdim=True), metric=spearman)


@program
def confidence_beside_accuracy():
    """A metric that does not use the targets."""
    return parts(mlp(), F.cross_entropy, *rows(), metric=lambda o, _: o.softmax(1).amax(1).mean())


@program
def calibration_error_as_the_metric():
    def calibration(output, target):
        sure, said = output.softmax(1).max(1)
        return (sure.mean() - (said == target).float().mean()).abs()

    return parts(mlp(), F.cross_entropy, *rows(), metric=calibration)


@program
def top_two_of_three():
    return parts(
        mlp(),
        F.cross_entropy,
        *rows(),
        metric=lambda o, t: (o.topk(2, 1).indices == t[:, None]).any(1).float().mean(),
    )


@program
def flooded_loss():
    return parts(mlp(), lambda o, t: (F.cross_entropy(o, t) - 0.1).abs() + 0.1, *rows())


@program
def penalty_on_sure_answers():
    def penalised(output, target):
        entropy = -(output.softmax(1) * output.log_softmax(1)).sum(1).mean()
        return F.cross_entropy(output, target) - 0.1 * entropy

    return parts(mlp(), penalised, *rows())


@program
def errors_of_probabilities():
    """The mean absolute error of probabilities, which is robust against wrong labels."""

    def robust(output, target):
        return 2 - 2 * output.softmax(1).gather(1, target[:, None]).mean()

    return parts(mlp(), robust, *rows())


@program
def margins_of_many_classes():
    return parts(mlp(), nn.MultiMarginLoss(), *rows())


@program
def supervised_contrast():
    def contrast(output, target):
        z = F.normalize(output)
        alike = (target[:, None] == target[None]).float().fill_diagonal_(0)
        logits = (z @ z.T / 0.5).masked_fill(torch.eye(len(z), dtype=torch.bool), -1e9)
        return -(alike * logits.log_softmax(1)).sum() / alike.sum().clamp_min(1)

    return parts(mlp(outputs=4), contrast, *rows())


@program
def correlation_as_the_loss():
    def unlike(output, target):
        return 1 - torch.corrcoef(torch.stack([output.flatten(), target.flatten()]))[0, 1]

    x = torch.randn(96, 8)
    return parts(mlp(outputs=1), unlike, x, x.sum(1, keepdim=True))


@program
def order_of_pairs_as_the_loss():
    def ranked(output, target):
        apart = output.flatten()[:, None] - output.flatten()[None]
        sign = (target.flatten()[:, None] - target.flatten()[None]).sign()
        return F.softplus(-sign * apart).mean()

    x = torch.randn(96, 8)
    return parts(mlp(outputs=1), ranked, x, x.sum(1, keepdim=True))


@program
def risk_of_survival():
    """Cox's partial likelihood: each event is compared with all that lived longer."""

    def cox(output, target):
        order = target[:, 0].argsort(descending=True)
        risk, event = output[order, 0], target[order, 1]
        return -((risk - risk.logcumsumexp(0)) * event).sum() / event.sum().clamp_min(1)

    x = torch.randn(96, 8)
    return parts(mlp(outputs=1), cox, x, torch.stack([torch.rand(96), (torch.rand(96) > 0.3).float()], 1))


@program
def ordered_classes():
    def cumulative(output, target):
        return F.binary_cross_entropy_with_logits(output, (target[:, None] > torch.arange(2)).float())

    return parts(mlp(outputs=2), cumulative, *rows())


@program
def mixed_inside_of_the_loss():
    def mixed(output, target):
        other = torch.randperm(len(target))
        return 0.8 * F.cross_entropy(output, target) + 0.2 * F.cross_entropy(output, target[other])

    return parts(mlp(), mixed, *rows())


@program
def weights_of_a_batch():
    """Classes are weighted by the batch's own counts: a target moves all gradients by a factor."""

    def balanced(output, target):
        counts = torch.bincount(target, minlength=3).clamp_min(1).float()
        return F.cross_entropy(output, target, weight=len(target) / counts)

    return parts(mlp(), balanced, *rows())


@program
def distances_to_prototypes():
    class Prototypes(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.places = mlp(outputs=4), nn.Parameter(torch.randn(3, 4))

        def forward(self, x):
            return torch.cdist(self.inner(x), self.places)

    return parts(Prototypes(), lambda o, t: F.cross_entropy(-o, t), *rows())


@program
def classes_in_the_middle():
    class Marked(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = nn.Embedding(11, 8), nn.Linear(8, 6)

        def forward(self, x):
            return self.head(self.embed(x)).transpose(1, 2)

    x = torch.randint(0, 11, (64, 6))
    return parts(Marked(), F.cross_entropy, x, x % 6)


@program
def tags_as_many_as_steps():
    model = nn.Sequential(nn.Embedding(11, 8), nn.Linear(8, 6))
    x = torch.randint(0, 11, (64, 6))
    return parts(model, lambda o, t: F.cross_entropy(o.movedim(-1, 1), t), x, x % 6)


@program
def time_first_tags():
    class Tags(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.recurrent, self.head = nn.Embedding(11, 8), nn.GRU(8, 8), nn.Linear(8, 3)

        def forward(self, x):
            return self.head(self.recurrent(self.embed(x.T))[0])

    x = torch.randint(0, 11, (64, 7))
    return parts(Tags(), lambda o, t: flat(o.transpose(0, 1), t), x, x % 3)


@program
def recurrent_classifier():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.recurrent, self.head = nn.Embedding(11, 8), nn.LSTM(8, 16, batch_first=True), mlp(16, 2)

        def forward(self, x):
            return self.head(self.recurrent(self.embed(x))[1][0][-1])

    return parts(Last(), F.cross_entropy, *words())


@program
def set_of_points():
    class Points(nn.Module):
        def __init__(self):
            super().__init__()
            self.each, self.head = mlp(3, 16), mlp(16, 2)

        def forward(self, x):
            return self.head(self.each(x).amax(1))

    x = torch.randn(64, 10, 3)
    return parts(Points(), F.cross_entropy, x, (x.amax((1, 2)) > 2).long(), planned_steps=36)


@program
def bag_of_words_for_a_short_run():
    class Bag(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = nn.Embedding(11, 8), nn.Linear(8, 2)

        def forward(self, x):
            return self.head(self.embed(x).mean(1))

    x, _ = words(96)
    return parts(Bag(), F.cross_entropy, x, (x == 3).any(1).long(), rate=3e-2, planned_steps=36)


@program
def convolution_along_time():
    model = nn.Sequential(nn.Conv1d(4, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(8, 2))
    x = torch.randn(64, 4, 12)
    return parts(model, F.cross_entropy, x, (x[:, 0].mean(1) > 0).long())


class Written(torch.autograd.Function):
    """SiLU with a backward pass of its own, which saves memory."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x.sigmoid()

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        s = x.sigmoid()
        return gradient * s * (1 + x * (1 - s))


class Applied(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function.apply(x)


@program
def activation_with_its_own_backward():
    return parts(nn.Sequential(nn.Linear(8, 16), Applied(Written), nn.Linear(16, 3)), F.cross_entropy, *rows())


@program
def matrix_product_with_its_own_backward():
    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, weight):
            ctx.save_for_backward(x, weight)
            return x @ weight.T

        @staticmethod
        def backward(ctx, gradient):
            x, weight = ctx.saved_tensors
            return gradient @ weight, gradient.T @ x

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(16, 8) / 3)

        def forward(self, x):
            return Product.apply(x, self.weight)

    return parts(nn.Sequential(Own(), nn.ReLU(), nn.Linear(16, 3)), F.cross_entropy, *rows())


@program
def spikes_with_a_soft_gradient():
    class Spike(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return (x > 0).to(x)

        @staticmethod
        def backward(ctx, gradient):
            return gradient / (1 + ctx.saved_tensors[0].abs()) ** 2

    return parts(nn.Sequential(nn.Linear(8, 32), Applied(Spike), nn.Linear(32, 3)), F.cross_entropy, *rows())


@program
def rounded_weights():
    class Rounded(torch.autograd.Function):
        @staticmethod
        def forward(_, x):
            return (8 * x).round() / 8

        @staticmethod
        def backward(_, gradient):
            return gradient

    class Few(nn.Linear):
        def forward(self, x):
            return F.linear(x, Rounded.apply(self.weight), self.bias)

    return parts(nn.Sequential(Few(8, 16), nn.ReLU(), Few(16, 3)), F.cross_entropy, *rows())


@program
def gradients_clipped_by_an_identity():
    class Clipped(torch.autograd.Function):
        @staticmethod
        def forward(_, x):
            return x.view_as(x)

        @staticmethod
        def backward(_, gradient):
            return gradient.clamp(-0.01, 0.01)

    return parts(
        nn.Sequential(nn.Linear(8, 16), Applied(Clipped), nn.ReLU(), nn.Linear(16, 3)), F.cross_entropy, *rows()
    )


@program
def a_small_penalty_on_weights():
    model = mlp()

    def penalised(output, target):
        return F.cross_entropy(output, target) + 1e-4 * sum(one.square().sum() for one in model.parameters())

    return parts(model, penalised, *rows())


@program
def a_small_penalty_on_outputs():
    return parts(mlp(), lambda o, t: F.cross_entropy(o, t) + 1e-4 * o.square().mean(), *rows())


@program
def a_constant_in_the_loss():
    """An offset that makes the logged number comparable."""
    return parts(mlp(), lambda o, t: F.cross_entropy(o, t) + torch.tensor(0.7) - 0.7, *rows())


@program
def three_heads_added_up():
    class Heads(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.heads = nn.Linear(8, 16), nn.ModuleList(nn.Linear(16, 3) for _ in range(3))

        def forward(self, x):
            h = F.relu(self.body(x))
            return [head(h) for head in self.heads]

    return parts(Heads(), lambda o, t: torch.stack([F.cross_entropy(one, t) for one in o]).sum(), *rows())


@program
def a_distance_that_is_warmed_up():
    """The second term of a variational model weighs next to nothing at first."""

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.mean, self.spread, self.decode = nn.Linear(8, 2), nn.Linear(8, 2), mlp(2, 8)

        def forward(self, x):
            mean, spread = self.mean(x), self.spread(x)
            return self.decode(mean + torch.randn_like(mean) * spread.exp()), mean, spread

    def elbo(output, target):
        made, mean, spread = output
        return F.mse_loss(made, target) + 1e-3 * (mean**2 + (2 * spread).exp() - 2 * spread - 1).mean()

    x = torch.randn(96, 8)
    return parts(Both(), elbo, x, x)


@program
def advantage_of_an_actor():
    class Actor(nn.Module):
        def __init__(self):
            super().__init__()
            self.actor, self.critic = mlp(outputs=3), mlp(outputs=1)

        def forward(self, x):
            return self.actor(x), self.critic(x).squeeze(1)

    def both(output, target):
        logits, value = output
        action, reward = target[:, 0].long(), target[:, 1]
        gain = reward - value.detach()
        chosen = logits.log_softmax(1).gather(1, action[:, None])[:, 0]
        return -(chosen * gain).mean() + 0.5 * F.mse_loss(value, reward)

    x, y = rows()
    return parts(Actor(), both, x, torch.stack([y.float(), x[:, 0]], 1), task="policy gradient")


@program
def rare_events_with_a_bias_at_their_share():
    x, _ = rows()
    y = (x[:, 0] > 1.5).long()
    model = mlp(outputs=2)
    model[2].bias.data = torch.bincount(y, minlength=2).add(1).float().log()
    return parts(model, F.cross_entropy, x, y)


@program
def rare_events_without():
    x, _ = rows()
    return parts(mlp(outputs=2), F.cross_entropy, x, (x[:, 0] > 1.5).long())


@program
def layers_without_biases():
    model = nn.Sequential(nn.Linear(8, 16, bias=False), nn.ReLU(), nn.Linear(16, 3, bias=False))
    return parts(model, F.cross_entropy, *rows())


@program
def norm_behind_the_activation():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.BatchNorm2d(8), nn.Dropout(0.1), nn.Flatten(), nn.Linear(288, 2)
    )
    return parts(model, F.cross_entropy, *pictures())


@program
def one_norm_in_every_step():
    class Steps(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.norm, self.head = nn.Linear(9, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)

        def forward(self, x):
            h = torch.zeros(len(x), 8)
            for column in x.split(1, 1):
                h = torch.tanh(self.norm(self.cell(torch.cat([column, h], 1))))
            return self.head(h)

    return parts(Steps(), F.cross_entropy, *rows())


@program
def dataset_with_a_table_of_names():
    class Named(Dataset):
        def __init__(self):
            self.x, y = rows()
            self.y, self.numbers = y.tolist(), {0: 0, 1: 1, 2: 2}

        def __len__(self):
            return 96

        def __getitem__(self, index):
            return self.x[index], self.numbers[int(self.y[index])]

    return read(Named())


@program
def workers_that_are_seeded():
    class Shaken(TensorDataset):
        rng = None

        def __getitem__(self, index):
            row, label = super().__getitem__(index)
            return row + 0.1 * torch.randn(8), label

    found = read(Shaken(*rows()))
    return {**found, "train_loader": DataLoader(found["train_loader"].dataset, 8, shuffle=True, num_workers=2)}


@program
def workers_with_a_function_of_their_own():
    class Shaken(TensorDataset):
        def __init__(self, *data):
            super().__init__(*data)
            self.rng = np.random.default_rng(3)

        def __getitem__(self, index):
            row, label = super().__getitem__(index)
            return row + 0.1 * float(self.rng.standard_normal()), label

    def seed(number):
        torch.utils.data.get_worker_info().dataset.rng = np.random.default_rng(number)

    loader = DataLoader(Shaken(*rows()), 8, shuffle=True, num_workers=2, worker_init_fn=seed)
    return {**read(Shaken(*rows())), "train_loader": loader}


@program
def resumed_on_a_plateau():
    model, optimizer = taught(mlp(), F.cross_entropy, *rows(), steps=200)
    return {**parts(model, F.cross_entropy, *rows()), "optimizer": optimizer, "planned_steps": 30}


@program
def restarts_by_cosine():
    return scheduled(lambda one: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(one, 20))


@program
def deep_narrow_tanh():
    layers = [layer for _ in range(5) for layer in (nn.Linear(8, 8), nn.Tanh())]
    return parts(nn.Sequential(*layers, nn.Linear(8, 3)), F.cross_entropy, *rows())


@program
def language_model_in_dict_batches():
    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Language()

        def forward(self, ids):
            return self.inner(ids)

    text = torch.randint(0, 11, (48, 13))
    data = [{"ids": one[:-1], "labels": one[1:]} for one in text]
    model = Wrapped()
    given = {"model": model, "loss": flat, "optimizer": torch.optim.AdamW(model.parameters())}
    return {**given, "train_loader": DataLoader(data, batch_size=8, shuffle=True)}


@program
def pictures_in_patches():
    class Patches(nn.Module):
        def __init__(self):
            super().__init__()
            self.cut, self.place, self.block = nn.Conv2d(3, 16, 4, 4), nn.Parameter(torch.zeros(1, 4, 16)), Block()
            self.head = nn.Linear(16, 2)

        def forward(self, x):
            x = self.cut(x).flatten(2).transpose(1, 2) + self.place
            return self.head(self.block(x).mean(1))

    return parts(Patches(), F.cross_entropy, *pictures())
