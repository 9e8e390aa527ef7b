"""What work on other machines will take, said before it starts, and in the same words without starting it.

Covers: trainings, hours by what earlier runs took, hours of machines, a price where one is given, a limit. Not covered:
what is asked (`commands.work_plan`).
"""

from __future__ import annotations

from assay.commands.work_plan import WorkPlan
from assay.runtime.progress_line import duration


def hours(plan: WorkPlan) -> float | None:
    """Hours of machines in all; None where nobody knows."""
    each = plan.seconds
    return None if each is None else (plan.trainings("candidate") + plan.trainings("baseline")) * each / 3600


def lines(plan: WorkPlan, parallel: int, rate: float | None) -> list[str]:
    """The price in words. `rate`: money for an hour of one machine."""
    candidate, baseline = plan.trainings("candidate"), plan.trainings("baseline")
    if not plan.requests:
        return [f"nothing to train: all {plan.sealed} replicates are sealed; dvc exp run only evaluates"]
    counts = f"price: {candidate} trainings of the candidate"
    counts += f" and {baseline} of the baseline {plan.baseline}" if baseline else ""
    counts += f" in {len(plan.requests)} requests, {parallel} at a time"
    counts += f" ({plan.sealed} replicates are sealed already)" if plan.sealed else ""
    whole, each = hours(plan), plan.seconds
    if each is None or whole is None:
        return [f"{counts}; how long one takes is not known yet"]
    waves = longest_queue(plan, parallel) * each
    kind = "processor" if plan.requests[0].environment.device == "cpu" else "GPU"
    cost = f"{counts}; measured at {each:.2g} s each: {duration(waves)}, {whole:.2g} {kind} hours"
    return [cost + (f", {whole * rate:.2f} at {rate:g} an hour" if rate is not None else "")]


def longest_queue(plan: WorkPlan, parallel: int) -> int:
    """Trainings one after another on the busiest of `parallel` machines, requests handed out as machines come free."""
    busy = [0] * parallel
    for one in sorted((len(request.numbers) for request in plan.requests), reverse=True):
        busy[busy.index(min(busy))] += one
    return max(busy)
