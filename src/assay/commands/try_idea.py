"""`assay try`: one idea, measured look by look, until it is decided or no longer worth its trainings.

Every look is `dvc exp run` at more replicates, in a repository of its own, kept as one experiment that grows; what was
trained is taken from the cache. So an interruption costs nothing, and the same command goes on. The looks are declared,
and the ledger has them. Not covered: what is asked (`commands.try_setup`), when it ends (`stats.stopping_rule`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from assay.commands import (
    batch_size_rates,
    experiment_grid,
    grid_looks,
    recorded_comparison,
    scratch_experiment,
    try_price,
    try_setup,
)
from assay.commands.compare_find_recorded_look import tags
from assay.commands.try_price import LookPrice
from assay.commands.try_setup import TriedIdea
from assay.core.errors import AssayError, IncomparableError, UsageError
from assay.core.metric_version import metric_name
from assay.core.paths import IN_PROJECT, LOCK, METRICS, REPLICATES
from assay.history import (
    cached_predictions,
    fidelity_certificates,
    look_ledger,
    metrics_json,
    profile_groups,
    replicates_csv,
)
from assay.history.experiments import parse_metrics
from assay.runtime import dvc_cache_dir, dvc_yaml, git, progress_line, project_root
from assay.runtime.file_locks import Lock
from assay.stats import alpha_budget, sequential_testing, stopping_rule
from assay.stats.arm_comparison import Comparison

#: verdicts of records in which nothing was tested
UNTESTED = ("incomparable", "same")
BUDGET = "budget"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Trial:
    """How far an idea was measured. `ended`: why it ends there, as `stats.stopping_rule` says, or `budget`; "" where it
    goes on."""

    idea: TriedIdea
    n: int  # replicates an arm
    comparison: Comparison
    metric: str
    metric_version: str
    against: str  # the baseline's name, or the floor's
    chance: float | None  # of progress at the last look; None where there is none to come
    ended: str

    @property
    def experiment(self) -> str:
        return self.idea.cell.name


def try_idea(start: Path, settings: Sequence[str], why: str, budget: float | None, say: Say, name: str) -> Trial:
    """Measure `settings` (key=value), and the edits of the work tree, look by look; `budget` in seconds of this call.

    Raises what `try_setup.idea` does, UsageError where the first look costs more than the budget or does not run,
    IncomparableError where the numbers may not be subtracted.
    """
    layout = project_root.find(start)
    idea = try_setup.idea(layout, settings, why, name)
    held = Lock.take(dvc_yaml.store(layout.root).cells / idea.cell.name, wait=False)
    if held is None:
        raise UsageError(f"another assay try measures {idea.cell.name} already", hint="wait for it, or stop it first")
    try:
        return _followed(idea, budget, say)
    except KeyboardInterrupt:
        say("stopped: what was trained is kept, and the same command goes on")
        raise
    finally:
        held.release()


def _followed(idea: TriedIdea, budget: float | None, say: Say) -> Trial:
    scratch_experiment.tidy(idea.layout)
    found = _recorded(idea)
    price = try_price.price(idea, found.n if found else 0)
    _announce(idea, found, price, say)
    while found is None or not found.ended:
        n = next(size for size in idea.plan if found is None or size > found.n)
        if (wanting := _beyond(price, n, budget)) is not None:
            if found is None:
                raise wanting
            say(wanting.problem)
            return replace(found, ended=BUDGET)
        say(f"look {idea.plan.index(n) + 1} of {len(idea.plan)}: {n} replicates an arm")
        began = time.monotonic()
        content = scratch_experiment.measure(idea.layout, idea.at(n))
        price.looked(n, time.monotonic() - began)
        found = _judged(idea, content)
        say(_line(found))
    return found


def _announce(idea: TriedIdea, found: Trial | None, price: LookPrice, say: Say) -> None:
    """What is tried, what it costs, what it can see; or how far an earlier call went."""
    looks = ", ".join(map(str, idea.plan))
    say(f"trying {idea.label} as {idea.cell.name} against {idea.baseline.name}, looks at {looks} replicates an arm")
    if idea.edited:
        say(f"with your edits of {', '.join(idea.edited)}")
    if expected := batch_size_rates.note_since(idea.layout, idea.baseline.commit or "HEAD", idea.asked):
        say(expected)
    if found is not None:
        say(f"measured before: n={found.n}. {_line(found)}")
    if found is None or not found.ended:
        for line in try_price.lines(price):
            say(line)


def _beyond(price: LookPrice, n: int, budget: float | None) -> UsageError | None:
    """The refusal of a look that costs more than what is left of the budget."""
    if budget is None:
        return None
    left, asked = budget - price.spent(), price.seconds(n)
    if left > (asked or 0.0):
        return None
    takes = "" if asked is None else f" takes about {progress_line.duration(asked)}, and"
    whole, rest = progress_line.duration(budget), progress_line.duration(max(0.0, left))
    return UsageError(
        f"the look at n={n}{takes} {rest} is left of --budget {whole}",
        allowed="a larger budget",
        hint="the same command with more time",
    )


def _recorded(idea: TriedIdea) -> Trial | None:
    """How far earlier calls went; None where nothing is recorded that could be judged."""
    root, ref = idea.layout.root, idea.cell.ref
    content = git.read(root, ref, REPLICATES)
    metrics, _ = parse_metrics(git.read(root, ref, METRICS))
    if content is None or metrics_json.text(metrics, "verdict") in UNTESTED:
        return None
    return _judged(idea, content)


def _judged(idea: TriedIdea, content: bytes) -> Trial:
    """The look that a table of replicates is: recorded, as its own run did, and read at its level."""
    root = idea.layout.root
    _refuse_untested(idea)
    rows = replicates_csv.rows(content)
    n = replicates_csv.count(content)
    version = rows[0]["metric_version"]
    metric, judge = metric_name(version), idea.asked.judge
    taken, price, ledger = look_ledger.look(root, grid_looks.recorded(rows, idea.asked, tags(root)))
    result = recorded_comparison.compared(
        rows, metric, price.level or judge.alpha, judge.test, price.hold, experiment_grid.fixed([rows])
    )
    last = alpha_budget.last_level(ledger.looks, taken) if taken.key.plan else None
    chance = None
    if last and n < idea.plan[-1] and result.verdict == "inconclusive":
        chance = sequential_testing.chance_of_progress(result, idea.plan[-1], last)
    names = [row["strategy"] for row in rows if row["arm"] == "baseline"]
    against = names[0] if names else f"floor {recorded_comparison.best_floor(rows, metric)[0]}"
    ended = stopping_rule.end(result, n, idea.plan, price.level, last)
    return Trial(idea, n, result, metric, version, against, chance, ended)


def _refuse_untested(idea: TriedIdea) -> None:
    """Raises IncomparableError, with what the run itself said, where nothing was tested."""
    metrics, _ = parse_metrics(git.read(idea.layout.root, idea.cell.ref, METRICS))
    word = metrics_json.text(metrics, "verdict")
    if word in UNTESTED:
        said = verdict_text(idea).strip().splitlines() or [word]
        problem, _, hint = said[0].partition("; next: ")
        raise IncomparableError(f"{idea.cell.name}: {problem}", hint=hint or "assay status")


def verdict_text(idea: TriedIdea) -> str:
    """What the run of the last look said, "" where DVC's cache does not have it here."""
    lock = git.read(idea.layout.root, idea.cell.ref, LOCK)
    try:
        cache = dvc_cache_dir.folder(dvc_yaml.main(idea.layout.root))
        return cached_predictions.text(cache, lock or b"", IN_PROJECT.verdict.as_posix())
    except AssayError:
        return ""


def fidelity(idea: TriedIdea) -> str:
    """How far a verdict under a fast profile tells about full, "" under full."""
    root = idea.layout.root
    return fidelity_certificates.told(root, profile_groups.of_commit(root, idea.cell.ref), idea.asked.profile)


def _line(found: Trial) -> str:
    """One look in one line: the word, the difference, what is to be expected."""
    result = found.comparison
    delta = "" if result.delta is None else f" {result.delta:+.4g}"
    level = f" at level {result.alpha:.3g}"
    chance = "" if found.chance is None else f"; chance of progress at n={found.idea.plan[-1]}: {found.chance:.0%}"
    held = f" ({result.reason})" if result.reason else ""
    return f"n={found.n}: {result.verdict}{delta}, p={result.p:.2g}{level}{held}{chance}"
