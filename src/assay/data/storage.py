"""Examples on disk: one folder a part, one `.npy` file an array, a manifest with content hashes.

Covers: writing, reading with checks. Large arrays are mapped into memory, and copied piece by piece. Not covered: which
example goes into which part (`data.train_test_split`), and normalisation, which belongs to training.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from shlex import quote
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from msgspec import UNSET
from numpy.lib import format as npy
from numpy.typing import NDArray

from assay.core import schemas
from assay.core.errors import UsageError
from assay.core.paths import MANIFEST
from assay.data import content_hash, example_notes, named_targets
from assay.data.content_hash import array_digest
from assay.data.named_targets import TargetPart
from assay.runtime import example_ids, files, npy_files
from assay.runtime.example_ids import Keys

if TYPE_CHECKING:
    from assay.data.arrow_rows import ArrowRows

EVERYTHING = ("ids", "inputs", "targets", "groups", *example_notes.ARRAYS)
#: inputs that are no array
ARROW = "inputs.arrow"


@dataclass(frozen=True)
class Examples:
    """N examples. Rows of all arrays belong together."""

    ids: NDArray[np.str_]  # (N,) 32 hex digits, "-k" added to the k-th exact repeat
    inputs: NDArray[np.generic]  # (N, …) raw, as prepared; rows of a table, texts or files are an ArrowRows
    targets: NDArray[np.generic]  # (N, …) integers from 0 for classes, floats for regression
    groups: NDArray[np.str_] | None = None  # (N,) examples that must stay in one part
    classes: tuple[str, ...] | None = None  # names; None for regression
    decode: dict[str, Any] | None = None  # keyword arguments of the task's decode()
    several: tuple[TargetPart, ...] | None = None  # columns of targets (N, K), where an example has several
    notes: Mapping[str, NDArray[Any]] = field(default_factory=dict)  # (N, …) each: slices, second_labels, order
    kind: str = ""  # tokens or series, where prepare() says so

    def __len__(self) -> int:
        return len(self.ids)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        named: dict[str, NDArray[np.generic]] = {"ids": self.ids, "inputs": self.inputs, "targets": self.targets}
        return named if self.groups is None else {**named, "groups": self.groups}

    @property
    def seen_targets(self) -> Any:
        """Targets as a task sees them: an array (N, …), or a dict of arrays where an example has several."""
        return self.targets if self.several is None else named_targets.unpacked(self.targets, self.several)

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> Examples:
        """The examples at `rows` (indices or mask), in that order."""
        groups = None if self.groups is None else self.groups[rows]
        stored = arrow(self.inputs)
        inputs: Any = self.inputs[rows] if stored is None else stored.take(rows)
        return replace(
            self,
            ids=self.ids[rows],
            inputs=inputs,
            targets=self.targets[rows],
            groups=groups,
            notes={name: array[rows] for name, array in self.notes.items()},
        )


def joined(first: Examples, second: Examples) -> Examples:
    """The examples of both, in that order; notes that both have. They are of one task, or UsageError is raised."""
    rows = arrow(first.inputs), arrow(second.inputs)
    alike = first.inputs.shape[1:] == second.inputs.shape[1:] if rows == (None, None) else None not in rows
    if not alike or first.classes != second.classes or (first.groups is None) != (second.groups is None):
        raise UsageError(
            f"training and validation examples are of two kinds: {in_words(first)}, {in_words(second)}",
            hint="dvc repro -f split, or remove split from vary in params.yaml",
        )
    inputs: Any = (
        np.concatenate([first.inputs, second.inputs]) if rows[0] is None else rows[0].joined(second.inputs)  # type: ignore[arg-type]
    )
    groups = None if first.groups is None or second.groups is None else np.append(first.groups, second.groups)
    return replace(
        first,
        ids=np.append(first.ids, second.ids),
        inputs=inputs,
        targets=np.concatenate([first.targets, second.targets]),
        groups=groups,
        notes={
            name: np.concatenate([first.notes[name], second.notes[name]])
            for name in first.notes
            if name in second.notes
        },
    )


def in_words(examples: Examples) -> str:
    """How many examples there are, and what one input is."""
    stored = arrow(examples.inputs)
    if stored is None:
        return f"{len(examples)} examples of shape {tuple(examples.inputs.shape[1:])}"
    words = {"table": f" of {len(stored.columns)} columns", "texts": ", texts", "files": ", files"}
    return f"{len(examples)} examples{words.get(stored.form, ' of different shapes')}"


def arrow(inputs: object) -> ArrowRows | None:
    """`inputs` where they are no array, None where they are one."""
    return None if isinstance(inputs, np.ndarray) else inputs  # type: ignore[return-value]


def input_keys(examples: Examples) -> Keys:
    """(N,) a hash of each input, from its content alone."""
    rows = arrow(examples.inputs)
    return content_hash.row_keys(examples.inputs) if rows is None else rows.keys()


def content_digest(examples: Examples) -> str:
    """Hash of everything in the part but notes; the order of examples matters."""
    return _combined({name: _digest(array) for name, array in examples.arrays().items()}, examples)


def _digest(array: NDArray[np.generic]) -> str:
    rows = arrow(array)
    return array_digest(array) if rows is None else rows.digest()


def _combined(digests: dict[str, str], examples: Examples) -> str:
    named = "".join(f"{name}={digest};" for name, digest in sorted(digests.items()))
    decode = "" if examples.decode is None else schemas.as_json(sorted(examples.decode.items())).decode()
    several = "" if examples.several is None else repr(named_targets.described(examples.several))
    return files.digest((named + "|".join(examples.classes or ()) + several + decode).encode())


def write(
    folder: Path, part: str, examples: Examples, rows: NDArray[np.integer] | NDArray[np.bool_] | None = None
) -> schemas.Part:
    """Write `examples`, or those at `rows` (indices or mask), into `folder`; its manifest.

    What is chosen of a large array is never in memory as a whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chosen = None if rows is None else np.arange(len(examples))[rows]
    form = None if (stored := arrow(examples.inputs)) is None else stored.form
    some = examples if chosen is None else replace(examples, inputs=np.empty((len(examples), 0))).take(chosen)
    ids = example_ids.packed(some.ids)
    some = replace(some, ids=example_ids.unpacked(ids))  # as wide as a reader has them: the whole may hold repeats
    for name, array in {**some.arrays(), **some.notes}.items():
        if name == "inputs":
            _write_inputs(folder, examples.inputs, chosen)
        else:
            write_array(folder / f"{name}.npy", ids if name == "ids" else array)
    written = some if chosen is None else replace(some, inputs=_inputs(folder, "", form is not None))
    digests = {name: _digest(array) for name, array in written.arrays().items()}
    noted = {name: array_digest(array) for name, array in some.notes.items()}
    manifest = schemas.Part(
        part=part,
        examples=len(some),
        content=_combined(digests, examples),
        arrays={**digests, **noted},
        classes=None if examples.classes is None else list(examples.classes),
        several=UNSET if examples.several is None else named_targets.described(examples.several),
        kind=examples.kind or UNSET,
        form=form or UNSET,
        decode=UNSET if examples.decode is None else examples.decode,
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


def _write_inputs(folder: Path, inputs: NDArray[Any], rows: NDArray[np.integer] | None) -> None:
    stored = arrow(inputs)
    if stored is None:
        _write_rows(folder / "inputs.npy", inputs, rows)
        (folder / ARROW).unlink(missing_ok=True)
        return
    (folder / "inputs.npy").unlink(missing_ok=True)
    if rows is not None or stored.path != folder / ARROW:  # else they were gathered there
        stored.write(folder / ARROW, rows)


def inputs_to_show(folder: Path) -> tuple[NDArray[Any], schemas.Part]:
    """Inputs of the part in `folder`, mapped, and its manifest. A few of them are looked at, so that they are not
    hashed as `read` does."""
    manifest = read_manifest(folder)
    return _inputs(folder, f"dvc checkout --force {quote(str(folder))}", manifest.form is not UNSET), manifest


def _inputs(folder: Path, hint: str, in_arrow: bool) -> NDArray[Any]:
    if not in_arrow:
        return npy_files.read(folder / "inputs.npy", hint, mapped=True)
    rows: NDArray[Any] = importlib.import_module("assay.data.arrow_rows").read(folder / ARROW, hint)
    return rows


def _write_rows(path: Path, array: NDArray[Any], rows: NDArray[np.integer] | None) -> None:
    """Some rows of `array` (all of them where None), copied piece by piece."""
    if rows is None:
        write_array(path, array)
        return
    header = {"descr": npy.dtype_to_descr(array.dtype), "fortran_order": False, "shape": (len(rows), *array.shape[1:])}
    with files.replacing(path) as stream:
        npy.write_array_header_1_0(stream, header)
        for piece in content_hash.pieces(len(rows), content_hash.row_bytes(array)):
            stream.write(np.ascontiguousarray(array[rows[piece]]).data)


def read_manifest(folder: Path) -> schemas.Part:
    path = folder / MANIFEST
    hint = "bring the data back with `dvc checkout`, or make it again with `dvc repro -f split`"
    return schemas.decode(files.read_bytes(path, hint), schemas.Part, str(path), hint)


def read(folder: Path, names: Sequence[str] = EVERYTHING) -> tuple[Examples, schemas.Part]:
    """The part in `folder`, checked against its manifest; arrays not in `names` come back empty. Large inputs are
    mapped: they take memory of the page cache alone.

    Raises UsageError naming the first array that is missing or was changed.
    """
    manifest = read_manifest(folder)
    found: dict[str, NDArray[np.generic]] = {}
    for name, expected in manifest.arrays.items():
        if name not in names:
            continue
        path = folder / f"{name}.npy"
        hint = f"bring it back with `dvc checkout --force {quote(str(folder))}`"
        in_arrow = manifest.form is not UNSET
        array = _inputs(folder, hint, in_arrow) if name == "inputs" else npy_files.read(path, hint)
        array = example_ids.unpacked(array) if name == "ids" else array
        if _digest(array) != expected or len(array) != manifest.examples:
            raise UsageError(f"{path} does not match its manifest", hint=hint)
        found[name] = array
    empty = np.empty((manifest.examples, 0))
    return (
        Examples(
            ids=found.get("ids", np.empty(manifest.examples, dtype="U1")).astype(np.str_, copy=False),
            inputs=found.get("inputs", empty),
            targets=found.get("targets", empty),
            groups=found["groups"].astype(np.str_) if "groups" in found else None,
            classes=None if manifest.classes is None else tuple(manifest.classes),
            decode=None if manifest.decode is UNSET else manifest.decode,
            several=None if manifest.several is UNSET else named_targets.read(manifest.several),
            notes={name: found[name] for name in example_notes.ARRAYS if name in found},
            kind="" if manifest.kind is UNSET else manifest.kind,
        ),
        manifest,
    )
