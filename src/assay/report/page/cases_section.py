"""Cases on a page: the luck line, then every list of examples, each as a person sees it.

Covers: heading, shares, classes, picture or text or row of each example; how much of a page pictures may take. Not
covered: which examples they are (`metrics.example_cases`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import UNSET, UnsetType

from assay.core import sanitize_output
from assay.core.case_records import CasesRecord, ExampleCase, ExampleDisplay, Predicted
from assay.report import cases_text
from assay.report.page.page_blocks import Block, Gallery, GalleryItem, Gap, PageSection, Sentence
from assay.report.page.png_address import png_address

#: examples of a list that are shown without asking
OPEN = 12
#: characters that all pictures of a page may take
MOST_PICTURES = 1_200_000
#: characters of an example's text
LONGEST = 600
NAMES = {
    "fixed": "Fixed: most baseline runs have it wrong, most candidate runs right",
    "broken": "Broken: most baseline runs have it right, most candidate runs wrong",
    "wrong": "Wrong in both arms",
    "split": "Split: seeds of one arm disagree",
    "better": "Better",
    "worse": "Worse",
}
_HASH = re.compile(r"[0-9a-f]{20,}")


def cases_section(record: CasesRecord | None, gaps: list[Gap]) -> PageSection:
    """All lists of a record; None where none was made."""
    blocks = list(gaps) if record is None else [*_blocks(record), *gaps]
    return PageSection("cases", "Cases", blocks or [Sentence("no cases were recorded")])


def _blocks(record: CasesRecord) -> Iterator[Block]:
    if line := cases_text.luck_line(record):
        yield Sentence(line, "strong")
    yield from (Sentence(line) for line in cases_text.rule_lines(record))
    cases, room, seen = {case.id: case for case in record.cases}, MOST_PICTURES, set[str]()
    for each in record.lists:
        found = [cases[name] for name in each.ids if name in cases]
        items = []
        for case in found:
            picture = "" if case.id in seen else png_address(case.display)
            picture = picture if len(picture) <= room else ""
            room -= len(picture)
            items.append(_item(case, record.rule, picture, again=case.id in seen))
            seen.add(case.id)
        caption = f"{NAMES.get(each.name, each.name)} ({each.count})"
        if not items:
            yield Sentence(f"{caption}: none")
            continue
        yield Sentence(caption, "strong")
        yield Gallery(caption, items[:OPEN])
        if len(items) > OPEN:
            yield Gallery(f"{each.name}: {len(items) - OPEN} more of {each.count}", items[OPEN:], closed=True)


def _item(case: ExampleCase, rule: str, picture: str, *, again: bool) -> GalleryItem:
    heading = _short(case.id) if case.label is UNSET else f"label {case.label}"
    lines = ["" if case.label is UNSET else _short(case.id), _shares(case, rule), *_classes(case)]
    lines += ["shown above"] if again else _words(case.display)
    text = "" if again or case.display is UNSET or case.display.text is UNSET else case.display.text
    return GalleryItem(heading, [line for line in lines if line], picture, sanitize_output.cut(text, LONGEST))


def _short(name: str) -> str:
    """An id made from content by its beginning, as Git shows a commit; a name in full."""
    return f"{name[:12]}…" if _HASH.fullmatch(name) else name


def _shares(case: ExampleCase, rule: str) -> str:
    """Runs that have it right, or the mean score: before → after."""
    form = "{:.0%}" if rule == "right_or_wrong" else "{:.4g}"
    values = [form.format(value) for value in (case.before, case.after) if value is not UNSET]
    return f"right in {' → '.join(values)} of runs" if rule == "right_or_wrong" else f"score {' → '.join(values)}"


def _classes(case: ExampleCase) -> list[str]:
    arms = {"before": _predicted(case.predicted_before), "after": _predicted(case.predicted_after)}
    return [f"{name}: {said}" for name, said in arms.items() if said]


def _predicted(found: list[Predicted] | UnsetType) -> str:
    """`8 (70%), 3 (30%)`; the label alone where all agree."""
    if found is UNSET:
        return ""
    return ", ".join(one.label if one.share >= 1 else f"{one.label} ({one.share:.0%})" for one in found)


def _words(shown: ExampleDisplay | UnsetType) -> list[str]:
    if shown is UNSET:
        return []
    rows = [] if shown.row is UNSET else [": ".join(pair) for pair in shown.row]
    return [*rows, *([] if shown.note is UNSET else [shown.note])]
