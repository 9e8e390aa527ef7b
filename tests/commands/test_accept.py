"""`assay accept` in a real project: the evidence, what it refuses, all or nothing."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

import pytest

from assay.acceptance.confirmation_run import fresh_seeds
from assay.core.errors import Exit
from assay.core.yaml12 import parse
from assay.history import look_ledger
from assay.history.attempt_and_family_entries import AttemptEntry, OpeningEntry, OutcomeEntry
from assay.history.experiments import read
from assay.history.strategy_status import State, fold
from assay.stats.compare_arms import MeasuredArm
from assay.stats.confirmation_rule import confirm, level
from support.project import Project


def state(project: Project) -> State:
    return fold(read(project.root).tags)


def evidence(project: Project, name: str = "fast"):
    return state(project).strategies[name].accepted


def snapshot(project: Project) -> tuple[str, str, str]:
    return project.git("for-each-ref"), project.git("status", "--porcelain"), project.git("symbolic-ref", "HEAD")


def test_the_evidence_is_in_the_tag_and_in_the_tree(done: Project) -> None:
    found = evidence(done)
    assert found.selection.verdict == found.confirmation.verdict == "progress"
    assert found.baseline == "strategy/first" and found.baseline_commit == done.git("rev-parse", "strategy/first^{}")
    assert found.changed == ["lr 0.003 → 0.02"] and found.experiment == "fast-lr" and found.attempts == 1
    assert found.confirmation.alpha == level(1) and found.test is not None and found.openings == []
    assert found.environment.startswith("numpy ") and found.metric_version.startswith("accuracy-1.")
    rows = list(csv.DictReader(io.StringIO(done.git("show", "strategy/fast:results/confirmation.csv"))))
    values = {arm: [float(row["accuracy"]) for row in rows if row["arm"] == arm] for arm in ("baseline", "candidate")}
    again = confirm(*(MeasuredArm([*enumerate(values[arm])]) for arm in ("baseline", "candidate")), "maximize", 1)
    assert again.delta == found.confirmation.delta and again.p == found.confirmation.p
    seeds = found.seeds
    drawn = {(row["arm"], int(row["replicate"])) for row in rows}
    assert drawn == {(arm, getattr(seeds, arm) + k) for arm in values for k in range(seeds.n)}
    assert seeds.purpose == "confirmation", "selection drew under candidate and baseline"


def test_attempt_outcome_and_opening_are_in_the_ledger(done: Project) -> None:
    known, seeds = look_ledger.read(done.root), evidence(done).seeds
    (attempt,) = known.all(AttemptEntry)
    assert (attempt.n, attempt.attempt, attempt.confirmation, attempt.level) == (8, 1, 1, 0.0125)
    assert fresh_seeds(attempt.root, attempt.n, attempt.sequence) == seeds
    assert attempt.baseline == done.git("rev-parse", "strategy/first^{}")
    assert [one.confirmed for one in known.all(OutcomeEntry)] == [True]
    assert [(one.name, one.sequence) for one in known.all(OpeningEntry)] == [("fast", attempt.sequence)]


def test_the_tag_is_the_comparison_and_the_commit_after_it_the_new_baseline(done: Project) -> None:
    assert done.git("rev-parse", "HEAD^") == done.git("rev-parse", "strategy/fast^{}")
    assert done.git("show", "--name-only", "--format=", "HEAD") == "params.yaml"
    before, after = done.git("show", "HEAD^:params.yaml"), done.git("show", "HEAD:params.yaml")
    changed = [pair for pair in zip(before.splitlines(), after.splitlines(), strict=True) if pair[0] != pair[1]]
    ((old, new),) = changed
    assert parse(before)["baseline"] == "strategy/first" and parse(after)["baseline"] == "strategy/fast"
    assert "# floor, a tag" in old and "# floor, a tag" in new
    assert done.git("status", "--porcelain") == ""
    assert parse(before)["lr"] == 0.02
    warned = [line for line in done.assay("status").stdout.splitlines() if line.startswith("!")]
    assert all("strategy/first is not verifiable" in line for line in warned), "nothing contradicts the success"


def test_checking_out_the_tag_and_repro_gives_the_same_numbers(done: Project) -> None:
    done.git("checkout", "--quiet", "strategy/fast")
    committed = done.read("results/replicates.csv")
    done.dvc("checkout", "--quiet", "--force")
    done.dvc("repro", "--quiet")
    assert done.read("results/replicates.csv") == committed
    assert done.metrics["verdict"] == "progress"


def test_the_next_idea_is_measured_against_the_replicates_that_confirmed(done: Project) -> None:
    done.dvc("repro", "--quiet", "baseline", "evaluate")
    rows = list(csv.DictReader(io.StringIO(done.read("results/confirmation.csv"))))
    confirmed = [float(row["accuracy"]) for row in rows if row["arm"] == "candidate"]
    assert [float(row["accuracy"]) for row in done.replicates("baseline")] == confirmed[:3]


def test_a_second_clone_has_everything(done: Project, tmp_path: Path) -> None:
    """Remote: a bare repository and a folder. The clone pulls tag and cache, and verifies the evidence."""
    bare, store = tmp_path / "bare.git", tmp_path / "store"
    done.git("init", "--quiet", "--bare", str(bare))
    done.git("remote", "add", "origin", str(bare))
    done.dvc("remote", "add", "--local", "-d", "store", str(store))
    done.git("push", "--quiet", "--follow-tags", "origin", "main", "strategy/first")
    done.dvc("push", "--quiet")
    done.git("clone", "--quiet", "-b", "main", str(bare), str(tmp_path / "clone"))
    clone = Project(tmp_path / "clone", done.home)
    assert evidence(clone) == evidence(done)
    clone.dvc("remote", "add", "--local", "-d", "store", str(store))
    clone.dvc("pull", "--quiet")
    assert sorted((clone.root / "models/candidate").glob("*.safetensors"))
    shown = clone.assay("status").stdout
    assert "not verifiable: " not in shown.replace("strategy/first is not verifiable", "")


def test_a_dry_run_says_everything_and_does_nothing(ready: Project) -> None:
    before = snapshot(ready)
    said = ready.assay("accept", "fast-lr", "fast", "--dry-run").stdout
    seeds = fresh_seeds(1, 8, 1)
    for part in (
        "change against strategy/first: lr 0.003 → 0.02",
        f"candidate {seeds.candidate}–{seeds.candidate + 7}, strategy/first {seeds.baseline}–{seeds.baseline + 7}",
        "confirming on 8 fresh replicates an arm, attempt 1, level 0.0125 one-sided",
        "confirmation 1 against this baseline",
        "it finds 33% of +1 sd, 91% of +2 sd",
        "opened before by nobody",
        "the tag strategy/fast on it",
    ):
        assert part in said
    assert snapshot(ready) == before


def test_a_branch_is_taken_like_an_experiment(ready: Project) -> None:
    """Its own results are those of whatever it was made from, and count for nothing."""
    ready.git("stash", "--quiet")
    ready.git("switch", "--quiet", "-c", "feature")
    ready.edit("params.yaml", "dropout: 0.1", "dropout: 0.2")
    ready.commit("more dropout")
    ready.git("switch", "--quiet", "main")
    ready.git("commit", "--quiet", "--allow-empty", "-m", "go on")
    said = ready.assay("accept", "feature", "drop", "--dry-run").stdout
    assert "tree: the merge of it with HEAD" in said
    assert "change against strategy/first: model.dropout 0.1 → 0.2" in said


def edit(path: str, old: str, new: str):
    return lambda project: project.edit(path, old, new)


def run(*command: str):
    return lambda project: project.run(*command)


def write(path: str, content: str = ""):
    return lambda project: (project.root / path).write_text(content, encoding="utf-8")


REFUSALS = {
    "edits": (
        edit("src/tasks/digits/learning.py", "import torch", "# more\nimport torch"),
        "in neither HEAD nor fast-lr; next:",
        4,
    ),
    "untracked": (
        lambda p: (
            write("src/tasks/digits/more.py")(p),
            edit("src/tasks/digits/learning.py", "import torch", "from tasks.digits import more\nimport torch")(p),
            p.git("commit", "-qam", "import it"),
        ),
        "src/tasks/digits/more.py is imported but Git does not track it",
        4,
    ),
    "detached": (run("git", "switch", "-q", "--detach"), "HEAD is detached", 4),
    "locked": (write(".git/index.lock"), "index.lock is held", 2),
    "identity": (
        lambda p: (
            p.git("config", "--remove-section", "user"),
            p.git("config", "user.useConfigOnly", "true"),
        ),
        "Git has no user name and e-mail address",
        2,
    ),
    "taken": (run("git", "tag", "strategy/fast"), "the tag strategy/fast exists", 2),
    "taken in capitals": (run("git", "tag", "strategy/FAST"), "the tag strategy/FAST exists", 2),
    "moved baseline": (
        lambda p: p.run("git", "tag", "-f", "-a", "-m", "Assay-Name: x\nAssay-Checksum: y\n", "strategy/first", "HEAD"),
        "tag strategy/first is not verifiable",
        3,
    ),
    "lost baseline": (
        run("git", "tag", "-d", "strategy/first"),
        "baseline 'strategy/first' is not in this repository",
        2,
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals_leave_everything_as_it_was(ready: Project, case: str) -> None:
    prepare, said, code = REFUSALS[case]
    prepare(ready)
    before = snapshot(ready) if case != "detached" else None
    found = ready.assay("accept", "fast-lr", "fast", ok=False)
    assert said in found.stderr and "Traceback" not in found.stderr
    assert found.returncode == code and len(found.stderr.splitlines()) == 1
    assert before is None or snapshot(ready) == before


def test_a_shallow_clone_without_the_baseline(done: Project, tmp_path: Path) -> None:
    place = f"file://{done.root}"
    done.git("clone", "--quiet", "--depth", "1", "-b", "main", "--no-tags", place, str(tmp_path / "shallow"))
    clone = Project(tmp_path / "shallow", done.home)
    clone.git("config", "user.name", "Ada Lovelace")
    clone.git("config", "user.email", "ada@example.org")
    found = clone.assay("accept", "main", "again", ok=False)
    assert found.returncode == 2 and "baseline 'strategy/fast' is not in this shallow clone" in found.stderr
    assert "next: git fetch --unshallow --tags" in found.stderr
    assert "strategy/fast is not in this repository; next: git fetch --unshallow --tags" in clone.assay("status").stdout


@pytest.mark.parametrize("name", ["-x", "a..b", "a\nb"])
def test_bad_names(ready: Project, name: str) -> None:
    found = ready.assay("accept", "--", "fast-lr", name, ok=False)
    assert found.returncode == Exit.USAGE and "is not a name for a strategy; allowed: " in found.stderr


def doctored(project: Project, old: str, new: str, name: str = "doctored") -> None:
    """An experiment like fast-lr with other words in its metrics.json."""
    base = project.git("rev-parse", "HEAD")
    text = project.read("results/metrics.json")
    assert old in text
    (project.root / "results/metrics.json").write_text(text.replace(old, new))
    project.git("add", "-u")
    tree = project.git("write-tree")
    commit = project.git("commit-tree", tree, "-p", base, "-m", "doctored")
    project.git("update-ref", f"refs/exps/{base[:2]}/{base[2:]}/{name}", commit)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"progress"', '"inconclusive"', "the verdict of doctored is inconclusive; allowed: progress"),
        ('"progress"', '"equivalent"', "--allow equivalent --why REASON"),
        ('"full"', '"fast"', "doctored was measured under profile fast; allowed: full; next: dvc exp run"),
    ],
)
def test_numbers_that_do_not_suffice(ready: Project, old: str, new: str, said: str) -> None:
    doctored(ready, old, new)
    found = ready.assay("accept", "doctored", "fast", ok=False)
    assert found.returncode == Exit.INCOMPARABLE and said in found.stderr


def test_a_number_that_was_written_by_hand_does_not_survive_regeneration(ready: Project) -> None:
    """Also a stale ruler: the experiment says another metric version than today's."""
    doctored(ready, '"metric_version": "accuracy-1.', '"metric_version": "accuracy-7.')
    found = ready.assay("accept", "doctored", "fast", ok=False)
    assert found.returncode == Exit.INCOMPARABLE
    assert "doctored was measured under accuracy-7." in found.stderr and "metric version is accuracy-1." in found.stderr


def test_a_bundle_needs_an_ablation_or_a_reason(ready: Project) -> None:
    ready.edit("params.yaml", "layers: 1", "layers: 2")
    doctored(ready, '"progress"', '"progress"', "bundle")
    found = ready.assay("accept", "bundle", "both", "--dry-run", ok=False)
    assert found.returncode == Exit.INCOMPARABLE
    assert "2 changes at once against strategy/first, not measured alone: model.layers 1 → 2" in found.stderr
    assert "assay ablate -S lr=0.02 -S model.layers=2" in found.stderr
    needs = ready.assay("accept", "bundle", "both", "--allow", "bundle", "--dry-run", ok=False)
    assert "--why is empty" in needs.stderr
    ready.assay("accept", "bundle", "both", "--allow", "bundle", "--why", "one idea", "--dry-run")


@pytest.mark.extra
def test_what_came_since_is_merged_and_the_merge_is_what_is_confirmed(ready: Project) -> None:
    ready.git("stash", "--quiet")
    (ready.root / "NOTES.md").write_text("notes\n")
    ready.edit("dvc.yaml", "# each", "# really: each")
    ready.commit("go on")
    ready.assay("accept", "fast-lr", "fast")
    assert ready.git("show", "strategy/fast:NOTES.md") == "notes"
    assert parse(ready.git("show", "strategy/fast:params.yaml"))["lr"] == 0.02
    assert ready.git("log", "--format=%s", "-3").splitlines()[2] == "go on"
    locked = parse(ready.git("show", "strategy/fast:dvc.lock"))["stages"]
    assert locked["train"]["params"]["params.yaml"]["lr"] == 0.02
    assert ready.git("status", "--porcelain") == ""
    assert ready.dvc("status", "--json", "train", ok=False).stdout.strip() == "{}"


@pytest.mark.extra
def test_a_failed_attempt_is_recorded_and_the_next_is_judged_harder(
    ready: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A level that nothing reaches stands for an idea that fails on fresh seeds. Deleted tags count, too."""
    sitecustomize = ready.home.parent / "site"
    sitecustomize.mkdir(exist_ok=True)
    (sitecustomize / "sitecustomize.py").write_text(
        "import assay.stats.confirmation_rule as s\ns.ALPHA, s.POWER = 1e-12, 0\n"
    )
    events = []
    for attempt in (1, 2):
        command = [sys.executable, "-m", "assay", "accept", "fast-lr", "fast"]
        found = ready.run(*command, ok=False, PYTHONPATH=str(sitecustomize))
        assert found.returncode == Exit.GATE, found.stderr
        assert "fast-lr was not confirmed on fresh seeds" in found.stderr
        assert f"attempt {attempt}, level {1e-12 / 2**attempt:g}" in found.stderr
        tag, event = state(ready).attempts[-1]
        assert event.attempts == attempt and tag.name == f"attempt/fast-{attempt}"
        assert event.confirmation.alpha == 1e-12 / 2**attempt
        events.append(event)
        ready.git("tag", "-d", tag.name)
    assert "attempt/fast-1 is gone, and counts" in ready.assay("status").stdout
    first, second = (event.seeds for event in events)
    assert abs(first.candidate - second.candidate) >= 10_000, "fresh seeds again"
    assert "strategy/fast" not in ready.git("tag")
    assert look_ledger.read(ready.root).all(OpeningEntry) == [], "what was not confirmed opened nothing"
