"""The account of an idea against a baseline: every look at it is paid for out of one alpha.

Covers: when two looks are one, what a look costs, what is left, when a new account begins. All of it are pure
functions over a list of looks, in any order, so that simulations run the very rule that decides. Not covered: where
looks are kept (`history.look_ledger`), levels of looks at growing seeds of one draw (`stats.sequential_testing`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
from msgspec import UNSET, UnsetType

from assay.core.schemas import Record
from assay.stats import sequential_testing
from assay.stats.sequential_testing import Earlier

#: Of what is left, the share that a further look takes: the second one decides more often than all after it.
SHARE = 1 - sequential_testing.KEPT
#: The test that holds its level over any number of looks at growing seeds.
ANYTIME = "anytime"
#: What is left of alpha counts as nothing below this share of it: rounding leaves some.
NOTHING = 1e-9


class LookKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What makes two looks the same look. A draw is named by the seed of its first replicate."""

    candidate: int  # the candidate's draw
    against: int | None  # the baseline's; None for a floor, which has none
    n: int  # replicates an arm
    test: str
    alpha: float
    plan: tuple[int, ...] = ()  # declared looks
    metric: str  # name and options, whatever its version


class LookEntry(Record, frozen=True, kw_only=True, tag_field="kind", tag="look"):
    """A look that was taken, and its price. `level` is what p was held against, `spends` what that took of alpha."""

    identity: str  # of the candidate's strategy
    formerly: tuple[str, ...] = ()  # what the same strategy was called by other ways of writing identities
    baseline: str  # commit, or `floor`
    epoch: str = ""  # the environment whose draw of the baseline opened this account, "" for the first one
    environment: str = ""
    place: int | None = None  # number of the baseline's first replicate, None where it has no draw of its own
    key: LookKey
    level: float
    spends: float
    budget: float = 0.0  # of the whole declared plan
    # by which terms it was judged; against a floor alone, and left out in entries of before they were recorded
    direction: str | UnsetType = UNSET
    min_effect: float | UnsetType = UNSET
    worst: float | UnsetType | None = UNSET


def metric_label(name: str, options: Mapping[str, object]) -> str:
    """A metric as a look names it: whatever its version, but with its options."""
    return f"{name} {', '.join(f'{key}={options[key]}' for key in sorted(options))}".rstrip()


def labels(label: str, metric: str) -> bool:
    """Whether `label` is the metric called so, with whatever options. A name may hold spaces, an option has a `=`."""
    rest = label.removeprefix(metric)
    return label.startswith(metric) and (not rest or (rest[0] == " " and "=" in rest.split()[0]))


@dataclass(frozen=True)
class Price:
    """What a look costs. `hold`: why no verdict may be read; "" where it may. `known`: it was taken before."""

    level: float
    spends: float
    budget: float = 0.0
    hold: str = ""
    number: int = 0  # of this look among those of its account, or of its plan
    known: bool = False


def names(entry: LookEntry) -> frozenset[str]:
    """All that the strategy is or was called."""
    return frozenset([entry.identity, *entry.formerly])


def take(entries: Iterable[LookEntry], asked: LookEntry) -> tuple[LookEntry, Price]:
    """`asked` as a look of its account, after all looks in `entries`; its price and epoch are put in here."""
    against = [one for one in entries if one.baseline == asked.baseline]
    own = [one for one in against if not names(one).isdisjoint(names(asked))]
    began = epoch(against, own, asked)
    found = price([one for one in own if one.epoch == began], asked.key)
    found = replace(found, level=_rounded(found.level), spends=_rounded(found.spends), budget=_rounded(found.budget))
    entry = msgspec.structs.replace(asked, epoch=began, level=found.level, spends=found.spends, budget=found.budget)
    return entry, found


def _rounded(value: float) -> float:
    """Ten figures: 0.04 and not 0.04000000000000001, for whoever reads the ledger."""
    return float(f"{value:.10g}")


def epoch(against: Sequence[LookEntry], own: Sequence[LookEntry], asked: LookEntry) -> str:
    """Which accounts a look goes on with. `against`: all looks at this baseline, `own`: those at this strategy.

    A draw of the baseline that was made in an environment which this baseline never had starts all accounts anew, once.
    """
    same = {one.epoch for one in own if one.key == asked.key}
    here = {one.epoch for one in against if one.environment == asked.environment}
    drawn = {one.epoch for one in against if one.place == asked.place}
    if known := same or here or drawn:
        return min(known)
    return asked.environment if against and asked.place is not None else ""


def spent(looks: Iterable[LookEntry]) -> float:
    """What all looks of one account took. One that two clones took apart counts once, at the higher price."""
    dearest: dict[LookKey, float] = {}
    for one in looks:
        dearest[one.key] = max(one.spends, dearest.get(one.key, 0.0))
    return sum(dearest.values())


def price(looks: Sequence[LookEntry], key: LookKey) -> Price:
    """What the look `key` costs after the `looks` of its account; one that was taken keeps what it was given."""
    taken = [one for one in looks if one.key == key]
    if taken:
        first = max(taken, key=lambda one: one.level)
        hold = _unplanned(key) or ("" if first.level else _nothing_left(key))
        return Price(first.level, first.spends, first.budget, hold, known=True)
    if hold := _unplanned(key):
        return Price(0.0, 0.0, hold=hold)
    if key.n < 2:  # no test can say anything: it costs nothing
        return Price(_first(key.alpha), 0.0)
    left = key.alpha - spent(looks)
    if key.test == ANYTIME:
        return _anytime(looks, key, left)
    return _planned(looks, key, left) if key.plan else _undeclared(looks, key, left)


def last_level(entries: Iterable[LookEntry], taken: LookEntry) -> float:
    """The level that the last look of the plan of `taken` will have, if nothing else is looked at until then."""
    own = [
        one
        for one in entries
        if (one.baseline, one.epoch) == (taken.baseline, taken.epoch) and not names(one).isdisjoint(names(taken))
    ]
    return price([*own, taken], msgspec.structs.replace(taken.key, n=taken.key.plan[-1])).level


def _unplanned(key: LookKey) -> str:
    sequential_testing.check(key.plan)
    if not key.plan or key.n in key.plan:
        return ""
    return f"n={key.n} is not among the declared looks {', '.join(map(str, key.plan))}"


def _nothing_left(key: LookKey) -> str:
    return f"earlier looks at this idea against this baseline have spent all of alpha={key.alpha:g}"


def _further(key: LookKey, left: float, budget: float = 0.0) -> Price:
    """A further look takes its share of what is left."""
    if left <= NOTHING * key.alpha:
        return Price(0.0, 0.0, budget, _nothing_left(key))
    return Price(SHARE * left, SHARE * left, budget)


def _anytime(looks: Sequence[LookEntry], key: LookKey, left: float) -> Price:
    """All looks of one draw together err what the first of them took: the test is made to be read after every seed."""
    same = [one for one in looks if _draw(one.key) == _draw(key) and one.spends]
    if same:
        return Price(same[0].level, 0.0, number=1 + len(same))
    return _further(key, left) if any(one.spends for one in looks) else Price(left, left, number=1)


def _planned(looks: Sequence[LookEntry], key: LookKey, left: float) -> Price:
    """A look of a declared plan: of a budget that its first look fixed, for as long as nothing else has spent that."""
    plan = [one for one in looks if _draw(one.key) == _draw(key)]
    whole = not any(one.spends for one in looks)
    budget = max((one.budget for one in plan), default=left if whole else SHARE * left)
    done = max((one.key.n for one in plan if one.spends), default=0)
    spends = budget * max(0, key.n - done) / key.plan[-1]
    if budget <= NOTHING * key.alpha or spends > left + NOTHING * key.alpha:
        return _further(key, left, budget)
    number = key.plan.index(key.n)
    return Price(sequential_testing.levels(budget, key.plan)[number], spends, budget, number=number + 1)


def _undeclared(looks: Sequence[LookEntry], key: LookKey, left: float) -> Price:
    """The first look takes four fifths. More seeds of one draw repeat what was seen, and have a level of their own."""
    paid = [one for one in looks if one.spends]
    if not paid:
        share = _first(left)
        return Price(share, share, number=1)
    found = _further(key, left)
    as_counted = math.isclose(sequential_testing.budget(key.alpha, len(paid)), found.spends, rel_tol=1e-6)
    if not found.hold and as_counted:  # not where plans, other alphas or another clone spent otherwise
        earlier = [Earlier(one.key.n, one.level, _draw(one.key) == _draw(key)) for one in paid]
        level = sequential_testing.next_level(key.alpha, key.n, earlier)
        return Price(max(level, found.level), found.spends, number=len(paid) + 1)
    return found


def _first(alpha: float) -> float:
    """What the first look without a plan may spend."""
    return (1 - sequential_testing.RESERVE) * alpha


def _draw(key: LookKey) -> LookKey:
    """The look without how many replicates it looked at."""
    return msgspec.structs.replace(key, n=0)
