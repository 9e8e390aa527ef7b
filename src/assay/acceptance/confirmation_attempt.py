"""Attempts at a confirmation: what the next one costs, how many replicates it takes, and the entry that it leaves.

Covers: going on with one that was killed, recording how it ended and that the sealed test part is opened. Not covered:
those before it (`acceptance.earlier_attempts`), measuring (`acceptance.confirmation_run`), the levels
(`stats.confirmation_rule`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np

from assay.acceptance import earlier_attempts as before
from assay.acceptance.confirmation_run import fresh_seeds
from assay.baseline.accepted_strategy import FLOOR
from assay.baseline.candidate_seeds import SHARED
from assay.core import schemas
from assay.core.errors import AssayError
from assay.core.paths import REPLICATES, ProjectPaths
from assay.core.schemas import Arm
from assay.history import attempt_and_family_entries, look_ledger, replicates_csv, strategy_hash
from assay.history.attempt_and_family_entries import AttemptEntry, OpeningEntry, OutcomeEntry
from assay.history.look_ledger import Ledger
from assay.history.strategy_status import State
from assay.runtime import files, git, table_files
from assay.stats import compare_arms, confirmation_rule, pair_correlation
from assay.stats.pair_correlation import PairCorrelation
from assay.tags.strategy_events import Seeds

Names = tuple[str, tuple[str, ...]]
WELCH = "welch"


class Design(TypedDict):
    """Options of `stats.confirmation_rule.chance`."""

    fixed: bool
    pairs: float | None
    overlap: float | None


@dataclass(frozen=True)
class Idea:
    """What an attempt is at: a strategy by all its names, the experiment that it comes from, whom it is to beat."""

    names: Names
    experiment: str  # commit
    name: str  # that it is to get
    baseline: str  # commit, or `floor`
    root: int
    least: int  # replicates an arm
    asked: int | None = None  # replicates that the user wants
    test: str = WELCH  # judge.test, as declared
    pairs: PairCorrelation = pair_correlation.UNKNOWN  # that the experiment's own pairs show
    overlap: float | None = None  # of the experiment's splits, where each replicate has one

    @property
    def paired(self) -> bool:
        """Declared so: both arms are to share seeds."""
        return self.test in SHARED and self.baseline != FLOOR

    @property
    def every_name(self) -> set[str]:
        return {self.names[0], *self.names[1]}


@dataclass(frozen=True)
class Attempt:
    """An attempt at `idea` that is recorded. `file` is its entry; `resumed`: it was begun before."""

    entry: AttemptEntry
    file: str
    resumed: bool
    idea: Idea

    @property
    def seeds(self) -> Seeds:
        return fresh_seeds(self.entry.root, self.entry.n, self.entry.sequence, self.entry.paired)

    @property
    def price(self) -> str:
        """What it costs and what it can find, said before anything trains."""
        entry, level = self.entry, self.entry.level
        found = ", ".join(
            f"{confirmation_rule.chance(level, entry.n, gain, **_design(self.idea)):.0%} of +{gain:g} sd"
            for gain in (1.0, 2.0)
        )
        again = ", begun before and paid for" if self.resumed else ""
        return (
            f"confirming on {entry.n} fresh replicates an arm, attempt {entry.attempt}, level {level:g} "
            f"one-sided (confirmation {entry.confirmation} against this baseline{again}): it finds {found}"
            f"{_how(self.idea)}"
        )


def _design(idea: Idea) -> Design:
    """What power depends on beside level and n."""
    return {
        "fixed": idea.baseline == FLOOR,
        "pairs": idea.pairs.least if idea.paired else None,
        "overlap": idea.overlap,
    }


def _how(idea: Idea) -> str:
    """Which test decides, where it is not Welch's on a design that declared it; and what a paired one counts on."""
    if idea.overlap is not None:
        share = f"{100 * idea.overlap:.0f} % as many validation as training examples"
        return f"; by the corrected resampled t on fresh splits, {share}, both arms on the same ones"
    if idea.paired:
        seen = idea.pairs
        shown = "nothing is known of it" if seen.measured is None else f"measured {seen.measured:+.2f} on {seen.pairs}"
        return f"; by a paired t on shared seeds, if pairs correlate at least {seen.least:+.2f} ({shown})"
    if idea.test == WELCH:
        return ""
    if idea.baseline == FLOOR:
        return f"; by a one-sample t, which fits a floor, not by judge.test: {idea.test}"
    return f"; by Welch's t, which fits one look at an n fixed beforehand, not by judge.test: {idea.test}"


def names(layout: ProjectPaths) -> Names:
    """What the candidate of the project at `layout` is called."""
    path = layout.record("candidate")
    arm = schemas.decode(files.read_bytes(path, "dvc exp run"), Arm, str(path))
    assert arm.measurement is not None  # only the floor has none
    return strategy_hash.names(arm.measurement.identity, layout.root)


def recorded_names(root: Path, commit: str) -> Names:
    """What the candidate of an experiment's own record is called, as far as that says: its tree is not made yet."""
    content = git.read(root, commit, REPLICATES)
    try:
        table = table_files.parse(content or b"", REPLICATES)
        return table["identity"][table["arm"].index("candidate")], ()
    except (AssayError, KeyError, ValueError):
        return "", ()


def recorded_pairs(root: Path, commit: str, metric: str) -> PairCorrelation:
    """How the pairs of an experiment correlate, as its record says.

    The record as it is: an edited one changes how many replicates are trained, and no level.
    """
    return pairs_in(git.read(root, commit, REPLICATES), metric)


def recorded_overlap(root: Path, commit: str) -> float | None:
    """How much the splits of an experiment overlap, as its record says; None where its replicates share both parts."""
    try:
        rows = replicates_csv.rows(git.read(root, commit, REPLICATES) or b"")
        return replicates_csv.overlap(rows[0]) if rows else None
    except ValueError:
        return None


def pairs_in(content: bytes | None, metric: str) -> PairCorrelation:
    """How the pairs in a results/replicates.csv correlate, by the seeds that both arms share."""
    try:
        rows = replicates_csv.rows(content or b"")
        arms = [replicates_csv.arm(rows, name, metric, key="seed") for name in ("baseline", "candidate")]
    except (KeyError, ValueError):
        return pair_correlation.UNKNOWN
    return pair_correlation.measured(*map(np.array, compare_arms.matched(arms[0], arms[1], None)))


def begin(root: Path, state: State, idea: Idea) -> Attempt:
    """The attempt at `idea`: the one that was begun and never ended, else a new one, in the ledger from here on."""
    begun: list[Attempt] = []

    def make(known: Ledger) -> list[look_ledger.Entry]:
        begun.append(_attempt(root, state, idea, known))
        return [begun[-1].entry]

    look_ledger.add(root, make)
    return begun[-1]


def foreseen(root: Path, state: State, idea: Idea) -> Attempt:
    """The attempt that `begin` would record."""
    return _attempt(root, state, idea, look_ledger.read(root))


def _attempt(root: Path, state: State, idea: Idea, known: Ledger) -> Attempt:
    left = before.open_ones(known, state)
    own = [
        (file, one)
        for file, one in left.items()
        if attempt_and_family_entries.at_idea([one], idea.every_name)
        and (one.experiment, one.baseline) == (idea.experiment, idea.baseline)
        and idea.asked in (None, one.n)
        and one.paired == idea.paired
    ]
    if own:
        file, entry = max(own, key=lambda pair: pair[1].sequence)
        return Attempt(entry, file, True, idea)
    known_ones = before.recorded(root, state, known)
    attempt = 1 + len(attempt_and_family_entries.at_idea(known_ones, idea.every_name))
    confirmation = 1 + len(attempt_and_family_entries.against(known_ones, before.equivalents(state, idea.baseline)))
    level = confirmation_rule.level(attempt, confirmation)
    n = confirmation_rule.replicates(level, idea.least, **_design(idea)) if idea.asked is None else idea.asked
    entry = AttemptEntry(
        identity=idea.names[0],
        formerly=idea.names[1],
        baseline=idea.baseline,
        experiment=idea.experiment,
        name=idea.name,
        sequence=before.next_sequence(state, known),
        root=idea.root,
        n=n,
        attempt=attempt,
        confirmation=confirmation,
        level=level,
        paired=idea.paired,
    )
    return Attempt(entry, look_ledger.file_of(entry), False, idea)


def end(root: Path, attempt: Attempt, verdict: str, confirmed: bool) -> None:
    """Record how it ended, before anybody is told."""
    entry = OutcomeEntry(attempt=attempt.file, verdict=verdict, confirmed=confirmed)
    look_ledger.add(root, lambda _: [entry])


def opening(root: Path, attempt: Attempt) -> None:
    """Record that the sealed test part is opened, before it is."""
    one = attempt.entry
    entry = OpeningEntry(
        identity=one.identity,
        baseline=one.baseline,
        experiment=one.experiment,
        name=one.name,
        sequence=one.sequence,
        n=one.n,
    )
    look_ledger.add(root, lambda _: [entry])
