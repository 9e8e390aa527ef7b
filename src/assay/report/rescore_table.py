"""The outcome of `assay rescore` as text: a table of what was scored, a line for each that was not."""

from __future__ import annotations

from collections.abc import Mapping

from tabulate import tabulate

HEADERS = ("", "mean", "sd", "n", "diverged")
PUSH = "assay log --all, or git push origin 'refs/tags/rescored/*' && assay sync"
Row = tuple[float | None, float | None, int, int]  # mean, sd, n, diverged


def text(version: str, scored: Mapping[str, Row], left: Mapping[str, str], kept: bool) -> str:
    """Headed by the metric version; ends with what to do next."""
    lines = []
    if scored:
        cells = [(name, _number(mean), _number(sd), n, lost) for name, (mean, sd, n, lost) in scored.items()]
        lines += [version, tabulate(cells, HEADERS, tablefmt="simple", disable_numparse=True)]
    lines += [f"{name} is left: {why}" for name, why in left.items()]
    if not scored and not left:
        return f"everything has a number under {version}"
    if not kept:
        lines.append("dry run: nothing is kept")
    elif scored:
        lines.append(f"next: {PUSH}")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
