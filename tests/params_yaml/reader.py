"""Read texts of params.yaml in a process of its own, as far as a stage does; one line of JSON for each.

`python reader.py TEXTS.json`, a list of texts. A line holds the seconds, and the sentence, "" where the text was read,
or the traceback of what should not happen.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from pathlib import Path

import msgspec

from assay.baseline import baseline_param
from assay.core import params_yaml
from assay.core.errors import UsageError


def read(text: str) -> str:
    """What a stage and a command do with params.yaml before anything else; the sentence that refuses it, or ""."""
    try:
        checked = params_yaml.resolved(text)
        msgspec.json.encode(params_yaml.strategy(checked), order="deterministic")
        msgspec.json.encode(msgspec.to_builtins(params_yaml.alike(checked)))
        params_yaml.changed(text, {"model.hidden": 3})
        params_yaml.modes(checked)
        baseline_param.repointed(text.encode(), "strategy/next")
    except UsageError as error:
        return error.sentence
    return ""


def main() -> None:
    for text in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
        started = time.perf_counter()
        try:
            line = {"said": read(text)}
        except Exception:
            line = {"traceback": traceback.format_exc()}
        print(json.dumps({**line, "seconds": time.perf_counter() - started}), flush=True)


if __name__ == "__main__":
    main()
