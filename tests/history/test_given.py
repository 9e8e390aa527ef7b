"""Verdicts that were given: read once a commit, believed from no clone, the same by the short way and the long one."""

from __future__ import annotations

import shutil

import pytest
from gitproject import Project

from assay.lineage import given as module
from assay.lineage.given import given
from assay.lineage.objects import Object

HEADER = "arm,strategy,identity,replicate,seed,status,metric_version,accuracy\n"


def table(identity: str, n: int = 2, baseline: str = "strategy/adam") -> str:
    rows = [f"candidate,candidate,{identity},{k},{k},ok,accuracy-1.5f3c9a2e,0.9{k}" for k in range(n)]
    rows += [f"baseline,{baseline},b,{k},{k + 9},ok,accuracy-1.5f3c9a2e,0.8{k}" for k in range(n)]
    return HEADER + "\n".join([*rows, "floor,majority,,,,ok,accuracy-1.5f3c9a2e,0.1"]) + "\n"


def test_a_second_look_reads_no_table(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        project.experiment(f"e{number}", {"results/replicates.csv": table(f"i{number}")})
    project.experiment("none", {"results/replicates.csv": "a\n"})
    found = given(project.path)
    assert sorted(one.strategy for one in found) == ["i0", "i1", "i2"]
    assert {one[1:] for one in found} == {("strategy/adam", "accuracy-1.5f3c9a2e", 2)}
    project.experiment("later", {"results/replicates.csv": table("later", baseline="floor")})
    asked: list[Object] = []
    real = module._read
    monkeypatch.setattr(module, "_read", lambda item: asked.append(item) or real(item))
    assert len(given(project.path)) == 4 and len(asked) == 1
    assert given(project.path) == given(project.path) and len(asked) == 1
    shutil.rmtree(project.path / ".git/assay")
    assert len(given(project.path)) == 4, "a memory that may be deleted at any moment"
    (memory,) = (project.path / ".git/assay").iterdir()
    for damage in ("{", "[" * 100_000, '{"a": 1}'):
        memory.write_text(damage)
        assert len(given(project.path)) == 4


def test_the_short_way_is_the_long_one() -> None:
    for content in (table("a"), table("a").replace("\n", "\r\n"), table('"a,b"'), HEADER, "", "arm\n", table("é")):
        item = Object("0", "blob", content.encode())
        short = module._read(item)
        long = module._read(item._replace(content=content.encode() + b'"",,,,,,,\n')) if short else None
        assert (short is None) == (long is None) or content.count('"')
        if short and long:
            assert short == long
