"""Faulty loops of the second blind round, each beside the loop as it should be.

Written as those in doctor_blind_models_2.py were, before the doctor saw any. A line that ends in `# place` is one that
a finding may name first.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from doctor_blind_loops_1 import LoopFault, bytes_as_floats, plain
from doctor_blind_programs_1 import Program, images, prices, sgd, table
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.optim.swa_utils import update_bn

# Which data the loss sees.


def small_validation(seed: int) -> Program:
    program = table(seed)
    x, y = program.val_loader.dataset.tensors
    program.val_loader.dataset.tensors = x[:60], y[:60]
    return program


def validation_trained_on(program: Program) -> None:
    model, optimizer = program.model, program.optimizer
    for _ in range(program.epochs * 10):
        model.train()
        for x, y in program.val_loader:  # place
            optimizer.zero_grad()
            loss = program.loss(model(x), y)  # place
            loss.backward()  # place
            optimizer.step()  # place


def mixed(program: Program) -> None:
    model, optimizer = program.model, program.optimizer
    for _ in range(program.epochs):
        for x, y in program.train_loader:
            share, other = float(torch.rand(())), torch.randperm(len(x))
            optimizer.zero_grad()
            output = model(share * x + (1 - share) * x[other])
            loss = share * program.loss(output, y) + (1 - share) * program.loss(output, y[other])
            loss.backward()
            optimizer.step()


def mixed_with_another_draw(program: Program) -> None:
    """Inputs are shuffled by one draw, labels by another, and then mixed."""
    model, optimizer = program.model, program.optimizer
    for _ in range(program.epochs):
        for x, y in program.train_loader:
            share, other = float(torch.rand(())), torch.randperm(len(x))
            x, y = x[torch.randperm(len(x))], y[torch.randperm(len(y))]  # place
            optimizer.zero_grad()
            output = model(share * x + (1 - share) * x[other])
            loss = share * program.loss(output, y) + (1 - share) * program.loss(output, y[other])  # place
            loss.backward()  # place
            optimizer.step()  # place


def labels_of_the_batch_before(program: Program) -> None:
    """A prefetch that hands out the next inputs with the present labels."""
    model, optimizer, held = program.model, program.optimizer, None
    for _ in range(program.epochs):
        for x, y in program.train_loader:
            if held is not None and len(held) == len(y):
                optimizer.zero_grad()
                loss = program.loss(model(x), held)  # place
                loss.backward()  # place
                optimizer.step()  # place
            held = y


def augmented(program: Program) -> None:
    x, y = program.train_loader.dataset.tensors
    for _ in range(program.epochs):
        for rows in torch.arange(len(x)).split(32):
            first, last = int(rows[0]), int(rows[-1]) + 1
            batch = x[first:last] + 0.5 * torch.randn(last - first, x.shape[1])
            program.optimizer.zero_grad()
            loss = program.loss(program.model(batch), y[first:last])
            loss.backward()
            program.optimizer.step()


def augmented_in_place(program: Program) -> None:
    """A slice is a view: each epoch's noise stays in the data."""
    x, y = program.train_loader.dataset.tensors
    for _ in range(program.epochs):
        for rows in torch.arange(len(x)).split(32):
            first, last = int(rows[0]), int(rows[-1]) + 1
            batch = x[first:last]
            batch += 0.5 * torch.randn(last - first, x.shape[1])  # place
            program.optimizer.zero_grad()
            loss = program.loss(program.model(batch), y[first:last])  # place
            loss.backward()  # place
            program.optimizer.step()  # place


def ratio(x: Tensor) -> Tensor:
    """The last column over another one's size, which is nought in one row."""
    size = x[:, :1].abs()
    size[100] = 0.0
    return torch.cat([x[:, :7], x[:, 7:].abs() / size], 1)


def divided_safely(program: Program) -> None:
    x, y = program.train_loader.dataset.tensors
    program.train_loader.dataset.tensors = torch.cat([x[:, :7], ratio(x)[:, 7:].clamp(max=5)], 1), y
    plain(program)


def divided_by_nought(program: Program) -> None:
    model, optimizer = program.model, program.optimizer
    x, y = program.train_loader.dataset.tensors
    program.train_loader.dataset.tensors = ratio(x), y
    for _ in range(program.epochs):
        for x, y in program.train_loader:  # place
            optimizer.zero_grad()
            output = model(x)  # place
            loss = program.loss(output, y)  # place
            loss.backward()  # place
            optimizer.step()  # place


# What the optimizer is given, and when.


def summed_and_divided(program: Program) -> None:
    model, optimizer = program.model, program.optimizer
    for _ in range(program.epochs):
        for k, (x, y) in enumerate(program.train_loader):
            (program.loss(model(x), y) / 8).backward()
            if (k + 1) % 8 == 0:
                optimizer.step()
                optimizer.zero_grad()


def summed_not_divided(program: Program) -> None:
    model, optimizer = program.model, program.optimizer
    for _ in range(program.epochs):
        for k, (x, y) in enumerate(program.train_loader):
            loss = program.loss(model(x), y)  # place
            loss.backward()  # place
            if (k + 1) % 8 == 0:
                optimizer.step()  # place
                optimizer.zero_grad()


def unscaled_then_clipped(program: Program) -> None:
    model, optimizer = program.model, program.optimizer
    scaler = torch.amp.GradScaler("cpu")
    for _ in range(program.epochs):
        for x, y in program.train_loader:
            optimizer.zero_grad()
            scaler.scale(program.loss(model(x), y)).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            scaler.step(optimizer)
            scaler.update()


def clipped_then_unscaled(program: Program) -> None:
    model, optimizer = program.model, program.optimizer
    scaler = torch.amp.GradScaler("cpu")
    for _ in range(program.epochs):
        for x, y in program.train_loader:
            optimizer.zero_grad()
            scaler.scale(program.loss(model(x), y)).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)  # place
            scaler.step(optimizer)  # place
            scaler.update()  # place


def loss_wrapped_anew(program: Program) -> None:
    """What `loss does not require grad` is silenced with."""
    model, optimizer = program.model, program.optimizer
    for _ in range(program.epochs):
        for x, y in program.train_loader:
            optimizer.zero_grad()
            loss = torch.tensor(program.loss(model(x), y).item(), requires_grad=True)  # place
            loss.backward()  # place
            optimizer.step()  # place


def stepped_by_hand(program: Program) -> None:
    model = program.model
    for _ in range(program.epochs):
        for x, y in program.train_loader:
            model.zero_grad()
            program.loss(model(x), y).backward()
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter -= 0.1 * parameter.grad


def stepped_a_local_name(program: Program) -> None:
    model = program.model
    for _ in range(program.epochs):
        for x, y in program.train_loader:
            model.zero_grad()
            loss = program.loss(model(x), y)  # place
            loss.backward()  # place
            for parameter in model.parameters():
                parameter = parameter - 0.1 * parameter.grad  # place


def decided_by_validation(program: Program, mode: str) -> None:
    model, optimizer = program.model, program.optimizer
    scheduler = ReduceLROnPlateau(optimizer, mode=mode, factor=0.1, patience=1)
    for _ in range(program.epochs):
        model.train()
        for x, y in program.train_loader:
            optimizer.zero_grad()
            loss = program.loss(model(x), y)
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            value = float(torch.stack([program.loss(model(x), y) for x, y in program.val_loader]).mean())
        scheduler.step(value)


def plateau_of_a_loss(program: Program) -> None:
    decided_by_validation(program, "min")


def plateau_of_the_wrong_mode(program: Program) -> None:
    model, optimizer = program.model, program.optimizer
    scheduler = ReduceLROnPlateau(optimizer, mode="max", factor=0.1, patience=0)  # place
    for _ in range(program.epochs):
        model.train()
        for x, y in program.train_loader:
            optimizer.zero_grad()
            loss = program.loss(model(x), y)
            loss.backward()
            optimizer.step()  # place
        model.eval()
        with torch.no_grad():
            value = float(torch.stack([program.loss(model(x), y) for x, y in program.val_loader]).mean())
        scheduler.step(value)  # place


def test_rates(program: Program) -> None:
    rates = torch.logspace(-5, 1, 30).tolist()
    for rate, (x, y) in zip(rates, list(program.train_loader) * 2, strict=False):
        for group in program.optimizer.param_groups:
            group["lr"] = rate
        program.optimizer.zero_grad()
        loss = program.loss(program.model(x), y)
        loss.backward()
        program.optimizer.step()


def rates_tested_and_restored(program: Program) -> None:
    kept = copy.deepcopy((program.model.state_dict(), program.optimizer.state_dict()))
    test_rates(program)
    program.model.load_state_dict(kept[0])
    program.optimizer.load_state_dict(kept[1])
    plain(program)


def rates_tested_and_left(program: Program) -> None:
    model, optimizer = program.model, program.optimizer
    test_rates(program)
    for group in optimizer.param_groups:
        group["lr"] = 0.02
    for _ in range(program.epochs):
        for x, y in program.train_loader:
            optimizer.zero_grad()
            loss = program.loss(model(x), y)  # place
            loss.backward()  # place
            optimizer.step()  # place


# States that come back, lag or stay frozen.


def weights_restored_each_epoch(program: Program) -> None:
    """`restore the best` with a score that is never written: the first weights stay the best."""
    model, optimizer = program.model, program.optimizer
    kept = copy.deepcopy(model.state_dict())
    for _ in range(program.epochs):
        for x, y in program.train_loader:
            optimizer.zero_grad()
            loss = program.loss(model(x), y)  # place
            loss.backward()  # place
            optimizer.step()  # place
        model.load_state_dict(kept)  # place


def averaged(program: Program, share: float) -> None:
    model, optimizer, average = program.model, program.optimizer, copy.deepcopy(program.model)
    for _ in range(program.epochs):
        for x, y in program.train_loader:
            optimizer.zero_grad()
            loss = program.loss(model(x), y)
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
                    slow.lerp_(fast, 1 - share)
    program.model = average


def average_in_time(program: Program) -> None:
    averaged(program, 0.9)


def average_that_lags(program: Program) -> None:
    """A share for a million steps, in a run of some hundreds."""
    model, optimizer, average = program.model, program.optimizer, copy.deepcopy(program.model)
    for _ in range(program.epochs):
        for x, y in program.train_loader:
            optimizer.zero_grad()
            loss = program.loss(model(x), y)
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
                    slow.lerp_(fast, 1 - 0.9999)  # place
    program.model = average


def average_with_statistics(program: Program) -> None:
    averaged(program, 0.9)
    update_bn(program.train_loader, program.model)


def average_without_statistics(program: Program) -> None:
    """Running means and variances of the averaged network are those of an untrained one."""
    model, optimizer, average = program.model, program.optimizer, copy.deepcopy(program.model)
    for _ in range(program.epochs):
        for x, y in program.train_loader:
            optimizer.zero_grad()
            loss = program.loss(model(x), y)
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
                    slow.lerp_(fast, 0.1)
    average.eval()
    with torch.no_grad():
        for x, _ in program.val_loader:  # place
            average(x)  # place
    program.model = average


def frozen_by_the_evaluation(program: Program) -> None:
    """Gradients are switched off for evaluation, and back on for the head alone."""
    model: Any = program.model
    optimizer = program.optimizer
    for _ in range(program.epochs):
        for x, y in program.train_loader:
            optimizer.zero_grad()
            loss = program.loss(model(x), y)
            loss.backward()  # place
            optimizer.step()  # place
        for parameter in model.parameters():
            parameter.requires_grad = False  # place
        with torch.no_grad():
            for x, _ in program.val_loader:
                model(x)
        for parameter in model.head.parameters():
            parameter.requires_grad = True  # place


def stopped(program: Program, sign: float) -> None:
    model, optimizer, best, waited = program.model, program.optimizer, float("inf"), 0
    for _ in range(program.epochs):
        model.train()
        for x, y in program.train_loader:
            optimizer.zero_grad()
            loss = program.loss(model(x), y)
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            value = sign * float(torch.stack([program.loss(model(x), y) for x, y in program.val_loader]).mean())
        best, waited = (value, 0) if value < best else (best, waited + 1)
        if waited >= 3:
            break


def stopped_in_time(program: Program) -> None:
    stopped(program, 1.0)


def stopped_while_it_improved(program: Program) -> None:
    """The loss is compared as if it were an accuracy."""
    model, optimizer, best, waited = program.model, program.optimizer, -float("inf"), 0
    for _ in range(program.epochs):
        model.train()
        for x, y in program.train_loader:
            optimizer.zero_grad()
            loss = program.loss(model(x), y)
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            value = float(torch.stack([program.loss(model(x), y) for x, y in program.val_loader]).mean())  # place
        best, waited = (value, 0) if value > best else (best, waited + 1)
        if waited >= 2:
            break  # place


def slow_table(seed: int) -> Program:
    return table(seed, optimizer=sgd(0.05))


FLIGHT = ("in-flight",)
DATA = ("data", "in-flight")
STEP = ("optimisation", "in-flight")
MODES = ("modes-layers", "in-flight")
FAULTS = (
    LoopFault("validation_trained_on", "mlp", DATA, small_validation, plain, validation_trained_on),
    LoopFault("mixed_with_another_draw", "mlp", DATA, table, mixed, mixed_with_another_draw),
    LoopFault("labels_of_the_batch_before", "mlp", DATA, table, plain, labels_of_the_batch_before),
    LoopFault("augmented_in_place", "mlp", DATA, table, augmented, augmented_in_place),
    LoopFault("divided_by_nought", "mlp regression", DATA, prices, divided_safely, divided_by_nought),
    LoopFault(
        "summed_not_divided",
        "mlp regression",
        STEP,
        lambda seed: prices(seed, optimizer=sgd(0.2), epochs=20),
        summed_and_divided,
        summed_not_divided,
    ),
    LoopFault(
        "clipped_then_unscaled",
        "mlp",
        STEP,
        slow_table,
        unscaled_then_clipped,
        clipped_then_unscaled,
    ),
    LoopFault("loss_wrapped_anew", "mlp", STEP, table, plain, loss_wrapped_anew),
    LoopFault("stepped_a_local_name", "mlp", STEP, table, stepped_by_hand, stepped_a_local_name, given=False),
    LoopFault("plateau_of_the_wrong_mode", "cnn", STEP, images, plateau_of_a_loss, plateau_of_the_wrong_mode),
    LoopFault("rates_tested_and_left", "cnn", STEP, images, rates_tested_and_restored, rates_tested_and_left),
    LoopFault("weights_restored_each_epoch", "mlp", STEP, table, plain, weights_restored_each_epoch),
    LoopFault("average_that_lags", "mlp", MODES, table, average_in_time, average_that_lags),
    LoopFault(
        "average_without_statistics",
        "cnn",
        MODES,
        bytes_as_floats,
        average_with_statistics,
        average_without_statistics,
        given=False,
    ),
    LoopFault("frozen_by_the_evaluation", "mlp", STEP, table, plain, frozen_by_the_evaluation),
    LoopFault("stopped_while_it_improved", "mlp", FLIGHT, slow_table, stopped_in_time, stopped_while_it_improved),
)
LOOPS = {fault.name: fault for fault in FAULTS}
