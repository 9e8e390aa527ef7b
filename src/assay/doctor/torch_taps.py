"""Taps on torch while a loop is watched: backward passes, optimizer steps, loaders, modes, restored states.

Covers: putting the taps in when the first watch begins, taking them out when the last ends, and telling each event to
the watches of the thread in which it happens. Every tap calls torch's own function with the user's arguments, once. Not
covered: what the events mean (the monitors).
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import nn
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils.data import DataLoader
from torch.utils.data.dataloader import _BaseDataLoaderIter


class Listener(Protocol):
    """What hears of events, in the order in which they happen."""

    thread: int

    def backward_begins(self, tensors: Any) -> None: ...
    def backward_ended(self, failed: bool) -> None: ...
    def step_begins(self, optimizer: Any, closure: bool) -> None: ...
    def step_ended(self, optimizer: Any) -> None: ...
    def event(self, name: str, *told: Any) -> None: ...


_listeners: list[Listener] = []
_lock = threading.RLock()
_undo: list[Callable[[], None]] = []


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
        _listeners.append(listener)


def remove(listener: Listener) -> None:
    with _lock:
        _listeners[:] = [one for one in _listeners if one is not listener]
        if not _listeners:
            _take_out()


def _forget_in_child() -> None:
    """After a fork: the child's events are not those of the loop."""
    _listeners.clear()


os.register_at_fork(after_in_child=_forget_in_child)


def _put_in() -> None:
    handles = [register_optimizer_step_pre_hook(_step_begins), register_optimizer_step_post_hook(_step_ended)]
    _undo.extend(handle.remove for handle in handles)
    _replace(torch.autograd, "backward", _backward)
    _replace(nn.Module, "train", _told_after("mode"))
    _replace(nn.Module, "load_state_dict", _told_before("restored"))
    _replace(nn.Module, "state_dict", _told_after("taken"))
    _replace(Optimizer, "__init__", _told_after("made"))
    _replace(Optimizer, "zero_grad", _told_before("cleared"))
    _replace(DataLoader, "__iter__", _told_after("begun"))
    _replace(_BaseDataLoaderIter, "__next__", _told_after("drawn"))
    _replace(torch.amp.GradScaler, "scale", _told_after("scaled"))
    _replace(torch.amp.GradScaler, "unscale_", _told_before("unscaled"))
    _replace(torch.amp.GradScaler, "step", _told_both("scaler step"))


def _take_out() -> None:
    while _undo:
        _undo.pop()()


def _replace(owner: Any, name: str, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Put a tap in place of a function; what somebody else has put over it meanwhile is left there."""
    own = vars(owner)[name]
    tap = functools.wraps(own)(wrap(own))
    setattr(owner, name, tap)

    def undo() -> None:
        if vars(owner).get(name) is tap:
            setattr(owner, name, own)

    _undo.append(undo)


def _backward(own: Callable[..., Any]) -> Callable[..., Any]:
    def tap(tensors: Any, *arguments: Any, **named: Any) -> Any:
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
    for one in heard():
        one.step_ended(optimizer)
