"""The looks behind a sweep or an ablation: each idea is looked at in its own account, and all of them as one family.

A cell's own `evaluate` has mostly recorded its look before, and Holm over the family holds p against no more than the
level of that: the same look read again. An ablation asks about changes instead of ideas, and has an account of its own.
Not covered: running cells (`commands.experiment_grid`), the statistics (`stats.multiple_comparisons`,
`stats.factorial_design`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from assay.commands.compare_find_recorded_look import tags
from assay.core.params_yaml import Params
from assay.history import look_ledger, past_verdicts
from assay.history.attempt_and_family_entries import FamilyEntry
from assay.history.replicates_csv import Row
from assay.runtime import files
from assay.stats.alpha_budget import LookEntry, LookKey, Price, metric_label


def ideas(
    home: Path, measured: Sequence[tuple[Sequence[Row], Params]], more: int, command: str = "sweep"
) -> list[Price]:
    """The price of each idea's look, recorded; then the family, with `more` members that have no look of their own."""
    known = tags(home)
    asked = [recorded(rows, settings, known) for rows, settings in measured]
    taken = [look_ledger.look(home, one)[:2] for one in asked]
    if asked:
        looks = [entry for entry, _ in taken]
        _family(home, command, looks[0], [one.identity for one in looks], len(asked) + more)
    return [price for _, price in taken]


def ablation(home: Path, cells: Mapping[tuple[str, ...], Sequence[Row]], params: Params) -> Price:
    """The price of the look at all effects of a factorial design, recorded."""
    return design(home, cells, params, ("ablate", "ablation", "factorial"))


def design(
    home: Path,
    cells: Mapping[tuple[str, ...], Sequence[Row]],
    params: Params,
    called: tuple[str, str, str],
    center: str = "",
) -> Price:
    """The price of the look at a whole design, recorded. Another draw of the same cells is another look.

    `called`: the command, what its account is called, its test. `center`: what the design is about; default: the cell
    without changes.
    """
    command, account, test = called
    identities = {changes: rows[0]["identity"] for changes, rows in cells.items()}
    first = next(iter(cells.values()))
    key = LookKey(
        candidate=int(first[0]["seed"]),
        against=None,
        n=len(first),
        test=test,
        alpha=params.judge.alpha,
        metric=metric_label(params.metric.name, params.metric.options),
    )
    asked = LookEntry(
        identity=files.digest("\n".join(sorted(identities.values())).encode()),
        baseline=f"{account} on {center or identities.get((), '')}",
        environment=first[0].get("environment", ""),
        key=key,
        level=0.0,
        spends=0.0,
    )
    entry, price, _ = look_ledger.look(home, asked)
    _family(home, command, entry, identities.values(), len(cells))
    return price


def recorded(rows: Sequence[Row], params: Params, known: Mapping[str, str]) -> LookEntry:
    """The look that rows of an experiment's table record, with no price; `known`: tag → commit."""
    table = {name: [row[name] for row in rows] for name in rows[0]}
    return past_verdicts.recorded(
        table, params.judge, metric_label(params.metric.name, params.metric.options), known, ""
    )


def _family(home: Path, command: str, look: LookEntry, members: Iterable[str], size: int) -> None:
    entry = FamilyEntry(
        command=command,
        baseline=look.baseline,
        metric=look.key.metric,
        members=tuple(sorted(set(members))),
        size=size,
        alpha=look.key.alpha,
    )
    look_ledger.add(home, lambda _: [entry])
