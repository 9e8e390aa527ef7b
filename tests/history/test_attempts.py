"""Attempts to confirm: counted against the idea and against the baseline, whatever is renamed, deleted or killed."""

from __future__ import annotations

import pytest
from gitproject import accepted

from assay.acceptance import confirmation_attempt, earlier_attempts
from assay.acceptance.confirmation_attempt import Idea
from assay.history import look_ledger
from assay.history.attempt_and_family_entries import AttemptEntry, OpeningEntry
from assay.history.experiments import read
from assay.history.strategy_status import fold
from assay.stats.confirmation_rule import level
from assay.tags.strategy_events import Attempted, RecordedComparison, Score, Seeds


def idea(project, **changed) -> Idea:
    fields = {"names": ("idea", ()), "experiment": "e" * 40, "name": "fast", "baseline": "b", "root": 1, "least": 3}
    return Idea(**{**fields, **changed})


def state(project):
    return fold(read(project.path).tags)


def begin(project, **changed) -> confirmation_attempt.Attempt:
    return confirmation_attempt.begin(project.path, state(project), idea(project, **changed))


def failed(project, attempt: confirmation_attempt.Attempt, **changed) -> str:
    """The tag that a failed attempt leaves beside its entry."""
    confirmation_attempt.end(project.path, attempt, "inconclusive", False)
    entry = attempt.entry
    event = Attempted(
        name=entry.name,
        sequence=entry.sequence,
        commit=project.head,
        metric_version="accuracy-1.5f3c9a2e",
        identity=entry.identity,
        experiment_commit=project.head,
        confirmation=RecordedComparison("inconclusive", Score(3, 0.9), alpha=entry.level),
        attempts=entry.attempt,
        seeds=attempt.seeds,
    )
    project.tag(event)
    return f"attempt/{entry.name}-{entry.sequence}"


def test_deleted_tags_and_jittered_parameters_start_no_count_again(project, capsys):
    seen = []
    for round_, names in enumerate([("idea", ()), ("idea", ()), ("idea, jittered", ()), ("again", ("idea",))]):
        attempt = begin(project, names=names, experiment=f"{round_}" * 40)
        seen.append((attempt.entry.attempt, attempt.entry.confirmation))
        tag = failed(project, attempt)
        if round_ != 1:
            project.git("tag", "-d", tag)
    assert seen == [(1, 1), (2, 2), (1, 3), (3, 4)]
    known = look_ledger.read(project.path)
    levels = sorted(one.level for one in known.all(AttemptEntry))
    assert levels == pytest.approx(sorted(level(*pair) for pair in seen))
    firsts = {one.sequence for one in earlier_attempts.recorded(project.path, state(project), known)}
    assert firsts == {1, 2, 3, 4}, "deleted or not, fresh seeds are fresh"
    assert begin(project, baseline="c", names=("other", ())).entry.level == level(1), "another baseline, another count"
    project.assay("status")
    assert "attempt/fast-1 is gone, and counts" in capsys.readouterr().out


def test_a_killed_attempt_goes_on_at_its_price_with_its_seeds(project):
    first = begin(project)
    again = begin(project, names=("idea", ("old",)))
    assert again.resumed and again.entry == first.entry and again.seeds == first.seeds
    assert "begun before and paid for" in again.price and "begun before" not in first.price
    more = begin(project, asked=20)
    assert not more.resumed and (more.entry.n, more.entry.attempt) == (20, 2)
    confirmation_attempt.end(project.path, more, "progress", True)
    assert begin(project, asked=20).resumed, "confirmed, and killed before it landed"
    confirmation_attempt.end(project.path, first, "inconclusive", False)
    assert earlier_attempts.open_ones(look_ledger.read(project.path), state(project)) == {more.file: more.entry}


def test_it_sizes_itself_by_its_level_and_says_the_price_first(project):
    sizes = []
    for round_ in range(4):
        attempt = begin(project, names=(f"idea {round_}", ()), experiment=f"{round_}" * 40)
        sizes.append(attempt.entry.n)
        confirmation_attempt.end(project.path, attempt, "inconclusive", False)
    assert sizes == [8, 9, 10, 11]
    assert begin(project, names=("large", ()), least=40).entry.n == 40
    said = begin(project, names=("floor", ()), baseline="floor").price
    assert "6 fresh replicates" in said and "% of +2 sd" in said


def test_a_baseline_that_was_accepted_as_equivalent_goes_on_with_the_count(two_strategies):
    project = two_strategies
    cosine = state(project).strategies["cosine"].accepted
    assert begin(project, baseline=cosine.commit).entry.confirmation == 1, "cosine was progress"
    alike = RecordedComparison("equivalent", Score(10, 0.98), Score(10, 0.98), 0.0, -0.01, 0.01, 0.5, 0.0125)
    commit = project.commit({"x": "y"}, "Accept simpler")
    seeds = Seeds(1, "confirmation", 10, 80_000, 90_000)
    about = {"baseline": "strategy/cosine", "baseline_commit": cosine.commit, "confirmation": alike, "seeds": seeds}
    project.tag(accepted(commit, "simpler", 4, **about))
    found = begin(project, baseline=commit, names=("next", ()))
    assert found.entry.confirmation == 3, "the attempt at cosine, the acceptance of simpler, and this one"
    assert earlier_attempts.equivalents(state(project), commit) == {commit, cosine.commit}


def test_an_opening_is_known_although_no_strategy_came_of_it(project):
    attempt = begin(project)
    confirmation_attempt.opening(project.path, attempt)
    confirmation_attempt.opening(project.path, attempt)
    known = look_ledger.read(project.path)
    assert len(known.all(OpeningEntry)) == 1
    assert earlier_attempts.openings(state(project), known, 99) == ["fast (sequence 1, never accepted)"]
    assert earlier_attempts.openings(state(project), known, attempt.entry.sequence) == []


ARMS = ("baseline", "candidate")


def record(*pairs: tuple[float, float]) -> bytes:
    """results/replicates.csv of a paired experiment."""
    head = "arm,seed,status,same_as,accuracy\n"
    arms = [[f"{arm},{i},ok,,{pair[k]}" for i, pair in enumerate(pairs)] for k, arm in enumerate(ARMS)]
    rows = [line for arm in arms for line in arm]
    return (head + "\n".join([*rows, "floor,,ok,,0.1"]) + "\n").encode()


ALIKE = [(i + 0.3 * (-1) ** i, i + 2 + 0.3 * (-1) ** (i // 2)) for i in range(10)]


@pytest.mark.parametrize(
    ("pairs", "n", "said"),
    [
        (ALIKE, 3, "if pairs correlate at least +0.97 (measured +0.99 on 10)"),
        (ALIKE[:3], 9, "if pairs correlate at least +0.00 (measured +0.84 on 3)"),  # so few tell nothing
        ([], 9, "if pairs correlate at least +0.00 (nothing is known of it)"),
        ([(b, -c) for b, c in ALIKE[:4]], 15, "if pairs correlate at least -0.9"),
    ],
)
def test_a_paired_design_is_sized_by_how_its_own_pairs_correlate(project, pairs, n, said):
    seen = confirmation_attempt.pairs_in(record(*pairs) if pairs else b"", "accuracy")
    attempt = begin(project, pairs=seen, test="paired", least=2)
    assert (attempt.entry.n, said in attempt.price) == (n, True), attempt.price
    again = begin(project, pairs=seen, test="paired", least=2)
    assert again.resumed and said in again.price, "its price is the same when it goes on"
    assert begin(project, names=("unpaired", ()), pairs=seen).entry.n == 9, "another design, the second attempt"


@pytest.mark.parametrize(
    ("test", "baseline", "said"),
    [
        ("welch", "b", ""),
        ("anytime", "b", "; by Welch's t, which fits one look at an n fixed beforehand, not by judge.test: anytime"),
        ("anytime", "floor", "; by a one-sample t, which fits a floor, not by judge.test: anytime"),
    ],
)
def test_it_says_which_test_decides_where_another_was_declared(project, test, baseline, said):
    price = begin(project, test=test, baseline=baseline).price
    assert price.endswith(f"of +2 sd{said}")
