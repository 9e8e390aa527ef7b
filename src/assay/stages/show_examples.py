"""show_examples: some validation examples as pictures, texts or rows, by the task's show() where it has one.

`assay stage show_examples ROWS.json ANSWERS.jsonl`, started by `evaluate` (`stages.example_displays`), so that nothing
which show() imports, does or breaks touches the metric; no stage of dvc.yaml. Each example is written when it is done:
whoever waits sees by the file whether this process is still at work.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from assay.core.case_records import ExampleDisplay
from assay.core.errors import AssayError, UsageError
from assay.data import example_display, storage
from assay.data.encoded_file import EncodedFile
from assay.data.example_display import NotShownError
from assay.runtime import task_source
from assay.runtime.stage_setup import StageContext, start

#: row of the answer that says why there is no other
NONE = -1


class ShownExample(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One answer: an example's row in the validation part, and what is shown of it. `failed`: a reason, and no more."""

    row: int
    display: ExampleDisplay
    failed: bool = False


def main(root: Path, arguments: Sequence[str]) -> None:
    if len(arguments) != 2:
        raise UsageError(
            f"show_examples was given {len(arguments)} arguments", allowed="a file of rows, one of answers"
        )
    rows = msgspec.json.decode(Path(arguments[0]).read_bytes(), type=list[int])
    with Path(arguments[1]).open("wb") as answers:
        for answer in _answers(start(root, "evaluate"), rows):
            answers.write(msgspec.json.encode(answer) + b"\n")
            answers.flush()


def _answers(ctx: StageContext, rows: Sequence[int]) -> Iterator[ShownExample]:
    root, task = ctx.layout.root, ctx.params.task.name
    try:
        show = task_source.load_show(root, task)
        ctx.prove()
        inputs, _ = storage.inputs_to_show(ctx.layout.part("validation"))
    except AssayError as error:
        yield ShownExample(NONE, example_display.not_shown(error.sentence), failed=True)
        return
    for row in rows:
        try:
            yield ShownExample(row, by_itself(inputs[row]) if show is None else _by_task(root, show, inputs[row]))
        except NotShownError as error:
            yield ShownExample(row, example_display.not_shown(str(error)), failed=True)


def _by_task(root: Path, show: Callable[[Any], Any], example: Any) -> ExampleDisplay:
    """What the task's show() makes of an example. Raises NotShownError whatever it raises, exits included."""
    try:
        return example_display.of_shown(show(example))
    except NotShownError:
        raise
    except (Exception, SystemExit) as error:
        said = f"show() failed{task_source.at_line(root, error)}: {type(error).__name__}: {error}"
        raise NotShownError(said) from error


def by_itself(example: Any) -> ExampleDisplay:
    """What an example that is no array shows without the task's help; an encoded file is taken for an image."""
    if not isinstance(example, EncodedFile):
        return example_display.of_input(example)
    name = example_display.of_text(example.path).text
    try:
        images = importlib.import_module("assay.ready.image_files")
    except AssayError as error:  # there is no Pillow
        return msgspec.structs.replace(example_display.not_shown(error.sentence), text=name)
    try:
        pixels = images.thumbnail(example.content, example_display.LONGEST_SIDE)
        drawn = example_display.of_pixels(pixels, example_display.BYTES)
    except (images.BadImageError, NotShownError) as error:
        drawn = example_display.not_shown(f"no picture: {error}")
    return msgspec.structs.replace(drawn, text=name)
