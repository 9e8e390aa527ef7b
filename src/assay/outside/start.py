"""What every stage does first: read and validate all parameters, then prove its own code."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from assay.outside import files, metric_reads, pipeline, provenance, task_source
from assay.words import params
from assay.words.layout import Layout
from assay.words.params import Params


@dataclass(frozen=True)
class Start:
    """One stage under way. `params` are resolved for the profile."""

    stage: str
    run: pipeline.Run
    params: Params

    @property
    def layout(self) -> Layout:
        return self.run.layout

    @property
    def dependencies(self) -> list[str]:
        return pipeline.dependencies(self.layout, self.params.task.name)[self.stage]

    def task(self, name: str) -> ModuleType:
        """The task's module `name` (data, metrics), imported and proven."""
        module = task_source.load(self.layout.root, self.params.task.name, name)
        self.prove()
        return module

    def said_by_task(self, name: str) -> AbstractContextManager[None]:
        """Around calls into the task's module `name`: what it raises becomes a sentence."""
        return task_source.said_by_task(self.layout.root, self.params.task.name, name)

    def prove(self, also: Iterable[str] = ()) -> None:
        """Refuse code that Git or DVC does not know: what is imported by now, and the files in `also`."""
        root = self.layout.root
        provenance.check(root, self.stage, self.dependencies, sorted({*provenance.imported(root), *also}))
        if self.stage == "evaluate":
            metric_reads.check_known(root, self.params.task.name)

    def unproven(self) -> list[str]:
        """Modules imported since, which nobody checked."""
        return provenance.late(self.layout.root, self.dependencies)


def start(root: Path, stage: str) -> Start:
    """Read params.yaml as a whole, whatever part of it this stage needs."""
    content = files.read_bytes(root / "params.yaml", "bring it back with `git checkout HEAD -- params.yaml`")
    return Start(stage, pipeline.current(root), params.resolved(content))
