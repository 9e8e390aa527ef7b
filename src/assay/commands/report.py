"""`assay report`: one page about one result, or about several that are judged as one family. Reads and never writes.

Covers: finding results, judging several under Holm, the order of articles. Imports no code of the project, but with
`--rescore`. Not covered: sections (`commands.report_article`), HTML and Markdown (`assay.report.page`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from assay.commands import compare_many, compare_sides, report_article, report_result
from assay.commands.compare import Compared
from assay.commands.compare_many import FamilyMember
from assay.commands.compare_options import Options
from assay.commands.report_result import ShownResult
from assay.core.errors import UsageError
from assay.report.page import family_section
from assay.report.page.family_section import GRID
from assay.report.page.page_blocks import Page, PageArticle
from assay.report.page.verdict_section import ReportedVerdict
from assay.stats.arm_comparison import Comparison

#: experiments that one page holds
MOST = 40


@dataclass(frozen=True)
class Reported:
    """A page, and the comparisons behind it: `compared` of each result that was tested, `members` of a family.

    `ideas`: strategies about which the ledger of looks was asked, None where it was asked about all.
    """

    page: Page
    root: Path
    verdicts: Sequence[ReportedVerdict]
    compared: Sequence[Compared | None]
    members: Sequence[FamilyMember]
    ideas: frozenset[str] | None


def report(start: Path, names: Sequence[str], *, rescore: bool = False) -> Reported:
    """A page about each of `names`, revisions or experiments; about the work tree where none is named.

    Raises UsageError for what has no result, and for several that are no family: another metric version or baseline.
    """
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice or len(names) > MOST:
        problem = f"{twice} is named twice" if twice else f"{len(names)} experiments are named"
        raise UsageError(problem, allowed=f"up to {MOST} different experiments or revisions")
    options = Options(rescore=rescore)
    results = [report_result.find(start, name) for name in names or [""]]
    pairs = [report_result.verdict(one, options) for one in results]
    verdicts, compared = [said for said, _ in pairs], [found for _, found in pairs]
    members = _family(results, verdicts, compared, options) if len(results) > 1 else []
    verdicts = (
        [_replace_word(said, member) for said, member in zip(verdicts, members, strict=True)] if members else verdicts
    )
    articles = [
        report_article.article(result, said, f"e{number}")
        for number, (result, said) in enumerate(zip(results, verdicts, strict=True), start=1)
    ]
    page = _page(results, verdicts, members, articles)
    return Reported(page, results[0].root, verdicts, compared, members, _ideas(results, articles))


def _ideas(results: Sequence[ShownResult], articles: Sequence[PageArticle]) -> frozenset[str] | None:
    """All of them where a sweep is shown, or the number of other verdicts is told, as no verdict.txt does it."""
    whole = any(section.name.startswith(GRID) for article in articles for section in article.sections)
    found = {compare_sides.identity(result.side, "candidate") for result in results}
    return None if whole or "" in found or not all(result.said for result in results) else frozenset(found)


def _replace_word(said: ReportedVerdict, member: FamilyMember) -> ReportedVerdict:
    """The verdict that holds in the family; where it differs a caution says what the comparison says by itself."""
    if member.verdict == said.word:
        return said
    line = f"caution: {said.word} by itself, {member.verdict} in this family (Holm p={member.p_holm:.2g})"
    return said._replace(word=member.verdict, lines=(line, *said.lines))


def _family(
    results: Sequence[ShownResult],
    verdicts: Sequence[ReportedVerdict],
    compared: Sequence[Compared | None],
    options: Options,
) -> list[FamilyMember]:
    """All of them judged together, each against the baseline that all share."""
    for said, found in zip(verdicts, compared, strict=True):
        if found is None:
            raise UsageError(
                f"{said.candidate} has no comparison for a family: {said.why or said.word}", hint="report it by itself"
            )
    tested = [found for found in compared if found is not None]
    for what, values in (
        ("metric version", {found.metric_version for found in tested}),
        ("baseline", {found.baseline for found in tested}),
    ):
        if len(values) > 1:
            raise UsageError(
                f"the experiments have more than one {what}: {', '.join(sorted(values))}",
                allowed=f"experiments with one {what}",
                hint="report them one by one",
            )
    named = {result.name: result for result in results}

    def strict(one: Compared) -> Comparison:
        level = one.result.alpha / len(tested)
        return report_result.compared(named[one.candidate], replace(options, alpha=level)).result

    return compare_many.family(tested, strict)


def _page(
    results: Sequence[ShownResult],
    verdicts: Sequence[ReportedVerdict],
    members: Sequence[FamilyMember],
    articles: Sequence[PageArticle],
) -> Page:
    if not members:
        return Page(f"{results[0].name} against {verdicts[0].baseline}", "", articles)
    shown = [one.alone.candidate for one in members if one.verdict == "progress"]
    lead = f"{len(shown)} of {len(members)} show progress{': ' if shown else ''}{', '.join(shown)}"
    section = family_section.family_section(compare_many.lines(members), verdicts[0].label)
    first = PageArticle("all", "All candidates", [section])
    return Page(f"{len(members)} experiments against {members[0].alone.baseline}", lead, [first, *articles])
