"""Record of what a network was given and what it said while it trained (`arms/net.json`).

Covers: fields, and the file in one line of JSON. Not covered: taking it (`assay.recorder`), drawing a page of it
(`report.page.net_section`).
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec
from msgspec import UNSET, Struct, UnsetType

from assay.core import schemas
from assay.core.case_records import ExampleDisplay
from assay.core.errors import UsageError
from assay.core.schemas import Record

#: examples of each part that are shown as the network gets them
SHOWN = 16
#: moments at which they are predicted, before the first step and after the last epoch among them
MOMENTS = 32
#: in place of an epoch: after the training
AFTER = -1
#: bytes of a record
MOST_BYTES = 200 * 1024

#: lowest and highest value, None where none is finite
ValueRange: TypeAlias = tuple[float | None, float | None]


class NetInput(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One example as the forward pass gets it, drawn for the eye. `span`: its values; `unlike`: how many of them are
    not finite."""

    display: ExampleDisplay
    label: str = ""
    span: ValueRange | UnsetType = UNSET
    unlike: int = 0


class NetBatch(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Examples of one part. `shape` and `dtype` are those of the first; `channels`: what black and white stand for, a
    pair for each channel over all of them; `where`: when they went through the network."""

    where: str
    shape: str
    dtype: str
    examples: list[NetInput]
    channels: list[ValueRange] = msgspec.field(default_factory=list)
    mean: float | UnsetType = UNSET
    sd: float | UnsetType = UNSET


class PredictionTrack(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Predictions of the same validation examples at each of `epochs`, of which 0 is before the first step, and
    AFTER, where no epochs are known, behind the training.

    `labels` and `classes` are numbers of classes, by `names`; of values, `values` stands in place of both.
    """

    ids: list[str]
    epochs: list[int]
    targets: list[str]
    labels: list[int] = msgspec.field(default_factory=list)
    names: dict[str, str] = msgspec.field(default_factory=dict)
    #: an entry for each of `epochs`, as those of the next two; -1 where the prediction is not finite
    classes: list[list[int]] = msgspec.field(default_factory=list)
    confidences: list[list[float | None]] = msgspec.field(default_factory=list)
    values: list[list[float | None]] = msgspec.field(default_factory=list)


class WeightPicture(Struct, frozen=True, forbid_unknown_fields=True):
    """Weights of one unit: black is -`most`, white `most`, grey 0. `moved`: distance from its first weights in parts of
    their length; None where they were 0."""

    display: ExampleDisplay
    most: float
    moved: float | None


class FirstLayer(Struct, frozen=True, forbid_unknown_fields=True):
    """The first layer's weights after training, for its first units."""

    name: str
    kind: str
    units: int
    pictures: list[WeightPicture]


class NetRecord(Record, frozen=True, kw_only=True, omit_defaults=True):
    """`arms/net.json`. `why`: why there is no record, "" where there is one; `possible`: whether `assay net` could take
    one; `notes`: what is not in it, and why."""

    why: str = ""
    possible: bool = True
    replicate: int | UnsetType = UNSET
    seed: int | UnsetType = UNSET
    training: NetBatch | UnsetType = UNSET
    validation: NetBatch | UnsetType = UNSET
    predictions: PredictionTrack | UnsetType = UNSET
    first_layer: FirstLayer | UnsetType = UNSET
    notes: list[str] = msgspec.field(default_factory=list)


def encoded(record: NetRecord) -> bytes:
    """One line of JSON: with an indented line for each number it would be three times as large."""
    return schemas.as_json(record) + b"\n"


def decoded(content: bytes, where: str) -> NetRecord:
    """The record in `content`. Raises UsageError where it is damaged, or its predictions do not belong together."""
    found = schemas.decode(content, NetRecord, where)
    if found.predictions is not UNSET and not _is_whole(found.predictions):
        raise UsageError(f"{where} is damaged: its predictions are not all there", hint="assay net")
    return found


def _is_whole(track: PredictionTrack) -> bool:
    """Whether there is a prediction of each example at each moment."""
    count, moments = len(track.ids), len(track.epochs)
    widths = {*map(len, track.classes), *map(len, track.confidences), *map(len, track.values)}
    told = [len(track.classes), len(track.confidences), len(track.values)]
    if widths - {count} or len(track.targets) != count or not count or not moments:
        return False
    return (told == [moments, moments, 0] and len(track.labels) == count) or told == [0, 0, moments]


def within_limit(record: NetRecord) -> bytes:
    """The file of `record`, without what would make it larger than MOST_BYTES; what that is stands in its notes."""
    content = encoded(record)
    for field, said in (("first_layer", "first-layer weights"), ("predictions", "predictions through training")):
        if len(content) <= MOST_BYTES:
            return content
        kept = {field: UNSET, "notes": [*record.notes, f"{said} are left out: the record has no room for them"]}
        record = msgspec.structs.replace(record, **kept)
        content = encoded(record)
    return content
