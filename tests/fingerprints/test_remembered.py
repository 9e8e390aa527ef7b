"""What is remembered about sources is believed only when it is whole and made by this analysis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.runtime import source_analysis_cache


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """A process that knows nothing yet; what it knew comes back afterwards."""
    before = [dict(source_analysis_cache._known), dict(source_analysis_cache._used), set(source_analysis_cache._learnt)]
    for memory in (source_analysis_cache._known, source_analysis_cache._used, source_analysis_cache._learnt):
        memory.clear()
    yield
    for memory, kept in zip(
        (source_analysis_cache._known, source_analysis_cache._used, source_analysis_cache._learnt), before, strict=True
    ):
        memory.clear()
        memory.update(kept)


def forget() -> None:
    for memory in (source_analysis_cache._known, source_analysis_cache._used, source_analysis_cache._learnt):
        memory.clear()


def test_what_was_learnt_is_known_to_the_next_process(tmp_path: Path) -> None:
    source_analysis_cache.learn("a", ["x", "y"])
    source_analysis_cache.save(tmp_path / "sources.cache")
    forget()
    assert source_analysis_cache.recall("a") is None
    source_analysis_cache.load(tmp_path / "sources.cache")
    assert source_analysis_cache.recall("a") == ["x", "y"]


@pytest.mark.parametrize("damage", ["truncated", "edited", "foreign", "missing"])
def test_a_file_that_is_not_whole_is_not_believed(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "sources.cache"
    source_analysis_cache.learn("a", ["x"])
    source_analysis_cache.save(path)
    forget()
    made_by, content, found = path.read_bytes().split(b"\n", 2)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-1])
    elif damage == "missing":
        path.unlink()
    elif damage == "edited":
        path.write_bytes(b"\n".join([made_by, content, found.replace(b'"x"', b'"y"')]))
    else:
        path.write_bytes(b"\n".join([made_by[::-1], content, found]))
    source_analysis_cache.load(path)
    assert source_analysis_cache.recall("a") is None


def test_a_place_that_cannot_be_written_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    source_analysis_cache.learn("a", ["x"])
    source_analysis_cache.save(tmp_path / "file" / "sources.cache")
