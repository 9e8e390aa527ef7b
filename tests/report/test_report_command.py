"""`assay report` on a real result: one sound page, the same bytes twice, gaps named, gates, and nothing executed."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from assay.cli import root as cli
from assay.commands.report import report
from assay.core.errors import UsageError
from assay.history import look_ledger
from assay.report.page import chart_svg, page_html
from support.parsed_page import ParsedPage, assert_sound
from support.project import Project

pytestmark = pytest.mark.skipif(not chart_svg.available(), reason="vl-convert is not installed")

ORDER = [
    *("Verdict", "Replicates", "Learning curves", "Interval for new examples", "Cases", "What changed", "Classes"),
    *("Ensemble of the replicates", "Price of the gain", "Slices", "End of training", "Data", "Cautions"),
    *("Just before the net", "Doctor", "Provenance"),
]


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def made(project: Project, *arguments: str, code: int = 0) -> str:
    """The page that `assay report ARGUMENTS` writes, in this process."""
    with inside(project.root):
        assert cli.run(["report", *arguments, "-o", "page.html"]) == code
    return project.read("page.html")


def headings(page: str) -> list[str]:
    return [part.partition("</h3>")[0].partition(">")[2] for part in page.split("<h3")[1:]]


def test_a_page_about_an_experiment_and_about_the_work_tree(tried: Project) -> None:
    poison = 'raise SystemExit("the project was imported")\n'
    for part in ("data", "learning", "metrics"):
        path = tried.root / f"src/tasks/digits/{part}.py"
        path.write_text(poison + path.read_text(encoding="utf-8"), encoding="utf-8")
    before = tried.git("status", "--short")
    first = made(tried, "tried")
    assert first == made(tried, "tried"), "byte for byte the same twice"
    page = ParsedPage(first)
    assert_sound(page)
    assert headings(first) == ORDER
    assert len(page.all("svg")) >= 4 and "tried against strategy/first" in page.text
    assert "lr 0.001" in page.text or ("lr" in page.text and "0.02" in page.text)
    assert "confusion of the baseline" in page.text and "confusion of the candidate" in page.text
    assert "not at hand" not in page.text.replace("findings about the training code: not at hand", "")
    (tried.root / "page.html").unlink()
    assert tried.git("status", "--short") == before, "nothing else was written"
    here = ParsedPage(made(tried))
    assert_sound(here)
    verdict = str(tried.metrics["verdict"])
    assert f"the work tree: {verdict}" in here.text and f"tried: {verdict}" in page.text


def test_what_is_not_at_hand_is_named_with_its_pull_and_the_rest_stands(tried: Project) -> None:
    shutil.rmtree(tried.root / ".dvc/cache")
    page = ParsedPage(made(tried, "tried"))
    assert_sound(page)
    commit = tried.git("for-each-ref", "--format=%(objectname)", "refs/exps/*/*/tried")
    kept = [
        *(f"plots/curves-{arm}.csv" for arm in ("baseline", "candidate")),
        "arms/candidate.json",
        "results/cases.json",
    ]
    for path in kept:
        assert f"{path}: not at hand" in page.text
        assert f"git checkout {commit[:12]} && dvc pull {path} && git checkout -" in page.text
    assert str(tried.metrics["verdict"]) in page.text and len(page.all("svg")) == 2


def test_files_of_two_runs_in_the_work_tree_are_told_apart(tried: Project) -> None:
    """`git checkout` takes back what Git has, and leaves what DVC has: the page quoted one as reason of the other."""
    tried.git("checkout", "--quiet", ".")
    assert tried.metrics["verdict"] == "same" and tried.read("results/verdict.txt").startswith("progress")
    page = ParsedPage(made(tried))
    assert "results/verdict.txt is of another run" in page.text and "dvc checkout" in page.text
    assert "same: progress" not in page.text and "new examples: [" not in page.text


def test_several_are_one_family_and_strangers_are_refused(tried: Project) -> None:
    tried.commit("tried")
    tried.git("branch", "other")
    page = ParsedPage(made(tried, "tried", "other"))
    assert_sound(page)
    assert "one family of 2 under Holm" in page.text and "All candidates" in page.text
    with pytest.raises(UsageError, match="more than one baseline"):
        report(tried.root, ["tried", "strategy/first"])
    with pytest.raises(UsageError, match="named twice"):
        report(tried.root, ["tried", "tried"])


def test_a_comment_and_its_gate(tried: Project, capsys: pytest.CaptureFixture[str]) -> None:
    with inside(tried.root):
        assert cli.run(["report", "tried", "--markdown", "-o", "comment.md", "--require", "progress"]) == 0
        shutil.rmtree(tried.root / ".git/assay")  # as in a clone: nothing here computed these numbers
        assert cli.run(["report", "tried", "--markdown", "-o", "comment.md", "--require", "progress"]) == 5
        assert "computed neither in this call nor by an evaluate here" in capsys.readouterr().err
        text = tried.read("comment.md")
        assert cli.run(["report", "tried", "--markdown"]) == 0
    assert capsys.readouterr().out == text
    assert text.startswith("<!-- assay report -->\n### tried against strategy/first\n") and "●" in text
    assert str(tried.metrics["metric_version"]) not in text, "a hash is no link to a commit"


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda root: (root / "results/metrics.json").write_text('{"schema": 9}'), "schema 9"),
        (lambda root: (root / "results/metrics.json").write_text("{"), "damaged"),
        (lambda root: (root / "results/replicates.csv").unlink(), "name an experiment"),
    ],
    ids=["newer schema", "damaged", "nothing ran"],
)
def test_no_page_of_a_result_that_cannot_be_read(tried: Project, edit: object, said: str) -> None:
    edit(tried.root)  # type: ignore[operator]
    with pytest.raises(UsageError, match=said):
        report(tried.root, [])
    assert not (tried.root / "report.html").exists()


def rewritten(project: Project, change: Callable[[dict[str, str]], bool]) -> ParsedPage:
    """The page after each row of results/replicates.csv was changed in place, or left out where `change` says False."""
    path = project.root / "results/replicates.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    kept = [row for row in rows if change(row)]
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
    found = ParsedPage(page_html.html(report(project.root, []).page, lambda _, draw: draw()))
    assert_sound(found)
    return found


def test_one_seed_and_none_that_did_not_diverge_have_a_page(tried: Project) -> None:
    first = tried.replicates("candidate")[0]["seed"]
    page = rewritten(tried, lambda row: row["arm"] != "candidate" or row["seed"] == first)
    assert "n=1" in page.text and "no interval" in page.text

    def diverged(row: dict[str, str]) -> bool:
        if row["arm"] == "candidate":
            row.update(status="diverged", accuracy="", cross_entropy="")
        return True

    page = rewritten(tried, diverged)
    assert "diverged 1 of 1" in page.text and "the record says" in page.text


def test_names_of_branches_mean_nothing_in_a_page(tried: Project) -> None:
    tried.commit("tried")
    name = "x\"'></title><svg/onload=x>"
    tried.git("branch", name)
    page = ParsedPage(page_html.html(report(tried.root, [name]).page, lambda _, draw: draw()))
    assert_sound(page)
    assert name in page.text
    for path in ("results/replicates.csv", "results/*.csv"):
        with pytest.raises(UsageError):
            report(tried.root, [path])


def test_damaged_tables_cost_their_own_sections_alone(tried: Project) -> None:
    (tried.root / "results/slices.csv").write_text("by,name\nclass,\x00\n", encoding="utf-8")
    (tried.root / "plots/confusion.csv").write_text("one column\nx\n", encoding="utf-8")
    for name in ("plots/curves-candidate.csv", "results/cases.json", "arms/candidate.json", "data/prepared/card.json"):
        path = tried.root / name
        path.unlink()
        path.write_text("seed,epoch\n1,2\n", encoding="utf-8")
    text = page_html.html(report(tried.root, []).page, lambda _, draw: draw())
    assert_sound(ParsedPage(text))
    assert headings(text) == ORDER and "confusion" in text


def test_a_link_out_of_the_project_is_no_result(tried: Project, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a\nb\nSECRET\n", encoding="utf-8")
    path = tried.root / "results/verdict.txt"
    path.unlink()
    path.symlink_to(tmp_path / "secret")
    assert "SECRET" not in page_html.html(report(tried.root, []).page, lambda _, draw: draw())


def test_a_folder_that_cannot_be_written_is_a_sentence(tried: Project, capsys: pytest.CaptureFixture[str]) -> None:
    with inside(tried.root):
        assert cli.run(["report", "-o", "src"]) == 2
        assert cli.run(["report", "-o", "params.yaml/page.html"]) == 2
        before = tried.read("params.yaml")
        assert cli.run(["report", "-o", "params.yaml"]) == 2
    said = capsys.readouterr().err
    assert "is a folder" in said and "cannot be written" in said and "params.yaml is there and no report" in said
    assert tried.read("params.yaml") == before


def test_ten_and_ten_replicates_of_hundred_epochs_stay_below_300_kib(tried: Project) -> None:
    rows = "".join(
        f"{seed},{seed},{epoch},{1 / epoch + seed / 97:.6g},{1.2 / epoch + seed / 89:.6g}\n"
        for seed in range(10)
        for epoch in range(1, 101)
    )
    for arm in ("baseline", "candidate"):
        path = tried.root / f"plots/curves-{arm}.csv"
        path.unlink()
        path.write_text("replicate,seed,epoch,train_loss,validation_loss\n" + rows, encoding="utf-8")
    (tried.root / "results/cases.json").unlink()
    lock = tried.root / "dvc.lock"
    lock.write_text(
        lock.read_text(encoding="utf-8").replace("results/cases.json", "results/none.json"), encoding="utf-8"
    )
    text = page_html.html(report(tried.root, []).page, lambda _, draw: draw())
    assert len(text.encode()) <= 300 * 2**10
    assert json.loads(tried.read("results/metrics.json"))["verdict"] in text


def test_history_of_a_project_that_accepted_one(tried: Project) -> None:
    look = look_ledger.read(tried.root).looks[0]
    of_ablation = msgspec.structs.replace(look, baseline=f"ablation on {look.identity}")
    look_ledger.add(tried.root, lambda _: [of_ablation])
    with inside(tried.root):
        assert cli.run(["report", "--history", "-o", "page.html"]) == 0
        assert cli.run(["report", "--history", "tried"]) == 2
    page = ParsedPage(tried.read("page.html"))
    assert_sound(page)
    assert f"ablation on {look.identity[:12]}" in page.text
    assert "experiments at hand: 1" in page.text and "looks at" in page.text and "tried" in page.text
