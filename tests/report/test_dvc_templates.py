"""Charts of `dvc plots show` and VS Code: the marks of a page, over the rows that stages write."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from assay.report.page import chart_specs, chart_svg, dvc_templates
from support.project import Project

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium")
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
CURVES = [
    {"rev": rev, "filename": f"curves-{arm}.csv", "field": field, "seed": str(seed), "epoch": str(epoch), "y": value}
    for rev in ("main", "wide")
    for arm in ("baseline", "candidate")
    for field in ("train_loss", "validation_loss")
    for seed in (7, 8)
    for epoch, value in ((1, "0.9"), (2, ""), (3, "0.5"))
]


def test_files_are_what_the_module_makes() -> None:
    """`python -c` with `dvc_templates.templates()` makes them again, in both places."""
    for folder in (ROOT / ".dvc/plots", ROOT / "src/assay/templates/plots"):
        found = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
        assert found == dvc_templates.templates()


def filled(name: str, rows: list[dict[str, Any]], **fields: str) -> dict[str, Any]:
    """A template as DVC fills it in."""
    text = dvc_templates.templates()[name]
    given = {"TITLE": "title", "X_LABEL": "x", "Y_LABEL": "y", **fields}
    for anchor, value in given.items():
        text = text.replace(f"<DVC_METRIC_{anchor}>", value)
    text = text.replace('"<DVC_METRIC_DATA>"', json.dumps(rows))
    text = text.replace('"<DVC_METRIC_ZOOM_AND_PAN>"', '{"name": "grid", "select": "interval", "bind": "scales"}')
    assert "<DVC" not in text
    return json.loads(text)


@pytest.mark.skipif(not chart_svg.available(), reason="vl-convert is not installed")
@pytest.mark.parametrize("merged", [False, True])
def test_both_arms_on_one_axis(merged: bool) -> None:
    """One panel a revision; in it both arms in their colours, as DVC tells file and column apart or in one."""
    rows = [dict(row) for row in CURVES]
    for row in rows if merged else ():
        row["filename::field"] = f"{row.pop('filename')}::{row.pop('field')}"
    drawn = chart_svg.svg(filled("seeds.json", rows, X="epoch", Y="y"), "k", "t", "d", lambda _key, draw: draw())
    for colour in chart_specs.COLOURS.values():
        assert len(re.findall(f'stroke="{colour}"', drawn)) >= 2 * (4 + 2), "a line a seed and part, and the means"
    assert drawn.count(">main<") == drawn.count(">wide<") == 1 and "stroke-dasharray" in drawn


@pytest.mark.skipif(not chart_svg.available(), reason="vl-convert is not installed")
def test_other_charts_draw_their_rows() -> None:
    head = {"rev": "main", "strategy": "s", "seed": "1"}
    arms = [
        {**head, "arm": arm, "accuracy": value} for arm in ("candidate", "baseline") for value in ("0.9", "", "0.8")
    ]
    floor = {**head, "arm": "floor", "strategy": "prior", "accuracy": "0.1"}
    store = lambda _key, draw: draw()  # noqa: E731
    drawn = chart_svg.svg(filled("replicates.json", [*arms, floor], X="arm", Y="accuracy"), "k", "t", "d", store)
    assert drawn.count(f'fill="{chart_specs.CANDIDATE}"') == 2, "a diverged replicate has no value"
    assert ">prior<" in drawn and ">0.1<" not in drawn
    slices = [
        {
            "rev": "main",
            "by": "slice",
            "name": "night",
            "metric": "accuracy",
            "delta": "-0.1",
            "ci_low": "-0.2",
            "ci_high": "0",
        },
        {"rev": "main", "by": "class", "name": "7", "metric": "f1", "delta": "0.1", "ci_low": "", "ci_high": ""},
        {"rev": "main", "by": "class", "name": "7", "metric": "recall", "delta": "0.3", "ci_low": "", "ci_high": ""},
    ]
    drawn = chart_svg.svg(filled("intervals.json", slices, X="delta", Y="name"), "k", "t", "d", store)
    assert ">night<" in drawn and ">F1 of 7<" in drawn and drawn.count(f'fill="{chart_specs.CANDIDATE}"') == 2
    cases = [
        {"rev": "main", "id": "ab12", "change": "0.5", "name": "8: 9 → 8 ab12"},
        {"rev": "old", "id": "cd34", "change": "-1"},
    ]
    drawn = chart_svg.svg(filled("cases.json", cases, X="change", Y="id"), "k", "t", "d", store)
    assert ">8: 9 → 8 ab12<" in drawn and ">cd34<" in drawn, "of an older record the id"


def test_no_colour_of_a_page_stands_in_a_theme() -> None:
    """VS Code and its reader choose what texts and axes look like; marks are seen on a dark ground, too."""
    for text in dvc_templates.templates().values():
        spec = json.loads(text)
        assert chart_specs.INK not in text and "background" not in spec["config"]
        assert not [key for part in spec["config"].values() if isinstance(part, dict) for key in part if "Color" in key]


@pytest.mark.extra
@pytest.mark.skipif(not chart_svg.available(), reason="vl-convert is not installed")
def test_what_the_extension_of_vs_code_reads(tried: Project) -> None:
    """It asks `dvc plots diff --json --split`, fills the anchors of each specification in, and draws it."""
    said = tried.dvc("plots", "diff", "HEAD", "workspace", "--json", "--split", "-o", ".dvc/tmp/plots").stdout
    told = json.loads(said)["data"]
    titles = {one["anchor_definitions"]["<DVC_METRIC_TITLE>"] for (one,) in told.values()}
    assert {"Learning curves of each seed and their mean", "Examples that changed most"} <= titles
    for (one,) in told.values():
        assert one["type"] == "vega" and {*one["revisions"]} == {"HEAD", "workspace"}
        text = json.dumps(one["content"])
        for anchor, value in one["anchor_definitions"].items():
            filled_in = value if isinstance(value, str) else json.dumps(value)
            text = text.replace(json.dumps(anchor), json.dumps(value)).replace(anchor, filled_in)
        assert "<DVC" not in text
        drawn = chart_svg.svg(json.loads(text), "k", "t", "d", lambda _key, draw: draw())
        assert drawn.count("<path") + drawn.count("<rect") > 3, one["anchor_definitions"]["<DVC_METRIC_TITLE>"]


@pytest.mark.extra
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="playwright is not installed")
@pytest.mark.skipif(not chart_svg.available(), reason="vl-convert is not installed")
def test_the_page_of_dvc_without_a_network(tried: Project) -> None:
    """As docs/report.md says: nothing is asked for, and every chart is drawn."""
    from playwright.sync_api import sync_playwright

    section = (ROOT / "docs/report.md").read_text(encoding="utf-8").partition("## DVC's page")[2]
    code = BLOCK.search(section)
    assert code is not None
    tried.run("python", "-c", code[1])
    tried.dvc("config", "--local", "plots.html_template", "tmp/plots.html")
    shown = Path(tried.dvc("plots", "diff", "HEAD", "workspace").stdout.strip().removeprefix("file://"))
    assert tried.git("status", "--porcelain", "--", ".dvc") == ""
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page, asked, said = browser.new_page(), [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.goto(shown.as_uri())
        page.wait_for_function("document.querySelectorAll('canvas, svg.marks').length >= 6")
        text = shown.read_text(encoding="utf-8")
        browser.close()
    assert asked == [shown.as_uri()] and not said
    assert "Learning curves of each seed and their mean" in text and "Examples that changed most" in text
    assert "cdn.jsdelivr" not in text.partition("</script>")[2]
