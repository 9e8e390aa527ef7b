"""Replicates that begin with the same weights differ less than trainings do; whoever judges them is told."""

from __future__ import annotations

import pytest
from miniature import DIGITS, Make

SAME_START = "replicates begin with the same weights"
SOURCE = DIGITS.read_text(encoding="utf-8")


def head(line: str) -> str:
    """The task of the digits with a first line in model()."""
    before, found, after = SOURCE.partition("def model(")
    signature, colon, body = after.partition(":\n")
    assert found
    return f"{before}{found}{signature}{colon}    {line}\n{body}"


@pytest.mark.parametrize("execution", ["sequential", "fused"])
def test_a_seed_that_model_sets_is_named_also_where_replicates_are_reused(make: Make, execution: str) -> None:
    toy = make(head("torch.manual_seed(42)"))
    first = toy.measure([0, 1, 2], execution=execution, cache=str(toy.root / "cache"))
    (note,) = first.texts("caution")
    assert note.startswith(SAME_START) and "torch.manual_seed" in note
    found = toy.predictions()
    assert (found[0] != found[1]).any()  # order and dropout still differ
    again = toy.measure([0, 1, 2], "again", execution=execution, cache=str(toy.root / "cache"))
    assert again.texts() == first.texts()


def test_a_start_without_chance_is_told_and_an_ordinary_one_is_not(make: Make) -> None:
    made = "made = nn.Sequential(nn.Flatten(), nn.Linear(64, outputs))"
    linear = head(f"{made}; [nn.init.zeros_(one) for one in made.parameters()]; return made")
    (note,) = make(linear).measure([0, 1]).texts("caution")
    assert note.startswith(SAME_START)
    assert "manual_seed" not in note
    assert make(linear).measure([0]).texts() == []  # nothing to compare it with
    plain = make()
    assert plain.measure([0, 1]).texts() == []
