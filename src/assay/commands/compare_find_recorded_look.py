"""Whether a comparison is a look that was recorded: then it is judged at the level that it was given, whoever reads it.

Covers: finding the look behind a record among those of the ledger. Not covered: taking one, which `evaluate` does:
`assay compare` writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from assay.commands.compare_options import ALPHA, Options
from assay.commands.compare_sides import SideSource
from assay.core.params_yaml import Judge
from assay.history import look_ledger, past_verdicts
from assay.history.look_ledger import Ledger
from assay.runtime.git_objects import refs
from assay.runtime.table_files import Table
from assay.stats import alpha_budget
from assay.stats.alpha_budget import LookEntry

NOT_ON = "not on the account"


@dataclass(frozen=True)
class Accounted:
    """`level`: what p is to be held against. `off`: why nobody recorded such a look, "" where somebody did.

    `others`: verdicts on other strategies against the same baseline.
    """

    level: float
    hold: str = ""
    off: str = ""
    others: int = 0


def look(root: Path, candidate: SideSource, metric: str, options: Options, *, own: bool, same: bool) -> Accounted:
    """The look behind a comparison. Files are judged as given; a strategy and itself need no look.

    `own`: the candidate is compared with what its record was measured against. `same`: with itself.
    """
    alpha = ALPHA if options.alpha is None else options.alpha
    if not (candidate.commit and candidate.is_record):
        return Accounted(alpha)
    asked = (metric, options.test, options.alpha)
    found = find(root, candidate.table, candidate.digest, asked, alpha)
    if own or same:
        return replace(found, off="") if same else found
    return Accounted(alpha, off=f"{NOT_ON}: no run measured these two against each other", others=found.others)


def find(root: Path, table: Table, digest: str, asked: tuple[str, str, float | None], alpha: float) -> Accounted:
    """The look behind a record's own comparison. `asked`: metric, test and the alpha that was said, None for none;
    `alpha` is what holds then."""
    metric, test, said = asked
    known = look_ledger.read(root)
    try:
        wanted = past_verdicts.recorded(table, Judge(test=test), metric, tags(root), digest)  # type: ignore[arg-type]
    except (KeyError, ValueError):
        return Accounted(alpha, off=f"{NOT_ON}: the record does not say which seeds it saw")
    found = [one for one in known.looks if _is(one, wanted, said)]
    others = look_ledger.others(known, wanted)
    if not found:
        return Accounted(alpha, off=_why(known, wanted), others=others)
    levels = sorted(one.level for one in found if one.level)
    hold = "" if levels else alpha_budget.price(found, found[0].key).hold
    return Accounted(levels[0] if levels else alpha, hold, others=others)


def _is(one: LookEntry, wanted: LookEntry, alpha: float | None) -> bool:
    """Whether `one` looked at the same sets under the same test and metric, of whatever plan."""
    first, second = one.key, wanted.key
    sets = (first.candidate, first.against, first.n, first.test) == (
        second.candidate,
        second.against,
        second.n,
        second.test,
    )
    asked = alpha_budget.labels(first.metric, second.metric) and alpha in (None, first.alpha)
    return (
        sets
        and asked
        and one.baseline == wanted.baseline
        and not alpha_budget.names(one).isdisjoint(alpha_budget.names(wanted))
    )


def _why(known: Ledger, wanted: LookEntry) -> str:
    own = [one for one in known.looks if not alpha_budget.names(one).isdisjoint(alpha_budget.names(wanted))]
    what = "these seeds, test or alpha" if own else "this strategy"
    return f"{NOT_ON}: no verdict on {what} is recorded against this baseline, so it costs nothing and gates nothing"


def tags(root: Path) -> Mapping[str, str]:
    """Tag → commit."""
    return {ref.name.removeprefix("refs/tags/"): ref.peeled for ref in refs(root, "refs/tags")}
