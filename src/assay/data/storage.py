"""Examples on disk: one folder a part, one `.npy` file an array, a manifest with content hashes.

Covers: stable ids, writing, reading with checks. Not covered: which example goes into which part
(`data.train_test_split`), and normalisation, which belongs to training.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from assay.core import schemas
from assay.core.errors import UsageError
from assay.core.paths import MANIFEST
from assay.runtime import files, npy_files


@dataclass(frozen=True)
class Examples:
    """N examples. Rows of all arrays belong together."""

    ids: NDArray[np.str_]  # (N,) 32 hex digits, "-k" added to the k-th exact repeat
    inputs: NDArray[np.generic]  # (N, …) raw, as prepared
    targets: NDArray[np.generic]  # (N, …) integers from 0 for classes, floats for regression
    groups: NDArray[np.str_] | None = None  # (N,) examples that must stay in one part
    classes: tuple[str, ...] | None = None  # names; None for regression

    def __len__(self) -> int:
        return len(self.ids)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        named: dict[str, NDArray[np.generic]] = {"ids": self.ids, "inputs": self.inputs, "targets": self.targets}
        return named if self.groups is None else {**named, "groups": self.groups}

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> Examples:
        """The examples at `rows` (indices or mask), in that order."""
        groups = None if self.groups is None else self.groups[rows]
        return Examples(self.ids[rows], self.inputs[rows], self.targets[rows], groups, self.classes)


def array_digest(array: NDArray[np.generic]) -> str:
    """Hash of dtype, shape and values; byte order does not matter."""
    little = np.ascontiguousarray(array)
    little = little.astype(little.dtype.newbyteorder("<"), copy=False)
    header = f"{little.dtype.str}{little.shape}".encode()
    return hashlib.blake2b(header + little.tobytes(), digest_size=16).hexdigest()


def content_digest(examples: Examples) -> str:
    """Hash of everything in the part; the order of examples matters."""
    named = "".join(f"{name}={array_digest(array)};" for name, array in sorted(examples.arrays().items()))
    return files.digest((named + "|".join(examples.classes or ())).encode())


def write(folder: Path, part: str, examples: Examples) -> schemas.Part:
    """Write `examples` into `folder`; its manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in examples.arrays().items():
        write_array(folder / f"{name}.npy", array)
    manifest = schemas.Part(
        part=part,
        examples=len(examples),
        content=content_digest(examples),
        arrays={name: array_digest(array) for name, array in examples.arrays().items()},
        classes=None if examples.classes is None else list(examples.classes),
    )
    files.write_bytes(folder / MANIFEST, schemas.encode(manifest))
    return manifest


class _Writer:
    """A file that np.save writes to in pieces. Into a real one it writes itself, and hides why that failed."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.write = stream.write


def write_array(path: Path, array: NDArray[Any]) -> None:
    """`array` as an .npy file, whole or not at all."""
    with files.replacing(path) as stream:
        np.save(_Writer(stream), array, allow_pickle=False)


def read_manifest(folder: Path) -> schemas.Part:
    path = folder / MANIFEST
    mend = "bring the data back with `dvc checkout`, or make it again with `dvc repro -f split`"
    return schemas.decode(files.read_bytes(path, mend), schemas.Part, str(path), mend)


def read(folder: Path, names: Sequence[str] = ("ids", "inputs", "targets", "groups")) -> tuple[Examples, schemas.Part]:
    """The part in `folder`, checked against its manifest; arrays not in `names` come back empty.

    Raises UsageError naming the first array that is missing or was changed.
    """
    manifest = read_manifest(folder)
    found: dict[str, NDArray[np.generic]] = {}
    for name, expected in manifest.arrays.items():
        if name not in names:
            continue
        path = folder / f"{name}.npy"
        mend = f"bring it back with `dvc checkout --force {quote(str(folder))}`"
        array = npy_files.read(path, mend)
        if array_digest(array) != expected or len(array) != manifest.examples:
            raise UsageError(f"{path} does not match its manifest", mend=mend)
        found[name] = array
    empty = np.empty((manifest.examples, 0))
    return (
        Examples(
            ids=found.get("ids", np.empty(manifest.examples, dtype="U1")).astype(np.str_),
            inputs=found.get("inputs", empty),
            targets=found.get("targets", empty),
            groups=found["groups"].astype(np.str_) if "groups" in found else None,
            classes=None if manifest.classes is None else tuple(manifest.classes),
        ),
        manifest,
    )
