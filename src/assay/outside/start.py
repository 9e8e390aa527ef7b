"""What every stage does first: read and validate all parameters, then prove its own code."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType

from assay.core import params_yaml
from assay.core.params_yaml import Params
from assay.core.paths import Layout
from assay.core.schemas import StageCode
from assay.outside import pipeline, provenance, remembered, stage_code, task_source


@dataclass(frozen=True)
class Start:
    """One stage under way. `params` are resolved for the profile."""

    stage: str
    run: pipeline.Run
    params: Params

    @property
    def layout(self) -> Layout:
        return self.run.layout

    @cached_property
    def declared(self) -> dict[str, list[str]]:
        """Stage → its dependencies in dvc.yaml."""
        return pipeline.dependencies(self.layout, self.params.task.name)

    @property
    def dependencies(self) -> list[str]:
        return self.declared.get(self.stage, [])

    @cached_property
    def code(self) -> StageCode:
        """What the stage reaches. Raises ProvenanceError where that is not what `context` saw."""
        return stage_code.check(self.layout, self.stage, self.params.task.name)

    def task(self, name: str) -> ModuleType:
        """The task's module `name` (data, metrics), imported and proven."""
        module = task_source.load(self.layout.root, self.params.task.name, name)
        self.prove()
        return module

    def said_by_task(self, name: str) -> AbstractContextManager[None]:
        """Around calls into the task's module `name`: what it raises becomes a sentence."""
        return task_source.said_by_task(self.layout.root, self.params.task.name, name)

    def prove(self, also: Iterable[str] = ()) -> None:
        """Refuse code that nobody knows: what is imported by now, and the files in `also`."""
        root = self.layout.root
        provenance.check_tree(root, self.run.home, self.stage)
        files = sorted({*provenance.imported(root), *also})
        provenance.check(root, self.stage, self.dependencies, files, self.code.files)

    def unproven(self) -> list[str]:
        """Modules imported since, which nobody checked."""
        elsewhere = provenance.from_elsewhere(self.layout.root, self.run.home)
        return [*provenance.late(self.layout.root, self.dependencies, self.code.files), *elsewhere]


def start(root: Path, stage: str) -> Start:
    """Read params.yaml as a whole, whatever part of it this stage needs."""
    content = pipeline.parameters(root, "bring it back with `git checkout HEAD -- params.yaml`")
    begun = Start(stage, pipeline.current(root), params_yaml.resolved(content))
    remembered.load(begun.run.store.sources)
    return begun
