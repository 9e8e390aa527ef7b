"""Verdicts that were given: read until there is a ledger, and the same by the short way and the long one."""

from __future__ import annotations

import pytest
from gitproject import Project
from test_ledger import asked

from assay.core.params_yaml import Judge
from assay.history import look_ledger, past_verdicts
from assay.runtime.git_objects import Object

HEADER = "arm,strategy,identity,replicate,seed,status,metric_version,accuracy\n"
SETTINGS = (Judge(), "accuracy")


def table(identity: str, n: int = 2, baseline: str = "strategy/adam") -> str:
    rows = [f"candidate,candidate,{identity},{k},{k},ok,accuracy-1.5f3c9a2e,0.9{k}" for k in range(n)]
    rows += [f"baseline,{baseline},b,{k},{k + 9},ok,accuracy-1.5f3c9a2e,0.8{k}" for k in range(n)]
    return HEADER + "\n".join([*rows, "floor,majority,,,,ok,accuracy-1.5f3c9a2e,0.1"]) + "\n"


def test_once_there_is_a_ledger_no_table_is_read(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        project.experiment(f"e{number}", {"results/replicates.csv": table(f"i{number}")})
    project.experiment("none", {"results/replicates.csv": "a\n"})
    found = past_verdicts.looks(project.path)
    assert sorted(one.identity for one in found) == ["i0", "i1", "i2"]
    assert {(one.baseline, one.key.n) for one in found} == {("strategy/adam", 2)}
    look_ledger.look(project.path, asked())
    monkeypatch.delattr(past_verdicts, "looks")
    assert len(look_ledger.read(project.path).looks) == 4 and look_ledger.look(project.path, asked(2))[1].level == 0.009


def test_the_short_way_is_the_long_one() -> None:
    for content in (table("a"), table("a").replace("\n", "\r\n"), table('"a,b"'), HEADER, "", "arm\n", table("é")):
        item = Object("0", "blob", content.encode())
        short = past_verdicts._read(item, SETTINGS, {})
        long = (
            past_verdicts._read(item._replace(content=content.encode() + b'"",,,,,,,\n'), SETTINGS, {})
            if short
            else None
        )
        assert (short is None) == (long is None) or content.count('"')
        if short and long:
            assert short == long
