"""Inputs decoded once, by a task's `decode()`, and mapped from a cache that arms and replicates share.

What one example becomes is a Tensor, or a dict of Tensors; all of them lie one after another in a file for each name.
The cache may be deleted at any moment: what is mapped stays readable, and the next process decodes again. Covers:
decoding, keeping, checking what is kept. Not covered: what batches are made of it (`training.model_inputs`).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from assay.core.errors import UsageError
from assay.core.schemas import DAMAGE
from assay.data.content_hash import array_digest
from assay.runtime import cache_dirs, files, npy_files
from assay.runtime.file_locks import Lock

#: name of the only Tensor of an example, where it is no dict
ONLY = ""
_INDEX = "index.json"
#: a place that cannot be made, so that a temporary one is taken, which ends with this process
_NOWHERE = Path("/dev/null/decoded")

#: one input as the model sees it, or its batch
Example: TypeAlias = Tensor | dict[str, Tensor]


class DecodedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One name's numbers, of all examples: a file of bytes, and one of shapes where these differ."""

    dtype: str
    shape: list[int] | None  # of each example; None where they differ
    digest: str


@dataclass(frozen=True)
class DecodedArray:
    """(N, …) equal arrays, or N unequal ones one after another."""

    values: NDArray[Any]  # (N, …), or all numbers in a row
    shapes: NDArray[np.int64] | None = None  # (N, dimensions)
    starts: NDArray[np.int64] | None = None  # (N,)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of an example; -1 where examples differ."""
        if self.shapes is None:
            return tuple(self.values.shape[1:])
        same = (self.shapes == self.shapes[0]).all(axis=0)
        return tuple(int(size) if equal else -1 for size, equal in zip(self.shapes[0], same, strict=True))

    def row(self, row: int) -> Tensor:
        """One example, a copy."""
        if self.shapes is None or self.starts is None:
            return torch.from_numpy(np.array(self.values[row]))
        shape, start = self.shapes[row], self.starts[row]
        return torch.from_numpy(np.array(self.values[start : start + int(shape.prod())].reshape(shape)))


@dataclass(frozen=True)
class DecodedExamples:
    """N decoded inputs; `decoded[row]` is one of them."""

    arrays: Mapping[str, DecodedArray]
    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, row: int) -> Example:
        if not 0 <= row < self.count:
            raise IndexError(row)
        if ONLY in self.arrays:
            return self.arrays[ONLY].row(row)
        return {name: array.row(row) for name, array in self.arrays.items()}

    def __iter__(self) -> Iterator[Example]:
        return (self[row] for row in range(self.count))

    @property
    def shape(self) -> tuple[int, ...] | dict[str, tuple[int, ...]]:
        """Of an example, by name where it is a dict; -1 where examples differ."""
        if ONLY in self.arrays:
            return self.arrays[ONLY].shape
        return {name: array.shape for name, array in self.arrays.items()}

    @property
    def whole(self) -> Tensor | None:
        """(N, …) all of them where they are equal Tensors, mapped."""
        array = self.arrays.get(ONLY)
        return None if array is None or array.shapes is not None else torch.from_numpy(array.values)


def decoded(
    inputs: Iterable[Any], decode: Callable[[Any], Any], refuse: Callable[[str, str], UsageError], folder: Path | None
) -> DecodedExamples:
    """`inputs`, each through `decode`, from `folder` where they were decoded before; None keeps nothing.

    Raises what `decode` raises, and what `refuse` makes of a problem and what is allowed.
    """

    def make(path: Path) -> Path:
        return _made(inputs, decode, refuse, path)

    if folder is None:
        return _read(cache_dirs.place(make, _NOWHERE, cache_dirs.unsaid))
    try:
        lock = Lock.take(folder, wait=True)  # another arm may be at it
    except OSError:
        lock = None
    try:
        kept = _kept(folder)
        if kept is not None:
            return kept
        made = cache_dirs.place(make, folder, cache_dirs.unsaid)
        try:
            return _read(made)
        except UsageError:  # somebody emptied the cache meanwhile
            return _read(cache_dirs.place(make, _NOWHERE, cache_dirs.unsaid))
    finally:
        if lock is not None:
            lock.release()


def _kept(folder: Path) -> DecodedExamples | None:
    """What lies in `folder`, where it is whole."""
    cache_dirs.hold(folder)
    try:
        return _read(folder)
    except (OSError, UsageError, *DAMAGE):
        shutil.rmtree(folder, ignore_errors=True)
        return None


def _made(
    inputs: Iterable[Any], decode: Callable[[Any], Any], refuse: Callable[[str, str], UsageError], folder: Path
) -> Path:
    with cache_dirs.scratch(folder.parent) as scratch:
        _write(scratch / "part", (decode(one) for one in inputs), refuse)
        shutil.rmtree(folder, ignore_errors=True)
        (scratch / "part").rename(folder)
    cache_dirs.hold(folder)
    return folder


def _write(folder: Path, examples: Iterable[Any], refuse: Callable[[str, str], UsageError]) -> None:
    folder.mkdir()
    shapes: dict[str, list[tuple[int, ...]]] = {}
    types: dict[str, str] = {}
    streams = {}
    try:
        for row, example in enumerate(examples):
            named = example if isinstance(example, Mapping) else {ONLY: example}
            if row == 0:
                streams = {name: (folder / _file(number)).open("wb") for number, name in enumerate(named)}
            if (
                not named
                or named.keys() != streams.keys()
                or not all(isinstance(one, Tensor) for one in named.values())
            ):
                found = ", ".join(map(str, named)) if isinstance(example, Mapping) else type(example).__name__
                raise refuse(
                    f"decode() gives {found} for example {row}", "a Tensor, or a dict of Tensors, always alike"
                )
            for name, tensor in named.items():
                array = np.ascontiguousarray(tensor.detach().cpu().numpy())
                if array.dtype.str != types.setdefault(name, array.dtype.str):
                    raise refuse(f"decode() gives {array.dtype} for example {row}, and another type before", "one type")
                shapes.setdefault(name, []).append(tuple(tensor.shape))
                streams[name].write(array.tobytes())
    finally:
        for stream in streams.values():
            stream.close()
    index = {}
    for number, (name, listed) in enumerate(shapes.items()):
        equal = len(set(listed)) == 1
        if not equal and len({len(shape) for shape in listed}) > 1:
            raise refuse(
                f"decode() gives {len(listed[0])} dimensions, and others for other examples", "as many for all"
            )
        if not equal:
            np.save(folder / f"{number}.shapes.npy", np.array(listed, dtype=np.int64))
        values = _mapped(folder / _file(number), types[name])
        index[name] = DecodedFile(types[name], list(listed[0]) if equal else None, array_digest(values))
    files.write_bytes(folder / _INDEX, msgspec.json.encode([len(next(iter(shapes.values()), [])), index]))


def _read(folder: Path) -> DecodedExamples:
    raw = files.read_bytes(folder / _INDEX)
    count, index = msgspec.json.decode(raw, type=tuple[int, dict[str, DecodedFile]])
    arrays = {}
    for number, (name, told) in enumerate(index.items()):
        values = _mapped(folder / _file(number), told.dtype)
        if array_digest(values) != told.digest:
            raise UsageError(f"{folder} was changed")
        if told.shape is not None:
            arrays[name] = DecodedArray(values.reshape(count, *told.shape))
            continue
        shapes = npy_files.read(folder / f"{number}.shapes.npy")
        ends = np.cumsum(shapes.prod(axis=1))
        arrays[name] = DecodedArray(values, shapes, np.concatenate([[0], ends[:-1]]))
    return DecodedExamples(arrays, count)


def _mapped(path: Path, dtype: str) -> NDArray[Any]:
    if not path.stat().st_size:
        return np.empty(0, dtype=dtype)
    return np.asarray(np.memmap(path, dtype=np.dtype(dtype), mode="c"))


def _file(number: int) -> str:
    """Names of Tensors are the user's own; those of files are numbers."""
    return f"{number}.bin"
