"""Pages, charts and comments made of plain values: what hostile names, gaps and sizes leave of them."""

from __future__ import annotations

import math
import re
from types import SimpleNamespace

import pytest

from assay.commands import report_grid
from assay.core import sanitize_output
from assay.core.case_records import CaseList, CasesRecord, ExampleCase, ExampleDisplay, Luck, LuckRange, Predicted
from assay.core.errors import UsageError
from assay.report.json_rows import LogRow
from assay.report.page import (
    cases_section,
    chart_specs,
    chart_svg,
    class_sections,
    family_section,
    history_sections,
    page_html,
    page_markdown,
    page_marks,
    record_sections,
    replicate_sections,
)
from assay.report.page.chart_specs import Interval
from assay.report.page.class_sections import ReliabilityBin
from assay.report.page.curve_thinning import thinned
from assay.report.page.family_section import AblationEffects, FamilyTerms, MeasuredTogether
from assay.report.page.history_sections import AcceptedStep, PartOpening, SpentAlpha
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
from assay.report.page.replicate_sections import CurvePoint, ReplicateRow
from assay.stats.factorial_design import factorial
from support.parsed_page import ParsedPage, assert_sound

HOSTILE = "</script><img src=x onerror=alert(1)>\"'`|\u202e\u200b\x1b[31m]]>--><svg/onload=x> @octocat #12 d5fcde12"
charts = pytest.mark.skipif(not chart_svg.available(), reason="vl-convert is not installed")


def page(*sections: PageSection) -> Page:
    return Page("title", "", [PageArticle("e1", "one", sections)])


def drawn(*sections: PageSection) -> ParsedPage:
    text = page_html.html(page(*sections), lambda _, draw: draw())
    assert text == page_html.html(page(*sections), lambda _, draw: draw())
    found = ParsedPage(text)
    assert_sound(found)
    return found


def interval_figure(name: str = "new seeds") -> Figure:
    rows = [Interval(name, 0.01, 0.002, 0.018), Interval("nothing", -0.02, None, None)]
    table = PageTable("numbers", ("", "difference"), [(name, "+0.01")])
    return Figure(f"chart of {name}", "candidate minus baseline", chart_specs.intervals(rows, 0.005, name), table)


# ---------------------------------------------------------------------------------------------------------- hostile


@charts
def test_foreign_text_means_nothing_anywhere_on_a_page() -> None:
    blocks = [
        Sentence(HOSTILE),
        PageTable(HOSTILE, (HOSTILE, "b"), [(HOSTILE, HOSTILE)]),
        PageTable(HOSTILE, (HOSTILE,), [(HOSTILE,)], closed=True),
        DiffLines(HOSTILE, [("+", HOSTILE), ("-", HOSTILE), ("@", HOSTILE), (" ", HOSTILE)]),
        Gap(HOSTILE, HOSTILE, HOSTILE),
        interval_figure(HOSTILE),
    ]
    found = drawn(PageSection("s", HOSTILE, blocks))
    assert not found.all("img")
    assert "\u202e" not in found.text and "\u200b" not in found.text and "\x1b" not in found.text
    assert "</script><img src=x onerror=alert(1)>" in found.text, "it is shown as it is written"


def test_comment_defuses_names_numbers_hashes_and_marks() -> None:
    said = sanitize_output.comment("@octocat #12 GH-3 d5fcde12 <b> [x](http://y) `c` *d* a|b www.z.org")
    assert "@octocat" not in said and "#12" not in said and "d5fcde12" not in said and "http://" not in said
    assert "<b>" not in said and "GH-3" not in said and "www.z" not in said
    assert re.sub(r"<!-- -->|\\", "", said) == "@octocat #12 GH-3 d5fcde12 &lt;b> [x](http://y) `c` *d* a|b www.z.org"


@pytest.mark.parametrize("text", ["# head", "- item", "1. item", "+ item", "=== x", "  2) item"])
def test_no_line_of_a_comment_begins_a_heading_or_a_list(text: str) -> None:
    assert not re.match(r"\s*([#+=-]|\d+[.)])", sanitize_output.comment(text))


def test_comment_keeps_its_length_and_its_tables() -> None:
    rows = [(HOSTILE * 50, str(number)) for number in range(2_000)]
    section = [PageSection(name, HOSTILE, [PageTable(HOSTILE, ("a", "b"), rows)]) for name in page_markdown.SECTIONS]
    many = Page(HOSTILE, HOSTILE, [PageArticle(f"e{number}", HOSTILE, section) for number in range(40)])
    text = page_markdown.markdown(many)
    assert len(text) <= 60_000 and text.startswith(page_marks.MARK) and text.endswith(page_markdown.CUT)
    for line in text.split("\n"):
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) == 3
        assert not re.search(r"<(?!!-- )", line.replace("<!-- -->", ""))


def test_intervals_of_a_comment_stand_on_one_scale() -> None:
    text = page_markdown.markdown(page(PageSection("verdict", "Verdict", [interval_figure("a`b")])))
    bars = text.split("```")[1].split("\n")
    assert "├" in bars[1] and "┤" in bars[1] and bars[1].count("●") == 1 and "aʼb" in bars[1]
    assert bars[3].strip() == "0" and bars[2].index("●") < bars[3].index("0") < bars[1].index("●")


# ----------------------------------------------------------------------------------------------------------- charts


@charts
def test_two_charts_never_share_an_id() -> None:
    top = [{"arm": "candidate", "part": "training", "seed": "1", "epoch": 1.0, "loss": 0.5}]
    spec = chart_specs.curves(top, [], 0.4)  # cut, so that Vega writes an id
    one = chart_svg.svg(spec, "c1", "a", "b", lambda _, draw: draw())
    assert re.search(r'id="c1-k1"', one) and "url(#c1-" in one
    table = PageTable("t", ("a",), [("b",)])
    drawn(PageSection("s", "s", [Figure("x", "y", spec, table), Figure("x", "y", spec, table)]))


def test_of_a_drawing_only_what_draws_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the drawing program writes: no script, no handler, no address."""
    hostile = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9" onload="x"><script>x</script>
        <a href="http://x"><path d="M1,1h2"/></a><image href="http://x"/>
        <path d="M0,0h1.2345" onclick="x" style="fill: url(http://x)" fill="#1b1f24"/></svg>"""
    monkeypatch.setattr(chart_svg, "vl_convert", SimpleNamespace(vegalite_to_svg=lambda *_, **__: hostile))
    said = chart_svg.svg({}, "c1", "t", "d", lambda _, draw: draw())
    assert '<path d="M0,0h1.2" fill="#1b1f24" />' in said
    assert not re.search(r"script|onload|onclick|http|image|style=(?!\"max-width)|<a\b", said)


@charts
def test_a_chart_has_colours_that_the_style_sheet_knows() -> None:
    rows = [
        ReplicateRow("baseline", "1", 0.5),
        ReplicateRow("candidate", "2", 0.6),
        ReplicateRow("candidate", "3", 0.7),
    ]
    figure = replicate_sections.replicates_section(rows, {"linear": 0.55}, "accuracy", 2).blocks[0]
    assert isinstance(figure, Figure)
    said = chart_svg.svg(figure.spec, "c1", "t", "d", lambda _, draw: draw())
    colours = set(re.findall(r'(?:fill|stroke)="(#[^"]*)"', said))
    assert colours <= {chart_specs.INK, chart_specs.LINE, chart_specs.CANDIDATE, chart_specs.BASELINE}
    assert "<title" in said and "<desc" in said


def test_every_colour_of_a_chart_has_one_for_the_dark_and_contrast_in_both() -> None:
    style = (page_html.PLACE / "page.css").read_text(encoding="utf-8")
    for light in (chart_specs.INK, chart_specs.LINE, chart_specs.CANDIDATE, chart_specs.BASELINE):
        dark = re.search(rf'\[fill="{light}"\] {{ fill: (#[0-9a-f]{{6}}); }}', style)
        assert dark and f'[stroke="{light}"] {{ stroke: {dark[1]}; }}' in style
        assert contrast(light, "#ffffff") >= 3 and contrast(dark[1], "#14171b") >= 3
    schemes = style.split("@media screen and (prefers-color-scheme: dark)")  # paper is light
    for scheme in schemes[0], schemes[1]:
        tone = dict(re.findall(r"--(\w+): (#[0-9a-f]{3,6})", scheme))
        for text in ("ink", "quiet", "link", "caution"):
            assert contrast(tone[text], tone["ground"]) >= 4.5
        assert contrast(tone["quiet"], tone["soft"]) >= 4.5 and contrast(tone["edge"], tone["ground"]) >= 3
        for ground in ("s1", "s2", "s3", "s4", "added", "removed", "soft"):
            assert contrast(tone["ink"], tone[ground]) >= 4.5


def contrast(one: str, other: str) -> float:
    """WCAG 2.1's ratio of two colours."""
    lights = sorted(map(_luminance, (one, other)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_without_vl_convert_tables_stand_and_a_line_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chart_svg, "vl_convert", None)
    found = drawn(PageSection("s", "s", [interval_figure()]))
    assert not found.all("svg") and found.all("table") and "pip install 'dvc-assay[report]'" in found.text


def test_without_jinja2_there_are_comments_and_no_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_html, "jinja2", None)
    with pytest.raises(UsageError, match=r"pip install 'dvc-assay\[report\]', or assay report --markdown"):
        page_html.html(page(), lambda _, draw: draw())
    assert "title" in page_markdown.markdown(page())


def test_what_was_drawn_before_is_not_drawn_again() -> None:
    kept = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><g id="x" /></svg>'
    asked: list[str] = []

    def store(key: str, _: object) -> str:
        asked.append(key)
        return kept

    for name in ("c1", "c2"):
        said = chart_svg.svg(interval_figure().spec, name, "t", "d", store)
        assert f'id="{name}-x"' in said
    assert len(set(asked)) == 1


# ------------------------------------------------------------------------------------------------------------ curves


def test_a_long_curve_keeps_its_extremes_its_ends_and_its_gaps() -> None:
    values: list[float | None] = [math.sin(place / 50) for place in range(5_000)]
    values[1234], values[4321], values[2500] = 9.0, -9.0, None
    found = thinned([(place, value) for place, value in enumerate(values)])
    assert len(found) <= 200 and found[0][0] == 0 and found[-1][0] == 4_999
    assert (1234, 9.0) in found and (4321, -9.0) in found and (2500, None) in found
    assert found == sorted(found, key=lambda point: point[0])


def curve(seed: str, losses: list[float | None]) -> list[CurvePoint]:
    return [CurvePoint(seed, epoch, loss, loss) for epoch, loss in enumerate(losses, start=1)]


def test_it_is_counted_in_how_many_seeds_validation_still_falls() -> None:
    falling, flat = [1 / epoch for epoch in range(1, 21)], [1.0, *[0.5] * 19]
    rising: list[float | None] = [1.0, 0.1, *(0.1 + 0.01 * epoch for epoch in range(18))]
    points = [*curve("1", [*falling]), *curve("2", [*flat]), *curve("3", rising)]
    assert replicate_sections.still_falling({"candidate": points}) == [
        "candidate: validation loss still falling at the end in 1 of 3 seeds"
    ]


@charts
def test_curves_with_gaps_and_huge_losses_are_drawn() -> None:
    points = [*curve("1", [1.0, None, 0.0, -0.5]), *curve("2", [0.5, 0.4, 1e30, None])]
    section = replicate_sections.curves_section({"baseline": [], "candidate": points}, [])
    found = drawn(section)
    assert "the scale ends at" in found.text and len(found.all("svg")) == 1
    assert "baseline" not in found.text, "a legend names arms that are there"


@pytest.mark.parametrize("values", [[None, None], [0.5]], ids=["all diverged", "one seed"])
def test_thin_arms_have_their_rows(values: list[float | None]) -> None:
    rows = [ReplicateRow("candidate", str(seed), value, "diverged") for seed, value in enumerate(values)]
    found = drawn(replicate_sections.replicates_section(rows, {}, "accuracy", 3))
    assert found.text.count("diverged") >= len(values)


# ----------------------------------------------------------------------------------------------------------- classes


def test_confusion_folds_to_the_twenty_largest_of_ten_thousand_classes() -> None:
    pairs = [(f"class {number}", f"class {number % 9_000}") for number in range(10_000)] + [("class 7", "class 7")] * 30
    section = class_sections.classes_section({"candidate": pairs}, [], [], [])
    (table,) = section.blocks
    assert isinstance(table, PageTable)
    assert len(table.rows) == 21 and "20 largest of 10000 classes" in table.caption and "candidate" in table.caption
    assert sum(int(cell) for row in table.rows for cell in row[1:] if cell.isdigit()) == len(pairs)


@charts
def test_reliability_names_both_arms_and_their_distance_from_the_diagonal() -> None:
    bins = [ReliabilityBin("candidate", 0.9, 0.8, 30), ReliabilityBin("baseline", 0.5, 0.5, 10)]
    found = drawn(class_sections.classes_section({}, bins, [], []))
    assert "0.100 for the candidate, 0.000 for the baseline" in found.text


# ------------------------------------------------------------------------------------------------------------- cases


def record(picture: str, count: int) -> CasesRecord:
    cases = [
        ExampleCase(
            id=f"{number:032x}",
            before=0.1,
            after=0.9,
            label=HOSTILE,
            predicted_before=[Predicted(HOSTILE, 0.9)],
            display=ExampleDisplay(picture=picture, text=HOSTILE * 9_000, row=[[HOSTILE, HOSTILE]], note=HOSTILE),
        )
        for number in range(count)
    ]
    ids = [case.id for case in cases]
    return CasesRecord(
        metric="accuracy",
        metric_version="accuracy-1.d5fcde12",
        rule="right_or_wrong",
        rule_text="right: more than half",
        against=HOSTILE,
        examples=100,
        baseline_n=3,
        candidate_n=3,
        lists=[
            CaseList("fixed", count, ids),
            CaseList("broken", 0, []),
            CaseList("wrong", 0, []),
            CaseList("split", count, ids),
        ],
        cases=cases,
        luck=Luck(LuckRange(0.7, 0, 2), LuckRange(0.8, 0, 2)),
        notes=["1 of 3 examples are not shown"],
    )


def test_cases_show_each_picture_once_below_the_luck_line() -> None:
    found = drawn(cases_section.cases_section(record("iVBORw0KGgoAAAA=", 40), []))
    assert len(found.all("img")) == 40 and "40 fixed, 0 broken of 100 examples against" in found.text
    assert found.text.count("shown above") == 40 and "\u202e" not in found.text


@pytest.mark.parametrize(
    "picture", ['x" onerror="alert(1)', "iVBORw0KGgo\n<svg>", "PHN2Zz4=", "iVBORw0KGgo" + "A" * 2_000_000]
)
def test_what_is_no_small_png_is_no_picture(picture: str) -> None:
    assert not drawn(cases_section.cases_section(record(picture, 1), [])).all("img")


def test_forty_pictures_keep_a_page_small() -> None:
    picture = "iVBORw0KGgo" + "A" * 31_000
    sections = cases_section.cases_section(record(picture, 40), [])
    text = page_html.html(page(sections), lambda _, draw: draw())
    assert len(text) < 1.5 * 2**20


# ----------------------------------------------------------------------------------------------------------- history


def step(number: int, version: str) -> AcceptedStep:
    selected = Interval(f"{number}, selected", 0.02, 0.01, 0.03, "baseline")
    confirmed = Interval(f"{number}, confirmed", 0.01, 0.005, 0.015)
    return AcceptedStep(HOSTILE, "floor", "accuracy", version, selected, confirmed, 1, 0.9, HOSTILE, "accepted")


@charts
def test_history_has_selection_beside_confirmation_and_breaks_where_the_metric_changed() -> None:
    steps = [step(1, "accuracy-1.aaaaaaaa"), step(2, "accuracy-1.aaaaaaaa"), step(3, "accuracy-2.bbbbbbbb")]
    found = drawn(history_sections.chain_section(steps, [("strategy/light", "it carries no evidence")]))
    assert "strategy/light is not verifiable, and counts as nothing: it carries no evidence" in found.text
    assert (
        len(found.all("svg")) == 2
        and "50% of the differences that were selected were confirmed (2 steps)" in found.text
    )
    assert found.text.count("here the metric changed to accuracy-2.bbbbbbbb") == 1
    assert "+0.0200 [+0.0100, +0.0300]" in found.text and "+0.0100 [+0.0050, +0.0150]" in found.text


@charts
def test_an_experiment_of_two_families_has_a_place_for_each() -> None:
    rows = [
        MeasuredTogether("a", "lr 1 → 2", 0.01, 0.002, 0.018, "progress"),
        MeasuredTogether("b", "nothing", None, None, None, "same"),
    ]
    sections = [
        family_section.measured_together_section(FamilyTerms(command, 3, 0.005, "accuracy", 4), rows, None, number)
        for number, command in enumerate(("ablate", "sweep"), start=1)
    ]
    found = drawn(*sections)
    assert {"e1-grid", "e1-grid-2"} <= set(found.ids) and len(found.all("svg")) == 2
    assert "2 of the 3 that were judged together by assay sweep are at hand" in found.text
    assert "lr 1 → 2" in found.text and "same" in found.text, "what it changed stands beside a name that says nothing"


@charts
def test_a_long_name_leaves_room_in_a_comment_for_what_the_arms_said() -> None:
    item = GalleryItem("label " + "x" * 300, ["id", "right in 40% → 80% of runs", "before: 8 (60%)", "after: 1 (80%)"])
    text = page_markdown.markdown(page(PageSection("cases", "Cases", [Gallery("fixed", [item])])))
    assert "right in 40% → 80% of runs · before: 8 (60%) · after: 1 (80%)" in text


def test_one_huge_loss_does_not_flatten_all_others() -> None:
    """Also where orders of magnitude are drawn: 300 of them leave no room for two."""
    points = [CurvePoint("1", epoch, 1e300 if epoch == 2 else 1 / epoch, 1 / epoch) for epoch in range(1, 100)]
    figure = replicate_sections.curves_section({"candidate": points}, []).blocks[0]
    assert isinstance(figure, Figure) and "by orders of magnitude" in figure.title
    assert (
        "the scale ends at" in figure.description
        and figure.spec["layer"][0]["encoding"]["y"]["scale"]["domainMax"] <= 1
    )
    drawn(PageSection("curves", "Learning curves", [figure]))


@charts
def test_an_ablation_shows_its_effects() -> None:
    """The gain of A is there only beside B."""
    cells = {(): [0.5, 0.52], ("A",): [0.5, 0.53], ("B",): [0.5, 0.52], ("A", "B"): [0.9, 0.921]}
    effects = AblationEffects({"A": "lr 1 → 2", "B": "code"}, factorial(cells, blocked=True))
    terms = FamilyTerms("ablate", 4, 0.005, "accuracy", 4)
    found = drawn(family_section.measured_together_section(terms, [], effects))
    assert len(found.all("svg")) == 1 and "A: lr 1 → 2; B: code" in found.text
    assert "A given B" in found.text and "+0.4005" in found.text


A, B, C = frozenset({"a"}), frozenset({"b", "d"}), frozenset({"c"})


@pytest.mark.parametrize(
    ("cells", "factors"),
    [
        ([frozenset(), A, B, A | B], [A, B]),
        ([frozenset(), C, A | B, B, A, A | C, B | C, A | B | C], [A, C, B]),
        ([frozenset(), A, B], []),
        ([frozenset(), A, B, frozenset({"a", "both"})], []),
        ([frozenset(), A, B, A | B, A | B], []),
        ([], []),
    ],
)
def test_what_an_ablation_combined(cells: list[frozenset[str]], factors: list[frozenset[str]]) -> None:
    assert report_grid._factors(cells) == factors


def test_history_of_a_thousand_experiments_stays_below_2_mib() -> None:
    rows = [
        LogRow(
            kind="experiment",
            name=f"name-of-experiment-{number}",
            date="2026-01-01",
            changed=f"lr 0.003 → 0.01 · model.hidden 128 → {number} · code: src/tasks/digits/learning.py +12 −3",
            mean=0.9712345,
            n=10,
            delta=0.01,
            ci_low=0.0,
            ci_high=0.02,
            baseline="strategy/mlp",
            metric_version="accuracy-1.d5fcde12",
            state="inconclusive",
        )
        for number in range(1_000)
    ]
    rejected = [LogRow(kind="rejected", name=HOSTILE, state="rejected: too slow")]
    accounts = [SpentAlpha("floor", f"{number:012x}", 2, 0.05) for number in range(1_000)]
    sections = [
        history_sections.experiments_section(rows),
        history_sections.rejected_section(rejected),
        history_sections.looks_section(accounts, 1),
        history_sections.openings_section([PartOpening("mlp", "floor", 10, 0.94)]),
    ]
    text = page_html.html(page(*sections), lambda _, draw: draw())
    found = ParsedPage(text)
    assert_sound(found)
    assert (
        len(text.encode()) < 2 * 2**20
        and "rejected: too slow" in found.text
        and "2000 looks at 1000 ideas" in found.text
    )


# ------------------------------------------------------------------------------------------------------------ others


def test_code_is_shown_as_a_diff_with_its_marks() -> None:
    before, after = {"a.py": "x = 1\ny = 2"}, {"a.py": "x = 1\ny = 3", "b.py": "z = 4"}
    lines = list(record_sections._diff(before, after))
    assert ("-", "y = 2") in lines and ("+", "y = 3") in lines and ("@", "b.py") in lines and (" ", "x = 1") in lines


def test_a_damaged_data_card_says_what_it_can() -> None:
    card = {"exact_duplicates": 3, "targets": [], "inputs": {"constant_features": "many"}}
    found = drawn(record_sections.data_section(card, {"sizes": {"train": 5}, "labels": {"train": 3}}, []))
    assert "3 examples are exact duplicates" in found.text and "train 5" in found.text
