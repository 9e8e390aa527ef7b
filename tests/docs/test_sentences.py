"""The documentation is read by people whose first language is not English: sentences stay short."""

from __future__ import annotations

from pathlib import Path
from statistics import median, quantiles

import pytest

from support import pages

#: words in half of the sentences, and in nine of ten
MEDIAN, MOST = 18, 32
#: what somebody reads who is new here
FIRST = [page for page in pages.PAGES if "guide" in page.parts or page.name in ("README.md", "concepts.md", "index.md")]


def lengths(*read: Path) -> list[int]:
    return [len(words) for page in read for words in pages.sentences(page.read_text(encoding="utf-8"))]


def test_sentences_of_all_pages() -> None:
    found = lengths(*pages.PAGES)
    assert len(found) > 500 and median(found) <= MEDIAN and quantiles(found, n=10)[-1] <= MOST


@pytest.mark.parametrize("page", FIRST, ids=pages.name)
def test_sentences_of_the_first_pages(page: Path) -> None:
    found = lengths(page)
    assert median(found) <= MEDIAN and quantiles(found, n=10)[-1] <= MOST


def test_what_counts_as_a_sentence() -> None:
    text = "# Not this\n\nOne `assay stage x` two. And [three four](page.md)!\n\n| no | table |\n"
    text += "\n- a b\n- c 1.5 d\n\n```sh\nx\n```\n"
    assert [len(words) for words in pages.sentences(text)] == [3, 3, 2, 3]
