"""`assay compare`: a verdict on two sides, each a file, a Git revision or an experiment. Reads and never writes.

Covers: the five steps of docs/judge.md (sides, terms, numbers, level, verdict), the target rule. Not covered: text
(`report.comparison_text`), finding the sides (`commands.compare_sides`), which baseline is meant
(`commands.compare_baseline`), new examples (`commands.compare_new_examples`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from assay.commands import (
    compare_baseline,
    compare_direction,
    compare_find_recorded_look,
    compare_new_examples,
    compare_terms,
)
from assay.commands import compare_score_source as scores
from assay.commands import compare_sides as sides
from assay.commands.compare_baseline import Base
from assay.commands.compare_find_recorded_look import Accounted
from assay.commands.compare_metric_options import MetricRow
from assay.commands.compare_new_examples import Side
from assay.commands.compare_options import Options
from assay.commands.compare_score_source import Rescoring
from assay.commands.compare_sides import SideSource
from assay.core import variation
from assay.core.errors import AssayError, UsageError
from assay.history import fidelity_certificates, profile_groups
from assay.stats import cautions, strategy_replicates, target_value_test
from assay.stats.arm_comparison import Comparison
from assay.stats.compare_arms import PAIRED, RESAMPLED, compare_arms
from assay.stats.hypothesis_tests import IN_PAIRS
from assay.stats.strategy_replicates import DifferingRulers, ReplicateGroup
from assay.stats.target_value_test import Target
from assay.stats.variance_components import NewExamples

AGAIN = "the same command with --rescore, which scores both under the packages of today"
SAME = "both sides are the same strategy, and a difference between them is luck"


@dataclass(frozen=True)
class Compared:
    """A comparison and the names that belong to it.

    `comparisons`: verdicts given before against this baseline. `examples`: what it says about new examples; None,
    with a reason where there could be something to say. `origins`: side → where its numbers come from
    (`commands.compare_score_source`).
    """

    result: Comparison
    metric: str
    baseline: str
    candidate: str
    metric_version: str
    comparisons: int
    examples: NewExamples | None = None
    no_examples: str = ""
    origins: Mapping[str, str] = field(default_factory=dict)
    off_account: str = ""  # why no recorded look is behind it; "" where one is, and for files


@dataclass(frozen=True)
class Reached:
    """Whether one side reaches a target, under which metric, and where its numbers come from."""

    target: Target
    metric: str
    direction: str
    origins: Mapping[str, str]


def compare(start: Path, named: Sequence[str], options: Options) -> Compared:
    """Compare [BASE] CAND. Raises UsageError, and DifferingRulers where the sides may not be subtracted."""
    if len(named) > 2 or not named or (len(named) == 2 and options.fixed is not None):
        raise UsageError(f"{len(named)} sides are named", allowed="[BASE] CAND, or --fixed VALUE CAND")
    root = sides.home(start)
    found = [sides.find(root, name) for name in named]
    candidate, options = found[-1], _on_splits(found, options)
    other = compare_baseline.other(found, options)
    metric, again = sides.column(candidate, options.column), scores.rescoring(root) if options.rescore else None

    terms = compare_terms.terms(root, candidate, other, metric)
    # another record has a direction of its own, and is refused where that differs
    recorded = terms if other is None else sides.recorded(candidate, metric)
    guess = "" if recorded.direction or options.direction else compare_direction.guess(metric)
    direction = compare_baseline.direction_of(candidate.name, recorded, options, guess)

    group, edited = scores.group(candidate, metric, direction, "candidate", again, finished_only=options.finished_only)
    base = (
        compare_baseline.own(candidate, metric, direction, options, again)
        if other is None
        else compare_baseline.named(other, candidate, options, direction, again)
    )

    own = other is None and options.fixed is None
    same = bool(base.identity) and base.identity == sides.identity(candidate, "candidate")
    look = compare_find_recorded_look.look(root, candidate, metric, options, own=own, same=same)

    result = _judge(base, group, candidate, options, terms, look, same)
    told = (
        *([compare_direction.guessed(metric, guess)] if guess else ()),
        *_missing_pairs(base, group, candidate, options),
    )
    doubts = (*_mixed(base, candidate), *base.edited, *edited, *_left_out(found), *told, *_fidelity(root, candidate))
    examples, why = _new_examples(root, base, candidate, group, options, again)
    return Compared(
        result=replace(result, warnings=(*result.warnings, *doubts)),
        metric=metric or "value",
        baseline=base.name,
        candidate=candidate.name,
        metric_version=group.ruler.metric_version,
        comparisons=look.others,
        examples=examples,
        no_examples=why,
        origins={one.name: scores.origin(one, again) for one in (other, candidate) if one is not None},
        off_account=look.off,
    )


def _on_splits(found: Sequence[SideSource], options: Options) -> Options:
    """`options` with the test that fits splits, where a side was measured on any. Raises UsageError for another one."""
    drawn = [one.name for one in found if sides.overlap(one) is not None]
    if not drawn:
        return options
    if options.test not in variation.SUPERSEDED:
        raise UsageError(
            f"--test is {options.test}, and replicates of {drawn[0]} have splits of their own, which overlap",
            allowed=f"{RESAMPLED}, which is taken by itself",
            hint=f"assay compare {' '.join(one.name for one in found)}",
        )
    return replace(options, test=RESAMPLED, examples=False)


def _judge(
    base: Base,
    candidate: ReplicateGroup,
    source: SideSource,
    options: Options,
    terms: MetricRow,
    look: Accounted,
    same: bool,
) -> Comparison:
    """The verdict at the level of the look. `source`: where the candidate's numbers are from."""
    if isinstance(base.numbers, ReplicateGroup):
        paired = not _missing_pairs(base, candidate, source, options)
        _check_subtractable(base.numbers, candidate, options.test, base.hint, paired=paired)
    smallest = terms.min_effect if options.min_effect is None else options.min_effect
    found = compare_arms(
        base.numbers.arm if isinstance(base.numbers, ReplicateGroup) else base.numbers,
        candidate.arm,
        candidate.ruler.direction,
        test=options.test,
        alpha=look.level,
        min_effect=smallest or 0.0,
        worst=terms.worst if options.worst is None else options.worst,
        hold=SAME if same else look.hold,
        fixed=source.fixed,
        distinct=source.told_apart and (base.told_apart or isinstance(base.numbers, float)),
    )
    # a strategy is no worse than itself, and no number of runs would find a difference
    return replace(found, no_regression=True, n_needed=None) if same else found


def _missing_pairs(base: Base, candidate: ReplicateGroup, source: SideSource, options: Options) -> list[str]:
    """The caution about files that share some seeds and not all; none for records, whose seeds follow a design."""
    if source.commit or options.test in IN_PAIRS or not isinstance(base.numbers, ReplicateGroup):
        return []
    return list(filter(None, [strategy_replicates.missing_pairs(base.numbers, candidate)]))


def _check_subtractable(
    baseline: ReplicateGroup, candidate: ReplicateGroup, test: str, hint: str, *, paired: bool
) -> None:
    """Raises DifferingRulers where they were measured differently, UsageError where seeds do not fit the test.

    Without `paired` a pair is missing in files, and a caution says so.
    """
    if fields := baseline.ruler.differing(candidate.ruler):
        hint = AGAIN if set(fields) == {strategy_replicates.PACKAGES} else hint
        raise DifferingRulers(f"{baseline.name} and {candidate.name}", fields, hint)
    check = strategy_replicates.check_paired if test in IN_PAIRS else strategy_replicates.check_independent
    if paired:
        check(baseline, candidate)


def _mixed(base: Base, candidate: SideSource) -> list[str]:
    """Cautions about a side whose replicates were made in different ways. That the sides differ in it is none."""
    made = {"baseline": base.executions, "candidate": sides.executions(candidate, "candidate")}
    return [line for arm, ways in made.items() for line in cautions.made_differently(arm, ways)]


def _left_out(found: Sequence[SideSource]) -> list[str]:
    """Cautions about runs that had not ended, and count for nothing."""
    running = {source.name: sides.still_running(source) for source in found}
    return [f"{count} of {name} still running, and left out" for name, count in running.items() if count]


def _fidelity(root: Path, candidate: SideSource) -> list[str]:
    """How far a record under a fast profile tells about full."""
    profile = str(candidate.table["profile"][0]) if candidate.is_record and candidate.table.get("profile") else ""
    group = profile_groups.of_commit(root, candidate.commit) if candidate.commit else None
    return [line] if (line := fidelity_certificates.told(root, group, profile)) else []


def _new_examples(
    root: Path, base: Base, candidate: SideSource, group: ReplicateGroup, options: Options, again: Rescoring | None
) -> tuple[NewExamples | None, str]:
    """The interval for new examples, or why there is none. It stands beside the verdict, which never waits for it.

    Nothing is said of another metric than the one that the record's own verdict was given under.
    """
    version = group.ruler.metric_version
    decided = candidate.is_record and version == candidate.table["metric_version"][0]
    if base.side is None or not candidate.commit or not decided or not options.examples:
        return None, ""
    after = Side(candidate.name, candidate.commit, "candidate", group.values, group.diverged)
    paired = options.test == PAIRED and not (base.side.diverged or after.diverged)
    today = again.today if again else None
    try:
        return compare_new_examples.new_examples(root, (base.side, after), version, today, paired=paired), ""
    except AssayError as error:
        return None, error.sentence


def target(start: Path, named: Sequence[str], options: Options, goal: float) -> Reached:
    """The target rule on one side."""
    if len(named) != 1:
        raise UsageError(f"{len(named)} sides are named", allowed="one, with --target VALUE")
    root = sides.home(start)
    source = sides.find(root, named[0])
    if sides.overlap(source) is not None:
        raise UsageError(
            f"replicates of {source.name} have splits of their own, and the target rule takes runs for independent",
            hint=f"assay compare --fixed {goal:g} {source.name}",
        )
    again = scores.rescoring(root) if options.rescore else None
    metric = sides.column(source, options.column)
    direction = compare_baseline.direction_of(source.name, sides.recorded(source, metric), options)
    group, edited = scores.group(source, metric, direction, "candidate", again, finished_only=options.finished_only)
    found = target_value_test.reaches(group.values, goal, group.ruler.direction, diverged=group.diverged)
    found = replace(found, warnings=(*found.warnings, *edited, *_left_out([source])))
    return Reached(found, metric or "value", group.ruler.direction, {source.name: scores.origin(source, again)})
