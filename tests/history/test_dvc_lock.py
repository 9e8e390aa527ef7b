"""One reader of dvc.lock: an output's hash, whoever wrote the file."""

from __future__ import annotations

import json

import pytest
import yaml

from assay.runtime import dvc_lock

OLD, NEW = "0" * 32 + ".dir", "1" * 32 + ".dir"
#: `baseline` ran before `split` did again: the part is known by two hashes, and the output's own counts
KNOWN = {
    "schema": "2.0",
    "stages": {
        "baseline": {
            "cmd": "assay stage baseline",
            "deps": [{"path": "data/split/train", "hash": "md5", "md5": OLD}],
            "outs": [{"path": "models/baseline", "hash": "md5", "md5": "2" * 32, "size": 1}],
        },
        "split": {
            "cmd": "assay stage split",
            "params": {"params.yaml": {"split.test": 0.1}},
            "outs": [
                {"path": "data/split/train", "hash": "md5", "md5": NEW, "size": 3, "nfiles": 2},
                {"path": "data/split/test", "hash": "md5", "md5": "3" * 32, "size": 3, "nfiles": 2},
            ],
        },
    },
}


@pytest.mark.parametrize("write", [yaml.safe_dump, json.dumps], ids=["as DVC", "as somebody else"])
def test_the_hash_of_an_output_is_that_of_the_stage_that_makes_it(write) -> None:
    written = write(KNOWN) if write is json.dumps else write(KNOWN, sort_keys=False)
    assert dvc_lock.output_hash(written.encode(), "data/split/train") == NEW
    assert dvc_lock.output_hash(written.encode(), "models/baseline") == "2" * 32
    assert dvc_lock.output_hash(written.encode(), "data/split/test") == "3" * 32
    assert dvc_lock.output_hash(written.encode(), "data/split") == ""
    assert dvc_lock.output_hash(b"", "data/split/train") == ""
    assert dvc_lock.parameters(dvc_lock.stages(written.encode())["split"]) == {"split.test": 0.1}


def test_the_form_of_dvc_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A history has thousands."""
    monkeypatch.setattr(dvc_lock, "parse", None)
    content = yaml.safe_dump(KNOWN, sort_keys=False).encode()
    assert dvc_lock.output_hash(content, "data/split/train") == NEW
    assert dvc_lock.output_hash(content, "models/candidate") == ""
