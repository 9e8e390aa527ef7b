"""`assay export --soft-targets`: what an accepted ensemble says of the training examples, to train another model on.

Covers: which examples, and that the ensemble has seen none of those that are judged. Not covered: the file's form and
how training reads it (`data.teacher_file`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from assay.commands import export
from assay.core.errors import UsageError
from assay.core.paths import ProjectPaths
from assay.data import storage, teacher_file
from assay.runtime import dvc_lock, files, git, project_root
from assay.serving import fitted_inputs

_ELSEWHERE = "choose another file"


@dataclass(frozen=True)
class SoftTargetsFile:
    """Where the probabilities are, whose they are, and for how many examples."""

    path: Path
    strategy: str
    replicates: list[int]
    examples: int


def write(start: Path, name: str, path: Path) -> SoftTargetsFile:
    """Write the mean probabilities of all replicates of `strategy/NAME` for the training part of this checkout.

    Raises UsageError for a file that is there, a strategy of another training part, or predictions that are no
    probabilities.
    """
    layout = project_root.find(start)
    if path.exists():
        raise UsageError(f"{path} is there already", allowed="a new file", hint=_ELSEWHERE)
    model = export.load(name, ensemble=True)
    if model.classes is None:
        raise UsageError(f"{model.strategy} predicts values, and soft targets are probabilities of classes")
    _check_part(layout, model.strategy, model.commit)
    train, _ = storage.read(layout.part("train"), ["ids", "inputs", "targets"])
    if train.classes is None or list(train.classes) != model.classes:
        raise UsageError(
            f"{model.strategy} knows other classes than {layout.part('train').relative_to(layout.root)}",
            hint="dvc repro",
        )
    made = model.predict(fitted_inputs.raw(train))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_bytes(path, teacher_file.content(train.ids.tolist(), made))
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror})", hint=_ELSEWHERE) from error
    return SoftTargetsFile(path, model.strategy, model.replicates, len(made))


def _check_part(layout: ProjectPaths, strategy: str, commit: str) -> None:
    """A teacher that was trained on examples which are judged here would tell the student their labels."""
    part = layout.part("train").relative_to(layout.root).as_posix()
    now = dvc_lock.output_hash(layout.lock.read_bytes() if layout.lock.is_file() else b"", part)
    inside = layout.lock.relative_to(layout.root).as_posix()
    then = dvc_lock.output_hash(git.read(layout.root, commit, inside) or b"", part)
    if not now or now != then:
        raise UsageError(
            f"{strategy} was trained on another {part} than is here: it may have seen examples that are judged here",
            allowed="a strategy of the same split",
            hint="dvc repro, or accept the strategy again on this split",
        )
