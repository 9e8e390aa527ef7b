"""A comparison as text, Markdown and JSON.

Covers: the two lines that a run prints, everything that belongs beside them, number formats. Not covered: what
the numbers mean (`stats`, docs/judge.md).
"""

from __future__ import annotations

import dataclasses
import math
import re
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from assay.core import reported_key, sanitize_output
from assay.core.sanitize_output import markdown_cell
from assay.report.number_text import number as number
from assay.report.number_text import p_value as p_value
from assay.report.number_text import percent as percent
from assay.stats import hypothesis_tests, sample_size
from assay.stats.arm_comparison import ArmSummary, Comparison
from assay.stats.baseline_drift import Drift
from assay.stats.target_value_test import Target
from assay.stats.variance_components import NewExamples

SCHEMA = 1
Flat = dict[str, Any]


def verdict_lines(
    result: Comparison,
    metric: str,
    baseline_name: str,
    metric_version: str = "",
    comparisons: int = 0,
    examples: NewExamples | None = None,
    lost: str = "",
) -> str:
    """The verdict on two lines, then one line for everything that must not be overlooked.

    `lost` names slices with a significant loss, which stand beside the verdict's word.

    `comparisons` counts the verdicts already given against the same baseline; 0 says nothing.
    """
    said, reached = remarks(result, comparisons), reach(result, examples)
    return _text(result, metric, baseline_name, metric_version, said, reached, lost)


def alone(values: Sequence[float], metric: str, metric_version: str) -> str:
    """One arm that was compared with nothing: `accuracy (reported) 0.9712 ±0.0040 (n=5) · accuracy-1.reported.…`."""
    spread = statistics.stdev(values) if len(values) > 1 else None
    digits = 4 if not spread else max(0, 1 - math.floor(math.log10(spread)))
    shown = f"{number(statistics.fmean(values), digits)}{_spread(spread, digits)}" if values else "no finite run"
    return sanitize_output.line(
        f"{reported_key.label(metric, metric_version)} {shown} (n={len(values)}) · {metric_version}"
    )


def reach(result: Comparison, examples: NewExamples | None) -> str:
    """Whether a difference is shown for new examples, too; "" where there is none, or nothing is known of them."""
    if examples is None or result.verdict not in ("progress", "regression"):
        return ""
    low, high = examples.ci
    shown = low > 0 if (result.delta or 0.0) > 0 else high < 0
    return "; shown for new examples, too" if shown else "; for these examples, not shown for new ones"


def full(
    result: Comparison,
    metric: str,
    baseline_name: str,
    metric_version: str,
    comparisons: int,
    examples: str = "",
    origins: Mapping[str, str] | None = None,
    reached: str = "",
) -> str:
    """The verdict on two lines, then the details, for `assay compare`; `examples` is the line on new examples.

    `reached`: what `reach` says of them.
    """
    said = [*_said(result, comparisons, examples), *origin_lines(origins or {})]
    return _text(result, metric, baseline_name, metric_version, said, reached)


def _text(
    result: Comparison,
    metric: str,
    baseline_name: str,
    metric_version: str,
    said: list[str],
    reached: str,
    lost: str = "",
) -> str:
    digits, metric = decimals(result), reported_key.label(metric, metric_version)
    word = f"{result.verdict:<10}"
    head = sanitize_output.line(f"{result.verdict}; {lost} ") if lost else word
    lines = [
        f"{metric} {arm(result.candidate, digits)} vs {baseline_name} {arm(result.baseline, digits)}{reached}",
        difference(result, digits) + (f" · {metric_version}" if metric_version else ""),
        *said,
    ]
    lines = [sanitize_output.line(each) for each in lines]
    return f"{head} " + f"\n{' ' * len(word)} ".join(lines)


def drift_lines(found: Drift, name: str, library: str, alpha: float, digits: int) -> list[str]:
    """Then and today; a caution where the difference is significant."""
    then, today = (f"{number(mean, digits)}{_spread(sd, digits)} (n={n})" for mean, sd, n in (found.then, found.today))
    p = "" if found.p is None else f", p={p_value(found.p)}"
    lines = [f"{name} was accepted with {then} by Assay {library}; as today's Assay trains it: {today}{p}"]
    if found.p is not None and found.p < alpha:
        moved = number(found.delta, digits, "+")
        lines.append(f"caution: today's Assay trains {name} to another number than the one that accepted it: {moved}")
    return lines


def _spread(sd: float | None, digits: int) -> str:
    return "" if sd is None else f" ±{number(sd, digits)}"


def arm(summary: ArmSummary, digits: int) -> str:
    """`0.9712 ±0.0040 (n=10, failures < 26 %)`: the share of failing runs that n leaves possible is a part of n."""
    if summary.fixed:
        return f"{number(summary.mean, digits)} (fixed)"
    spread = _spread(summary.sd, digits)
    shown = "no finite run" if summary.mean is None else f"{number(summary.mean, digits)}{spread}"
    return f"{shown} (n={runs(summary)})"


def runs(summary: ArmSummary) -> str:
    """n, and the share of failing runs that so many leave possible at 95 %."""
    below = summary.failures_below
    return f"{summary.n}" if below is None else f"{summary.n}, failures < {percent(below)} %"


def difference(result: Comparison, digits: int) -> str:
    """`+0.0112 [+0.0069, +0.0155] 95% CI, Welch p=0.00004`."""
    if result.baseline.fixed and result.candidate.fixed and result.delta is not None:
        return f"{number(result.delta, digits, '+')} exactly: both are fixed values, and no seed moves them"
    level = f"{100 * (1 - result.alpha):.4g}% CI"
    if result.delta is None or not math.isfinite(result.ci[0]):
        delta = "" if result.delta is None else f"{number(result.delta, digits, '+')}, "
        return f"{delta}no interval: {result.reason or 'this n decides nothing'}"
    low, high = (number(end, digits, "+") for end in result.ci)
    return f"{number(result.delta, digits, '+')} [{low}, {high}] {level}, {result.method} p={p_value(result.p)}"


def doubts(result: Comparison) -> list[str]:
    """Divergence, and why a verdict is held back."""
    lines = [*_divergence(result)]
    if result.reason and math.isfinite(result.ci[0]):
        lines.append(f"held back: {result.reason}")
    return lines


def remarks(result: Comparison, comparisons: int = 0) -> list[str]:
    """One line each: divergence, why a verdict is held back, runs needed, doubts."""
    lines = [*doubts(result), *_blocks(result), *_needed(result), *_pairing(result)]
    if comparisons:
        lines.append(f"{comparisons} verdict(s) were already given against this baseline")
    return lines + [f"caution: {warning}" for warning in result.warnings]


def _blocks(result: Comparison) -> list[str]:
    """`by block: a100 +0.0112 [+0.0069, +0.0155], h100 +0.0098 [+0.0055, +0.0141]; interaction p=0.55`."""
    if result.blocks is None:
        return []
    digits = decimals(result)
    each = [
        f"{one.block} {number(one.delta, digits, '+')} [{', '.join(number(end, digits, '+') for end in one.ci)}]"
        for one in result.blocks.differences
    ]
    p = result.blocks.interaction_p
    return [f"by block: {', '.join(each)}" + ("" if p is None else f"; interaction p={p_value(p)}")]


def _divergence(result: Comparison) -> list[str]:
    if result.fisher_p is None and not (result.diverged_baseline or result.diverged_candidate):
        return []
    counts = [
        f"{name} diverged {side.diverged} of {side.n + (0 if result.entered else side.diverged)}"
        for name, side in (("baseline", result.baseline), ("candidate", result.candidate))
        if not side.fixed
    ]
    tested = "" if result.fisher_p is None else f" (Fisher p={p_value(result.fisher_p)})"
    return [", ".join(counts) + tested]


def _pairing(result: Comparison) -> list[str]:
    """What sharing seeds brought."""
    if result.correlation is None:
        return []
    if result.method == hypothesis_tests.NAMES["resampled"]:
        return [f"both arms share each split: their numbers correlate r={result.correlation:+.2f}"]
    line = f"pairs correlate r={result.correlation:+.2f}"
    if result.correlation < 0:
        return [f"{line}: pairing costs seeds here; better judge.test: welch, declared before the next run"]
    paired, free = sample_size.pairing(result.correlation, 0.05)
    return [f"{line}: {paired} seeds an arm find +1 sd where unpaired ones take {free}"]


def _needed(result: Comparison) -> list[str]:
    if result.verdict != "inconclusive":
        return []
    if result.min_effect <= 0:
        return ["min_effect is 0: equivalent cannot be shown, and no number of runs can be asked for"]
    if result.n_needed is None and result.method == hypothesis_tests.NAMES["resampled"] and math.isfinite(result.ci[0]):
        return [
            f"no number of splits finds a difference of {result.min_effect:g} with 80% power, as they overlap: "
            "more examples would"
        ]
    if result.n_needed is None:
        return []
    return [f"n={result.n_needed} runs per arm would find a difference of {result.min_effect:g} with 80% power"]


def decimals(result: Comparison) -> int:
    """Digits after the point that show two figures of the smallest spread; 4 where there is none."""
    sizes = [side.sd for side in (result.baseline, result.candidate) if side.sd]
    sizes += [result.ci[1] - result.ci[0]] if 0 < result.ci[1] - result.ci[0] < math.inf else []
    return 4 if not sizes else max(0, 1 - math.floor(math.log10(min(sizes))))


def _code(version: str) -> str:
    return f"`{version}`" if re.fullmatch(r"[\w.+-]+", version) else markdown_cell(version)


def origin_lines(origins: Mapping[str, str]) -> list[str]:
    """What there is to say about where numbers come from; `origins`: side → given, recorded, rescored or here."""
    words = {
        "given": "judged as given: the numbers of {}, which nothing here computed",
        "recorded": "judged as recorded: the numbers of {}, which nothing on this machine computed; --rescore does",
    }
    sides = {kind: [side for side, found in origins.items() if found == kind] for kind in words}
    return [text.format(" and ".join(sides[kind])) for kind, text in words.items() if sides[kind]]


def _said(result: Comparison, comparisons: int, examples: str) -> list[str]:
    return [*details(result, decimals(result)), *([examples] if examples else []), *remarks(result, comparisons)]


def markdown(
    result: Comparison,
    metric: str,
    names: tuple[str, str],
    metric_version: str,
    comparisons: int,
    examples: str = "",
    origins: Mapping[str, str] | None = None,
    reached: str = "",
) -> str:
    """A pull-request comment: the word, a table of both arms, the difference, what must not be overlooked."""
    digits, metric = decimals(result), reported_key.label(metric, metric_version)
    rows = [
        f"| {name} | {number(side.mean, digits)} | {number(side.sd, digits)} | {runs(side)} | {side.diverged} |"
        for name, side in zip(map(markdown_cell, names), (result.baseline, result.candidate), strict=True)
    ]
    lines = [
        f"**{result.verdict}** · {' · '.join([markdown_cell(metric), _against(names)])}{reached}",
        "",
        f"| {markdown_cell(metric)} ({result.direction}) | mean | sd | n | diverged |",
        "| --- | ---: | ---: | ---: | ---: |",
        *rows,
        "",
        sanitize_output.markdown(difference(result, digits))
        + (f" · {_code(metric_version)}" if metric_version else ""),
    ]
    said = [*_said(result, comparisons, examples), *origin_lines(origins or {})]
    return "\n".join([*lines, "", *(f"- {sanitize_output.markdown(line)}" for line in said)])


def _against(names: tuple[str, str]) -> str:
    return f"{markdown_cell(names[1])} against {markdown_cell(names[0])}"


def details(result: Comparison, digits: int) -> list[str]:
    """What stands beside every verdict: effect in sd, chance to win, what this n can find, correlation, floors of p."""
    lines = []
    if result.effect_sd is not None:
        lines.append(f"effect {result.effect_sd:+.2f} sd")
    if result.superiority is not None:
        lines.append(f"a candidate run beats a baseline run in {result.superiority:.0%} of pairs")
    if result.min_detectable_effect is not None:
        lines.append(f"this n finds a difference of {number(result.min_detectable_effect, digits)} with 80% power")
    if result.smallest_p:
        lines.append(f"the smallest p that this n can give is {p_value(result.smallest_p)}")
    return lines


def as_json(result: Comparison, metric: str, names: tuple[str, str], metric_version: str, comparisons: int) -> Flat:
    """One object without infinities: an end of an interval that is not finite is null."""
    flat = dataclasses.asdict(result)
    low, high = (end if math.isfinite(end) else None for end in flat.pop("ci"))
    for side, name in zip(("baseline", "candidate"), names, strict=True):
        flat[side] = {"name": name, **flat[side]}
    head: Flat = {"schema": SCHEMA, "metric": metric, "metric_version": metric_version, "comparisons": comparisons}
    if rank := reported_key.rank(metric_version):
        head["rank"] = rank
    return {**head, **flat, "ci_low": low, "ci_high": high}


def refusal_json(fields: dict[str, tuple[str, str]], hint: str) -> Flat:
    """`incomparable`, with both values of every differing field."""
    differing = {name: {"baseline": a, "candidate": b} for name, (a, b) in fields.items()}
    return {"schema": SCHEMA, "verdict": "incomparable", "differing": differing, "next": hint}


def target_line(found: Target, metric: str, direction: str, origins: Mapping[str, str]) -> str:
    """`reached  loss 3.2762 (n=5), target 3.28: p=0.0027 one-sided, needed below 0.01`."""
    word = "reached" if found.met else "not shown"
    side = "at most" if direction == "minimize" else "at least"
    mean = "–" if found.mean is None else f"{found.mean:.6g}"
    why = found.reason or f"p={p_value(found.p)} one-sided, needed below {found.alpha:g}"
    lines = [f"{word}  {metric} {mean} (n={found.n}), target {side} {found.target:g}: {why}"]
    said = [*(f"caution: {warning}" for warning in found.warnings), *origin_lines(origins)]
    return "\n".join(lines + [f"{' ' * len(word)}  {line}" for line in said])


def new_examples(found: NewExamples | None, reason: str, digits: int) -> str:
    """The line on new examples, why there is none, or "" where there is nothing to say."""
    if found is None:
        return f"new examples: not known, {reason}" if reason else ""
    return new_examples_line(found, digits)


def new_examples_json(found: NewExamples) -> Flat:
    """As `as_json` writes the interval over new seeds."""
    flat = dataclasses.asdict(found)
    low, high = (end if math.isfinite(end) else None for end in flat.pop("ci"))
    share = flat["share_of_examples"]
    return {**flat, "share_of_examples": share if math.isfinite(share) else None, "ci_low": low, "ci_high": high}


def new_examples_line(found: NewExamples, digits: int) -> str:
    """The interval that speaks about new examples, and how many examples changed sides."""
    if not math.isfinite(found.ci[0]):
        return "new examples: no interval, one run per arm says nothing about seeds"
    low, high = (number(end, digits, "+") for end in found.ci)
    flips = "" if found.fixed is None else f"; {found.fixed} examples fixed, {found.broken} broken"
    share = f"{found.share_of_examples:.0%} of its variance from the {found.examples} examples"
    return f"new examples: [{low}, {high}] 95% CI, p={p_value(found.p)}, {share}{flips}"
