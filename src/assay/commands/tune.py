"""`assay tune`: a candidate at its best value of a nuisance parameter, against the baseline at every value.

The candidate's value is chosen on search seeds and judged on fresh ones. Every cell is an experiment that grows, so the
same command goes on where it was stopped, and the baseline's grid is measured once. Not covered: the cells
(`commands.tune_setup`), the statistics (`stats.equal_tuning`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from assay.commands import experiment_grid, grid_looks, measured_before, scratch_experiment, tune_setup
from assay.commands.experiment_grid import Cell
from assay.commands.try_setup import value_of
from assay.commands.tune_setup import Setting, TuningSetup
from assay.core.errors import IncomparableError, UsageError
from assay.core.metric_version import metric_name
from assay.history import look_ledger, replicates_csv
from assay.history.replicates_csv import Row
from assay.runtime import project_root
from assay.runtime.progress_line import duration
from assay.stats import equal_tuning, sequential_testing
from assay.stats.alpha_budget import names
from assay.stats.compare_arms import MeasuredArm
from assay.stats.equal_tuning import ROUNDS, TuningVerdict

#: how the ledger calls it: command, account, test
CALLED = ("tune", "tuning", "tuned")
AS_ACCEPTED = "as accepted"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Tuned:
    """What came out. `search`: value → mean and number of search seeds; `best`: the baseline's best value.

    `edges`: for candidate and baseline, the best value where it is the lowest or the highest of the grid.
    """

    experiment: str
    who: str
    baseline: str
    metric: str
    metric_version: str
    direction: str
    chosen: str
    best: str
    search: dict[str, tuple[float | None, int]]
    verdict: TuningVerdict
    n: int
    level: float
    edges: dict[str, str]
    failed: dict[str, str]


def tune(
    start: Path,
    grid: Sequence[str],
    candidate: str | None,
    say: Say,
    name: str,
    replicates: int | None = None,
    dry_run: bool = False,
) -> Tuned | None:
    """Tune `candidate` (an experiment, branch or commit; None: the work tree) over `grid`, as the baseline is tuned.

    `replicates`: fresh ones an arm; default: those of params.yaml, or as many as `stats.equal_tuning` asks for. With
    `dry_run` only the price is said. Raises what `tune_setup.setup` does, IncomparableError where the arms are under
    different metric versions.
    """
    made = tune_setup.setup(project_root.find(start), grid, candidate, name)
    level = sequential_testing.budget(made.asked.judge.alpha, 0)  # of a first look
    n = replicates or equal_tuning.replicates(len(made.grid), level, made.asked.replicates)
    for line in _price(made, n):
        say(line)
    try:
        return None if dry_run else _tuned(made, n, say)
    except KeyboardInterrupt:
        say("stopped: what was trained is kept, and the same command goes on")
        raise


def _price(made: TuningSetup, n: int) -> list[str]:
    """Trainings and seconds, before anything trains."""
    values = ", ".join(" ".join(one) for one in made.grid)
    first = f"tuning {made.who} against {made.baseline.name} at {values}; {n} fresh replicates an arm"
    search = _missing(made, made.search.values(), ROUNDS[0])
    against = _missing(made, made.against.values(), n)
    fresh = 0 if any(_at_hand(made, one) >= n for one in made.fresh.values()) else n
    most = sum(max(0, ROUNDS[-1] - max(ROUNDS[0], _at_hand(made, one))) for one in made.search.values())
    known = measured_before.find(made.layout, [], made.asked, made.baseline.commit)
    whole = search + against + fresh
    parts = f"{search} to search, {fresh} to judge, {against} of the baseline's grid"
    line = f"price: {whole} trainings ({parts}), up to {most} more where values are close"
    plain = 2 * n
    line += f"; {whole / plain:.1f} times a comparison without tuning"
    if known.seconds is not None:
        seconds = f"{duration(whole * known.seconds)} to {duration((whole + most) * known.seconds)}"
        line += f"; measured at {known.seconds:.2g} s each: {seconds}"
    starts = sum(_at_hand(made, one) < ROUNDS[0] for one in made.search.values())
    starts += sum(_at_hand(made, one) < n for one in made.against.values()) + bool(fresh)
    line += f", and {starts} starts of DVC or more" if starts else ""
    itself = f"caution: {made.who} is {made.baseline.name} itself but for the grid: what differs is luck"
    return [first, line, *([itself] if made.itself else [])]


def _at_hand(made: TuningSetup, one: Cell) -> int:
    return scratch_experiment.replicates_at_hand(made.layout, one)


def _missing(made: TuningSetup, cells: Iterable[Cell], n: int) -> int:
    return sum(max(0, n - _at_hand(made, one)) for one in cells)


def _tuned(made: TuningSetup, n: int, say: Say) -> Tuned:
    scratch_experiment.tidy(made.layout)
    search, failed = _searched(made, say)
    values = {setting: _arm(rows, "candidate") for setting, rows in search.items()}
    terms = next(iter(search.values()))[0]
    direction, worst = terms["direction"], replicates_csv.worst(terms)
    final = max(len(arm.replicates) for arm in values.values())
    last = {" ".join(one): arm for one, arm in values.items() if len(arm.replicates) == final}
    best = equal_tuning.chosen(last, direction, worst)
    chosen = next(one for one in made.grid if " ".join(one) == best)
    say(f"chosen on search seeds: {best}")
    again = _seen_before(made, made.fresh[chosen])
    rows = scratch_experiment.grown(made.layout, made.fresh[chosen], n, say)
    if rows[0]["identity"] in again:
        say("caution: an earlier look at this idea saw these seeds; assay accept confirms it on others")
    against = dict(zip(made.grid, _all(made, [made.against[one] for one in made.grid], n, say), strict=True))
    problems = {one: error for one, error in against.items() if isinstance(error, UsageError)}
    if len(problems) == len(against):
        raise next(iter(problems.values()))
    failed |= {f"baseline at {' '.join(one)}": error.sentence for one, error in problems.items()}
    ran = {one: found for one, found in against.items() if not isinstance(found, UsageError)}
    return _verdict(made, chosen, rows, ran, (search, failed, n))


def _seen_before(made: TuningSetup, one: Cell) -> frozenset[str]:
    """Strategies that somebody looked at against this baseline, unless it was this command that did."""
    if _at_hand(made, one):
        return frozenset()
    looks = look_ledger.read(made.layout.root).looks
    return frozenset(name for look in looks if look.baseline == made.baseline.commit for name in names(look))


def _verdict(
    made: TuningSetup,
    chosen: Setting,
    rows: list[Row],
    against: Mapping[Setting, list[Row]],
    found: tuple[Mapping[Setting, list[Row]], dict[str, str], int],
) -> Tuned:
    search, failed, n = found
    version = _version([rows, *against.values()])
    metric, terms = metric_name(version), rows[0]
    cells = {("candidate", *chosen): rows, **{("baseline", *one): each for one, each in against.items()}}
    candidates = {key: [row for row in each if row["arm"] == "candidate"] for key, each in cells.items()}
    price = grid_looks.design(made.layout.root, candidates, made.asked, CALLED, made.baseline.commit)
    if price.hold:
        raise IncomparableError(f"nothing can be shown: {price.hold}", allowed="another baseline", hint="assay log")
    rivals = {" ".join(one): _arm(each, "candidate") for one, each in against.items()}
    if made.own is None:
        rivals[AS_ACCEPTED] = _arm(rows, "baseline")
    direction, worst = terms["direction"], replicates_csv.worst(terms)
    test = made.asked.judge.test
    verdict = equal_tuning.judged(
        _arm(rows, "candidate"),
        rivals,
        direction,
        test="welch" if test == "anytime" else test,
        level=price.level or made.asked.judge.alpha,
        min_effect=float(terms["min_effect"]),
        worst=worst,
        distinct=replicates_csv.SAME_AS in terms,
    )
    best = verdict.best(direction)
    return Tuned(
        experiment=made.fresh[chosen].name,
        who=made.who,
        baseline=made.baseline.name,
        metric=metric,
        metric_version=version,
        direction=direction,
        chosen=" ".join(chosen),
        best=best,
        search={" ".join(one): _standing(each, worst) for one, each in search.items()},
        verdict=verdict,
        n=n,
        level=price.level or made.asked.judge.alpha,
        edges=_edges(made.grid, {made.who: " ".join(chosen), made.baseline.name: best}),
        failed=failed,
    )


def _standing(rows: Sequence[Row], worst: float | None) -> tuple[float | None, int]:
    arm = _arm(rows, "candidate")
    return equal_tuning.standing(arm, worst), len(arm.replicates)


def _searched(made: TuningSetup, say: Say) -> tuple[dict[Setting, list[Row]], dict[str, str]]:
    """Rows of every value on search seeds, more of them for contenders; and what did not run."""
    left, search, failed = list(made.grid), dict[Setting, list[Row]](), dict[str, str]()
    for n in ROUNDS:
        found = dict(zip(left, _all(made, [made.search[key] for key in left], n, say), strict=True))
        problems = {one: error for one, error in found.items() if isinstance(error, UsageError)}
        if len(problems) == len(found):
            raise next(iter(problems.values()))
        failed |= {" ".join(one): error.sentence for one, error in problems.items()}
        search |= {one: rows for one, rows in found.items() if not isinstance(rows, UsageError)}
        ran = [one for one in left if one not in problems]
        terms = search[ran[0]][0]
        worst = replicates_csv.worst(terms)
        arms = {" ".join(one): _arm(search[one], "candidate") for one in ran}
        close = equal_tuning.contenders(arms, terms["direction"], worst, n)
        if not close:
            raise UsageError(
                f"{made.who} diverged on some seed at every value",
                allowed="values that train",
                hint="assay rates says which learning rates do",
            )
        left = [one for one in ran if " ".join(one) in close]
        if len(left) == 1:
            break
    return search, failed


def _all(made: TuningSetup, cells: Sequence[Cell], n: int, say: Say) -> list[list[Row] | UsageError]:
    """Rows of each cell at n replicates; what does not run leaves its error."""

    def tried(one: Cell) -> list[Row] | UsageError:
        try:
            return scratch_experiment.grown(made.layout, one, n, say)
        except UsageError as error:
            return error

    with ThreadPoolExecutor(experiment_grid.room(made.layout)) as pool:
        return list(pool.map(tried, cells))


def _arm(rows: Sequence[Row], arm: str) -> MeasuredArm:
    return replicates_csv.arm(rows, arm, metric_name(rows[0]["metric_version"]))


def _version(found: Sequence[Sequence[Row]]) -> str:
    """The metric version of both arms."""
    versions = sorted({row["metric_version"] for rows in found for row in rows})
    if len(versions) > 1:
        raise IncomparableError(
            f"candidate and baseline's tree have the metric versions {' and '.join(versions)}",
            allowed="one metric in both trees",
            hint="accept the changed metric by itself, then tune",
        )
    return versions[0]


def _edges(grid: Sequence[Setting], best: Mapping[str, str]) -> dict[str, str]:
    """Whose best value is the first or last of a grid over one parameter."""
    if any(len(one) != 1 for one in grid) or len(grid) < 3:
        return {}
    numbers = {one[0]: value_of(one[0])[1] for one in grid}
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in numbers.values()):
        return {}
    ordered = sorted(numbers, key=lambda one: float(numbers[one]))  # type: ignore[arg-type]
    return {who: value for who, value in best.items() if value in (ordered[0], ordered[-1])}
