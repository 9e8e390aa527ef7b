"""Attempts to confirm an idea, openings of the sealed test part, families of ideas: what the ledger holds beside looks.

Covers: how many attempts there were at one idea and against one baseline, which one is still open. Pure. Not covered:
the level that follows (`stats.confirmation_rule`), tags of attempts (`history.strategy_status`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from assay.core.schemas import Record


class AttemptEntry(Record, frozen=True, kw_only=True, tag_field="kind", tag="attempt"):
    """A confirmation that was begun. Written before anything trains, so that no way out of it is free."""

    identity: str
    formerly: tuple[str, ...] = ()
    baseline: str  # commit, or `floor`
    experiment: str  # commit
    name: str
    sequence: int  # its seeds follow from it
    root: int
    n: int
    attempt: int  # at this idea, this one included
    confirmation: int  # against this baseline, of whatever idea
    level: float  # one-sided
    paired: bool = False  # both arms on the same seeds


class OutcomeEntry(Record, frozen=True, kw_only=True, tag_field="kind", tag="outcome"):
    """How an attempt ended; written before anybody is told."""

    attempt: str  # file of the AttemptEntry
    verdict: str
    confirmed: bool


class OpeningEntry(Record, frozen=True, kw_only=True, tag_field="kind", tag="opening"):
    """The sealed test part is about to be opened for a confirmed idea."""

    identity: str
    baseline: str
    experiment: str
    name: str
    sequence: int
    n: int


class FamilyEntry(Record, frozen=True, kw_only=True, tag_field="kind", tag="family"):
    """Ideas that were judged together, by Holm over all of them; each look of theirs is in an account of its own."""

    command: str  # sweep, ablate, sensitivity, tune
    baseline: str
    metric: str
    members: tuple[str, ...]  # identities
    size: int  # those that did not run included
    alpha: float


def at_idea(attempts: Iterable[AttemptEntry], names: Collection[str]) -> list[AttemptEntry]:
    """All attempts at one idea, by any of the names that it has or had."""
    return [one for one in attempts if not set(names).isdisjoint((one.identity, *one.formerly))]


def against(attempts: Iterable[AttemptEntry], baselines: Collection[str]) -> list[AttemptEntry]:
    """All attempts against a baseline and those that it is equivalent to, of whatever idea."""
    return [one for one in attempts if one.baseline in baselines]
