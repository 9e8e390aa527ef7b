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
from assay.core.paths import ProjectPaths
from assay.core.schemas import StageCode
from assay.runtime import dvc_yaml, source_analysis_cache, stage_fingerprint, task_source, tracked_code_check


@dataclass(frozen=True)
class StageContext:
    """One stage under way. `params` are resolved for the profile."""

    stage: str
    run: dvc_yaml.Run
    params: Params

    @property
    def layout(self) -> ProjectPaths:
        return self.run.layout

    @cached_property
    def declared(self) -> dict[str, list[str]]:
        """Stage → its dependencies in dvc.yaml."""
        return dvc_yaml.dependencies(self.layout, self.params.task.name)

    @property
    def dependencies(self) -> list[str]:
        return self.declared.get(self.stage, [])

    @cached_property
    def code(self) -> StageCode:
        """What the stage reaches. Raises ProvenanceError where that is not what `context` saw."""
        return stage_fingerprint.check(self.layout, self.stage, self.params.task.name)

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
        tracked_code_check.check_tree(root, self.run.home, self.stage)
        files = sorted({*tracked_code_check.imported(root), *also})
        tracked_code_check.check(root, self.stage, self.dependencies, files, self.code.sources)

    def unproven(self) -> list[str]:
        """Modules imported since, which nobody checked."""
        elsewhere = tracked_code_check.from_elsewhere(self.layout.root, self.run.home)
        return [*tracked_code_check.late(self.layout.root, self.dependencies, self.code.sources), *elsewhere]


def start(root: Path, stage: str) -> StageContext:
    """Read params.yaml as a whole, whatever part of it this stage needs."""
    content = dvc_yaml.parameters(root, "bring it back with `git checkout HEAD -- params.yaml`")
    ctx = StageContext(stage, dvc_yaml.current(root), params_yaml.resolved(content))
    source_analysis_cache.load(ctx.run.store.sources)
    return ctx
