"""What training reads that neither its code nor the parameters of an older dvc.yaml show to DVC.

The stage `train` depends on `context/code-train.json`, which holds a hash of each: so a dvc.yaml of an earlier release
runs training again for them, too.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from assay.core import params_yaml
from assay.core.json_encoding import json_form
from assay.runtime import dvc_yaml, files

#: what the section `loss` of params.yaml is called among files
LOSS = "loss in params.yaml"


def hashes(root: Path) -> dict[str, str]:
    """Name → hash, as params.yaml says it now; empty where all of it is at its default."""
    params = params_yaml.resolved(dvc_yaml.parameters(root))
    found = {}
    if params.loss.name and not params.is_script:
        plain = json_form(msgspec.to_builtins(params.loss))
        found[LOSS] = files.digest(msgspec.json.encode(plain, order="deterministic"))
    return found
