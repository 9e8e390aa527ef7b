"""Taps on torch while a loop is watched: backward passes, optimizer steps, loaders, modes, restored states.

Covers: putting the taps in when the first watch begins, taking them out when the last ends, and telling each event to
the watches of the thread in which it happens. Every tap calls torch's own function with the user's arguments, once. Not
covered: what the events mean (the monitors).
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils.data import DataLoader
from torch.utils.data.dataloader import _BaseDataLoaderIter


class Listener(Protocol):
    """What hears of events, in the order in which they happen."""

    thread: int

    @property
    def attentive(self) -> bool: ...
    def catch_up(self) -> None: ...
    def backward_begins(self, tensors: Any) -> None: ...
    def backward_ended(self, failed: bool) -> None: ...
    def step_begins(self, optimizer: Any, closure: bool) -> None: ...
    def step_ended(self, optimizer: Any) -> None: ...
    def event(self, name: str, *told: Any) -> None: ...


Undo = Callable[[], None]
#: the largest loss that is a number
LARGEST = sys.float_info.max


class QuietSteps:
    """Steps between two windows of a loop with one loss, one optimizer and one watch: the least that can be done.

    `append` takes each loss. `left` counts the steps until the next window, `made` those made so far. `rates` holds the
    largest learning rate of one step in 32, with the number of steps made.
    """

    def __init__(self, append: Callable[[float], None], optimizer: Any, model: Any, left: int) -> None:
        self.append = append
        self.optimizer = optimizer
        self.model = model
        self.left = left
        self.made = 0
        self.rates: list[tuple[int, float]] = []


_listeners: list[Listener] = []
_lock = threading.RLock()
_undo: list[Undo] = []
_undo_attentive: list[Undo] = []
_quiet: QuietSteps | None = None


def quieten(quiet: QuietSteps | None) -> None:
    """Let steps pass with the least that can be done; a watch says so, and ends it with None."""
    global _quiet
    _quiet = quiet if quiet is not None and len(_listeners) == 1 else None


def heard() -> list[Listener]:
    """Watches that were begun in this thread; where there is none, those of other threads."""
    if len(_listeners) == 1:
        return _listeners
    thread = threading.get_ident()
    return [one for one in _listeners if one.thread == thread] or list(_listeners)


def add(listener: Listener) -> None:
    with _lock:
        if not _listeners:
            _put_in()
        for one in _listeners:
            one.catch_up()  # a second watch: no quiet steps
        _listeners.append(listener)
        adjust()


def remove(listener: Listener) -> None:
    with _lock:
        _listeners[:] = [one for one in _listeners if one is not listener]
        adjust()
        if not _listeners:
            _take_out(_undo)


def adjust() -> None:
    """Put in or take out the taps that are needed only while a watch is attentive."""
    with _lock:
        wanted = any(one.attentive for one in _listeners)
        if wanted and not _undo_attentive:
            _put_in_attentive()
        elif not wanted and _undo_attentive:
            _take_out(_undo_attentive)


def _forget_in_child() -> None:
    """After a fork: the child's events are not those of the loop."""
    _listeners.clear()
    quieten(None)


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_forget_in_child)


def _put_in() -> None:
    _undo.append(register_optimizer_step_post_hook(_step_ended).remove)
    _undo.append(_replaced(torch.autograd, "backward", _backward))
    _undo.append(_replaced(nn.Module, "train", _told_after("mode")))
    _undo.append(_replaced(nn.Module, "load_state_dict", _told_before("restored")))
    _undo.append(_replaced(nn.Module, "state_dict", _told_after("taken")))
    _undo.append(_replaced(DataLoader, "__iter__", _told_after("begun")))
    _undo.append(_replaced(LRScheduler, "__init__", _told_after("scheduled")))
    _undo.append(_replaced(torch.amp.GradScaler, "scale", _told_after("scaled")))
    _undo.append(_replaced(torch.amp.GradScaler, "step", _told_both("scaler step")))


def _put_in_attentive() -> None:
    _undo_attentive.append(register_optimizer_step_pre_hook(_step_begins).remove)
    _undo_attentive.append(_replaced(Optimizer, "__init__", _told_after("made")))
    _undo_attentive.append(_replaced(Optimizer, "zero_grad", _told_before("cleared")))
    _undo_attentive.append(_replaced(_BaseDataLoaderIter, "__next__", _told_after("drawn")))
    _undo_attentive.append(_replaced(torch.amp.GradScaler, "unscale_", _told_before("unscaled")))


def _take_out(undo: list[Undo]) -> None:
    while undo:
        undo.pop()()


def _replaced(owner: Any, name: str, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Undo:
    """Put a tap in place of a function; the function that undoes it leaves what somebody else has put over it."""
    own = vars(owner)[name]
    tap = functools.wraps(own)(wrap(own))
    setattr(owner, name, tap)

    def undo() -> None:
        if vars(owner).get(name) is tap:
            setattr(owner, name, own)

    return undo


def _backward(own: Callable[..., Any]) -> Callable[..., Any]:
    def tap(tensors: Any, *arguments: Any, **named: Any) -> Any:
        quiet = _quiet
        if quiet is not None and tensors.__class__ is torch.Tensor and tensors.is_cpu and not tensors.ndim:
            value = tensors.item()
            if -LARGEST <= value <= LARGEST:
                quiet.append(value)
                return own(tensors, *arguments, **named)
        listeners = heard()
        for one in listeners:
            one.backward_begins(tensors)
        failed = True
        try:
            result = own(tensors, *arguments, **named)
            failed = False
            return result
        finally:
            for one in listeners:
                one.backward_ended(failed)

    return tap


def _told_before(event: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def wrap(own: Callable[..., Any]) -> Callable[..., Any]:
        def tap(*arguments: Any, **named: Any) -> Any:
            for one in heard():
                one.event(event, arguments, named)
            return own(*arguments, **named)

        return tap

    return wrap


def _told_after(event: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def wrap(own: Callable[..., Any]) -> Callable[..., Any]:
        def tap(*arguments: Any, **named: Any) -> Any:
            result = own(*arguments, **named)
            for one in heard():
                one.event(event, arguments, result)
            return result

        return tap

    return wrap


def _told_both(event: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def wrap(own: Callable[..., Any]) -> Callable[..., Any]:
        def tap(*arguments: Any, **named: Any) -> Any:
            for one in heard():
                one.event(f"{event} begins", arguments, None)
            result = own(*arguments, **named)
            for one in heard():
                one.event(f"{event} ended", arguments, None)
            return result

        return tap

    return wrap


def _step_begins(optimizer: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    closure = (len(arguments) > 1 and arguments[1] is not None) or named.get("closure") is not None
    for one in heard():
        one.step_begins(optimizer, closure)


def _step_ended(optimizer: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    quiet = _quiet
    if quiet is not None and optimizer is quiet.optimizer and quiet.left > 1 and quiet.model.training:
        quiet.left -= 1
        quiet.made += 1
        if not quiet.left & 31:
            quiet.rates.append((quiet.made, max(float(group["lr"]) for group in optimizer.param_groups)))
        return
    for one in heard():
        one.step_ended(optimizer)
