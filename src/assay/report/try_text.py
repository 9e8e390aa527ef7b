"""The end of `assay try` as text: the verdict of the last look, why it ends there, what to do next."""

from __future__ import annotations

from assay.report import comparison_text
from assay.stats.arm_comparison import Comparison

_WHY = {
    "futile": "stopped: progress at n={last} is unlikely; {saved} of {last} trainings of the candidate were saved",
    "last look": "all looks are taken: a gain is not shown",
    "alpha is spent": "stopped: earlier looks at this idea left no level that a verdict could be read at",
    "diverged": "stopped: a replicate diverged, and more of them cannot give a verdict",
    "all alike": "stopped: all replicates of an arm are one; does the seed reach the training?",
    "budget": "stopped: the budget; what was trained is kept",
}
_NEXT = {
    "futile": 'another idea; assay reject {name} --why "…" keeps this one in the log',
    "last look": 'another idea; assay reject {name} --why "…" keeps this one in the log',
    "alpha is spent": "assay log --all; a new baseline opens a new account",
    "diverged": "a smaller lr, or name `worst` for the metric in METRICS",
    "all alike": "assay doctor; task.fixed: true where nothing is random by design",
    "budget": "the same command goes on",
}


def text(
    result: Comparison, names: tuple[str, str], ruler: tuple[str, str], sizes: tuple[int, int], ended: str, said: str
) -> str:
    """`names`: experiment and baseline; `ruler`: metric and its version; `sizes`: n reached and n of the last look;
    `said`: the lines of the run itself, "" where they are not at hand."""
    experiment, baseline = names
    lines = [said.rstrip("\n") or comparison_text.verdict_lines(result, ruler[0], baseline, ruler[1]), ""]
    if ended in _WHY:
        lines.append(_WHY[ended].format(last=sizes[1], saved=sizes[1] - sizes[0]))
    elif sizes[0] < sizes[1]:
        lines.append(f"decided at n={sizes[0]}: {sizes[1] - sizes[0]} of {sizes[1]} trainings were saved")
    if result.verdict == "progress":
        after = f"assay accept {experiment} NAME, which confirms it on fresh seeds"
    else:
        after = _NEXT.get(ended, _NEXT["last look"]).format(name=experiment)
    return "\n".join([*lines, f"next: {after}"])
