"""context of a script's project: its command, code, files, interpreter and baseline, before any time is spent."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from assay.baseline import accepted_strategy, candidate_seeds
from assay.core import sanitize_output, schemas
from assay.core.errors import UsageError
from assay.core.params_yaml import leaves
from assay.core.script_command import placeholders
from assay.metrics import metric_definition, task_metrics
from assay.runtime import (
    environment,
    files,
    git,
    import_closure,
    metric_input_files,
    script_environment,
    script_source,
    source_analysis_cache,
    stage_fingerprint,
    task_code,
    tracked_code_check,
)
from assay.runtime import source_roots as trees
from assay.runtime.stage_setup import StageContext
from assay.script import interpreter, script_strategies
from assay.stages import repository_checks

#: stages of a script's dvc.yaml that depend on code
STAGES = ("baseline", "train", "evaluate")


def settle(ctx: StageContext) -> None:
    root, task = ctx.layout.root, ctx.params.task
    check(ctx)
    code = {stage: stage_fingerprint.find(root, stage, task.name) for stage in STAGES}
    tracked_code_check.check_known(root, sorted(code["train"].files))
    metric_input_files.check_known(root, task.name)
    repository_checks.check(ctx)
    asked, machine = ask_interpreter(ctx), ctx.params.machine
    found = environment.of_script(machine.device, asked.python, asked.packages, machine.devices)
    baseline = accepted_strategy.resolve(ctx.run, ctx.params.baseline)
    metric = metric_definition.baseline_metric(
        root, ctx.run.home, baseline.name, baseline.commit, ctx.params.metric.name
    )
    candidates = candidate_seeds.of_candidates(ctx.run.home, baseline, ctx.params.judge.test)
    layout = ctx.layout
    records = {
        **{layout.code(stage): one for stage, one in code.items()},
        layout.environment: found,
        layout.baseline_metric: metric,
        layout.accepted: candidate_seeds.of_baseline(baseline, candidates),
        layout.draw: candidates,
        layout.script("candidate"): script_strategies.inputs_of_candidate(ctx, asked.folders),
        layout.script("baseline"): script_strategies.inputs_of_baseline(ctx, baseline, asked.folders),
    }
    for path, record in records.items():
        files.write_bytes(path, schemas.encode(record))
    source_analysis_cache.save(ctx.run.store.sources)
    for note in _notes(ctx):
        print(sanitize_output.line(f"context: {note}"))
    print(f"context: {found.key}; baseline {baseline.name} {baseline.commit[:12]}".rstrip())


def check(ctx: StageContext) -> None:
    """Refuse a result that lies in Git already, and a name that no column can have."""
    root, task = ctx.layout.root, ctx.params.task
    file = task.reported.file
    if not placeholders(file) and git.run(root, "--literal-pathspecs", "ls-files", "--", file):
        raise UsageError(
            f"params.yaml: task.result.file is {file}, which Git tracks: a script that wrote none would seem to report",
            hint=f"write it to {{out}}, or git rm --cached {file}",
        )
    if ctx.params.metric.name in task_metrics.RESERVED:
        raise UsageError(
            f"params.yaml: the result is called {ctx.params.metric.name!r}, which another column is",
            hint="set metric.name in params.yaml",
        )


def ask_interpreter(ctx: StageContext) -> interpreter.Interpreter:
    """What the command's interpreter says. Raises UsageError for modules that would hide Python's own."""
    root, task = ctx.layout.root, ctx.params.task
    variables = script_environment.variables()
    program = interpreter.find(task.command, ctx.run.home, variables)
    packages, own = script_source.packages(root, task), _own(root)
    asked = interpreter.ask(program, ctx.run.home, trees.top(ctx.run.home), packages, own, variables)
    _refuse_shadows(root, asked.folders)
    return asked


def _own(root: Path) -> set[str]:
    """First names of the modules that the script's files are."""
    tree = trees.project(root)
    reached = task_code.closure(root, "", task_code.LEARNING)
    return {tree.module(file).partition(".")[0] for file in reached if file.suffix == ".py"}


def _refuse_shadows(root: Path, folders: Iterable[str]) -> None:
    """A folder that an installation imports from comes first in a copy: nothing there may hide Python's own modules."""
    top = trees.top(root.resolve())
    for folder in folders:
        for file in sorted((top / folder).glob("*.py")):
            if not trees.project(root).owns(file.stem):
                raise UsageError(
                    f"{file.relative_to(top)} has the name of a module of Python, beside packages that are installed "
                    "from there",
                    hint=f"rename it: git mv {file.relative_to(top)} …",
                )


def _notes(ctx: StageContext) -> Iterable[str]:
    """What is no error, and should be known."""
    root, task = ctx.layout.root, ctx.params.task
    if not task.ruler:
        yield "task.ruler names no file that computes the number: its ruler is unproven"
    unnamed = [name for name, _ in leaves(ctx.params.own) if name not in placeholders(task.command)]
    if unnamed:
        yield f"task.command does not name {', '.join(unnamed[:5])}: a change of it changes nothing"
    ruler = script_source.ruler(root, task)
    tree = script_source.tree(root, task)
    sources = [file for file in ruler if file.suffix == ".py"]
    beside = sorted(set(import_closure.import_closure(tree, sources)) - set(ruler)) if sources else []
    if beside:
        names = ", ".join(file.as_posix() for file in beside[:3])
        yield f"task.ruler imports {names}, which it does not name: a change there changes no key"
