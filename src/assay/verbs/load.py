"""`assay.load` by name: exported once into our cache, then opened."""

from __future__ import annotations

from pathlib import Path

from assay.history import lookup, project
from assay.history.reading import read
from assay.history.state import fold
from assay.verbs.export import export
from assay.verbs.exported import HEAD, Model
from assay.words.layout import Store


def load(name: str | Path, *, ensemble: bool = False) -> Model:
    """The strategy `name` of the project around the working directory, or an exported folder.

    Its first replicate predicts, or with `ensemble` the mean of all. Raises UsageError when there is no
    such strategy, or when its files are neither in DVC's cache nor on a remote.
    """
    folder = Path(name)
    if not (folder / HEAD).is_file():
        layout = project.find(Path.cwd())
        strategy = lookup.strategy(fold(read(layout.root, experiments=False).tags), str(name))
        folder = Store(layout.root).root / "exported" / strategy.tag.object
        if not (folder / HEAD).is_file():
            export(layout.root, strategy.tag.name, folder)
    return Model(folder, ensemble)
