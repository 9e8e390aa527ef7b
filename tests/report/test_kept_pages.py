"""Pages that were made before: found where nothing changed, made anew where anything did that they were made from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from assay.cli import root as cli
from assay.commands import report_output
from assay.history import look_ledger
from assay.history.attempt_and_family_entries import FamilyEntry
from assay.report.page import chart_svg
from assay.runtime import git_questions, opened_files
from assay.stats import alpha_budget
from assay.stats.alpha_budget import LookEntry
from support.project import Project

pytestmark = pytest.mark.skipif(not chart_svg.available(), reason="vl-convert is not installed")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was made and not found: a word a page."""
    found: list[str] = []
    for name in ("report", "report_history"):
        module: Any = report_output
        whole = getattr(module, name) if name == "report" else module.report_history.history

        def counted(*given: Any, whole: Any = whole, name: str = name, **more: Any) -> Any:
            found.append(name)
            return whole(*given, **more)

        monkeypatch.setattr(*((module, name) if name == "report" else (module.report_history, "history")), counted)
    return found


def page(project: Project, *arguments: str) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.root)
        assert cli.run(["report", *arguments]) == 0
    return project.read("report.html")


def cached(project: Project, name: str) -> Path:
    """Where DVC keeps an output of the work tree."""
    lock = project.read("dvc.lock")
    digest = lock.partition(f"path: {name}\n")[2].partition("md5: ")[2][:32]
    return project.root / ".dvc/cache/files/md5" / digest[:2] / digest[2:]


def test_an_unchanged_page_is_found_and_whatever_changed_is_seen(tried: Project, made: list[str]) -> None:
    first = page(tried, "tried")
    (tried.root / "report.html").unlink()
    assert page(tried, "tried") == first and made == ["report"]
    assert page(tried, "tried", "-o", "report.html") == first and made == ["report"]
    kept = cached(tried, "plots/curves-candidate.csv")
    kept.rename(kept.with_suffix(".away"))
    assert "curves-candidate.csv: not at hand" in page(tried, "tried") and len(made) == 2
    kept.with_suffix(".away").rename(kept)
    assert page(tried, "tried") == first and len(made) == 3

    def tag() -> None:
        tried.git("tag", "strategy/other", "HEAD~1")

    def untracked() -> None:
        (tried.root / "src/tasks/digits/show.py").write_text("def show(example): ...\n", encoding="utf-8")

    def edited() -> None:
        tried.edit("src/tasks/digits/data.py", "def ", "def  ")

    def scored() -> None:
        shutil.rmtree(tried.root / ".git/assay/scores")

    def damaged() -> None:
        for path in (tried.root / ".git/assay/pages").iterdir():
            path.write_bytes(path.read_bytes()[:50])

    changes: list[Callable[[], None]] = [tag, untracked, edited, scored, damaged]
    for number, change in enumerate(changes, start=4):
        change()
        text = page(tried, "tried")
        assert len(made) == number, change.__name__
        shutil.rmtree(tried.root / ".git/assay/pages")
        assert page(tried, "tried") == text
        made.pop()


def test_a_page_of_the_work_tree_follows_its_files(tried: Project, made: list[str]) -> None:
    first = page(tried)
    assert page(tried) == first and len(made) == 1
    path = tried.root / "results/verdict.txt"
    text = path.read_text(encoding="utf-8")
    path.unlink()
    assert page(tried) == first and len(made) == 2, "it is in the cache, too"
    path.write_text(text.replace("progress", "progresz"), encoding="utf-8")
    page(tried)
    assert len(made) == 3
    page(tried, "--history")
    page(tried, "--history")
    assert made[3:] == ["report_history"]


def own(project: Project) -> LookEntry:
    """The look at what lies in the work tree."""
    identity = project.replicates("candidate")[0]["identity"]
    return next(one for one in look_ledger.read(project.root).looks if identity in alpha_budget.names(one))


def test_what_a_page_was_not_made_from_may_change(tried: Project, made: list[str]) -> None:
    """Another experiment with its look, a comment, an edit of what is not shown, a branch: nothing is made anew."""
    first = page(tried, "tried")

    def experiment() -> None:
        tried.git("update-ref", f"refs/exps/aa/{'a' * 38}/another", "HEAD")
        look_ledger.add(tried.root, lambda _: [msgspec.structs.replace(own(tried), identity="0" * 32, formerly=())])
        (tried.root / ".git/assay/scores/other").write_text("{}", encoding="utf-8")

    def comment() -> None:
        tried.edit("params.yaml", "lr: ", "# larger?\nlr: ")

    def unseen() -> None:
        tried.edit("dvc.lock", "schema: ", "schema:  ")

    def branch() -> None:
        tried.git("branch", "other")

    for change in (experiment, comment, unseen, branch):
        change()
        assert page(tried, "tried") == first and len(made) == 1, change.__name__
    shutil.rmtree(tried.root / ".git/assay/pages")
    assert page(tried, "tried") == first and len(made) == 2, "made anew it would be the same"


def test_what_a_page_was_made_from_is_asked_again(tried: Project, made: list[str]) -> None:
    """A look at this very strategy, a value beside a comment, a family that it joins, its name given to another."""
    page(tried, "tried")
    entry = own(tried)

    def look() -> None:
        look_ledger.add(tried.root, lambda _: [msgspec.structs.replace(entry, level=0.001, spends=0.001)])

    def family() -> None:
        joined = FamilyEntry(
            command="sweep",
            baseline=entry.baseline,
            metric="accuracy",
            members=(tried.replicates("candidate")[0]["identity"], "0" * 32),
            size=2,
            alpha=0.05,
        )
        look_ledger.add(tried.root, lambda _: [joined])

    def value() -> None:
        tried.edit("params.yaml", "seed: 1 ", "seed: 2 ")

    def experiment() -> None:
        tried.git("update-ref", f"refs/exps/aa/{'a' * 38}/another", "HEAD")

    for number, change in enumerate((look, value, family, experiment), start=2):
        change()
        text = page(tried, "tried")
        assert len(made) == number, change.__name__
        shutil.rmtree(tried.root / ".git/assay/pages")
        assert page(tried, "tried") == text
        made.pop()


def test_only_questions_that_can_be_asked_again_count(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    ask = ["git", "-C", str(tmp_path)]
    with git_questions.recording(tmp_path) as found:
        for words in (["rev-parse", "--git-dir"], ["cat-file", "-t", f"{'a' * 40}:x"], ["for-each-ref", "refs/x"]):
            subprocess.run([*ask, *words], capture_output=True)
    assert found.all_known and found.asked == {("for-each-ref", "refs/x")} and len(found.answers()) == 1
    for command in ([*ask, "update-ref", "-d", "refs/x"], ["git", "-C", "/", "status"], [sys.executable, "-c", ""]):
        with git_questions.recording(tmp_path) as found:
            subprocess.run(command, capture_output=True)
        assert not found.all_known, command


def test_where_nothing_can_be_kept_a_page_is_made_each_time(tried: Project, made: list[str]) -> None:
    (tried.root / ".git/assay/pages").write_text("no folder", encoding="utf-8")
    assert page(tried, "tried") == page(tried, "tried") and len(made) == 2


def test_what_was_written_a_moment_ago_may_change_unseen(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("1", encoding="utf-8")
    with opened_files.recording() as seen:
        path.read_text(encoding="utf-8")
        (tmp_path / "none").is_file()
        opened_files.note(tmp_path / "none")
        (tmp_path / "b").write_text("2", encoding="utf-8")
    assert seen.states == {str(path): opened_files.state(str(path)), str(tmp_path / "none"): None}
    assert not seen.settled and opened_files.unchanged(seen.states)
    os.utime(path, (1, 1.5))
    assert not opened_files.unchanged(seen.states)
    with opened_files.recording() as again:
        path.read_text(encoding="utf-8")
    assert again.settled


def test_a_page_that_was_kept_needs_neither_statistics_nor_templates(tried: Project) -> None:
    heavy = "{'numpy', 'scipy', 'jinja2', 'msgspec', 'dvc', 'vl_convert', 'torch', 'pandas', 'altair'}"
    code = "import sys; from assay.cli import root; root.run(['report', 'tried']); "
    code += f"sys.exit(bool({heavy} & set(sys.modules)))"
    first, second = (tried.run(sys.executable, "-c", code, ok=False) for _ in range(2))
    assert (first.returncode, second.returncode) == (1, 0) and first.stderr == second.stderr
