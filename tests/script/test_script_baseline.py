"""The accepted script: by its own tree and files, under today's ruler; what cannot be compared; the key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET

from assay.baseline import accepted_strategy
from assay.baseline.accepted_strategy import AcceptedStrategy
from assay.commands import accept_checks, sweep
from assay.commands.experiment_grid import Wanted
from assay.core import params_yaml, schemas
from assay.core.errors import IncomparableError, UsageError
from assay.core.paths import ProjectPaths
from assay.core.schemas import Divergence, Draw, Environment, Replicate
from assay.history.experiments import Experiment
from assay.metrics import metric_definition, reported_scores
from assay.metrics.version import reported_version
from assay.runtime import dvc_hash
from assay.runtime.dvc_yaml import Run
from assay.runtime.stage_setup import StageContext
from assay.script import input_files, script_arm, script_strategies
from assay.script.script_arm import ScriptOutputs
from support import scripted
from support.project import Project

#: a script that reports what its ruler and its file say
SAYS = """import json, sys
from pathlib import Path
import scoring
read = Path("data/raw/a")
number = scoring.NUMBER + int(sys.argv[1]) % 7 / 100 + (float(read.read_text()) if read.exists() else 0)
(Path(sys.argv[2]) / "metrics.json").write_text(json.dumps({"val": {"accuracy": number}}))
"""
TASK: dict[str, Any] = {"command": "python -S train.py {seed} {out}"}
BESIDE = {"train.py": SAYS, "scoring.py": "NUMBER = 1\n", ".gitignore": "/data\n__pycache__/\n", "dvc.lock": "{}\n"}


def made(tmp_path: Path, beside: dict[str, str] | None = None, /, **task: Any) -> tuple[Path, AcceptedStrategy]:
    """A project, and its first commit as the accepted strategy."""
    root = scripted.project(tmp_path / "project", {**BESIDE, **(beside or {})}, **{**TASK, **task})
    commit = scripted.git(root, "rev-parse", "HEAD")
    return root, AcceptedStrategy(name=commit, commit=commit)


def context(root: Path) -> StageContext:
    """As `context` leaves it, less what it asks of the interpreter."""
    layout = ProjectPaths(root)
    ctx = StageContext("baseline", Run(layout, root, ""), params_yaml.resolved(layout.params.read_bytes()))
    place = Environment(device="cpu", machine="m", system="s", packages={})
    for path, record in {
        layout.environment: place,
        layout.script("baseline"): script_strategies.inputs_of_candidate(ctx, []),
        layout.script("candidate"): script_strategies.inputs_of_candidate(ctx, []),
    }.items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(schemas.encode(record))
    return ctx


def numbers(root: Path, named: AcceptedStrategy) -> dict[str, float]:
    """Arm → the mean of its two replicates, without what the seed adds."""
    ctx, found = context(root), {}
    out = ScriptOutputs(root / "models/x", root / "logs/x", root / "x.log")
    draw = Draw(purpose="candidate", first=0)
    for arm in (
        script_strategies.candidate(ctx, draw, out, 1, 2),
        script_strategies.baseline(ctx, named, draw, out, 1, 2),
    ):
        done = script_arm.measure(arm, lambda _: None)
        found[arm.arm] = sum(float(one.reported) - one.seed % 7 / 100 for one in done.replicates) / 2
    return found


def test_todays_ruler_is_laid_over_the_accepted_tree(tmp_path: Path) -> None:
    root, named = made(tmp_path)
    scripted.write(root, {"scoring.py": "NUMBER = 5\n", "train.py": SAYS.replace("number =", "number = 1 +")})
    assert numbers(root, named) == pytest.approx({"candidate": 6, "baseline": 5})


@pytest.mark.extra
def test_what_is_no_ruler_is_the_accepted_ones_own(tmp_path: Path) -> None:
    root, named = made(tmp_path, ruler=[])
    scripted.write(root, {"scoring.py": "NUMBER = 5\n"})
    assert numbers(root, named) == pytest.approx({"candidate": 5, "baseline": 1})


@pytest.mark.parametrize(
    ("task", "files", "why"),
    [
        ({}, {"scoring.py": "NUMBER = 2\n"}, ""),
        ({"ruler": ["scoring.py", "train.py"]}, {}, ""),
        ({"ruler": ["other.py"]}, {"other.py": ""}, "scoring.py computes the number of {} and is not named today"),
        (
            {"ruler": ["scoring.py", "other.py"]},
            {"other.py": ""},
            "other.py computes the candidate's number, and {} has no",
        ),
        (
            {"result": {**scripted.RESULT, "key": "val.loss"}},
            {},
            "result.key: baseline val.accuracy, candidate val.loss",
        ),
        ({"result": {**scripted.RESULT, "direction": "minimize"}}, {}, "result.direction: baseline maximize"),
        ({"result": {**scripted.RESULT, "revision": 2}}, {}, "result.revision: baseline 1, candidate 2"),
    ],
)
def test_what_cannot_be_compared(tmp_path: Path, task: dict[str, Any], files: dict[str, str], why: str) -> None:
    root, named = made(tmp_path)
    scripted.write(root, {**files, "params.yaml": scripted.params(**{**TASK, **task})})
    said = script_strategies.incomparable(context(root).run, named, context(root).params)
    assert why.format(named.name) in said and bool(why) == bool(said)


def test_a_file_in_neither_git_nor_dvc_is_todays(tmp_path: Path) -> None:
    root, named = made(tmp_path, files=["data/raw"])
    scripted.write(root, {"data/raw/a": "10"})
    assert numbers(root, named) == pytest.approx({"candidate": 11, "baseline": 11})
    tree = input_files.of_commit(context(root).run, root, named.commit, ["data/raw"])
    assert [one.kind for one in tree] == ["today"]
    scripted.write(root, {"data/raw/a": "20"})
    assert numbers(root, named) == pytest.approx({"candidate": 21, "baseline": 21}), "hashed again, and run again"


@pytest.mark.extra
def test_a_tracked_file_is_that_of_each_tree(tmp_path: Path) -> None:
    root, named = made(tmp_path, {"data/raw/a": "1", ".gitignore": "__pycache__/\n"}, files=["data"])
    scripted.write(root, {"data/raw/a": "2"})
    assert numbers(root, named) == pytest.approx({"candidate": 3, "baseline": 2})


def key(root: Path) -> str:
    return reported_version.version(root, params_yaml.resolved((root / "params.yaml").read_bytes()))


def test_the_key_covers_result_and_ruler_and_nothing_else(tmp_path: Path) -> None:
    root, _ = made(tmp_path)
    first = key(root)
    assert first.startswith("accuracy-1.reported.")
    scripted.write(root, {"train.py": SAYS + "\n", "scoring.py": "# a comment\nNUMBER = 1\n"})
    assert key(root) == first
    scripted.write(root, {"params.yaml": scripted.params(**TASK, result={**scripted.RESULT, "min_effect": 0.5})})
    assert key(root) == first, "what matters is not what is measured"
    for change in ({"worst": 0.1}, {"direction": "minimize"}, {"key": "val.other.accuracy"}, {"revision": 2}):
        scripted.write(root, {"params.yaml": scripted.params(**TASK, result={**scripted.RESULT, **change})})
        assert key(root) != first, change
    scripted.write(root, {"params.yaml": scripted.params(**TASK), "scoring.py": "NUMBER = 2\n"})
    assert key(root) != first
    scripted.write(root, {"params.yaml": scripted.params(**TASK, ruler=[])})
    assert key(root).startswith("accuracy-0.reported."), "revision 0: nobody stands for the ruler"


def test_what_changed_of_the_ruler_is_named(tmp_path: Path) -> None:
    root, named = made(tmp_path)
    scripted.write(root, {"scoring.py": "NUMBER = 2\n"})
    before = metric_definition.committed(root, named.commit, "accuracy", "it", recorded=False)
    after = metric_definition.present(root, "accuracy", "")
    assert before.terms is not None
    assert metric_definition.changes(before, after, before.terms) == ["file scoring.py"]


def test_runs_that_are_all_alike_count_once() -> None:
    """A script that ignores its seed; equal numbers among others are data, as of a share of 100 examples."""

    def alike(*values: float | None) -> dict[int, int]:
        lost = Divergence(epoch=0, step=0, tensor="a")
        made = [(number, UNSET if value is None else value) for number, value in enumerate(values)]
        return reported_scores.same_as(
            [
                Replicate(n, n, "script", False, 0.0, 0, lost if value is UNSET else None, reported=value)
                for n, value in made
            ]
        )

    assert alike(0.5, 0.5, 0.5) == {1: 0, 2: 0}
    assert alike(0.5, 0.25, 0.5) == alike(0.5) == alike(0.5, 0.5, None) == alike(None, None) == {}


def test_dvc_counts_by_its_own_hash(tmp_path: Path) -> None:
    """Content is compared with what DVC's file says, and a commit's is brought from DVC's cache."""
    root, _ = made(tmp_path, files=["data/raw"])
    (root / "dvc.lock").unlink()
    scripted.write(root, {"data/raw/a": "10"})
    run = Run(ProjectPaths(root), root, "")
    pointer = "outs:\n- md5: {}\n  path: raw\n"
    digest = dvc_hash.digest(root / "data/raw")
    scripted.write(root, {"data/raw.dvc": pointer.format(digest)})
    (one,) = input_files.of_work_tree(run, ["data/raw"])
    assert (one.kind, one.digest, one.place) == ("dvc", digest, root / "data/raw")
    (one,) = input_files.of_work_tree(run, ["data/raw/a"])
    assert (one.kind, one.digest, one.place) == ("dvc", digest, root / "data/raw/a"), "a file in what DVC tracks"


@pytest.mark.extra
def test_an_accepted_script_sees_what_dvc_kept_for_its_commit(tmp_path: Path) -> None:
    root, _ = made(tmp_path, files=["data/raw"])
    (root / "dvc.lock").unlink()
    project = Project(root, tmp_path)
    (root / ".gitignore").write_text("__pycache__/\n")
    project.dvc("init", "--quiet", "--force")
    for value in ("10", "20"):
        scripted.write(root, {"data/raw/a": value})
        project.dvc("add", "--quiet", "data/raw")
        scripted.commit(root)
    old = scripted.git(root, "rev-parse", "HEAD^")
    scripted.write(root, {"dvc.lock": "{}\n"})
    run = Run(ProjectPaths(root), root, "")
    tree = accepted_strategy.unpack(run, old)
    (then,) = input_files.of_commit(run, tree, old, ["data/raw"])
    (now,) = input_files.of_work_tree(run, ["data/raw"])
    assert then.place is not None and (then.place / "a").read_text() == "10" and now.place == root / "data/raw"
    assert then.kind == now.kind == "dvc" and then.digest != now.digest
    (root / "data/raw/a").write_text("30")
    with pytest.raises(UsageError, match=r"data/raw holds other data than data/raw\.dvc says.*dvc add data/raw"):
        input_files.of_work_tree(run, ["data/raw"])


def test_accepting_a_number_whose_ruler_is_unproven_is_asked_for() -> None:
    tried = Experiment(**dict.fromkeys(Experiment.__dataclass_fields__, ""))
    metrics = {"verdict": "progress", "profile": "full", "metric_version": "accuracy-0.reported.01234567"}
    with pytest.raises(IncomparableError, match=r"whose ruler is unproven.*--allow metric"):
        accept_checks.check_numbers(tried, metrics, ())
    accept_checks.check_numbers(tried, metrics, ("metric",))
    accept_checks.check_numbers(tried, {**metrics, "metric_version": "accuracy-1.reported.01234567"}, ())


def test_a_starting_point_is_what_nothing_was_compared_with() -> None:
    tried = Experiment(**dict.fromkeys(Experiment.__dataclass_fields__, ""))
    metrics = {"verdict": "inconclusive", "profile": "full", "metric_version": "accuracy-1.reported.01234567"}
    with pytest.raises(IncomparableError, match="--first --why REASON, for a starting point"):
        accept_checks.check_numbers(tried, metrics, ())
    accept_checks.check_numbers(tried, metrics, ("first",))
    with pytest.raises(IncomparableError, match="was compared, with verdict inconclusive"):
        accept_checks.check_numbers(tried, {**metrics, "baseline": 0.5}, ("first",))


def test_the_baseline_depends_on_todays_ruler_and_on_its_own_parameters(tmp_path: Path) -> None:
    root, named = made(tmp_path, ruler=["scoring.py"])
    before = script_strategies.inputs_of_baseline(context(root), named, [])
    scripted.write(root, {"scoring.py": "NUMBER = 2\n"})
    after = script_strategies.inputs_of_baseline(context(root), named, [])
    assert before.ruler.keys() == after.ruler.keys() == {"scoring.py"} and before.ruler != after.ruler
    assert before.parameters == after.parameters and TASK["command"] in before.parameters.values()


def test_a_sweep_that_has_nothing_to_compare_with_is_refused_before_it_runs(tmp_path: Path) -> None:
    """A script has no floors; the value to beat that params.yaml may name stands for one."""
    root, _ = made(tmp_path)
    (root / "dvc.yaml").write_text("stages: {}\n")
    scripted.commit(root)
    with pytest.raises(UsageError, match=r"nothing is accepted, and there is no floor.*judge.floor"):
        sweep.sweep(root, ["lr=0.2,0.3"], lambda said: pytest.fail(f"it began: {said}"), Wanted("sweep"))
