"""The state of all strategies: a fold over events that only ever are added.

Covers: which strategies stand, which were revoked, what cannot be trusted, and the order of it all: by
the counter that every event carries, never by a clock. Not covered: reading (`history.experiments`), printing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from assay.history.experiments import Tag
from assay.tags.strategy_events import Accepted, Attempted, Event, Rejected, Remeasured, Rescored, Revoked, Seeds


@dataclass(frozen=True)
class Strategy:
    """One accepted strategy and what happened to it since."""

    tag: Tag
    accepted: Accepted
    revoked: Tag | None = None
    rescored: dict[str, Rescored] = field(default_factory=dict)  # by metric version
    drawn: Tag | None = None  # the newest draw of seeds, if it was measured again

    @property
    def seeds(self) -> Seeds:
        """Of the replicates that it stands with."""
        event = self.drawn.event if self.drawn else None
        return event.seeds if isinstance(event, Remeasured) else self.accepted.seeds


@dataclass(frozen=True)
class State:
    strategies: dict[str, Strategy] = field(default_factory=dict)  # by name, oldest first
    rejected: dict[str, Tag] = field(default_factory=dict)
    attempts: list[tuple[Tag, Attempted]] = field(default_factory=list)
    unverifiable: list[Tag] = field(default_factory=list)
    sequence: int = 0  # of the newest event

    @property
    def current(self) -> Strategy | None:
        """The newest strategy that stands."""
        standing = [strategy for strategy in self.strategies.values() if strategy.revoked is None]
        return standing[-1] if standing else None


def fold(tags: Iterable[Tag]) -> State:
    """The state after all events in `tags`, whatever order they come in."""
    known = sorted((tag for tag in tags if tag.event is not None), key=_order)
    state = State(unverifiable=sorted((tag for tag in tags if tag.event is None), key=lambda tag: tag.name))
    for tag in known:
        assert tag.event is not None
        state = _apply(state, tag, tag.event)
    return state


def _order(tag: Tag) -> tuple[int, str]:
    assert tag.event is not None
    return tag.event.sequence, tag.name  # two clones may have counted alike; then the name decides, everywhere


def _apply(state: State, tag: Tag, event: Event) -> State:
    state = replace(state, sequence=max(state.sequence, event.sequence))
    if isinstance(event, Accepted):
        return _with(state, Strategy(tag, event))
    if isinstance(event, Rejected):
        return replace(state, rejected={**state.rejected, event.name: tag})
    if isinstance(event, Attempted):
        return replace(state, attempts=[*state.attempts, (tag, event)])
    strategy = state.strategies.get(event.name)
    if isinstance(event, Revoked) and strategy is not None and event.strategy == strategy.tag.object:
        return _with(state, replace(strategy, revoked=tag))
    if isinstance(event, Rescored) and strategy is not None and event.commit == strategy.tag.commit:
        return _with(state, replace(strategy, rescored={**strategy.rescored, event.metric_version: event}))
    if isinstance(event, Remeasured) and strategy is not None and event.strategy == strategy.tag.object:
        return _with(state, replace(strategy, drawn=tag))
    lost = replace(tag, event=None, problem=f"it is about a strategy/{event.name} that is not the one here")
    return replace(state, unverifiable=[*state.unverifiable, lost])


def _with(state: State, strategy: Strategy) -> State:
    return replace(state, strategies={**state.strategies, strategy.accepted.name: strategy})
