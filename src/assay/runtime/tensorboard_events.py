"""Scalars in TensorBoard's event files, read without TensorBoard: of each tag the number of the last step.

The file is a row of records (length, checksum, bytes, checksum), each a protocol buffer `Event`. Covers: scalars of
PyTorch, Lightning and the Trainer (`simple_value`), and of Keras and TensorFlow 2 (a tensor of one number); a record
that was cut off at the end, as TensorBoard takes it. Not covered: images, histograms, hyperparameters.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from assay.core.errors import UsageError
from assay.runtime import files

#: beginning of the names of these files
NAME = "events.out.tfevents"
_HINT = "copy the run's folder again"
#: bytes of a record before and behind its data: length and its checksum, checksum of the data
_BEFORE, _BEHIND = 12, 4
#: a longer record of scalars is damage
_LONGEST = 2**30
#: kinds of fields of a protocol buffer
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
#: numbers of TensorFlow's types → NumPy's
_TYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8", 19: "<f2"}
#: fields of a TensorProto that list numbers, where `tensor_content` is empty
_LISTS = {5: "<f4", 6: "<f8"}

Field = tuple[int, int, bytes]


class Scalar(NamedTuple):
    """One number of a tag."""

    step: int
    wall_time: float
    value: float


def last_scalars(paths: Sequence[Path]) -> dict[str, float]:
    """Tag → its number at the last step, over all event files of one run; of equal steps what was written last.

    Raises UsageError for a file that is damaged, and where no tag has a number.
    """
    found: dict[str, Scalar] = {}
    for path in sorted(paths):
        for tag, scalar in _scalars(path):
            if tag not in found or scalar[:2] >= found[tag][:2]:
                found[tag] = scalar
    if not found:
        raise UsageError(f"{paths[0]} holds no scalars", allowed="event files with add_scalar() or log()")
    return {tag: scalar.value for tag, scalar in found.items()}


def _scalars(path: Path) -> Iterator[tuple[str, Scalar]]:
    try:
        for event in _records(files.read_bytes(path), path):
            yield from _of_event(event)
    except (ValueError, IndexError, struct.error, OverflowError) as error:
        raise UsageError(f"{path} is damaged: no event of TensorBoard's", hint=_HINT) from error


def _records(content: bytes, path: Path) -> Iterator[bytes]:
    """Data of each whole record; the last may be cut off, by a run that goes on or was killed."""
    place = 0
    while place + _BEFORE <= len(content):
        length, checksum = struct.unpack_from("<QI", content, place)
        if checksum != _masked(_crc32c(content[place : place + 8])) or length > _LONGEST:
            raise UsageError(f"{path} is damaged at byte {place}: no record of TensorBoard's", hint=_HINT)
        end = place + _BEFORE + length
        if end + _BEHIND > len(content):
            return
        yield content[place + _BEFORE : end]
        place = end + _BEHIND


def _of_event(event: bytes) -> Iterator[tuple[str, Scalar]]:
    """Event: wall_time 1, step 2, summary 5; Summary: value 1; Value: tag 1, simple_value 2, tensor 8."""
    wall_time, step, summaries = 0.0, 0, []
    for number, kind, content in _fields(event):
        if (number, kind) == (1, _EIGHT):
            (wall_time,) = struct.unpack("<d", content)
        elif (number, kind) == (2, _VARINT):
            step = int.from_bytes(content, "little", signed=True)
        elif (number, kind) == (5, _BYTES):
            summaries.append(content)
    for summary in summaries:
        for number, kind, content in _fields(summary):
            if (number, kind) == (1, _BYTES) and (found := _value(content)) is not None:
                yield found[0], Scalar(step, wall_time, found[1])


def _value(content: bytes) -> tuple[str, float] | None:
    """Tag and number of a Value; None where it is no scalar."""
    tag, value = "", None
    for number, kind, part in _fields(content):
        if (number, kind) == (1, _BYTES):
            tag = part.decode("utf-8")
        elif (number, kind) == (2, _FOUR):
            (value,) = struct.unpack("<f", part)
        elif (number, kind) == (8, _BYTES):
            value = _tensor(part)
    return None if value is None else (tag, _shortest(value))


def _shortest(value: float) -> float:
    """The number that was meant: float32 holds 0.9 as 0.8999999761581421."""
    return float(str(np.float32(value))) if float(np.float32(value)) == value else float(value)


def _tensor(content: bytes) -> float | None:
    """The number of a TensorProto with exactly one: dtype 1, tensor_content 4, float_val 5, double_val 6."""
    kind_of_numbers, raw, lists = 0, b"", dict[int, bytes]()
    for number, kind, part in _fields(content):
        if (number, kind) == (1, _VARINT):
            kind_of_numbers = int.from_bytes(part, "little")
        elif (number, kind) == (4, _BYTES):
            raw = part
        elif number in _LISTS:
            lists[number] = lists.get(number, b"") + part
    if raw and kind_of_numbers in _TYPES:
        numbers = np.frombuffer(raw, _TYPES[kind_of_numbers])
    else:
        numbers = np.concatenate(
            [np.frombuffer(part, _LISTS[number]) for number, part in lists.items()] or [np.empty(0)]
        )
    return float(numbers[0]) if len(numbers) == 1 else None


def _fields(message: bytes) -> Iterator[Field]:
    """(number, kind, content) of each field of a protocol buffer; content of a whole number in 8 bytes."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, place = _varint(message, place)
            yield number, kind, (value & (2**64 - 1)).to_bytes(8, "little")
            continue
        length = {_EIGHT: 8, _FOUR: 4}.get(kind)
        if length is None:
            if kind != _BYTES:
                raise ValueError(f"a field of kind {kind}")
            length, place = _varint(message, place)
        if place + length > len(message):
            raise ValueError("a field that is longer than its message")
        yield number, kind, message[place : place + length]
        place += length


def _varint(message: bytes, place: int) -> tuple[int, int]:
    """A whole number, seven bits a byte, and the place behind it."""
    value = 0
    for count in range(10):
        byte = message[place + count]
        value |= (byte & 127) << (7 * count)
        if byte < 128:
            return value, place + count + 1
    raise ValueError("a number without an end")


def _table() -> list[int]:
    """Checksums (CRC-32C) of single bytes."""
    found = []
    for byte in range(256):
        rest = byte
        for _ in range(8):
            rest = (rest >> 1) ^ (0x82F63B78 if rest & 1 else 0)
        found.append(rest)
    return found


_CRC = _table()


def _crc32c(content: bytes) -> int:
    found = 0xFFFFFFFF
    for byte in content:
        found = _CRC[(found ^ byte) & 255] ^ (found >> 8)
    return found ^ 0xFFFFFFFF


def _masked(checksum: int) -> int:
    """As records hold it."""
    return (((checksum >> 15) | (checksum << 17)) + 0xA282EAD8) & 0xFFFFFFFF
