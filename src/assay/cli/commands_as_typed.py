"""Commands in our sentences, as they have to be typed in the current folder.

Below the command line all sentences speak as from the folder of dvc.yaml. Where the user stands elsewhere, DVC needs to
be told: `dvc exp run -S lr=3` becomes `dvc exp run assay/dvc.yaml -S assay/params.yaml:lr=3`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from assay.core.errors import AssayError
from assay.core.paths import STAGES
from assay.runtime import project_root

#: up to where a command goes in a sentence
_REST = r"(?:(?! && |, |\. )[^;`\n\"])*"
_RUN = re.compile(rf"\bdvc exp run(?! [^\s;`]*dvc\.yaml)({_REST})")
_REPRO = re.compile(rf"\bdvc repro(?=\s)({_REST})")
_FILES = re.compile(rf"\b(git (?:checkout|diff) (?:HEAD )?-- )({_REST})")
_SETTING = re.compile(r"(?<=-S )(?=[A-Za-z_][\w.]*=)")
_STAGE = re.compile(rf"(?<= )(?=(?:{'|'.join(STAGES)})\b)")
#: a folder that needs no quotes, in a shell or in JSON
_PLAIN = re.compile(r"[\w./-]+")


def located(text: str) -> str:
    """`text` with its commands made for the current folder. The very text where that is the folder of dvc.yaml."""
    if not any(pattern.search(text) for pattern in (_RUN, _REPRO, _FILES)):
        return text
    folder = _folder(os.getcwd())  # noqa: PTH109
    return _moved(text, folder) if folder else text


def _moved(text: str, folder: str) -> str:
    replaced = _RUN.sub(lambda found: f"dvc exp run {folder}/dvc.yaml{_settings(found[1], folder)}", text)
    replaced = _REPRO.sub(lambda found: f"dvc repro{_STAGE.sub(f'{folder}/dvc.yaml:', found[1])}", replaced)
    return _FILES.sub(_paths(folder), replaced)


def _settings(rest: str, folder: str) -> str:
    return _SETTING.sub(f"{folder}/params.yaml:", rest)


def _paths(folder: str) -> Callable[[re.Match[str]], str]:
    return lambda found: found[1] + " ".join(f"{folder}/{word}" if word else word for word in found[2].split(" "))


@lru_cache(maxsize=2)
def _folder(here: str) -> str:
    """The folder of dvc.yaml as seen from `here`; "" where it is that, or there is none, or it needs quotes."""
    try:
        seen = os.path.relpath(project_root.find(Path(here)).root, Path(here).resolve())
    except (AssayError, OSError):
        return ""
    return seen.replace(os.sep, "/") if seen != "." and _PLAIN.fullmatch(seen) else ""
