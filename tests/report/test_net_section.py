"""The section about what a network was given and said: what is shown of a record, hostile, damaged or missing."""

from __future__ import annotations

import msgspec
import pytest
import torch

from assay.core import net_record
from assay.core.case_records import ExampleDisplay
from assay.core.errors import UsageError
from assay.core.net_record import (
    AFTER,
    FirstLayer,
    NetBatch,
    NetInput,
    NetRecord,
    PredictionTrack,
    WeightPicture,
)
from assay.recorder import input_pictures
from assay.report.page import net_section, page_html, page_markdown
from assay.report.page.page_blocks import Gap, Page, PageArticle, PageSection, PageTable
from support.parsed_page import ParsedPage, assert_sound

HOSTILE = "</script><img src=x onerror=alert(1)>\"'`|\u202e\u200b\x1b[31m"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
SHOWN = ExampleDisplay(picture=PNG, size=[1, 1])


def track(**more: object) -> PredictionTrack:
    given = {
        "ids": ["a" * 32, "b" * 32],
        "epochs": list(range(20)),
        "targets": ["cat", HOSTILE],
        "labels": [0, 1],
        "names": {"0": "cat", "1": HOSTILE},
        "classes": [[1, 1]] * 10 + [[0, 1]] * 10,
        "confidences": [[0.6, 0.5]] * 19 + [[0.99, None]],
    }
    return msgspec.convert({**given, **more}, PredictionTrack)


def record(**more: object) -> NetRecord:
    inputs = [NetInput(SHOWN, HOSTILE, (-1.0, 2.0), 3), NetInput(ExampleDisplay(text=HOSTILE * 50, note="cut"))]
    batch = NetBatch("training mode, epoch 1, step 1", "3×8×8", "float32", inputs, [(-1.0, 1.0)] * 12, 0.1, 1.0)
    layer = FirstLayer(HOSTILE, "Conv2d", 64, [WeightPicture(SHOWN, 0.5, 0.25), WeightPicture(SHOWN, 0.0, None)])
    given = {"training": batch, "validation": batch, "predictions": track(), "first_layer": layer, "notes": [HOSTILE]}
    return NetRecord(replicate=3, seed=7, **{**given, **more})  # type: ignore[arg-type]


def drawn(section: PageSection) -> ParsedPage:
    page = Page("title", "", [PageArticle("e1", "one", [section])])
    found = ParsedPage(page_html.html(page, lambda _, draw: draw()))
    assert_sound(found)
    assert "Conv2d" not in page_markdown.markdown(page), "a comment has no pictures, and goes without"
    return found


def test_a_record_on_a_page() -> None:
    found = drawn(net_section.net_section(record(), []))
    assert "\u202e" not in found.text and "\x1b" not in found.text
    for said in (
        "number 3, seed 7",
        "2 training examples exactly as the network got them (training mode, epoch 1, step 1)",
        "3×8×8, float32; mean 0.1, standard deviation 1; each channel drawn over its own range: 1: -1 … 1",
        "and 4 more channels",
        "3 values are not finite",
        "right: 1 at start, 1 at epoch 3",
        "0 changed class from epoch 18 to epoch 19",
        "First-layer weights after training: Conv2d",
        "the first 2 of 64 units",
        "moved by 25% of its start",
    ):
        assert said in found.text, said
    names = [one["alt"] for one in found.all("img")]
    assert len(names) == 4 and all(names) and "weights of unit 1 of the first layer, from -0.5 to 0.5" in names


def test_predictions_in_a_table_that_is_shown_and_one_of_all_epochs() -> None:
    tables = [one for one in net_section.net_section(record(), []).blocks if isinstance(one, PageTable)]
    few, whole = tables
    assert len(few.columns) == 2 + net_section.OPEN_EPOCHS and len(whole.columns) == 22 and whole.closed
    assert few.columns[2] == "start" and few.columns[-1] == "epoch 19"
    assert [row[0] for row in few.rows] == ["aaaaaaaaaa…", "bbbbbbbbbb…"], "what was learnt last stands first"
    assert few.rows[0][2].startswith("✗ ") and few.rows[0][-1] == "✓ 99%" and few.rows[1][-1] == "✗ not finite"
    assert few.shades[0, 9] == 4 and (0, 2) not in few.shades and few.shades[1, 2] == 3


def test_values_and_the_end_alone() -> None:
    values = track(epochs=[AFTER], labels=[], names={}, classes=[], confidences=[], values=[[1.5, None]])
    (table,) = [
        one for one in net_section.net_section(record(predictions=values), []).blocks if isinstance(one, PageTable)
    ]
    assert table.columns == ["example", "target", "end"] and [row[2] for row in table.rows] == ["1.5", "not finite"]


@pytest.mark.parametrize(
    ("edit"),
    [
        {"classes": [[0, 1]] * 19},
        {"classes": [[0]] * 20},
        {"labels": [0]},
        {"ids": []},
        {"epochs": [], "classes": [], "confidences": []},
        {"values": [[1.0, 2.0]] * 20},
    ],
)
def test_a_damaged_record_is_a_sentence(edit: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="not all there"):
        net_record.decoded(net_record.encoded(record(predictions=track(**edit))), "arms/net.json")


def test_why_there_is_none() -> None:
    def only(section: PageSection) -> Gap:
        (found,) = section.blocks
        assert isinstance(found, Gap)
        return found

    assert only(net_section.net_section(None, [])).hint == "assay net"
    assert only(net_section.net_section(NetRecord(why="so"), [])) == Gap(net_section.WHAT, "so", "assay net")
    assert only(net_section.net_section(NetRecord(why="so", possible=False), [])).hint == ""
    missing = Gap("arms/net.json", "not here", "dvc pull arms/net.json")
    assert only(net_section.net_section(None, [missing])) == missing
    assert net_section.net_section(None, [], script=True).blocks[0].text == net_section.OF_SCRIPT  # type: ignore[union-attr]


def test_pictures_of_noise_leave_room_on_a_page() -> None:
    """Noise compresses worst. The rest of a page with 10 + 10 replicates of 100 epochs takes 115 to 140 KiB."""
    torch.manual_seed(0)
    batch = input_pictures.batch(list(torch.randn(16, 3, 224, 224)), ["a long name of a class"] * 16, "training mode")
    moments, names = list(range(32)), {str(number): f"class number {number} with a long name" for number in range(10)}
    classes = [[(place + moment) % 10 for place in range(32)] for moment in moments]
    predictions = track(
        ids=["a" * 32] * 32,
        epochs=moments,
        targets=["class number 1 with a long name"] * 32,
        labels=[1] * 32,
        names=names,
        classes=classes,
        confidences=[[0.123] * 32] * 32,
    )
    section = net_section.net_section(record(training=batch, validation=batch, predictions=predictions), [])
    found = drawn(section)
    assert len(found.all("img")) == 34 and sum(len(one["src"]) for one in found.all("img")) <= 98 * 1024
    empty = page_html.html(Page("", "", []), lambda _, draw: draw())
    text = page_html.html(Page("", "", [PageArticle("e1", "", [section])]), lambda _, draw: draw())
    assert len(text) - len(empty) <= 160 * 1024
    large = msgspec.structs.replace(SHOWN, picture=PNG.replace("AAA", "A" * 6_003, 1))
    older = msgspec.structs.replace(batch, examples=[NetInput(large, "x")] * 16)
    assert "the first 8 of them are shown" in drawn(net_section.net_section(record(training=older), [])).text
    each = input_pictures.MOST_PICTURES // 16
    fitting = msgspec.structs.replace(SHOWN, picture=PNG.replace("AAA", "A" * (3 + each - len(PNG)), 1))
    full = msgspec.structs.replace(batch, examples=[NetInput(fitting, "x")] * 16)
    found = drawn(net_section.net_section(record(training=full), []))
    assert "no room" not in found.text, "all that a recorder may store is shown"
    assert sum(one["alt"].startswith("training example") for one in found.all("img")) == 16
