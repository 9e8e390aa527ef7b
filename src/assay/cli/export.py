"""`assay export`."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import click

from assay.cli.printing import examples, show, show_json
from assay.commands import export_soft_targets
from assay.commands.export import export


@click.command(epilog=examples("assay export strategy/adam --to models/adam --ensemble"))
@click.argument("strategy")
@click.option("--to", "folder", type=click.Path(path_type=Path), help="A new or an empty folder.")
@click.option("--ensemble", is_flag=True, help="All replicates, to predict with their mean; default: the first.")
@click.option(
    "--soft-targets",
    "soft",
    type=click.Path(path_type=Path),
    help="A new file instead: the ensemble's probabilities for the training part, to train another model on.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(strategy: str, folder: Path | None, ensemble: bool, soft: Path | None, as_json: bool) -> None:
    """Write the model of STRATEGY with weights, source, preprocessing, class names and predict.py into a folder.

    The folder needs torch, NumPy, safetensors and what the task imports, neither Assay nor DVC. Before it appears, it
    has predicted the validation examples again and was held against the predictions stored when the strategy was
    measured.
    """
    if (folder is None) == (soft is None):
        raise click.UsageError("give one of --to FOLDER and --soft-targets FILE")
    if soft is not None:
        _soft_targets(strategy, soft, as_json)
        return
    assert folder is not None
    made = export(Path.cwd(), strategy, folder, ensemble, partial(show, err=True))
    if as_json:
        plain = {"folder": str(made.folder.resolve()), "strategy": made.strategy, "commit": made.commit}
        rest = {"replicates": made.replicates, "classes": made.classes, "difference": made.difference}
        show_json(json.dumps({"schema": 1, **plain, **rest}))
        return
    same = "bit for bit" if made.difference == 0 else f"to {made.difference:.2g}"
    show(f"wrote {made.strategy} ({made.commit[:12]}) into {made.folder}: {_which(made.replicates)}")
    show(f"its stored validation predictions are reproduced {same}")
    show(f"next: python '{made.folder / 'predict.py'}' {made.inputs} predictions.npy")


def _soft_targets(strategy: str, path: Path, as_json: bool) -> None:
    made = export_soft_targets.write(Path.cwd(), strategy, path)
    if as_json:
        plain = {"file": str(made.path.resolve()), "strategy": made.strategy, "replicates": made.replicates}
        show_json(json.dumps({"schema": 1, **plain, "examples": made.examples}))
        return
    show(f"wrote what {_which(made.replicates)} of {made.strategy} says of {made.examples} training examples: {path}")
    show(f"next: git add '{path}', and set train.soft_targets: {path} in params.yaml")


def _which(numbers: list[int]) -> str:
    return f"replicate {numbers[0]}" if len(numbers) == 1 else f"the ensemble of {len(numbers)} replicates"
