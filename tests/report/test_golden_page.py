"""One page with every kind of block, byte for byte as it was looked at and found right.

After a change that is wanted: `python tests/report/test_golden_page.py` writes it anew, to be opened and looked at.
"""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest

from assay.data import png
from assay.report.page import chart_specs, chart_svg, page_html, page_markdown
from assay.report.page.chart_specs import Interval
from assay.report.page.page_blocks import (
    DiffLines,
    Figure,
    Gallery,
    GalleryItem,
    Gap,
    Page,
    PageArticle,
    PageSection,
    PageTable,
    Sentence,
)

GOLDEN = Path(__file__).parent / "golden"
#: in place of a drawing, whose bytes follow the release of the drawing program
DRAWN = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 60"><path d="M0,30h320" stroke="#0072b2" /></svg>'
PIXELS = np.array([[0, 255], [255, 128]], dtype=np.uint8)[:, :, None]
PICTURE = f"data:image/png;base64,{base64.b64encode(png.encode(PIXELS)).decode()}"


def page() -> Page:
    rows = [Interval("new seeds, 95%", 0.012, 0.004, 0.02), Interval("new examples, 95%", 0.012, -0.001, 0.025)]
    table = PageTable("differences", ("", "difference"), [(row.name, f"{row.delta:+.4f}") for row in rows])
    figure = Figure("accuracy: wide minus adam", "right is better", chart_specs.intervals(rows, 0.005, "d"), table)
    shaded = PageTable("confusion", ("actual", "a", "b"), [("a", "9", "1")], frozenset({1, 2}), {(0, 1): 4, (0, 2): 1})
    blocks = [
        Sentence("progress: accuracy 0.9712", "strong"),
        Sentence('<b> & "quotes" \u202e\x1b[31m', "plain"),
        figure,
        shaded,
        PageTable("all replicates", ("arm", "seed"), [("candidate", "1")], frozenset({1}), closed=True),
        Gallery("fixed", [GalleryItem("label 8", ["right in 0% → 100% of runs"], PICTURE, "a text")]),
        Gallery("more", [GalleryItem("label 9", [])], closed=True),
        DiffLines("code that trains", [("@", "src/a.py"), (" ", "x = 1"), ("-", "y = 2"), ("+", "y = 3")]),
        Gap("plots/curves.csv", "it is not in the cache", "dvc pull plots/curves.csv"),
        Sentence("caution: few seeds", "caution"),
    ]
    one = PageArticle("e1", "wide: progress", [PageSection("verdict", "Verdict", blocks)])
    other = PageArticle("e2", "deep: same", [PageSection("cautions", "Cautions", [Sentence("none")])])
    return Page("wide against adam", "1 of 2 shows progress", [one, other])


def files() -> dict[str, str]:
    return {
        "page.html": page_html.html(page(), lambda _, draw: DRAWN),
        "comment.md": page_markdown.markdown(page()),
    }


@pytest.mark.skipif(not chart_svg.available(), reason="vl-convert is not installed")
@pytest.mark.parametrize("name", ["page.html", "comment.md"])
def test_page_and_comment_are_what_was_looked_at(name: str) -> None:
    assert files()[name] == (GOLDEN / name).read_text(encoding="utf-8")


if __name__ == "__main__":
    for file, text in files().items():
        (GOLDEN / file).write_text(text, encoding="utf-8")
