"""`assay status`: every unhealthy finding says its hint, and the hint helps."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time

import pytest
from gitproject import PARAMS, Project, accepted, metrics

from assay.changes import dvc_lock_diff
from assay.core.yaml12 import parse

LOCK = """\
schema: '2.0'
stages:
  train:
    cmd: assay stage train
    deps:
    - path: src/code.py
      hash: md5
      md5: {code}
      size: 6
    params:
      params.yaml:
        lr: {lr}
        train.epochs: 20
    outs:
    - path: models
      hash: md5
      md5: 0123.dir
      size: 3
      nfiles: 2
    - path: record.json
      hash: md5
      md5: {record}
      size: 2
"""


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


@pytest.fixture
def clean(two_strategies, tmp_path) -> Project:
    """Everything run, committed and pushed; outputs as dvc.lock says."""
    project = two_strategies
    lock = LOCK.format(code=md5(b"x = 1\n"), lr="0.001", record=md5(b"{}"))
    project.write({"models/a": "1", "models/b": "23", "record.json": "{}", ".gitignore": "models\nrecord.json\n"})
    project.commit({"dvc.lock": lock})
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "bare.git"], check=True)
    project.git("remote", "add", "origin", str(tmp_path / "bare.git"))
    project.git("push", "-q", "-u", "--follow-tags", "origin", "main")
    return project


def findings(project: Project, capsys) -> list[dict]:
    capsys.readouterr()
    assert project.assay("status", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["healthy"] == all(not line["hint"] for line in found["lines"])
    return found["lines"]


def wrong(project: Project, capsys) -> list[tuple[str, str, str]]:
    return [(line["topic"], line["text"], line["hint"]) for line in findings(project, capsys) if line["hint"]]


def test_a_clean_project(clean, capsys):
    assert clean.assay("status") == 0
    day = clean.git("for-each-ref", "--format=%(taggerdate:short)", "refs/tags/strategy/cosine")
    expected = f"""\
  baseline    strategy/cosine · accuracy 0.9712 ±0.0040 (n=10) · accepted {day} by Ada Lovelace
  difference  the same strategy as strategy/cosine
  verdict     progress · accuracy 0.9800 ±0.0040 (n=10) · +0.0100 [+0.0060, +0.0140] · accuracy-1.5f3c9a2e
  work tree   clean
"""
    assert capsys.readouterr().out == expected


def test_it_changes_nothing_and_starts_no_dvc(clean, monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "dvc.repo", raising=False)  # another test may have loaded it
    before = {path: path.stat().st_mtime_ns for path in clean.path.rglob("*") if ".git" not in path.name}
    monkeypatch.setenv("PATH", os.defpath)
    assert not wrong(clean, capsys)
    assert "dvc.repo" not in sys.modules
    assert {path: path.stat().st_mtime_ns for path in clean.path.rglob("*") if ".git" not in path.name} == before


def test_the_experiment_that_the_work_tree_equals(clean, capsys):
    new = PARAMS.replace("floor", "strategy/cosine", 1).replace("lr: 0.001 ", "lr: 0.01 ")
    files = {
        "params.yaml": new,
        "results/metrics.json": metrics(0.99),
        "dvc.lock": (clean.path / "dvc.lock").read_text().replace("0.001", "0.01"),
    }
    clean.experiment("other", {"results/metrics.json": metrics(0.99)})
    clean.experiment("wavy", files)
    clean.write(files)
    lines = [line["text"] for line in findings(clean, capsys)]
    assert any(line.endswith("equals experiment wavy") for line in lines) and "clean, as experiment wavy" in lines
    assert "lr 0.001 → 0.01" in lines
    clean.write({"src/code.py": "x = 2\n"})
    ((topic, text, _), _) = wrong(clean, capsys)
    assert (topic, text.startswith("edited, in no commit and no experiment: ")) == ("work tree", True)


def test_a_bundle_of_changes_asks_for_an_ablation(clean, capsys):
    text = (clean.path / "params.yaml").read_text()
    clean.write({"params.yaml": text.replace("lr: 0.001", "lr: 0.01").replace("epochs: 20", "epochs: 30")})
    bundled = next(item for item in wrong(clean, capsys) if item[0] == "difference")
    assert bundled[1] == "lr 0.001 → 0.01 · train.epochs 20 → 30 · 2 changes bundled"
    assert bundled[2] == "assay ablate -S lr=0.01 -S train.epochs=30"


def test_sources_parameters_and_outputs_that_dvc_lock_does_not_know(clean, capsys):
    clean.write({"src/code.py": "x = 2\n", "models/b": "234"})
    (clean.path / "record.json").unlink()
    text = (clean.path / "params.yaml").read_text()
    clean.write({"params.yaml": text.replace("epochs: 20", "epochs: 30")})
    found = {text for _, text, _ in wrong(clean, capsys)}
    assert "train last ran with another src/code.py, train.epochs" in found
    assert "outputs that are not those of dvc.lock: models, record.json" in found
    mends = [hint for _, text, hint in wrong(clean, capsys) if text.startswith("outputs ")]
    assert mends == ["dvc checkout models record.json, or dvc pull models record.json"], "nobody else's, and no force"
    clean.write({"record.json": "[]"})  # as large as it was
    assert any("record.json" in text for _, text, _ in wrong(clean, capsys))


def mended(project: Project, capsys, hint: str) -> None:
    subprocess.run(hint, shell=True, cwd=project.path, check=True, capture_output=True)
    assert hint not in [line["hint"] for line in findings(project, capsys)]


def test_what_a_killed_run_left_is_mended_by_the_commands(clean, capsys):
    for name in ("EXEC_HEAD", "EXEC_BASELINE", "EXEC_MERGE"):
        clean.git("update-ref", f"refs/exps/exec/{name}", clean.head)
    clean.git("switch", "-q", "--detach")
    for lock in ("index.lock", "refs/exps/stash.lock"):
        (clean.path / ".git" / lock).touch()
    (clean.path / ".dvc" / "tmp").mkdir(parents=True, exist_ok=True)
    (clean.path / ".dvc" / "tmp" / "rwlock").touch()
    found = {text: hint for topic, text, hint in wrong(clean, capsys) if topic == "runs"}
    assert next(iter(found)) == "a killed run left EXEC_BASELINE, EXEC_MERGE"
    assert any(text.startswith("HEAD is detached at ") for text in found) and len(found) == 5
    for hint in found.values():
        mended(clean, capsys, hint)
    assert clean.git("branch", "--show-current") == "main" and not wrong(clean, capsys)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_stage_without_its_run_is_an_orphan(clean, capsys):
    clean.commit({"bin/assay": "import time; time.sleep(60)\n"})
    clean.git("push", "-q")
    start = f"{sys.executable} bin/assay stage train >/dev/null 2>&1 & echo $!"
    done = subprocess.run(["sh", "-c", start], cwd=clean.path, capture_output=True, text=True, check=True)
    pid = int(done.stdout)
    try:
        for _ in range(100):
            orphan = [item for item in wrong(clean, capsys) if "lives on" in item[1]]
            if orphan:
                break
            time.sleep(0.05)
        assert orphan == [("runs", f"a stage lives on without its run (process {pid})", f"kill {pid}")]
    finally:
        os.kill(pid, 9)


def test_a_run_under_way_is_not_a_leftover(clean, capsys):
    clean.git("update-ref", "refs/exps/exec/EXEC_MERGE", clean.head)
    held = {str(clean.path): {"write": {"pid": os.getpid(), "cmd": "dvc exp run"}}}
    clean.write({".dvc/tmp/rwlock": json.dumps(held)})
    assert not wrong(clean, capsys)
    assert any(f"under way (process {os.getpid()})" in line["text"] for line in findings(clean, capsys))
    dead = subprocess.Popen(["true"])
    dead.wait()
    held[str(clean.path)]["write"]["pid"] = dead.pid
    clean.write({".dvc/tmp/rwlock": json.dumps(held)})
    assert [text for _, text, _ in wrong(clean, capsys)] == ["a killed run left EXEC_MERGE"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_only_looks_is_no_run_under_way(clean, tmp_path, capsys):
    """`dvc exp show` may wait in a pager all day."""
    (tmp_path / "dvc").write_text("import time; time.sleep(60)\n")
    for words, under_way in ((["exp", "show"], False), (["exp", "run"], True)):
        waits = subprocess.Popen([sys.executable, tmp_path / "dvc", *words], cwd=clean.path)
        try:
            held = {str(clean.path): {"read": [{"pid": waits.pid, "cmd": f"dvc {' '.join(words)} --no-pager"}]}}
            clean.write({".dvc/tmp/rwlock": json.dumps(held)})
            seen = [line["text"] for line in findings(clean, capsys) if "under way" in line["text"]]
        finally:
            waits.kill()
            waits.wait()
        assert bool(seen) is under_way


def test_experiments_without_a_verdict_and_bad_tags(clean, capsys):
    clean.experiment("half", {"results/metrics.json": "{}"})
    clean.git("tag", "strategy/light")
    found = wrong(clean, capsys)
    assert ("experiments", "1 without a verdict: half", "dvc exp remove half") in found
    assert (
        "tags",
        "strategy/light is not verifiable: it carries no evidence of Assay",
        "git show strategy/light",
    ) in found


def test_what_is_not_pushed(clean, capsys):
    commit = clean.commit(message="Accept late")
    clean.tag(accepted(commit, "late", 3))
    ahead = ("remote", "1 commit(s) of main are not in origin/main", "git push --follow-tags && dvc push")
    assert wrong(clean, capsys) == [ahead], "which takes the tag along"
    clean.git("branch", "aside")
    clean.git("reset", "-q", "--hard", "HEAD~1")
    alone = ("remote", "the commits of strategy/late are on no remote branch", "git push origin strategy/late")
    assert wrong(clean, capsys) == [alone]
    clean.git("switch", "-q", "-c", "feature")
    assert ("remote", "feature was never pushed", "git push -u --follow-tags origin feature") in wrong(clean, capsys)


def test_two_clones_that_accepted_one_name(clean, tmp_path, capsys):
    """`git push` of a name that the remote has is refused; what is advised keeps both."""
    subprocess.run(["git", "clone", "-q", "-b", "main", tmp_path / "bare.git", tmp_path / "theirs"], check=True)
    theirs = Project(tmp_path / "theirs")
    for project, words in ((theirs, "Theirs"), (clean, "Ours")):
        project.git("config", "user.name", words)
        project.git("config", "user.email", "x@example.org")
        project.tag(accepted(project.commit({"src/code.py": f"x = '{words}'\n"}, f"Accept late: {words}"), "late", 3))
        project.commit(message="Make strategy/late the baseline")
    theirs.git("push", "-q", "--follow-tags", "origin", "main")
    ours = clean.git("rev-parse", "strategy/late")
    clean.git("fetch", "-q", "origin")
    ((text, hint),) = [(text, hint) for _, text, hint in wrong(clean, capsys) if "strategy/late" in text]
    assert text == "origin/main has another strategy/late than this clone" and "push" not in hint
    mended(clean, capsys, hint.partition(", then ")[0])
    assert clean.git("rev-parse", "strategy/late") == theirs.git("rev-parse", "strategy/late")
    assert clean.git("rev-parse", "kept/late") == ours and clean.git("log", "--format=%s", "kept-late", "-2")
    clean.git("tag", "-d", "strategy/late")
    commit = clean.experiment("wavy", {"results/metrics.json": metrics()})
    assert clean.assay("accept", commit, "late") == 2
    assert "origin/main has a strategy/late that is not here; next: git fetch --tags, or" in capsys.readouterr().err


def test_the_baseline(clean, capsys):
    def baseline(name: str) -> list[tuple[str, str]]:
        clean.write({"params.yaml": PARAMS.replace("baseline: floor", f"baseline: {name}")})
        return [(text, hint) for topic, text, hint in wrong(clean, capsys) if topic == "baseline"]

    assert baseline("floor") == [("floor", "set baseline: strategy/cosine in params.yaml")]
    assert baseline("strategy/none") == [("strategy/none is not in this repository", "git fetch --tags")]
    assert clean.assay("revoke", "adam", "--why", "x") == 0
    assert baseline("strategy/adam")[0][0] == "strategy/adam is revoked"
    clean.git("tag", "-f", "-a", "-m", "mine", "strategy/cosine", "HEAD")
    assert baseline("strategy/cosine")[0][0].startswith("strategy/cosine is not verifiable")


def test_after_an_accept_nothing_contradicts_it(clean, capsys):
    """The last run measured what the strategy was compared with, under the baseline of then: as it has to be."""
    lock = (
        (clean.path / "dvc.lock").read_text().replace("        lr: ", "        baseline: strategy/cosine\n        lr: ")
    )
    commit = clean.commit({"dvc.lock": lock, "results/metrics.json": metrics(0.99)}, "Accept late")
    clean.tag(accepted(commit, "late", 3, baseline="strategy/cosine"))
    clean.commit({"params.yaml": (clean.path / "params.yaml").read_text().replace("strategy/cosine", "strategy/late")})
    clean.git("push", "-q", "--follow-tags")
    assert not wrong(clean, capsys)
    clean.write({"results/metrics.json": metrics(0.5)})
    assert "train last ran with another baseline" in [text for _, text, _ in wrong(clean, capsys)]


def test_an_old_baseline_is_stale(clean, capsys):
    clean.git("tag", "-d", "strategy/cosine")
    clean.git_environment = {"GIT_COMMITTER_DATE": "2020-01-01T00:00:00+0000"}
    clean.tag(accepted(clean.head, "cosine", 2))
    text = (clean.path / "params.yaml").read_text()
    clean.write({"params.yaml": text + "judge:\n  baseline_max_age: 30\n"})
    stale = [(text, hint) for topic, text, hint in wrong(clean, capsys) if topic == "baseline"]
    assert stale[0][1] == "assay rebaseline" and "baseline_max_age is 30" in stale[0][0]


def test_untracked_code_that_is_imported(clean, capsys):
    clean.commit({"src/tasks/digits/learning.py": "import helper\n", "src/tasks/digits/data.py": ""})
    clean.git("push", "-q")
    clean.write({"src/helper.py": "", "src/unused.py": ""})
    hint = "git add src/helper.py && git commit -m Track -- src/helper.py"
    assert ("code", "src/helper.py imported, but not tracked by Git", hint) in wrong(clean, capsys)
    assert not any("unused" in text for _, text, _ in wrong(clean, capsys))


def test_a_broken_params_file_is_one_finding(clean, capsys):
    clean.write({"params.yaml": "lr: [\n"})
    assert [topic for topic, *_ in wrong(clean, capsys)].count("parameters") == 1


def test_before_the_first_run(project, capsys):
    assert [(topic, text) for topic, text, _ in wrong(project, capsys)] == [
        ("verdict", "no results in the work tree"),
        ("work tree", "there is no dvc.lock"),
    ]


def test_a_fresh_clone_whose_dvc_lock_is_committed(project, capsys):
    """One thing is to be done, and it is a run: nothing that the lock names can be checked out."""
    project.commit({"dvc.lock": LOCK.format(code="0123", lr="0.1", record="4567")})
    assert wrong(project, capsys) == [("verdict", "no results in the work tree", "dvc exp run")]


def test_the_first_experiment_whose_results_are_not_tracked_yet(project, capsys):
    """`dvc exp run` leaves them beside an edited dvc.lock; all of it is the experiment's."""
    project.commit({"dvc.lock": "schema: '2.0'\n"})
    files = {
        "params.yaml": PARAMS.replace("lr: 0.001 ", "lr: 0.01 "),
        "results/metrics.json": metrics(),
        "dvc.lock": "schema: '2.0'\nstages: {}\n",
    }
    project.experiment("first", files)
    project.write(files)
    assert "clean, as experiment first" in [line["text"] for line in findings(project, capsys)]
    project.write({"dvc.lock": "schema: '2.0'\nstages: {} # by hand\n"})
    assert [text for _, text, _ in wrong(project, capsys)] == [
        "edited, in no commit and no experiment: dvc.lock, params.yaml"
    ]


def test_dvc_hashes_folders_alike(tmp_path):
    """Oracle: DVC's own hash of a folder, byte-code left out as .dvcignore says."""
    (tmp_path / ".dvcignore").write_text("__pycache__\n*.pyc\n")
    for name in ("b/c.py", "b/a.py", "b.py", "a/é ü.txt", "__pycache__/x.pyc", "a-b/z"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    for command in (["init", "--no-scm", "--quiet", "--force"], ["add", "--quiet", "data"]):
        subprocess.run([sys.executable, "-m", "dvc", *command], cwd=tmp_path, check=True)
    added = parse((tmp_path / "data.dvc").read_text(encoding="utf-8"))
    assert dvc_lock_diff.digest(tmp_path / "data") == added["outs"][0]["md5"]


@pytest.mark.parametrize(
    "broken", ["lr: !!int x\n", "lr: " + "[" * 100_000, "a: " + "9" * 5_000 + "\n", "- 1\n", "\udcff"]
)
def test_commands_that_read_survive_a_broken_params_yaml(two_strategies, capsys, broken):
    project = two_strategies
    (project.path / "params.yaml").write_bytes(broken.encode("utf-8", "surrogateescape"))
    for command in (("status",), ("log",), ("log", "--all"), ("compare", "HEAD"), ("rebaseline",), ("cache",)):
        assert project.assay(*command) in (0, 2, 3), command
        said = capsys.readouterr()
        assert "this is a bug" not in said.err, said.err
        if command == ("status",):
            assert "params.yaml " in said.out


def test_a_repository_of_another_owner(two_strategies, capsys, monkeypatch):
    """Git's reason and Git's own advice; what Git tests itself by stands in for the owner."""
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    for command in (("status",), ("log",), ("compare", "HEAD"), ("cache",), ("reject", "HEAD", "--why", "x")):
        assert two_strategies.assay(*command) == 2, command
        said = capsys.readouterr().err
        assert "detected dubious ownership" in said and "git init" not in said, said
        assert f"; next: if you trust its owner: git config --global --add safe.directory {two_strategies.path}" in said
    advised = said.partition("its owner: ")[2]
    subprocess.run(["sh", "-ec", advised], check=True)
    assert two_strategies.assay("status") == 0
