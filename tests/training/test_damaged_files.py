"""Files of arrays and weights that lie about themselves: one sentence, no memory taken, nothing believed."""

from __future__ import annotations

import hashlib
import io
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from assay.core import schemas
from assay.core.errors import UsageError
from assay.data import storage
from assay.history import cached_predictions
from assay.replicates import cache_entries, safetensors_check
from assay.runtime import files, npy_files
from assay.serving import predict, raw_examples
from assay.training import checkpoint


def header(shape: str, kind: str = "<f4", rest: bytes = b"") -> bytes:
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + rest


def _zipped() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, ids=np.zeros(3))
    return stream.getvalue()


def _saved(array: object) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asarray(array))
    return stream.getvalue()


LYING = {
    "huge": header("(10000000000, 1000000)"),
    "negative": header("(-1, 4)"),
    "longer": header("(3,)", rest=b"\0" * 11),
    "more": header("(3,)", rest=b"\0" * 13),
    "zip": _zipped(),
    "one number": _saved(1.0),
    "objects": header("(3,)", "|O", b"\x80\x04K\x01."),
    "deep": header("(" * 3000),
    "version": b"\x93NUMPY\x09\x00" + b"\0" * 100,
    "empty": b"",
    "text": b"hello",
}


@pytest.mark.parametrize("content", LYING.values(), ids=LYING)
def test_an_array_that_lies_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    """Wherever arrays are read: parts of the data, predictions in the work tree and in DVC's cache, inputs."""
    for name in ("ids", "predictions"):
        (tmp_path / f"{name}.npy").write_bytes(content)
    manifest = schemas.Part(part="train", examples=3, content="", arrays={"ids": "0"})
    (tmp_path / "manifest.json").write_bytes(schemas.encode(manifest))
    listing = json.dumps([{"relpath": f"{name}.npy", "md5": _kept(tmp_path, content)} for name in ("ids", "majority")])
    digest = _kept(tmp_path, listing.encode(), ".dir")
    lock = f"    - path: predictions/floors\n      hash: md5\n      md5: {digest}\n".encode()
    readers: list[Callable[[], object]] = [
        lambda: npy_files.read(tmp_path / "ids.npy"),
        lambda: storage.read(tmp_path, ["ids"]),
        lambda: cached_predictions.floor(tmp_path, lock, "majority"),
    ]
    for read in readers:
        with pytest.raises(UsageError) as caught:
            read()
        assert len(caught.value.sentence) <= 500
    if content != LYING["more"]:  # NumPy leaves the rest of a file alone, and nothing is lost
        with pytest.raises(ValueError, match="holds no array"):
            raw_examples.read(tmp_path / "ids.npy", {})


def _kept(cache: Path, content: bytes, ending: str = "") -> str:
    digest = hashlib.md5(content).hexdigest() + ending
    files.write_bytes(cache / "files" / "md5" / digest[:2] / digest[2:], content)
    return digest


WHOLE = [np.zeros((2, 3)), np.array(["a", "é"]), np.zeros((0, 4)), np.asfortranarray(np.eye(3))]


@pytest.mark.parametrize("array", WHOLE)
def test_whole_arrays_are_read(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", array)
    np.testing.assert_array_equal(npy_files.read(tmp_path / "a.npy"), array)
    np.testing.assert_array_equal(npy_files.parse((tmp_path / "a.npy").read_bytes()), array)


GOOD = safetensors.torch.save({"w": torch.ones(3, 2), "b": torch.zeros(2), "n": torch.tensor(3), "e": torch.ones(0, 2)})


def _with_header(change: Callable[[dict], None]) -> bytes:
    size = int.from_bytes(GOOD[:8], "little")
    found = json.loads(GOOD[8 : 8 + size])
    change(found)
    text = json.dumps(found).encode()
    return len(text).to_bytes(8, "little") + text + GOOD[8 + size :]


DAMAGED = {
    "cut": GOOD[:-1],
    "longer": GOOD + b"x",
    "empty": b"",
    "size": (2**60).to_bytes(8, "little") + GOOD[8:],
    "no header": GOOD[:8] + b"\xff" * (len(GOOD) - 8),
    "deep": (10**5).to_bytes(8, "little") + b"[" * 10**5,
    "shape": _with_header(lambda found: found["w"].update(shape=[3, 3])),
    "negative": _with_header(lambda found: found["w"].update(shape=[-3, -2])),
    "offsets": _with_header(lambda found: found["w"].update(data_offsets=[0, 24])),
    "missing": _with_header(lambda found: found["w"].pop("dtype")),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_damaged_weights_are_found_under_a_hash_that_fits(tmp_path: Path, content: bytes) -> None:
    assert safetensors_check.trouble(GOOD) == "" and safetensors_check.trouble(content)
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(predict.BrokenError, match=r"w\.safetensors is damaged"):
        predict.tensors(tmp_path / "w.safetensors")
    saver = checkpoint.Saver(None, [], "")
    saver.path = tmp_path / "of" / "checkpoint"
    cache_entries.seal(saver.path, content)
    assert saver.read(lambda _line: None) is None and not saver.path.exists()


def test_a_deep_record_is_a_sentence() -> None:
    for content in (b"[" * 10**5, b'{"schema": ' + b"9" * 5000 + b"}", b'"\xff"'):
        with pytest.raises(UsageError, match=r"is damaged|is not a valid"):
            schemas.decode(content, schemas.Part, "manifest.json")


def test_a_huge_shape_takes_no_memory(tmp_path: Path) -> None:
    """A child that may take 1 GiB more than it has ends in the sentence, not killed."""
    (tmp_path / "a.npy").write_bytes(header("(4000000000,)"))
    path = str(tmp_path / "a.npy")
    script = f"from assay.runtime import npy_files as arrays; from pathlib import Path; arrays.read(Path({path!r}))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30)),
    )
    assert "UsageError" in done.stderr and "16000000000 bytes, the file has 0" in done.stderr
