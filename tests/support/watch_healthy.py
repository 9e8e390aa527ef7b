"""Healthy training loops in many styles: the watch has to stay quiet on each, and to change no bit of its weights.

Each function trains a small model and returns it, or a list of modules. They are run inside of `watch()`.
"""

from __future__ import annotations

import copy
import math
from itertools import cycle, islice
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

LOOPS: dict[str, Any] = {}


def loop(train):
    LOOPS[train.__name__] = train
    return train


def rows(count=160, width=8, classes=3):
    x = torch.randn(count, width)
    return x, (x @ torch.randn(width, classes)).argmax(1)


def loader(*data, size=16, **others):
    return DataLoader(TensorDataset(*(data or rows())), batch_size=size, **{"shuffle": True, **others})


def two_loaders():
    """Batches for training and for validation, of one rule."""
    x, y = rows(320)
    return loader(x[:160], y[:160]), loader(x[160:], y[160:], shuffle=False)


def net(*last, inputs=8, outputs=3, hidden=16):
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs), *last)


def epochs(data, count=12):
    for _ in range(count):
        yield from data


@loop
def plain():
    model, data = net(), loader()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for x, y in epochs(data):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model


@loop
def zeroed_after_the_step():
    model, data = net(), loader()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    for x, y in epochs(data):
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
    return model


@loop
def zeroed_by_the_model():
    model, data = net(), loader()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for x, y in epochs(data):
        loss = F.cross_entropy(model(x), y)
        model.zero_grad()
        loss.backward()
        optimizer.step()
    return model


@loop
def zeroed_by_hand():
    model, data = net(), loader()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for x, y in epochs(data):
        for one in model.parameters():
            if one.grad is not None:
                one.grad.data.zero_()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model


@loop
def accumulation():
    model, data = net(), loader(size=4)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for step, (x, y) in enumerate(epochs(data)):
        (F.cross_entropy(model(x), y) / 4).backward()
        if step % 4 == 3:
            optimizer.step()
            optimizer.zero_grad()
    return model


@loop
def accumulation_of_sums():
    model, data = net(), loader(size=4)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    for step, (x, y) in enumerate(epochs(data)):
        F.cross_entropy(model(x), y, reduction="sum").backward()
        if step % 4 == 3:
            optimizer.step()
            optimizer.zero_grad()
    return model


@loop
def accumulation_divided_late():
    model, data = net(), loader(size=4)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for step, (x, y) in enumerate(epochs(data)):
        F.cross_entropy(model(x), y).backward()
        if step % 4 == 3:
            for one in model.parameters():
                one.grad /= 4
            optimizer.step()
            optimizer.zero_grad()
    return model


@loop
def autocast():
    model, data = net(), loader()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    for x, y in epochs(data):
        with torch.autocast("cpu", torch.bfloat16):
            loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


@loop
def scaled_and_clipped():
    model, data = net(), loader()
    optimizer, scaler = torch.optim.SGD(model.parameters(), 0.1), torch.amp.GradScaler("cpu", init_scale=1024.0)
    for x, y in epochs(data):
        optimizer.zero_grad()
        scaler.scale(F.cross_entropy(model(x), y)).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        scaler.step(optimizer)
        scaler.update()
    return model


@loop
def scaler_switched_off():
    model, data = net(), loader()
    optimizer, scaler = torch.optim.SGD(model.parameters(), 0.1), torch.amp.GradScaler("cpu", enabled=False)
    for x, y in epochs(data):
        optimizer.zero_grad()
        scaler.scale(F.cross_entropy(model(x), y)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        scaler.step(optimizer)
        scaler.update()
    return model


@loop
def scale_that_has_to_be_found():
    model, data = net(), loader()
    optimizer, scaler = torch.optim.SGD(model.parameters(), 0.1), torch.amp.GradScaler("cpu", init_scale=2.0**126)
    for x, y in epochs(data):
        optimizer.zero_grad()
        scaler.scale(F.cross_entropy(model(x), y) * 1e4 / 1e4).backward()
        scaler.step(optimizer)
        scaler.update()
    return model


@loop
def gan():
    maker, judge = net(inputs=4, outputs=8), net(outputs=1)
    first, second = torch.optim.Adam(maker.parameters(), 1e-3), torch.optim.Adam(judge.parameters(), 1e-3)
    for x, _ in epochs(loader()):
        made = maker(torch.randn(len(x), 4))
        second.zero_grad()
        F.binary_cross_entropy_with_logits(judge(x), torch.ones(len(x), 1)).backward()
        F.binary_cross_entropy_with_logits(judge(made.detach()), torch.zeros(len(x), 1)).backward()
        second.step()
        first.zero_grad()
        F.binary_cross_entropy_with_logits(judge(made), torch.ones(len(x), 1)).backward()
        first.step()
    return [maker, judge]


@loop
def wasserstein_gan():
    maker, judge = net(inputs=4, outputs=8), net(outputs=1)
    first, second = torch.optim.RMSprop(maker.parameters(), 1e-3), torch.optim.RMSprop(judge.parameters(), 1e-3)
    for step, (x, _) in enumerate(epochs(loader())):
        judge.zero_grad()
        made = maker(torch.randn(len(x), 4)).detach().requires_grad_()
        slope = torch.autograd.grad(judge(made).sum(), made, create_graph=True)[0].norm(dim=1)
        (judge(made).mean() - judge(x).mean() + 10 * ((slope - 1) ** 2).mean()).backward()
        second.step()
        if step % 5 == 4:
            maker.zero_grad()
            (-judge(maker(torch.randn(len(x), 4))).mean()).backward()
            first.step()
    return [maker, judge]


@loop
def clipped_hard_with_adam():
    model, data = net(), loader()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for x, y in epochs(data):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1e-4)
        optimizer.step()
    return model


@loop
def one_cycle():
    model, data = net(), loader()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.3, total_steps=120)
    for x, y in epochs(data):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        schedule.step()
    return model


@loop
def lbfgs():
    model, (x, y) = net(), rows()
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=5)

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        return loss

    for _ in range(20):
        optimizer.step(closure)
    return model


@loop
def early_stopping():
    model, (data, other) = net(nn.Dropout(0.1)), two_loaders()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    best, kept = math.inf, None
    for _ in range(12):
        model.train()
        for x, y in data:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            loss = sum(F.cross_entropy(model(x), y).item() for x, y in other)
        if loss < best:
            best, kept = loss, copy.deepcopy(model.state_dict())
    model.load_state_dict(kept)
    return model


@loop
def average_of_weights():
    model, data = net(), loader()
    average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.95))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for x, y in epochs(data):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        average.update_parameters(model)
    return [model, average]


@loop
def target_network():
    model, target, data = net(outputs=8), net(outputs=8), loader()
    target.load_state_dict(model.state_dict())
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for x, _ in epochs(data):
        optimizer.zero_grad()
        with torch.no_grad():
            aim = target(x)
        F.mse_loss(model(x + 0.1 * torch.randn_like(x)), aim).backward()
        optimizer.step()
        with torch.no_grad():
            for one, other in zip(target.parameters(), model.parameters(), strict=True):
                one.lerp_(other, 0.01)
    return [model, target]


@loop
def mixup():
    model, data = net(), loader()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for x, y in epochs(data):
        share, order = float(torch.rand(())), torch.randperm(len(x))
        output = model(share * x + (1 - share) * x[order])
        loss = share * F.cross_entropy(output, y) + (1 - share) * F.cross_entropy(output, y[order])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


@loop
def label_smoothing():
    model, data = net(), loader()
    optimizer, loss = torch.optim.SGD(model.parameters(), 0.1), nn.CrossEntropyLoss(label_smoothing=0.1)
    for x, y in epochs(data):
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()
    return model


@loop
def noisy_labels():
    model, data = net(), loader()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for x, y in epochs(data):
        noisy = torch.where(torch.rand(len(y)) < 0.4, torch.randint(0, 3, y.shape), y)
        optimizer.zero_grad()
        F.cross_entropy(model(x), noisy).backward()
        optimizer.step()
    return model


@loop
def frozen_backbone():
    body, head, data = net(outputs=16), nn.Linear(16, 3), loader()
    body.requires_grad_(False).eval()
    optimizer = torch.optim.Adam(head.parameters(), 1e-2)
    for x, y in epochs(data):
        with torch.no_grad():
            features = body(x)
        optimizer.zero_grad()
        F.cross_entropy(head(features), y).backward()
        optimizer.step()
    return [body, head]


@loop
def frozen_normalisation():
    model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 3))
    data, optimizer = loader(), torch.optim.SGD(model.parameters(), 0.1)
    for epoch in range(12):
        model.train()
        if epoch > 3:
            model[1].eval()
        for x, y in data:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    return model


@loop
def trained_in_evaluation_mode():
    model, data = net(nn.Dropout(0.5)).eval(), loader()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for x, y in epochs(data):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.heads = nn.Linear(8, 16), nn.ModuleList([nn.Linear(16, 3), nn.Linear(16, 3)])

    def forward(self, x, head):
        return self.heads[head](F.relu(self.body(x)))


@loop
def tasks_added():
    model, data = Shared(), loader()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for x, y in epochs(data):
        optimizer.zero_grad()
        (F.cross_entropy(model(x, 0), y) + 0.5 * F.cross_entropy(model(x, 1), (y == 0).long())).backward()
        optimizer.step()
    return model


@loop
def tasks_one_after_the_other():
    model, data = Shared(), loader()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for x, y in epochs(data):
        optimizer.zero_grad()
        F.cross_entropy(model(x, 0), y).backward()
        F.cross_entropy(model(x, 1), (y == 0).long()).backward()
        optimizer.step()
    return model


@loop
def head_by_batch():
    model, data = Shared(), loader()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for step, (x, y) in enumerate(epochs(data)):
        optimizer.zero_grad()
        F.cross_entropy(model(x, step % 2), y).backward()
        optimizer.step()
    return model


@loop
def two_optimizers_for_one_loss():
    body, head, data = nn.Linear(8, 16), nn.Linear(16, 3), loader()
    first, second = torch.optim.Adam(body.parameters(), 1e-2), torch.optim.SGD(head.parameters(), 0.1)
    for x, y in epochs(data):
        first.zero_grad()
        second.zero_grad()
        F.cross_entropy(head(F.relu(body(x))), y).backward()
        first.step()
        second.step()
    return [body, head]


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.GRU(4, 16, batch_first=True), nn.Linear(16, 4)

    def forward(self, x, state=None):
        output, state = self.cell(x, state)
        return self.head(output), state


@loop
def truncated_through_time():
    model = Recurrent()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    series = torch.sin(torch.arange(0, 60, 0.05))[: 8 * 120 + 1].unsqueeze(1).repeat(1, 4)[None]
    state = None
    for start in range(0, 8 * 120, 8):
        part = series[:, start : start + 9]
        output, state = model(part[:, :-1], None if state is None else state.detach())
        optimizer.zero_grad()
        F.mse_loss(output, part[:, 1:]).backward()
        optimizer.step()
    return model


@loop
def graph_kept():
    model, data = net(), loader()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for x, y in epochs(data):
        optimizer.zero_grad()
        output = model(x)
        F.cross_entropy(output, y).backward(retain_graph=True)
        (1e-3 * output.square().mean()).backward()
        optimizer.step()
    return model


@loop
def checkpointed():
    body, head, data = net(outputs=16), nn.Linear(16, 3), loader()
    optimizer = torch.optim.Adam([*body.parameters(), *head.parameters()], 1e-2)
    for step, (x, y) in enumerate(epochs(data)):
        x.requires_grad_()
        features = checkpoint(body, x, use_reentrant=step % 2 == 0)
        optimizer.zero_grad()
        F.cross_entropy(head(features), y).backward()
        optimizer.step()
    return [body, head]


@loop
def resumed():
    model, data = net(), loader()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for part in range(2):
        for x, y in epochs(data, 6):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        if not part:
            states = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
            model = net()
            optimizer = torch.optim.Adam(model.parameters(), 1e-2)
            model.load_state_dict(states[0])
            optimizer.load_state_dict(states[1])
    return model


@loop
def policy_gradient():
    policy = net(inputs=4, outputs=2)
    optimizer = torch.optim.Adam(policy.parameters(), 1e-2)
    for _ in range(120):
        policy.eval()
        with torch.no_grad():
            state = torch.randn(32, 4)
            action = torch.distributions.Categorical(logits=policy(state)).sample()
        reward = (action == (state[:, 0] > 0)).float()
        policy.train()
        chosen = torch.distributions.Categorical(logits=policy(state)).log_prob(action)
        optimizer.zero_grad()
        (-(reward - reward.mean()) * chosen).mean().backward()
        optimizer.step()
    return policy


@loop
def q_learning():
    online, target = net(inputs=4, outputs=2), net(inputs=4, outputs=2)
    target.load_state_dict(online.state_dict())
    optimizer = torch.optim.Adam(online.parameters(), 1e-3)
    for step in range(120):
        state, action, reward = torch.randn(16, 4), torch.randint(0, 2, (16, 1)), torch.randn(16)
        with torch.no_grad():
            aim = reward + 0.9 * target(torch.randn(16, 4)).max(1).values
        optimizer.zero_grad()
        F.smooth_l1_loss(online(state).gather(1, action).squeeze(1), aim).backward()
        optimizer.step()
        if step % 20 == 0:
            target.load_state_dict(online.state_dict())
    return [online, target]


@loop
def denoising():
    model, data = net(outputs=8), loader()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for x, _ in epochs(data):
        noise = torch.randn_like(x)
        optimizer.zero_grad()
        F.mse_loss(model(x * 0.7 + noise * 0.7), noise).backward()
        optimizer.step()
    return model


@loop
def autoencoder():
    model, data = net(outputs=8), loader()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for x, _ in epochs(data):
        optimizer.zero_grad()
        F.mse_loss(model(x), x).backward()
        optimizer.step()
    return model


@loop
def rotations_as_labels():
    model, data = net(outputs=4), loader(torch.randn(160, 8), torch.randint(0, 10, (160,)))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for x, _ in epochs(data):
        turned = torch.randint(0, 4, (len(x),))
        moved = torch.stack([one.roll(int(2 * by)) + by for one, by in zip(x, turned, strict=True)])
        optimizer.zero_grad()
        F.cross_entropy(model(moved), turned).backward()
        optimizer.step()
    return model


@loop
def stream_without_length():
    class Stream(IterableDataset):
        def __iter__(self):
            generator = torch.Generator().manual_seed(1)
            for _ in range(1920):
                x = torch.randn(8, generator=generator)
                yield x, (x.sum() > 0).long()

    model = net(outputs=2)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for x, y in DataLoader(Stream(), 16):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model


@loop
def endless_loader():
    model, data = net(), loader()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for x, y in islice(cycle(data), 120):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model


@loop
def whole_data_each_step():
    model, (x, y) = net(), rows()
    optimizer = torch.optim.SGD(model.parameters(), 0.5)
    for _ in range(120):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model


@loop
def evaluated_within_the_epoch():
    model, (data, other) = net(nn.Dropout(0.1)), two_loaders()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for step, (x, y) in enumerate(epochs(data)):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        if step % 10 == 9:
            model.eval()
            with torch.no_grad():
                for each, label in other:
                    F.cross_entropy(model(each), label).item()
            model.train()
    return model


@loop
def architecture_search():
    model, mix = Shared(), nn.Parameter(torch.zeros(2))
    first = torch.optim.SGD(model.parameters(), 0.1)
    second = torch.optim.Adam([mix], 1e-2)
    train, other = two_loaders()
    for (x, y), (u, v) in zip(epochs(train), epochs(other), strict=True):
        share = mix.softmax(0)
        second.zero_grad()
        F.cross_entropy(share[0] * model(u, 0) + share[1] * model(u, 1), v).backward()
        second.step()
        first.zero_grad()
        share = mix.softmax(0).detach()
        F.cross_entropy(share[0] * model(x, 0) + share[1] * model(x, 1), y).backward()
        first.step()
    return model


@loop
def sharpness_aware():
    model, data = net(), loader()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for x, y in epochs(data):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        with torch.no_grad():
            moves = [0.05 * one.grad / (one.grad.norm() + 1e-12) for one in model.parameters()]
            for one, move in zip(model.parameters(), moves, strict=True):
                one.add_(move)
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        with torch.no_grad():
            for one, move in zip(model.parameters(), moves, strict=True):
                one.sub_(move)
        optimizer.step()
    return model


@loop
def step_inside_of_backward():
    model, data = net(), loader()
    each = {one: torch.optim.SGD([one], 0.1) for one in model.parameters()}

    def update(one):
        each[one].step()
        each[one].zero_grad()

    for one in model.parameters():
        one.register_post_accumulate_grad_hook(update)
    for x, y in epochs(data):
        F.cross_entropy(model(x), y).backward()
    return model


@loop
def inner_loop_of_meta_learning():
    model, data = net(), loader()
    outer = torch.optim.Adam(model.parameters(), 1e-2)
    for x, y in epochs(data):
        fast = copy.deepcopy(model)
        inner = torch.optim.SGD(fast.parameters(), 0.1, momentum=0.9)
        for _ in range(2):
            inner.zero_grad()
            F.cross_entropy(fast(x), y).backward()
            inner.step()
        outer.zero_grad()
        for one, other in zip(model.parameters(), fast.parameters(), strict=True):
            one.grad = one.detach() - other.detach()
        outer.step()
    return model


@loop
def gradients_of_ones_own():
    model, data = net(), loader()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for x, y in epochs(data):
        loss = F.cross_entropy(model(x), y)
        for one, gradient in zip(model.parameters(), torch.autograd.grad(loss, [*model.parameters()]), strict=True):
            one.grad = gradient
        optimizer.step()
    return model


@loop
def bad_batches_skipped():
    x, y = rows()
    x[7] = math.nan
    model, data = net(), loader(x, y)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for x, y in epochs(data):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        if not torch.isfinite(loss):
            continue
        loss.backward()
        optimizer.step()
    return model


@loop
def bad_gradients_skipped():
    x, y = rows()
    x[7] = math.nan
    model, data = net(), loader(x, y)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for x, y in epochs(data):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        if torch.isfinite(nn.utils.clip_grad_norm_(model.parameters(), 1.0)):
            optimizer.step()
    return model


class Masked(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(11, 16), nn.Linear(16, 11)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)

    def forward(self, x):
        future = torch.full((x.shape[1], x.shape[1]), -math.inf).triu(1)
        given = self.embed(x)
        return self.head(given + self.attention(given, given, given, attn_mask=future)[0])


@loop
def masked_language():
    model = Masked()
    data = loader((torch.arange(160)[:, None] + torch.arange(9)) % 11)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    for (x,) in epochs(data):
        optimizer.zero_grad()
        F.cross_entropy(model(x[:, :-1]).flatten(0, 1), x[:, 1:].flatten()).backward()
        optimizer.step()
    return model


@loop
def hinge_that_reaches_zero():
    x = torch.randn(160, 8)
    y = (x[:, 0] > 0).float() * 2 - 1
    x[:, 0] += 3 * y
    model, data = net(outputs=1), loader(x, y)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for x, y in epochs(data):
        optimizer.zero_grad()
        F.relu(1 - y * model(x).squeeze(1)).mean().backward()
        optimizer.step()
    return model


@loop
def regression():
    x = torch.randn(160, 8)
    model, data = net(outputs=1), loader(x, x.sum(1, keepdim=True))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for x, y in epochs(data):
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        optimizer.step()
    return model


@loop
def many_labels():
    x = torch.randn(160, 8)
    model, data = net(), loader(x, (x[:, :3] > 0).float())
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for x, y in epochs(data):
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(model(x), y).backward()
        optimizer.step()
    return model


@loop
def new_optimizer_each_epoch():
    model, data = net(), loader()
    for epoch in range(12):
        optimizer = torch.optim.Adam(model.parameters(), 1e-2 / (epoch + 1))
        for x, y in data:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    return model


@loop
def pretrained_in_part():
    model, data = net(), loader()
    state = model.state_dict()
    state.update({name: one for name, one in net().state_dict().items() if name.startswith("0")})
    model.load_state_dict(state)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for x, y in epochs(data):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model
