"""Where the replicate numbers of candidates begin: a place for each accepted commit, however it is written."""

from __future__ import annotations

from gitproject import Project, accepted

from assay.baseline import candidate_seeds
from assay.baseline.accepted_strategy import FLOOR, AcceptedStrategy
from assay.tags.strategy_events import Remeasured, Revoked, Seeds


def test_each_accepted_commit_has_a_place_of_its_own(project: Project) -> None:
    home, plain = project.path, project.head
    project.git("tag", "-a", "-m", "by hand", "strategy/plain", plain)
    project.git("tag", "strategy/light", plain)
    assert candidate_seeds.place(home, "") == candidate_seeds.place(home, plain) == 0, "without evidence"

    adam = project.commit(message="adam")
    tag = project.tag(accepted(adam, "adam", 3))
    assert candidate_seeds.place(home, adam) == 30_000
    named = {
        name: AcceptedStrategy(name=name, commit=adam, purpose="confirmation", first=60_000) for name in ("adam", adam)
    }
    assert {candidate_seeds.of_candidates(home, one, "welch").first for one in named.values()} == {30_000}

    project.tag(accepted(adam, "again", 5))
    project.git("tag", "-f", "-a", "-m", "forged", "strategy/other", adam)
    seeds = Seeds(root=1, purpose="confirmation", n=10, candidate=80_000, baseline=90_000)
    project.tag(Remeasured(name="adam", sequence=4, commit=adam, why="old", strategy=tag, seeds=seeds))
    assert candidate_seeds.place(home, adam) == 30_000, "neither a second tag nor a new measurement moves it"

    later = project.commit(message="later")
    second = project.tag(accepted(later, "later", 6))
    assert candidate_seeds.place(home, later) == 60_000
    project.tag(Revoked(name="later", sequence=7, commit=later, why="no", strategy=second, baseline="strategy/adam"))
    assert candidate_seeds.place(home, adam) == 30_000, "back with the baseline"


def test_a_paired_design_moves_the_baseline_along(project: Project) -> None:
    adam = project.commit(message="adam")
    project.tag(accepted(adam, "adam", 2))
    named = AcceptedStrategy(name="strategy/adam", commit=adam, purpose="confirmation", first=40_000)
    free = candidate_seeds.of_candidates(project.path, named, "welch")
    assert (free.purpose, free.first) == ("candidate", 20_000)
    assert candidate_seeds.of_baseline(named, free) == named
    paired = candidate_seeds.of_candidates(project.path, named, "paired")
    both = candidate_seeds.of_baseline(named, paired)
    assert (both.purpose, both.first) == (paired.purpose, paired.first) == ("paired", 20_000)
    floor = AcceptedStrategy(name=FLOOR, commit="")
    assert candidate_seeds.of_baseline(floor, paired) == floor
