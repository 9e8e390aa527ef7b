"""`assay compare`: a verdict on two sides, each a file, a Git revision or an experiment. Reads and never writes.

Covers: which baseline is meant, whether the sides may be compared, the target rule. Not covered: text
(`report.comparison_text`), finding the sides (`commands.compare_sides`), new examples
(`commands.compare_generalization`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from shlex import quote

from assay.commands import compare_direction, compare_find_recorded_look, compare_generalization
from assay.commands import compare_score_source as scores
from assay.commands import compare_sides as sides
from assay.commands.compare_find_recorded_look import NOT_ON, Accounted
from assay.commands.compare_generalization import Side
from assay.commands.compare_metric_options import MetricRow
from assay.commands.compare_score_source import Rescoring
from assay.commands.compare_sides import SideSource
from assay.core.errors import AssayError, UsageError
from assay.stats import arm_comparison as judge
from assay.stats import cautions, strategy_replicates, target_value_test, verdict_rule
from assay.stats.arm_comparison import Comparison
from assay.stats.strategy_replicates import DifferingRulers, ReplicateGroup
from assay.stats.target_value_test import Target
from assay.stats.variance_components import NewExamples

#: where neither a look nor a user says one
ALPHA = 0.05
AGAIN = "the same command with --rescore, which scores both under the packages of today"
SAME = "both sides are the same strategy, and a difference between them is luck"


@dataclass(frozen=True)
class Options:
    """What a user may say. "" and None mean: as recorded, else the default."""

    column: str = ""
    direction: str = ""
    test: str = "welch"
    alpha: float | None = None
    min_effect: float | None = None
    worst: float | None = None
    fixed: float | None = None
    finished_only: bool = False  # leave out what still runs
    rescore: bool = False


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


@dataclass(frozen=True)
class _Base:
    """What the candidate is compared with. `side` is where its predictions are, None where it has none."""

    name: str
    numbers: ReplicateGroup | float
    side: Side | None
    identity: str = ""  # of the strategy, where a record says it
    mend: str = "dvc exp run"  # the command after which both sides have one ruler
    executions: Sequence[str] = ()  # how its replicates were made, where a record says it
    edited: Sequence[str] = ()  # cautions where its record says other numbers than its predictions score
    told_apart: bool = False  # its replicates are known to differ


def compare(start: Path, named: Sequence[str], options: Options) -> Compared:
    """Compare [BASE] CAND. Raises UsageError, and DifferingRulers where the sides may not be subtracted."""
    if len(named) > 2 or not named or (len(named) == 2 and options.fixed is not None):
        raise UsageError(f"{len(named)} sides are named", allowed="[BASE] CAND, or --fixed VALUE CAND")
    root = sides.home(start)
    found = [sides.find(root, name) for name in named]
    candidate = found[-1]
    metric = sides.column(candidate, options.column)
    recorded = sides.recorded(candidate, metric)
    guess = "" if recorded.direction or options.direction else compare_direction.guess(metric)
    direction = _direction(candidate.name, recorded, options, guess)
    again = scores.rescoring(root) if options.rescore else None
    group, edited = _group(candidate, metric, direction, "candidate", again, options)
    used = [candidate]
    own = options.fixed is None and (len(named) == 1 or _measured_against(candidate, found[0]))
    if len(named) == 2 and not own:
        base = _named_base(found[0], candidate, options, group.ruler.direction, again)
        used = found
    else:
        base = _own_base(candidate, metric, group.ruler.direction, options, again)
    origins = {one.name: scores.origin(one, again) for one in used}
    same = bool(base.identity) and base.identity == sides.identity(candidate, "candidate")
    look = _accounted(root, candidate, metric, options, own, same)
    terms = sides.baseline_terms(root, candidate, None if own or len(named) == 1 else found[0], metric) or recorded
    told = replace(_completed(options, candidate, terms, metric, again), alpha=look.level)
    result = _judge(base, group, told, candidate, SAME if same else look.hold)
    told_direction = [compare_direction.guessed(metric, direction)] if guess else []
    doubts = (*_mixed(base, candidate), *base.edited, *edited, *_left_out(found), *told_direction)
    result = replace(result, warnings=(*result.warnings, *doubts))
    if same:  # a strategy is no worse than itself, and no number of runs would find a difference
        result = replace(result, no_regression=True, n_needed=None)
    version = group.ruler.metric_version
    examples, why = None, ""
    if base.side and candidate.commit and candidate.is_record and version == _decided(candidate):
        after = Side(candidate.name, candidate.commit, "candidate", group.values, group.diverged)
        examples, why = _new_examples(root, (base.side, after), version, options, again)
    return Compared(
        result=result,
        metric=metric or "value",
        baseline=base.name,
        candidate=candidate.name,
        metric_version=version,
        comparisons=look.others,
        examples=examples,
        no_examples=why,
        origins=origins,
        off_account=look.off,
    )


def _group(
    source: SideSource, metric: str, direction: str, arm: str, again: Rescoring | None, options: Options
) -> tuple[ReplicateGroup, Sequence[str]]:
    """One side, scored again where that is asked and it is a record; then with a caution where the record says else."""
    recorded = sides.group(source, metric, direction, arm, finished_only=options.finished_only)
    if again is None or scores.origin(source, again) != scores.RESCORED:
        return recorded, ()
    computed = again.group(source, metric, arm, recorded.ruler.metric_version)
    return computed, scores.edited(f"{source.name}, {arm}", recorded.values, computed.values)


def _completed(
    options: Options, candidate: SideSource, recorded: MetricRow, metric: str, again: Rescoring | None
) -> Options:
    """With what the candidate's record, or today's ruler, says of its metric, where the user says nothing."""
    smallest, worst = recorded.min_effect, recorded.worst
    if again and scores.origin(candidate, again) == scores.RESCORED:
        ruler = again.metric(candidate, metric)
        smallest, worst = ruler.min_effect, ruler.worst
    smallest = smallest if options.min_effect is None else options.min_effect
    return replace(options, min_effect=smallest, worst=worst if options.worst is None else options.worst)


def _mixed(base: _Base, candidate: SideSource) -> list[str]:
    """Cautions about a side whose replicates were made in different ways. That the sides differ in it is none."""
    made = {"baseline": base.executions, "candidate": sides.executions(candidate, "candidate")}
    return [line for arm, ways in made.items() for line in cautions.made_differently(arm, ways)]


def _left_out(found: Sequence[SideSource]) -> list[str]:
    """Cautions about runs that had not ended, and count for nothing."""
    running = {source.name: sides.still_running(source) for source in found}
    return [f"{count} of {name} still running, and left out" for name, count in running.items() if count]


def _new_examples(
    root: Path, both: tuple[Side, Side], version: str, options: Options, again: Rescoring | None
) -> tuple[NewExamples | None, str]:
    """The interval for new examples, or why there is none. It stands beside the verdict, which never waits for it."""
    paired = options.test == "paired" and not any(side.diverged for side in both)
    try:
        return compare_generalization.new_examples(
            root, both, version, again.today if again else None, paired=paired
        ), ""
    except AssayError as error:
        return None, error.sentence


def target(start: Path, named: Sequence[str], options: Options, goal: float) -> Reached:
    """The target rule on one side."""
    if len(named) != 1:
        raise UsageError(f"{len(named)} sides are named", allowed="one, with --target VALUE")
    root = sides.home(start)
    source = sides.find(root, named[0])
    again = scores.rescoring(root) if options.rescore else None
    metric = sides.column(source, options.column)
    direction = _direction(source.name, sides.recorded(source, metric), options)
    group, edited = _group(source, metric, direction, "candidate", again, options)
    found = target_value_test.reaches(group.values, goal, group.ruler.direction, diverged=group.diverged)
    found = replace(found, warnings=(*found.warnings, *edited, *_left_out([source])))
    return Reached(found, metric or "value", group.ruler.direction, {source.name: scores.origin(source, again)})


def _direction(name: str, recorded: MetricRow, options: Options, default: str = "") -> str:
    said = recorded.direction
    if said and options.direction and said != options.direction:
        raise UsageError(f"--direction is {options.direction}, but {name} records {said}", allowed=said)
    if not (said or options.direction or default):
        raise UsageError(
            f"{name} does not say whether more is better", mend="--direction maximize or --direction minimize"
        )
    return said or options.direction or default


def _named_base(
    other: SideSource, candidate: SideSource, options: Options, direction: str, again: Rescoring | None
) -> _Base:
    """The candidate arm of another record, or the numbers of a file."""
    column = sides.column(other, options.column)
    recorded = sides.recorded(other, column)
    direction = _direction(other.name, recorded, options, direction)
    group, edited = _group(other, column, direction, "candidate", again, options)
    side = _side(other, other.name, "candidate", group.values, group.diverged) if other.is_record else None
    identity, made = sides.identity(other, "candidate"), sides.executions(other, "candidate")
    return _Base(other.name, group, side, identity, _mend(other, candidate), made, edited, other.told_apart)


def _own_base(source: SideSource, metric: str, direction: str, options: Options, again: Rescoring | None) -> _Base:
    """What the candidate's own record was measured against: its baseline arm, else its best floor."""
    if options.fixed is not None:
        return _Base("fixed value", options.fixed, None)
    if not source.is_record:
        raise UsageError(f"{source.name} names no baseline", allowed="[BASE] CAND, or --fixed VALUE CAND")
    if "baseline" in source.table["arm"]:
        group, edited = _group(source, metric, direction, "baseline", again, options)
        side = _side(source, group.name, "baseline", group.values, group.diverged)
        identity, made = sides.identity(source, "baseline"), sides.executions(source, "baseline")
        told_apart = source.told_apart
        return _Base(group.name, group, side, identity, executions=made, edited=edited, told_apart=told_apart)
    floor = _best_floor(source, metric, direction, again)
    if floor is None:
        raise UsageError(
            f"{source.name} records neither a baseline nor a floor", mend="name one: assay compare BASE CAND"
        )
    name, value = floor
    return _Base(
        f"floor {name}", value, None if name == scores.HUMAN else _side(source, f"floor {name}", name, [value])
    )


def _best_floor(source: SideSource, metric: str, direction: str, again: Rescoring | None) -> tuple[str, float] | None:
    """Name and value of the best floor, scored again where that is asked."""
    if again is None or scores.origin(source, again) != scores.RESCORED:
        return sides.best_floor(source, metric, direction)
    found = again.floors(source, metric)
    best = verdict_rule.best(found, direction) if found else ""
    return (best, found[best]) if found else None


def _side(source: SideSource, name: str, arm: str, values: Sequence[float], diverged: int = 0) -> Side | None:
    return Side(name, source.commit, arm, values, diverged) if source.commit else None


def _measured_against(candidate: SideSource, base: SideSource) -> bool:
    """BASE is the strategy that the candidate's record measured anew: with seeds of its own, under the same ruler."""
    return bool(base.commit and candidate.is_record and _recorded_baseline(candidate) in (base.name, base.commit))


def _decided(source: SideSource) -> str:
    """Version of the metric that the record's own verdict was given under, "" for a file."""
    return source.table["metric_version"][0] if source.is_record else ""


def _accounted(root: Path, candidate: SideSource, metric: str, options: Options, own: bool, same: bool) -> Accounted:
    """The look behind this comparison. Files are judged as given; a strategy and itself need no look."""
    alpha = ALPHA if options.alpha is None else options.alpha
    if not (candidate.commit and candidate.is_record):
        return Accounted(alpha)
    asked = (metric, options.test, options.alpha)
    found = compare_find_recorded_look.find(root, candidate.table, candidate.digest, asked, alpha)
    if own or same:
        return replace(found, off="") if same else found
    return Accounted(alpha, off=f"{NOT_ON}: no run measured these two against each other", others=found.others)


def _recorded_baseline(source: SideSource) -> str:
    """The strategy that the record was measured against; "floor" without one."""
    rows = [row for row, arm in enumerate(source.table["arm"]) if arm == "baseline"]
    return source.table["strategy"][rows[0]] if rows else "floor"


def _judge(base: _Base, candidate: ReplicateGroup, options: Options, source: SideSource, hold: str) -> Comparison:
    """`source`: where the candidate's numbers are from."""
    test, values, baseline = options.test, candidate.values, base.numbers
    first: float | list[float] = baseline if isinstance(baseline, float) else baseline.values
    diverged = baseline.diverged if isinstance(baseline, ReplicateGroup) else 0, candidate.diverged
    missing = ""
    placed = test == "paired" and options.worst is not None  # diverged ones are in their places already
    if isinstance(baseline, ReplicateGroup):
        if fields := baseline.ruler.differing(candidate.ruler):
            mend = AGAIN if set(fields) == {strategy_replicates.PACKAGES} else base.mend
            raise DifferingRulers(f"{baseline.name} and {candidate.name}", fields, mend)
        if test == "paired":
            first, values = strategy_replicates.matched(baseline, candidate, options.worst)
        elif source.commit or not (missing := strategy_replicates.missing_pairs(baseline, candidate)):
            strategy_replicates.check_independent(baseline, candidate)
    lists = [values, *([first] if isinstance(first, list) else [])]
    found = judge.compare(
        first,
        values,
        candidate.ruler.direction,
        alpha=options.alpha or ALPHA,
        min_effect=options.min_effect or 0.0,
        test=test,
        diverged_baseline=0 if placed else diverged[0],
        diverged_candidate=0 if placed else diverged[1],
        worst=options.worst,
        hold=hold,
        fixed=source.fixed and any(len(set(each)) == 1 for each in lists),
        distinct=source.told_apart and (base.told_apart or isinstance(first, float)),
    )
    if isinstance(baseline, ReplicateGroup) and test != "paired" and missing:
        found = replace(found, warnings=(*found.warnings, missing))
    return judge.entered(found, diverged) if placed else found


def _mend(baseline: SideSource, candidate: SideSource) -> str:
    """The command after which both sides have one ruler."""
    if not candidate.commit:
        return f"write both files with the same tool and ruler, or give {candidate.name} the same columns"
    name = quote(candidate.name)
    take = f"dvc exp apply {name}" if candidate.experiment else f"git switch --detach {name}"
    if not baseline.commit:
        return f"compare {candidate.name} with a revision: assay compare {name}"
    return f"{take} && dvc exp run -S baseline={baseline.commit}"
