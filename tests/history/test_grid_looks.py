"""Looks at whole designs: the family that the ledger keeps names every cell, so that the page of each finds it."""

from __future__ import annotations

import pytest
from gitproject import PARAMS

from assay.commands import grid_looks
from assay.core import params_yaml
from assay.history import look_ledger
from assay.history.attempt_and_family_entries import FamilyEntry

TUNED = ("tune", "tuning", "holm")


def cells(*identities):
    """Tables of the cells of a design, the one without changes first."""
    labels = [(), ("lr=0.01",), ("model.dropout=0.1",), ("lr=0.01", "model.dropout=0.1")]
    rows = [[{"identity": one, "seed": str(7 + n), "environment": "env"} for n in range(2)] for one in identities]
    return dict(zip(labels, rows, strict=True))


@pytest.mark.parametrize(
    ("command", "look"),
    [
        ("ablate", grid_looks.ablation),
        ("tune", lambda home, made, params: grid_looks.design(home, made, params, TUNED, "f" * 40)),
    ],
)
def test_the_cells_of_a_design_are_the_members_of_its_family(project, command, look):
    params = params_yaml.resolved(PARAMS.encode())
    price = look(project.path, cells("c", "a", "d", "a"), params)
    ledger = look_ledger.kept(project.path)
    (family,), (entry,) = ledger.all(FamilyEntry), ledger.looks
    assert (family.command, family.members, family.size) == (command, ("a", "c", "d"), 4), "each once"
    assert entry.identity not in family.members, "the look is at all of them, and is none of them"
    assert (family.baseline, family.alpha) == (entry.baseline, entry.key.alpha) and price.level == entry.level
