"""`assay report`.

What makes pages is imported by name where one has to be made: a page that was kept needs none of it.
"""

from __future__ import annotations

import importlib
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from assay.cli.printing import examples, show
from assay.commands import github_workflows
from assay.core.errors import UsageError
from assay.report.page import page_marks
from assay.runtime import files, git_questions, kept_pages, opened_files, project_root
from assay.runtime.kept_pages import KeptPage

PAGE = "report.html"


@click.command(
    epilog=examples(
        "assay report",
        "assay report wide deep -o both.html",
        "assay report HEAD --markdown -o comment.md --require progress",
    )
)
@click.argument("names", metavar="[REV|EXP]...", nargs=-1)
@click.option("-o", "--output", metavar="FILE", help=f"File to write; default: {PAGE}, Markdown is printed.")
@click.option("--markdown", is_flag=True, help="A pull-request comment instead of a page.")
@click.option(
    "--rescore", is_flag=True, help="Compute the numbers from predictions: runs the metrics of this checkout."
)
@click.option("--require", type=click.Choice(["progress", "no-regression"]), help="Leave with code 5 unless shown.")
@click.option("--history", is_flag=True, help="One page of all strategies, rejected ideas, looks and experiments.")
@click.option("--github", is_flag=True, help="Write workflows that comment on pull requests into .github/workflows.")
def command(
    names: tuple[str, ...],
    output: str | None,
    markdown: bool,
    rescore: bool,
    require: str | None,
    history: bool,
    github: bool,
) -> None:
    """Write one page about a result: verdict, seeds, curves, cases, what changed. No network, no script.

    Shows what lies in the work tree unless experiments or revisions are named; several are one family under Holm. Reads
    records and DVC's cache, and runs no code of the project but with --rescore. What is not at hand is named with the
    command that brings it.
    """
    if github:
        _check_alone("--github", names or output or markdown or rescore or require or history, "assay report --github")
        _github()
        return
    if history:
        _check_alone("--history", names or markdown or rescore or require, "assay report --history [-o FILE]")
        _page(Path(output or PAGE), ["--history"])
    elif markdown:
        made = _maker().comment(Path.cwd(), names, rescore=rescore)
        if output:
            _write(Path(output), made.text)
        else:
            show(made.text.removesuffix("\n"))
        if require:
            made.gate(require)
    elif rescore or require:
        made = _maker().page(Path.cwd(), names, rescore=rescore)
        _write_page(Path(output or PAGE), made.text, made.said)
        if require:
            made.gate(require)
    else:
        _page(Path(output or PAGE), names)


def _maker() -> Any:
    """`commands.report_output`, with all that judging and drawing need."""
    return importlib.import_module("assay.commands.report_output")


def _page(path: Path, question: Sequence[str]) -> None:
    """Write the page about `question`, names or --history: the kept one where nothing changed, else a new one."""
    root = project_root.find(Path.cwd()).root
    pages = kept_pages.KeptPages(root, question, path)
    now = pages.now()
    kept = pages.find(now)
    if kept is None:
        with opened_files.recording() as opened, git_questions.recording(root) as asked:
            maker = _maker()
            made = maker.history(Path.cwd()) if question == ["--history"] else maker.page(Path.cwd(), question)
        kept = KeptPage(made.text, made.said)
        pages.keep(now, kept, opened, asked, made.ideas)
    _write_page(path, kept.text, kept.said)


def _write_page(path: Path, text: str, said: str) -> None:
    _write(path, text)
    show(f"{path}: {said}", err=True)


def _check_alone(option: str, others: object, allowed: str) -> None:
    if others:
        raise UsageError(f"{option} is not about one result, and other options do not go with it", allowed=allowed)


def _github() -> None:
    written = github_workflows.write(Path.cwd())
    show("\n".join([*(f"wrote {path}" for path in written), "next: git add .github/workflows, commit, push"]), err=True)


def _write(path: Path, text: str) -> None:
    """Raises UsageError where `path` cannot be a file, or is one that this command did not make."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder", allowed="a file", hint=f"-o {shlex.quote(str(path / PAGE))}")
    if path.is_file() and not _is_ours(path):
        raise UsageError(f"{path} is there and no report", allowed="a new file, or an earlier report")
    try:
        files.write_text(path, text)
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", allowed="a file in a folder") from error


def _is_ours(path: Path) -> bool:
    with path.open("rb") as stream:
        begins = stream.read(2_000)
    return not begins or any(mark.encode() in begins for mark in (page_marks.GENERATOR, page_marks.MARK))
