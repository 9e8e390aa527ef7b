"""Training loops with one fault each: name of the check that has to find it → loops.

A loop marks the line that its finding has to name with `# here`.
"""

from __future__ import annotations

import copy
import math
from collections import defaultdict
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from support.watch_healthy import epochs, loader, net, rows

FAULTS: dict[str, list[Any]] = defaultdict(list)


def fault(check):
    def add(train):
        FAULTS[check].append(train)
        return train

    return add


def sgd(model, rate=0.1, **others):
    return torch.optim.SGD(model.parameters(), rate, **others)


@fault("gradients-not-cleared")
def never_cleared():
    model, data = net(), loader()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for x, y in epochs(data):
        F.cross_entropy(model(x), y).backward()
        optimizer.step()  # here


@fault("gradients-not-cleared")
def cleared_once():
    model, data = net(), loader()
    optimizer = sgd(model)
    for _ in range(3):
        optimizer.zero_grad()
        for x, y in data:
            F.cross_entropy(model(x), y).backward()
            optimizer.step()  # here


@fault("gradients-not-cleared")
def another_optimizer_cleared():
    body, head, data = nn.Linear(8, 16), nn.Linear(16, 3), loader()
    first, second = sgd(body), sgd(head)
    for x, y in epochs(data):
        first.zero_grad()
        first.zero_grad()
        F.cross_entropy(head(F.relu(body(x))), y).backward()
        first.step()
        second.step()  # here


@fault("gradients-not-cleared")
def closure_that_does_not_clear():
    model, (x, y) = net(), rows()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def closure():
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        return loss

    for _ in range(20):
        optimizer.step(closure)  # here


@fault("gradients-before-step")
def cleared_between():
    model, data = net(), loader()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for x, y in epochs(data, 3):
        F.cross_entropy(model(x), y).backward()
        optimizer.zero_grad()  # here
        optimizer.step()


@fault("gradients-before-step")
def set_to_nothing_between():
    model, data = net(), loader()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    for x, y in epochs(data, 3):
        F.cross_entropy(model(x), y).backward()
        for one in model.parameters():
            one.grad = None
        optimizer.step()  # here


@fault("gradients-never")
def optimizer_of_a_copy():
    model, data = net(), loader()
    optimizer = torch.optim.Adam(copy.deepcopy(model).parameters(), 1e-2)
    for x, y in epochs(data, 3):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()  # here


@fault("gradients-never")
def backward_forgotten():
    model, data = net(), loader()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for x, y in epochs(data, 3):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y)
        optimizer.step()  # here


@fault("clipped-before-unscaling")
def clipped_scaled_gradients():
    model, data = net(), loader()
    optimizer, scaler = sgd(model), torch.amp.GradScaler("cpu", init_scale=1024.0)
    for x, y in epochs(data, 3):
        optimizer.zero_grad()
        scaler.scale(F.cross_entropy(model(x), y)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)  # here
        scaler.update()


@fault("clipped-before-unscaling")
def clipped_and_then_unscaled():
    model, data = net(), loader()
    optimizer, scaler = sgd(model), torch.amp.GradScaler("cpu", init_scale=1024.0)
    for x, y in epochs(data, 3):
        optimizer.zero_grad()
        scaler.scale(F.cross_entropy(model(x), y)).backward()
        nn.utils.clip_grad_value_(model.parameters(), 0.1)
        scaler.unscale_(optimizer)  # here
        scaler.step(optimizer)
        scaler.update()


@fault("clipped-to-nothing")
def clipped_at_a_millionth():
    model, data = net(), loader()
    optimizer = sgd(model)
    for x, y in epochs(data):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1e-6)
        optimizer.step()  # here


@fault("modes-restored")
def evaluation_mode_kept():
    model, data = net(nn.Dropout(0.1)), loader()
    optimizer = sgd(model)
    for _ in range(5):
        for x, y in data:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        model.eval()  # here
        with torch.no_grad():
            for x, _ in data:
                model(x)


@fault("modes-restored")
def evaluation_mode_until_the_next_epoch():
    model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))
    data, optimizer = loader(), sgd(model)
    for _ in range(6):
        model.train()
        for step, (x, y) in enumerate(data):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            if step == 3:
                model.eval()  # here
                with torch.no_grad():
                    model(x)


@fault("restores-itself")
def best_state_is_no_copy():
    model, data = net(), loader()
    optimizer, best, kept = sgd(model), math.inf, {}
    for _ in range(5):
        for x, y in data:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        if loss.item() < best:
            best, kept = loss.item(), model.state_dict()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    model.load_state_dict(kept)  # here


@fault("restores-itself")
def shallow_copy_of_the_state():
    model, data = net(), loader()
    optimizer = sgd(model)
    kept = dict(model.state_dict())
    for x, y in epochs(data, 3):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    model.load_state_dict(kept)  # here


@fault("averages-lag")
def average_that_never_arrives():
    model, data = net(), loader()
    average = copy.deepcopy(model)
    optimizer = sgd(model)
    for x, y in epochs(data):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        with torch.no_grad():
            for one, other in zip(average.parameters(), model.parameters(), strict=True):
                one.mul_(0.9999).add_(other, alpha=0.0001)


@fault("averages-lag")
def slow_running_statistics():
    model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16, momentum=1e-4), nn.ReLU(), nn.Linear(16, 3))
    data, optimizer = loader(), sgd(model)
    for _ in range(12):
        model.train()
        for x, y in data:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            model(x)


@fault("optimizer-made-anew")
def optimizer_in_the_loop():
    model, data = net(), loader()
    for x, y in epochs(data, 3):
        optimizer = torch.optim.Adam(model.parameters(), 1e-2)  # here
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


@fault("updates-skipped")
def scaler_that_is_not_updated():
    model, data = net(), loader()
    optimizer, scaler = sgd(model), torch.amp.GradScaler("cpu", init_scale=2.0**127, backoff_factor=0.99)
    for x, y in epochs(data, 3):
        optimizer.zero_grad()
        scaler.scale(100 * F.cross_entropy(model(x), y)).backward()
        scaler.step(optimizer)  # here
        scaler.update()


@fault("accumulation-divided")
def accumulated_sum():
    model, data = net(), loader(size=4)
    optimizer = sgd(model)
    for step, (x, y) in enumerate(epochs(data, 4)):
        F.cross_entropy(model(x), y).backward()  # here
        if step % 8 == 7:
            optimizer.step()
            optimizer.zero_grad()


@fault("targets-at-the-loss")
def targets_shuffled():
    model, data = net(), loader()
    optimizer = sgd(model)
    for x, y in epochs(data):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y[torch.randperm(len(y))]).backward()  # here
        optimizer.step()


@fault("targets-at-the-loss")
def targets_constant():
    model, data = net(), loader()
    optimizer = sgd(model)
    for x, y in epochs(data):
        optimizer.zero_grad()
        F.cross_entropy(model(x), torch.zeros_like(y)).backward()  # here
        optimizer.step()


@fault("targets-at-the-loss")
def targets_of_the_batch_before():
    x = torch.randn(160, 8)
    model, data = net(outputs=1), loader(x, x.sum(1, keepdim=True))
    optimizer, before = sgd(model, 0.01), torch.randn(16, 1)
    for x, y in epochs(data):
        optimizer.zero_grad()
        F.mse_loss(model(x), before).backward()  # here
        optimizer.step()
        before = y


@fault("validation-trained-on")
def steps_while_evaluating():
    model, data, other = net(nn.Dropout(0.1)), loader(), loader()
    optimizer = sgd(model)

    def run(batches):
        for x, y in batches:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()  # here

    for _ in range(3):
        model.train()
        run(data)
        model.eval()
        run(other)


@fault("same-batch-again")
def batch_drawn_before_the_loop():
    model, data = net(), loader()
    optimizer = sgd(model, 1.0)
    x, y = next(iter(data))
    y = torch.randint(0, 3, y.shape)
    for _ in range(150):
        optimizer.zero_grad()
        F.cross_entropy(model(x[:1] * torch.ones(16, 1)), y).backward()
        optimizer.step()  # here


@fault("iterator-left")
def first_batch_of_each_epoch():
    model, data = net(), loader(shuffle=False)
    optimizer = sgd(model)
    for _ in range(40):
        for x, y in data:  # here
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            break


@fault("iterator-left")
def iterator_made_in_the_loop():
    model, data = net(), loader(*rows(3000))
    optimizer = sgd(model)
    for _ in range(40):
        x, y = next(iter(data))  # here
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


@fault("non-finite")
def logarithm_of_zero():
    model, data = net(nn.Softmax(1)), loader()
    optimizer = sgd(model, 50.0)
    for x, y in epochs(data):
        optimizer.zero_grad()
        chances = model(x)
        loss = -(torch.log(chances) * F.one_hot(y, 3)).sum(1).mean()
        loss.backward()  # here
        optimizer.step()


class Normed(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(8, 16, bias=False), nn.Linear(16, 3)

    def forward(self, x):
        x = F.relu(self.body(x))
        x = x / x.sum(1, keepdim=True)  # here
        return self.head(x)


@fault("non-finite")
def divided_by_zero():
    x, y = rows()
    x[30] = 0
    model, data = Normed(), loader(x, y)
    optimizer = sgd(model)
    for x, y in epochs(data):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


class Rooted(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(8, 16, bias=False), nn.Linear(16, 3)

    def forward(self, x):
        x = self.body(x)
        return self.head(x / (1 + torch.sqrt((x * x).sum(1, keepdim=True))))  # here


@fault("non-finite")
def root_of_zero_in_the_gradient():
    x, y = rows()
    x[30] = 0
    model, data = Rooted(), loader(x, y)
    optimizer = sgd(model)
    for x, y in epochs(data, 2):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


@fault("non-finite")
def bad_example():
    x, y = rows()
    x[77, 3] = math.nan
    model, data = net(), loader(x, y)
    optimizer = sgd(model)
    for x, y in epochs(data, 2):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()  # here
        optimizer.step()


@fault("non-finite")
def rate_far_too_large():
    x = torch.randn(160, 8)
    model, data = nn.Linear(8, 1), loader(x, x.sum(1, keepdim=True))
    optimizer = sgd(model, 50.0)
    for x, y in epochs(data):
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()  # here
        optimizer.step()


@fault("loss-zero")
def softmax_of_one_output():
    model, data = net(outputs=1), loader(torch.randn(160, 8), torch.zeros(160).long())
    optimizer = sgd(model)
    for x, y in epochs(data, 3):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()  # here
        optimizer.step()


@fault("outputs-explode")
def outputs_that_explode():
    model, data = nn.Linear(8, 3), loader(torch.randn(160, 8), torch.randint(0, 3, (160,)))
    optimizer = sgd(model, 1e4)
    for x, y in epochs(data):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()  # here
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


@fault("loss-spikes")
def spikes():
    x, y = rows()
    x[::40] *= 1000
    model, data = net(), loader(x, y, size=2)
    optimizer = sgd(model, 0.02)
    for x, y in epochs(data, 4):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()  # here
        optimizer.step()


@fault("no-progress")
def rate_far_too_small():
    model, data = net(), loader()
    optimizer = sgd(model, 1e-7)
    for x, y in epochs(data):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()  # here
        optimizer.step()


@fault("one-class")
def collapsed():
    model, data = net(), loader()
    model[0].bias.data.fill_(-100.0)  # every unit is dead
    model[2].bias.data[1] = 0.5
    optimizer = sgd(model, 1e-4)
    for x, y in epochs(data):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()  # here
        optimizer.step()


@fault("overconfident")
def overconfident():
    x = torch.randn(1200, 20)
    y = (x @ torch.randn(20, 3)).argmax(1)
    seen = torch.where(torch.rand(1200) < 0.3, torch.randint(0, 3, (1200,)), y)
    model, data = net(inputs=20, hidden=64), loader(x[:400], y[:400], size=50)
    other = DataLoader(TensorDataset(x[400:], seen[400:]), 200)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(40):
        model.train()
        for x, y in data:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()  # here
            optimizer.step()
        model.eval()
        with torch.no_grad():
            for x, _ in other:
                model(x)
