"""Attempts that were made before: those of the ledger and those that only a tag tells of.

Covers: counting them whatever was deleted, the next number, who opened the sealed test part, what was never ended. Not
covered: the next attempt (`acceptance.confirmation_attempt`).
"""

from __future__ import annotations

from pathlib import Path

from assay.acceptance.confirmation_run import PAIRED_PURPOSE, fresh_seeds
from assay.baseline import baseline_param
from assay.baseline.accepted_strategy import FLOOR
from assay.core.paths import PARAMS
from assay.history.attempt_and_family_entries import AttemptEntry, OpeningEntry, OutcomeEntry
from assay.history.look_ledger import Ledger
from assay.history.strategy_status import State
from assay.runtime import git
from assay.tags.strategy_events import Accepted, Attempted


def next_sequence(state: State, known: Ledger) -> int:
    """The number of the next event: beyond every tag and every attempt, also those whose tags somebody deleted."""
    return 1 + max([state.sequence, *(one.sequence for one in known.all(AttemptEntry))])


def open_ones(known: Ledger, state: State) -> dict[str, AttemptEntry]:
    """Attempts without an end: not judged, or confirmed and not yet a strategy."""
    failed = {one.attempt for one in known.all(OutcomeEntry) if not one.confirmed}
    landed = {item.accepted.seeds.candidate for item in state.strategies.values()}
    found = {file: one for file, one in known.entries.items() if isinstance(one, AttemptEntry)}
    return {file: one for file, one in found.items() if file not in failed and _first(one.sequence) not in landed}


def recorded(root: Path, state: State, known: Ledger) -> list[AttemptEntry]:
    """Every attempt that the ledger or a tag tells of, each once."""
    found = known.all(AttemptEntry)
    places = {_place(one) for one in found}
    tagged = [_of_failure(root, event) for _, event in state.attempts]
    tagged += [_of_success(item.accepted) for item in state.strategies.values()]
    return [*found, *(one for one in tagged if _place(one) not in places)]


def _place(one: AttemptEntry) -> tuple[int, int, str]:
    """What no two attempts share, but by two clones that counted alike."""
    return one.sequence, one.root, one.name


def _of_failure(root: Path, event: Attempted) -> AttemptEntry:
    name = baseline_param.glance(git.read(root, event.experiment_commit, PARAMS) or b"")
    commit = FLOOR if name == FLOOR else git.resolve(root, f"refs/tags/{name}") or name
    return _of_event(event, event.identity, commit)


def _of_success(event: Accepted) -> AttemptEntry:
    return _of_event(event, "", event.baseline_commit or FLOOR)


def _of_event(event: Accepted | Attempted, identity: str, baseline: str) -> AttemptEntry:
    """An attempt as its tag has it: its sequence is the one of its seeds."""
    return AttemptEntry(
        identity=identity,
        baseline=baseline,
        experiment=event.experiment_commit,
        name=event.name,
        sequence=event.seeds.candidate // _first(1),
        root=event.seeds.root,
        n=event.seeds.n,
        attempt=event.attempts,
        confirmation=0,
        level=event.confirmation.alpha or 0.0,
        paired=event.seeds.purpose == PAIRED_PURPOSE,
    )


def _first(sequence: int) -> int:
    """The number of the first fresh replicate of the candidate."""
    return fresh_seeds(0, 1, sequence).candidate


def equivalents(state: State, baseline: str) -> set[str]:
    """`baseline` and the strategies that it is equivalent to: whoever accepts the same again starts no count anew."""
    found = {baseline}
    by_commit = {item.tag.commit: item.accepted for item in state.strategies.values()}
    while baseline in by_commit and by_commit[baseline].confirmation.verdict != "progress":
        baseline = by_commit[baseline].baseline_commit or FLOOR
        if baseline in found:
            break
        found.add(baseline)
    return found


def openings(state: State, known: Ledger, sequence: int) -> list[str]:
    """Who opened the test part before attempt `sequence`: strategies by their tag, others by name."""
    tagged = [item for item in state.strategies.values() if item.accepted.test is not None]
    landed = {item.accepted.seeds.candidate for item in tagged}
    lost = [one for one in known.all(OpeningEntry) if one.sequence != sequence and _first(one.sequence) not in landed]
    return [item.tag.name for item in tagged] + [
        f"{one.name} (sequence {one.sequence}, never accepted)" for one in sorted(lost, key=lambda one: one.sequence)
    ]


def left_behind(known: Ledger, state: State) -> list[str]:
    """Attempts that were begun and not ended, and those that failed and whose tag is gone, as words."""
    tagged = {event.seeds.candidate for _, event in state.attempts}
    failed, left = {one.attempt for one in known.all(OutcomeEntry) if not one.confirmed}, open_ones(known, state)
    unfinished = [(one.sequence, f"attempt {one.sequence} ({one.name}) was never ended") for one in left.values()]
    lost = [
        (one.sequence, f"attempt/{one.name}-{one.sequence} is gone, and counts")
        for file, one in known.entries.items()
        if isinstance(one, AttemptEntry) and file in failed and _first(one.sequence) not in tagged
    ]
    return [said for _, said in sorted([*unfinished, *lost])]
