"""dvc.yaml against the sources: a stage depends on what its imports reach, on all of it and on nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from assay.outside import closure
from assay.words.layout import Layout

ROOT = Path(__file__).parents[2]
#: files of the task that a stage imports by name
TASK_FILES = {"prepare": "data.py", "train": "learning.py", "evaluate": "metrics.py"}
#: modules of src/stage.py that a stage starts beside itself
BESIDE = {"baseline": "floors"}
#: folders that a stage may watch as a whole although it imports only some of it. Scoring again takes a second,
#: and every file of its own would be one more dependency to parse and one more column of `dvc exp show`.
WHOLE = {"evaluate": ("src/assay/arms/", "src/assay/judging/", "src/assay/lineage/")}


def task() -> str:
    return str(yaml.safe_load(Layout(ROOT).params.read_text(encoding="utf-8"))["task"]["name"])


def stages() -> dict[str, dict[str, list[str]]]:
    written = Layout(ROOT).pipeline.read_text(encoding="utf-8").replace("${task.name}", task())
    return dict(yaml.safe_load(written)["stages"])


def watched() -> list[str]:
    """Stages that DVC skips when nothing they depend on has changed: all but those that always run."""
    return sorted(name for name, stage in stages().items() if not stage.get("always_changed"))


def declared(stage: str) -> set[str]:
    """Python files that the dependencies of `stage` hold, those without a statement left out."""
    paths = [ROOT / entry for entry in stages()[stage]["deps"] if entry.startswith("src/")]
    files = {file for path in paths for file in (path.rglob("*.py") if path.is_dir() else [path])}
    relative = {file.relative_to(ROOT) for file in files}
    return {file.as_posix() for file in relative if not closure.inert(ROOT, file)}


def reached(stage: str) -> set[str]:
    modules = [stage, *([BESIDE[stage]] if stage in BESIDE else [])]
    entries = [Path("src/stage.py"), *(Path(f"src/assay/stages/{module}.py") for module in modules)]
    if stage in TASK_FILES:
        entries.append(Path(f"src/tasks/{task()}/{TASK_FILES[stage]}"))
    return {file.as_posix() for file in closure.import_closure(ROOT, entries)}


@pytest.mark.parametrize("stage", watched())
def test_a_stage_depends_on_all_that_its_imports_reach(stage: str) -> None:
    missing = reached(stage) - declared(stage)
    assert not missing, f"add under stages.{stage}.deps in dvc.yaml: {sorted(missing)}"


@pytest.mark.parametrize("stage", watched())
def test_a_stage_depends_on_nothing_that_its_imports_do_not_reach(stage: str) -> None:
    whole = WHOLE.get(stage, ())
    surplus = {file for file in declared(stage) - reached(stage) if not file.startswith(whole)}
    assert not surplus, f"stage {stage} runs again for {sorted(surplus)}, which it never imports"


def test_a_stage_that_always_runs_needs_no_dependencies() -> None:
    assert {name for name in stages() if "deps" not in stages()[name]} == set(stages()) - set(watched()) == {"context"}


def test_statistics_and_metrics_never_retrain() -> None:
    for stage in ("prepare", "split", "baseline", "train"):
        assert not [file for file in reached(stage) if "/judging/" in file or file.endswith("/metrics.py")]


def test_only_training_stages_reach_torch() -> None:
    with_torch = {
        stage for stage in stages() if "torch" in closure.third_party(ROOT, [Path(file) for file in reached(stage)])
    }
    assert with_torch == {"train"}
