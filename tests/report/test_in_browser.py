"""A page in a real browser: nothing is fetched or run; it is read by keyboard, on a phone and on paper."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assay.commands import report_history
from assay.commands.report import report
from assay.report.page import chart_svg, page_html
from support.project import Project

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.extra,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="playwright is not installed"),
    pytest.mark.skipif(not chart_svg.available(), reason="vl-convert is not installed"),
]
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
ARGUMENTS += ["--disable-component-update", "--disable-sync"]
SCHEMES = ("light", "dark")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        started = running.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def pages(tried: Project, tmp_path: Path) -> list[Path]:
    """A page about one result, one about a family, and the history."""
    tried.commit("tried")
    tried.git("branch", "other")
    made = [report(tried.root, ["tried"]).page, report(tried.root, ["tried", "other"]).page]
    made.append(report_history.history(tried.root))
    paths = [tmp_path / f"page-{number}.html" for number in range(len(made))]
    for path, page in zip(paths, made, strict=True):
        path.write_text(page_html.html(page, lambda _, draw: draw()), encoding="utf-8")
    return paths


def test_pages_as_a_reader_has_them(browser: Any, pages: list[Path]) -> None:
    for path in pages:
        for scheme in SCHEMES:
            context = browser.new_context(color_scheme=scheme, viewport={"width": 320, "height": 800})
            page, asked, said = context.new_page(), [], []
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.on("console", lambda message, said=said: said.append(message.text))
            page.goto(path.as_uri())
            assert asked == [path.as_uri()] and not said
            assert page.evaluate("document.documentElement.scrollWidth") <= 320
            check_names(page)
            check_phone(page)
            if scheme == SCHEMES[0]:  # neither depends on colours
                check_keyboard(page)
                check_print(page)
            check_axe(page)
            context.close()


def check_phone(page: Any) -> None:
    """A chart shows both ends of its intervals, and captions of wide tables are read, without scrolling sideways."""
    assert page.evaluate("[...document.querySelectorAll('.chart')].every(e => e.scrollWidth <= e.clientWidth)")
    ends = "[...document.querySelectorAll('caption')].filter(e => e.checkVisibility())"
    assert max(page.evaluate(f"{ends}.map(e => e.getBoundingClientRect().right)"), default=0) <= 320


def check_names(page: Any) -> None:
    """Every chart has a name and a description; axe asks for neither."""
    for chart in page.locator("svg").all():
        places = chart.get_attribute("aria-labelledby").split()
        names = [page.locator(f"[id='{place}']").text_content() for place in places]
        assert len(names) == 2 and all(names)


def check_keyboard(page: Any) -> None:
    """Tab reaches links, folded parts and everything that scrolls; Enter opens."""
    every = "[...document.querySelectorAll(\"a, summary, [tabindex='0']\")]"
    shown = page.evaluate(f"{every}.filter(e => e.checkVisibility()).length")
    reached = set()
    for _ in range(shown + 2):
        page.keyboard.press("Tab")
        reached.add(page.evaluate(f"{every}.indexOf(document.activeElement)"))
    assert len(reached - {-1}) == shown
    if page.locator("summary").count():
        page.locator("summary").first.focus()
        page.keyboard.press("Enter")
        assert page.locator("details").first.get_attribute("open") is not None


def check_print(page: Any) -> None:
    """On paper everything that is folded away is there."""
    page.emulate_media(media="print")
    inside = "[...document.querySelectorAll('details > *:not(summary)')]"
    assert all(page.evaluate(f"{inside}.map(e => e.checkVisibility())"))
    page.emulate_media(media="screen")


def check_axe(page: Any) -> None:
    """With everything opened, nothing that axe calls serious."""
    source = Path(str(importlib.util.find_spec("axe_playwright_python").origin)).with_name("axe.min.js")
    page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true })")
    page.evaluate(source.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")["violations"]
    grave = [one for one in found if one["impact"] in ("serious", "critical")]
    assert not [(one["id"], [node["html"][:200] for node in one["nodes"]][:3]) for one in grave]
