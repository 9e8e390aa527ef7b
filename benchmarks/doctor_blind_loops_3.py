"""Faulty loops of the third blind round, each beside the loop as it should be.

Written as those in doctor_blind_static_3.py were, before the doctor saw any. A line that ends in `# place` is one that
a finding may name first.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import doctor_blind_programs_3 as base
import torch
from doctor_blind_loops_1 import LoopFault, plain
from doctor_blind_programs_1 import Program, explained, sgd, table
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, TensorDataset

# Two nets, two optimizers: points on a ring, drawn by a generator against a discriminator.


@dataclass
class Rivals:
    generator: nn.Module
    discriminator: nn.Module
    g_optimizer: Any
    d_optimizer: Any


def net(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(inputs, 48), nn.LeakyReLU(0.2), nn.Linear(48, 48), nn.LeakyReLU(0.2), nn.Linear(48, outputs)
    )


def ring(seed: int) -> Program:
    torch.manual_seed(seed + 5000)
    angle = 2 * torch.pi * torch.rand(960)
    points = torch.stack([angle.cos(), angle.sin()], 1) * 2 + 0.05 * torch.randn(960, 2)
    train = DataLoader(TensorDataset(points), 64, shuffle=True)
    generator, discriminator = net(4, 2), net(2, 1)
    program = Program(generator, F.binary_cross_entropy_with_logits, None, train, None, None, 60, explained)
    program.test = Rivals(
        generator,
        discriminator,
        torch.optim.Adam(generator.parameters(), 2e-3, (0.5, 0.999)),
        torch.optim.Adam(discriminator.parameters(), 2e-3, (0.5, 0.999)),
    )
    program.optimizer = program.test.g_optimizer
    return program


def off_the_ring(generator: nn.Module) -> float:
    """Less the mean distance of drawn points from the ring, and of the ring's parts from drawn points."""
    torch.manual_seed(0)
    with torch.no_grad():
        drawn = generator(torch.randn(500, 4))
    angle = torch.linspace(0, 2 * torch.pi, 40)
    apart = torch.cdist(torch.stack([angle.cos(), angle.sin()], 1) * 2, drawn)
    return -float(apart.min(0).values.mean() + apart.min(1).values.mean())


def rivals_trained(program: Program) -> float:
    r = program.test
    for _ in range(program.epochs):
        for (real,) in program.train_loader:
            ones, zeros = torch.ones(len(real), 1), torch.zeros(len(real), 1)
            fake = r.generator(torch.randn(len(real), 4))
            r.d_optimizer.zero_grad()
            d_loss = program.loss(r.discriminator(real), ones) + program.loss(r.discriminator(fake.detach()), zeros)
            d_loss.backward()
            r.d_optimizer.step()
            r.g_optimizer.zero_grad()
            g_loss = program.loss(r.discriminator(fake), ones)
            g_loss.backward()
            r.g_optimizer.step()
    return off_the_ring(r.generator)


def discriminator_never_stepped(program: Program) -> float:
    r = program.test
    for _ in range(program.epochs):
        for (real,) in program.train_loader:
            ones, zeros = torch.ones(len(real), 1), torch.zeros(len(real), 1)
            fake = r.generator(torch.randn(len(real), 4))
            r.g_optimizer.zero_grad()  # place
            d_loss = program.loss(r.discriminator(real), ones) + program.loss(r.discriminator(fake.detach()), zeros)
            d_loss.backward()  # place
            r.g_optimizer.step()  # place
            r.g_optimizer.zero_grad()
            g_loss = program.loss(r.discriminator(fake), ones)
            g_loss.backward()
            r.g_optimizer.step()  # place
    return off_the_ring(r.generator)


def generator_detached(program: Program) -> float:
    r = program.test
    for _ in range(program.epochs):
        for (real,) in program.train_loader:
            ones, zeros = torch.ones(len(real), 1), torch.zeros(len(real), 1)
            fake = r.generator(torch.randn(len(real), 4)).detach()  # place
            r.d_optimizer.zero_grad()
            d_loss = program.loss(r.discriminator(real), ones) + program.loss(r.discriminator(fake), zeros)
            d_loss.backward()
            r.d_optimizer.step()
            r.g_optimizer.zero_grad()
            g_loss = program.loss(r.discriminator(fake), ones)
            g_loss.backward()  # place
            r.g_optimizer.step()  # place
    return off_the_ring(r.generator)


# Two losses of one model.


def both_losses(program: Program) -> None:
    for _ in range(program.epochs):
        for x, kind, driven in program.train_loader:
            output = program.model(x)
            program.optimizer.zero_grad()
            F.cross_entropy(output["kind"], kind).backward(retain_graph=True)
            F.mse_loss(output["driven"], driven).backward()
            program.optimizer.step()


def second_loss_clears_the_first(program: Program) -> None:
    for _ in range(program.epochs):
        for x, kind, driven in program.train_loader:
            output = program.model(x)
            program.optimizer.zero_grad()
            F.cross_entropy(output["kind"], kind).backward(retain_graph=True)  # place
            program.optimizer.zero_grad()  # place
            F.mse_loss(output["driven"], driven).backward()  # place
            program.optimizer.step()  # place


# The rate by hand.


def decayed_by_epoch(program: Program) -> None:
    for epoch in range(program.epochs):
        for group in program.optimizer.param_groups:
            group["lr"] = 0.05 * 0.9**epoch
        for x, y in program.train_loader:
            program.optimizer.zero_grad()
            program.loss(program.model(x), y).backward()
            program.optimizer.step()


def decayed_by_batch(program: Program) -> None:
    step = 0
    for _ in range(program.epochs):
        for x, y in program.train_loader:
            for group in program.optimizer.param_groups:
                group["lr"] = 0.05 * 0.9**step  # place
            program.optimizer.zero_grad()
            program.loss(program.model(x), y).backward()  # place
            program.optimizer.step()  # place
            step += 1


def one_schedule(program: Program) -> None:
    total = program.epochs * len(program.train_loader)
    schedule = OneCycleLR(program.optimizer, 0.1, total_steps=total, pct_start=0.3)
    for _ in range(program.epochs):
        for x, y in program.train_loader:
            program.optimizer.zero_grad()
            program.loss(program.model(x), y).backward()
            program.optimizer.step()
            schedule.step()


def schedule_made_each_epoch(program: Program) -> None:
    total = program.epochs * len(program.train_loader)
    for _ in range(program.epochs):
        schedule = OneCycleLR(program.optimizer, 0.1, total_steps=total, pct_start=0.9)  # place
        for x, y in program.train_loader:
            program.optimizer.zero_grad()
            program.loss(program.model(x), y).backward()
            program.optimizer.step()  # place
            schedule.step()  # place


# Which rows are seen, and how.


def left_early(program: Program) -> None:
    """The line that made a trial run short is still there."""
    for _ in range(program.epochs):
        for k, (x, y) in enumerate(program.train_loader):  # place
            if k >= 2:
                break  # place
            program.optimizer.zero_grad()
            program.loss(program.model(x), y).backward()  # place
            program.optimizer.step()  # place


def in_order(seed: int) -> Program:
    program = table(seed, epochs=25)
    program.train_loader = DataLoader(program.train_loader.dataset, 32)
    return program


def raw_houses(seed: int) -> Program:
    x, y = base.house_arrays(seed)
    return base.houses(seed, (40 * x + 100, y))


def prepared_in_both(program: Program) -> float:
    return prepared(program, True)


def prepared(program: Program, both: bool) -> float:
    model, optimizer = program.model, program.optimizer
    for _ in range(program.epochs):
        model.train()
        for x, y in program.train_loader:
            optimizer.zero_grad()
            program.loss(model((x - 100) / 40), y).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            for x, y in program.val_loader:
                program.loss(model((x - 100) / 40 if both else x), y)
    with torch.no_grad():
        outputs = torch.cat([model((x - 100) / 40 if both else x) for x, _ in program.test])
    return max(-10.0, explained(outputs, torch.cat([y for _, y in program.test])))


def raw_in_evaluation(program: Program) -> float:
    model, optimizer = program.model, program.optimizer
    for _ in range(program.epochs):
        model.train()
        for x, y in program.train_loader:
            optimizer.zero_grad()
            program.loss(model((x - 100) / 40), y).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            for x, y in program.val_loader:  # place
                program.loss(model(x), y)  # place
    with torch.no_grad():
        outputs = torch.cat([model(x) for x, _ in program.test])
    return max(-10.0, explained(outputs, torch.cat([y for _, y in program.test])))


# Learning from what was tried.


class Walk:
    """A point on a line is to be kept near nought by three forces; its state is one array, changed in place."""

    def __init__(self, seed: int) -> None:
        self.chance = torch.Generator().manual_seed(seed)
        self.state = torch.zeros(2)

    def reset(self) -> Tensor:
        self.state.copy_(2 * torch.rand(2, generator=self.chance) - 1)
        return self.state

    def act(self, action: int) -> tuple[Tensor, float]:
        self.state[1] += 0.3 * (action - 1)
        self.state[0] += 0.2 * self.state[0] + 0.3 * self.state[1]
        self.state.clamp_(-3, 3)
        return self.state, 1.0 - float(self.state[0].abs())


def walker(seed: int) -> Program:
    torch.manual_seed(seed + 5100)
    model = nn.Sequential(nn.Linear(2, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 3))
    blank = DataLoader(TensorDataset(torch.randn(640, 2)), 64)
    return Program(
        model, nn.SmoothL1Loss(), torch.optim.Adam(model.parameters(), 3e-3), blank, None, Walk(seed), 1, explained
    )


def walked(model: nn.Module, seed: int) -> float:
    walk, total = Walk(seed + 99), 0.0
    for _ in range(40):
        state = walk.reset()
        for _ in range(15):
            state, reward = walk.act(int(model(state.clone()).argmax()))
            total += reward
    return total / 600


def remembered(program: Program, keep: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    walk = program.test
    rows: list[Any] = []
    for _ in range(80):
        state = walk.reset()
        for _ in range(12):
            action = int(torch.randint(0, 3, (), generator=walk.chance))
            before = keep(state)
            state, reward = walk.act(action)
            rows.append((before, action, reward, keep(state)))
    first, action, reward, after = zip(*rows, strict=True)
    return torch.stack(first), torch.tensor(action), torch.tensor(reward), torch.stack(after)


def q_learned(program: Program, keep: Any) -> float:
    model, optimizer = program.model, program.optimizer
    state, action, reward, after = remembered(program, keep)
    target = copy.deepcopy(model)
    for step in range(700):
        rows = torch.randint(0, len(state), (64,))
        with torch.no_grad():
            value = reward[rows] + 0.9 * target(after[rows]).max(1).values
        chosen = model(state[rows]).gather(1, action[rows, None]).squeeze(1)
        optimizer.zero_grad()
        loss = program.loss(chosen, value)
        loss.backward()
        optimizer.step()
        if step % 25 == 0:
            target.load_state_dict(model.state_dict())
    return walked(model, 0)


def buffer_of_copies(program: Program) -> float:
    return q_learned(program, lambda state: state.clone())


def buffer_of_references(program: Program) -> float:
    """Every state remembered is the one array, as it is at last."""
    model, optimizer = program.model, program.optimizer
    state, action, reward, after = remembered(program, lambda state: state)  # place
    target = copy.deepcopy(model)
    for step in range(700):
        rows = torch.randint(0, len(state), (64,))
        with torch.no_grad():
            value = reward[rows] + 0.9 * target(after[rows]).max(1).values
        chosen = model(state[rows]).gather(1, action[rows, None]).squeeze(1)  # place
        optimizer.zero_grad()
        loss = program.loss(chosen, value)  # place
        loss.backward()  # place
        optimizer.step()  # place
        if step % 25 == 0:
            target.load_state_dict(model.state_dict())
    return walked(model, 0)


def optimizer_of_the_target(program: Program) -> float:
    """The optimizer holds the copy that is meant to stand still."""
    model = program.model
    state, action, reward, after = remembered(program, lambda state: state.clone())
    target = copy.deepcopy(model)
    optimizer = torch.optim.Adam(target.parameters(), 3e-3)  # place
    for _ in range(700):
        rows = torch.randint(0, len(state), (64,))
        with torch.no_grad():
            value = reward[rows] + 0.9 * target(after[rows]).max(1).values
        chosen = model(state[rows]).gather(1, action[rows, None]).squeeze(1)
        optimizer.zero_grad()  # place
        loss = program.loss(chosen, value)
        loss.backward()  # place
        optimizer.step()  # place
    return walked(model, 0)


def reinforced(program: Program) -> float:
    model, optimizer, walk = program.model, program.optimizer, program.test
    for round_ in range(150):
        states, actions, returns = [], [], []
        for _ in range(8):
            state, rewards = walk.reset(), []
            for _ in range(1 if round_ == 40 else 6):
                states.append(state.clone())
                actions.append(int(torch.distributions.Categorical(logits=model(states[-1]).detach()).sample()))
                state, reward = walk.act(actions[-1])
                rewards.append(reward)
            left = torch.tensor(rewards).flip(0).cumsum(0).flip(0)
            returns.append((left - left.mean()) / (left.std(correction=0) + 1e-6))
        logp = F.log_softmax(model(torch.stack(states)), 1)[torch.arange(len(actions)), torch.tensor(actions)]
        optimizer.zero_grad()
        loss = -(logp * torch.cat(returns)).mean()
        loss.backward()
        optimizer.step()
    value = walked(model, 0)
    return value if all(bool(p.isfinite().all()) for p in model.parameters()) else -1e9


def returns_over_no_spread(program: Program) -> float:
    """An episode that stops at once has one return, whose deviation is not a number."""
    model, optimizer, walk = program.model, program.optimizer, program.test
    for round_ in range(150):
        states, actions, returns = [], [], []
        for _ in range(8):
            state, rewards = walk.reset(), []
            for _ in range(1 if round_ == 40 else 6):
                states.append(state.clone())
                actions.append(int(torch.distributions.Categorical(logits=model(states[-1]).detach()).sample()))
                state, reward = walk.act(actions[-1])
                rewards.append(reward)
            left = torch.tensor(rewards).flip(0).cumsum(0).flip(0)
            returns.append((left - left.mean()) / left.std())  # place
        logp = F.log_softmax(model(torch.stack(states)), 1)[torch.arange(len(actions)), torch.tensor(actions)]
        optimizer.zero_grad()
        loss = -(logp * torch.cat(returns)).mean()  # place
        loss.backward()  # place
        optimizer.step()  # place
        if not all(bool(p.isfinite().all()) for p in model.parameters()):
            return -1e9
    return walked(model, 0)


def two_bodies(seed: int) -> Program:
    return base.houses(seed, optimizer=sgd(0.05))


DATA = ("data", "in-flight")
STEP = ("optimisation", "in-flight")
NAN = (*DATA, "loss-contract")
FAULTS = (
    LoopFault(
        "discriminator_never_stepped", "gan", STEP, ring, rivals_trained, discriminator_never_stepped, given=False
    ),
    LoopFault("generator_detached", "gan", STEP, ring, rivals_trained, generator_detached, given=False),
    LoopFault("second_loss_clears_the_first", "two heads", STEP, base.cars, both_losses, second_loss_clears_the_first),
    LoopFault("decayed_by_batch", "regression", STEP, two_bodies, decayed_by_epoch, decayed_by_batch),
    LoopFault("schedule_made_each_epoch", "regression", STEP, two_bodies, one_schedule, schedule_made_each_epoch),
    LoopFault("left_early", "mlp", DATA, in_order, plain, left_early),
    LoopFault("raw_in_evaluation", "regression", DATA, raw_houses, prepared_in_both, raw_in_evaluation),
    LoopFault("buffer_of_references", "q learning", DATA, walker, buffer_of_copies, buffer_of_references),
    LoopFault(
        "optimizer_of_the_target", "q learning", STEP, walker, buffer_of_copies, optimizer_of_the_target, given=False
    ),
    LoopFault(
        "returns_over_no_spread",
        "policy gradient",
        (*DATA, "loss-contract"),
        walker,
        reinforced,
        returns_over_no_spread,
    ),
)
LOOPS = {fault.name: fault for fault in FAULTS}
