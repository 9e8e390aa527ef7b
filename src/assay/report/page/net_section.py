"""Just before the net, on a page: examples as the network got them, its predictions through training, its first layer.

Covers: galleries with ranges and labels, a table of classes and confidences by epoch, what is not recorded and why. Not
covered: taking it down (`assay.recorder`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from msgspec import UNSET

from assay.core import sanitize_output
from assay.core.net_record import AFTER, FirstLayer, NetBatch, NetInput, NetRecord, PredictionTrack, ValueRange
from assay.report.page.page_blocks import Block, Gallery, GalleryItem, Gap, PageSection, PageTable, Sentence
from assay.report.page.png_address import png_address

TITLE = "Just before the net"
WHAT = "what the network was given and what it said (arms/net.json)"
HINT = "assay net"
OF_SCRIPT = "not recorded: a script's network is its own"
#: epochs of the table that is shown without asking
OPEN_EPOCHS = 8
#: characters that pictures of one part may take, as `recorder.input_pictures` stores them: older records have more
MOST_PICTURES = 48 * 1024
#: channels whose ranges are told
MOST_CHANNELS = 8
#: characters of an example's numbers, and of its id
LONGEST, LONGEST_ID = 300, 10
#: characters of another class in a cell
LONGEST_CLASS = 14


def net_section(record: NetRecord | None, gaps: Sequence[Gap], script: bool = False) -> PageSection:
    """The section; where there is no record, why, and the command that takes one. A `script` has its own network."""
    blocks: list[Block] = list(gaps)
    if script:
        blocks = [Sentence(OF_SCRIPT)]
    elif record is not None and not record.why:
        blocks = [*_blocks(record), *gaps]
    elif not gaps:
        why, possible = ("none was recorded", True) if record is None else (record.why, record.possible)
        blocks = [Gap(WHAT, why, HINT if possible else "")]
    return PageSection("net", TITLE, blocks)


def _blocks(record: NetRecord) -> Iterator[Block]:
    if record.replicate is not UNSET:
        yield Sentence(f"of one replicate of the candidate: number {record.replicate}, seed {record.seed}")
    for part, found in (("training", record.training), ("validation", record.validation)):
        if found is not UNSET:
            yield from _batch(part, found)
    if record.predictions is not UNSET:
        yield from _track(record.predictions)
    if record.first_layer is not UNSET:
        yield from _first_layer(record.first_layer)
    yield from (Sentence(note) for note in record.notes)


def _batch(part: str, found: NetBatch) -> Iterator[Block]:
    yield Sentence(f"{len(found.examples)} {part} examples exactly as the network got them ({found.where})", "strong")
    facts = [f"{found.shape}, {found.dtype}" if found.dtype else found.shape]
    if found.mean is not UNSET and found.sd is not UNSET:
        facts.append(f"mean {found.mean:.4g}, standard deviation {found.sd:.4g}")
    yield Sentence("; ".join([*facts, *_channels(found.channels)]))
    taken = itertools.accumulate(len(one.display.picture or "") for one in found.examples)
    shown = [one for one, until in zip(found.examples, taken, strict=True) if until <= MOST_PICTURES]
    if len(shown) < len(found.examples):
        yield Sentence(f"the first {len(shown)} of them are shown: the page has no room for more")
    items = [_item(part, place, one) for place, one in enumerate(shown, 1)]
    yield Gallery(f"{part} examples as the network got them", items)


def _channels(ranges: Sequence[ValueRange]) -> Iterator[str]:
    """What black and white stand for."""
    if not ranges:
        return
    said = [_span(one) for one in ranges[:MOST_CHANNELS]]
    more = f", and {len(ranges) - MOST_CHANNELS} more channels" if len(ranges) > MOST_CHANNELS else ""
    if len(ranges) == 1:
        yield f"drawn from black to white: {said[0]}"
        return
    named = ", ".join(f"{place}: {one}" for place, one in enumerate(said, 1))
    yield f"each channel drawn over its own range: {named}{more}"


def _span(span: ValueRange) -> str:
    low, high = span
    return "nothing finite" if low is None or high is None else f"{low:.4g} … {high:.4g}"


def _item(part: str, place: int, one: NetInput) -> GalleryItem:
    label, shown = one.label, one.display
    heading = f"label {label}" if label else f"example {place}"
    lines = [] if one.span is UNSET else [f"values {_span(one.span)}"]
    lines += [f"{one.unlike:,} values are not finite"] if one.unlike else []
    lines += [] if shown.row is UNSET else [sanitize_output.cut(": ".join(pair), LONGEST) for pair in shown.row]
    lines += [] if shown.note is UNSET else [shown.note]
    text = "" if shown.text is UNSET else sanitize_output.cut(shown.text, LONGEST)
    said = f"{part} example {place} as the network got it{f', label {label}' if label else ''}"
    return GalleryItem(heading, lines, png_address(shown), text, said)


def _track(found: PredictionTrack) -> Iterator[Block]:
    count = len(found.ids)
    yield Sentence(f"Predictions of {count} validation examples through training", "strong")
    yield Sentence(_moved(found))
    order = sorted(range(count), key=lambda place: (-_learnt(found, place), place)) if found.classes else range(count)
    places = _few(len(found.epochs))
    yield _table(found, places, order, closed=False)
    if len(places) < len(found.epochs):
        yield _table(found, range(len(found.epochs)), order, closed=True)


def _few(count: int) -> list[int]:
    """At most OPEN_EPOCHS of `count` places, the first and the last among them."""
    if count <= OPEN_EPOCHS:
        return list(range(count))
    return sorted({round(place * (count - 1) / (OPEN_EPOCHS - 1)) for place in range(OPEN_EPOCHS)})


def _epoch(epoch: int) -> str:
    return {0: "start", AFTER: "end"}.get(epoch, f"epoch {epoch}")


def _right(found: PredictionTrack, moment: int) -> int:
    return sum(one == label for one, label in zip(found.classes[moment], found.labels, strict=True))


def _moved(found: PredictionTrack) -> str:
    """How many were right when, and how many changed their class near the end."""
    if not found.classes:
        return "the value predicted for each at the start and after some epochs, beside its target"
    said = [f"{_right(found, place)} at {_epoch(found.epochs[place])}" for place in _few(len(found.epochs))]
    line = f"right: {', '.join(said)}"
    if len(found.classes) > 1:
        changed = sum(one != two for one, two in zip(*found.classes[-2:], strict=True))
        since, until = (_epoch(one) for one in found.epochs[-2:])
        line += f"; {changed} changed class from {since} to {until}"
    return line


def _learnt(found: PredictionTrack, place: int) -> int:
    """Behind the last moment at which an example was wrong: what was learnt late, or never, is large."""
    wrong = [moment for moment, one in enumerate(found.classes) if one[place] != found.labels[place]]
    return wrong[-1] + 1 if wrong else 0


def _table(found: PredictionTrack, moments: Sequence[int], order: Sequence[int], closed: bool) -> PageTable:
    columns = ["example", "target", *(_epoch(found.epochs[moment]) for moment in moments)]
    rows, shades = [], {}
    for line, place in enumerate(order):
        cells = [_cell(found, moment, place) for moment in moments]
        rows.append([_short(found.ids[place]), found.targets[place], *cells])
        for column, moment in enumerate(moments, 2):
            if shade := _shade(found, moment, place):
                shades[line, column] = shade
    what = "class and confidence at every recorded epoch" if closed else "class and confidence"
    caption = f"{what}; ✓ is the target's class, the stronger the shade the surer; learnt last stands first"
    if not found.classes:
        caption = "predicted values at every recorded epoch" if closed else "predicted values"
    return PageTable(caption, columns, rows, frozenset(range(2, len(columns))), shades, closed)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_ID else f"{name[:LONGEST_ID]}…"


def _cell(found: PredictionTrack, moment: int, place: int) -> str:
    if not found.classes:
        value = found.values[moment][place]
        return "not finite" if value is None else f"{value:.4g}"
    number, confidence = found.classes[moment][place], found.confidences[moment][place]
    if number < 0 or confidence is None:
        return "✗ not finite"
    if number == found.labels[place]:
        return f"✓ {confidence:.0%}"
    return f"✗ {sanitize_output.cut(found.names.get(str(number), str(number)), LONGEST_CLASS)} ({confidence:.0%})"


def _shade(found: PredictionTrack, moment: int, place: int) -> int:
    """1 to 4 by confidence in the right class; 0 for another one."""
    if not found.classes or found.classes[moment][place] != found.labels[place]:
        return 0
    confidence = found.confidences[moment][place]
    return 0 if confidence is None else min(4, 1 + int(confidence * 4))


def _first_layer(found: FirstLayer) -> Iterator[Block]:
    shown = len(found.pictures)
    count = f"{shown} units" if shown == found.units else f"the first {shown} of {found.units} units"
    yield Sentence(f"First-layer weights after training: {found.kind} {found.name}, {count}", "strong")
    yield Sentence("grey is 0; black and white are a unit's largest weight, below or above 0")
    items = []
    for place, one in enumerate(found.pictures, 1):
        lines = [f"±{one.most:.3g}", *([] if one.moved is None else [f"moved by {one.moved:.0%} of its start"])]
        lines += [] if one.display.note is UNSET else [one.display.note]
        said = f"weights of unit {place} of the first layer, from -{one.most:.3g} to {one.most:.3g}"
        items.append(GalleryItem(f"unit {place}", lines, png_address(one.display), "", said))
    yield Gallery("first-layer weights", items)
