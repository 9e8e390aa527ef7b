"""`assay report`."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from assay.cli.printing import examples, show
from assay.commands import github_workflows, report_history
from assay.commands.compare_score_source import RECORDED
from assay.commands.report import Reported, report
from assay.core.errors import GateError, UsageError
from assay.report.page import page_html, page_markdown, verdict_section
from assay.runtime import chart_cache, files

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
        _history(Path(output or PAGE))
        return
    found = report(Path.cwd(), names, rescore=rescore)
    if markdown:
        text = page_markdown.markdown(found.page)
        if output:
            _write(Path(output), text)
        else:
            show(text.removesuffix("\n"))
    else:
        path = Path(output or PAGE)
        _write(path, page_html.html(found.page, chart_cache.store(found.root)))
        show(f"{path}: {found.page.lead or verdict_section.lead(found.verdicts[0])}", err=True)
    if require:
        _check(found, require)


def _check_alone(option: str, others: object, allowed: str) -> None:
    if others:
        raise UsageError(f"{option} is not about one result, and other options do not go with it", allowed=allowed)


def _history(path: Path) -> None:
    page = report_history.history(Path.cwd())
    _write(path, page_html.html(page, chart_cache.store(Path.cwd())))
    show(f"{path}: {page.lead}", err=True)


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
    return not begins or any(mark.encode() in begins for mark in (page_html.GENERATOR, page_markdown.MARK))


def _check(found: Reported, require: str) -> None:
    """As `assay compare --require`: recorded numbers alone pass no gate. Raises GateError."""
    for place, (said, compared) in enumerate(zip(found.verdicts, found.compared, strict=True)):
        if compared is None:
            raise GateError(f"{require} is required, and {said.candidate} is {said.word}: {said.why}")
        if compared.off_account:
            raise GateError(compared.off_account, hint="dvc exp run, which records its look, then report that")
        kept = found.members[place].no_regression if found.members else compared.result.no_regression
        if not {"progress": said.word == "progress", "no-regression": kept}[require]:
            raise GateError(f"{require} is required, and the verdict on {said.candidate} is {said.word}")
        if RECORDED in compared.origins.values():
            raise GateError(
                f"the numbers of {said.candidate} were computed neither in this call nor by an evaluate here",
                hint="the same command with --rescore",
            )
