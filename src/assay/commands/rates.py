"""`assay rates`: a range of learning rates, from many short trainings.

Sixteen rates around that of HEAD, three seeds each, at a tenth of the steps with the schedule held constant, as lanes
of one training where the model allows. Not covered: the range itself (`stats.rate_range`), a choice, which takes whole
trainings (`commands.sweep`).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.baseline import accepted_strategy
from assay.commands import batch_size_rates, measured_before, rates_early_decay, scratch_experiment
from assay.commands.experiment_grid import Wanted
from assay.commands.sweep import Sweep, sweep
from assay.core import params_yaml, variation
from assay.core.errors import UsageError
from assay.core.params_yaml import Params, Train
from assay.core.paths import ProjectPaths
from assay.runtime import dvc_yaml, git, library_fingerprint, project_root, task_code, task_source
from assay.runtime.dvc_cli import DVC
from assay.runtime.progress_line import duration
from assay.scratch.dvc_repro import furnish
from assay.scratch.scratch_repo import failed, lay_out, run
from assay.stats import rate_range, verdict_rule
from assay.stats.rate_range import RateRange

RATES, SEEDS = 16, 3
#: rates that are trained in full
CONFIRMED = 3
#: share of the steps of a whole training
SHORT = 0.1
#: options that move the step size while a training goes on
OF_SCHEDULE = ("warmup_epochs", "min_lr", "step_epochs", "gamma", "restart_epochs", "restart_mult", "pct_start")
#: the smallest and the largest rate, in times that of HEAD
SPAN = (1e-2, 1e2)
Say = Callable[[str], None]


@dataclass(frozen=True)
class RateTest:
    """`now`: the rate of HEAD; `epochs` and `sample`: how short each training was.

    `notes`: what full curves say of the decay, what theory expects of the rate where the batch size is another one.
    """

    now: float
    epochs: int
    sample: float
    found: RateRange
    accepted: float | None = None  # the accepted strategy's rate
    notes: tuple[str, ...] = ()

    @property
    def confirmed(self) -> list[float]:
        """Rates to train in full. One that HEAD or the baseline has already gives way to a smaller one."""
        taken = (self.now, self.accepted)
        return [float(f"{rate / 1.5:.2g}") if rate in taken else rate for rate in self.found.confirm]


def rates(
    start: Path, span: tuple[float, float] | None, say: Say, dry_run: bool = False, confirm: bool = False
) -> RateTest | None:
    """Train sixteen rates from `span[0]` to `span[1]` (default: a hundredth to a hundred times that of HEAD).

    With `dry_run` only the price is said, with `confirm` that of the whole trainings, too. Raises UsageError for a
    script or a loop of the task's own, for a span that is none, and where every rate diverges.
    """
    layout = project_root.find(start)
    asked = params_yaml.resolved(dvc_yaml.parameters_at(layout.root, "HEAD") or b"")
    if asked.is_script:
        raise UsageError(
            "a script's trainings cannot be cut short from outside", hint="assay sweep -S lr=1e-3,3e-3,1e-2"
        )
    variation.refuse_splits(asked.vary, "assay rates", "trains lanes on one training part")
    tried = spaced(*(span or (asked.lr * SPAN[0], asked.lr * SPAN[1])))
    epochs, sample = short(asked)
    settings = [{"lr": rate, "replicates": SEEDS, **shortened(asked)} for rate in tried]
    accepted = accepted_strategy.resolve(dvc_yaml.current(layout.root), asked.baseline).commit
    say(_price(layout, asked, (epochs, sample), accepted))
    if confirm:
        say(_price_in_full(layout, asked, accepted))
    if dry_run:
        return None
    losses = _measured(layout, asked, settings)
    found = rate_range.rate_range(dict(zip(tried, losses, strict=True)))
    if found is None:
        raise UsageError(
            f"every rate from {tried[0]:.2g} to {tried[-1]:.2g} diverged on some seed",
            allowed="rates that train",
            hint="assay rates --from LOW --to HIGH, or assay doctor",
        )
    notes = (rates_early_decay.line(layout, asked), batch_size_rates.note_since(layout, accepted, asked))
    theirs = batch_size_rates.params_at(layout, accepted, asked.profile)
    return RateTest(asked.lr, epochs, sample, found, theirs.lr if theirs else None, tuple(filter(None, notes)))


def confirm(start: Path, found: RateTest, say: Say) -> Sweep:
    """Train the rates of `found.confirmed` in full and judge them as a sweep does; where the best lies at their end,
    one more beyond it. Raises as `commands.sweep` does."""
    rates = found.confirmed
    made = _swept(start, rates, say)
    best = chosen(made)
    more = None if best is None else rate_range.beyond(found.found, best)
    if more is None or more in (found.now, found.accepted, *rates):
        return made
    say(f"lr={best:g} is the best of these and lies at their end: one more, lr={more:g}")
    return _swept(start, [*rates, more], say)


def _swept(start: Path, rates: Sequence[float], say: Say) -> Sweep:
    values = ",".join(f"{rate:g}" for rate in rates)
    return sweep(start, [f"lr={values}"], say, Wanted.checked("rates", None))


def chosen(made: Sweep) -> float | None:
    """The rate with the best mean of the metric; None where none finished."""
    known = {one.settings[0]: one.alone.candidate.mean for one in made.tried}
    finished = {setting: mean for setting, mean in known.items() if mean is not None}
    if not finished:
        return None
    return float(verdict_rule.best(finished, made.direction).partition("=")[2])


def spaced(low: float, high: float) -> list[float]:
    """Sixteen rates, evenly spaced in their logarithm, of two figures. Raises UsageError for no span of rates."""
    if not 0 < low < high or high / low < 2:
        raise UsageError(f"rates from {low:g} to {high:g} are no span", allowed="0 < LOW, HIGH at least twice LOW")
    return [float(f"{low * (high / low) ** (place / (RATES - 1)):.3g}") for place in range(RATES)]


def short(asked: Params) -> tuple[int, float]:
    """Epochs and share of the training examples that make at most a tenth of the steps of `asked`."""
    steps = SHORT * asked.train.epochs
    if steps >= 1:
        return int(steps), asked.train.sample
    return 1, float(f"{asked.train.sample * steps:.3g}")


def shortened(asked: Params) -> dict[str, object]:
    """What a short training changes: fewer steps, and a step size that stays."""
    epochs, sample = short(asked)
    constant = {f"train.{name}": getattr(Train(), name) for name in OF_SCHEDULE if _is_set(asked.train, name)}
    return {"train.epochs": epochs, "train.sample": sample, "train.schedule": "constant", **constant}


def _is_set(train: Train, name: str) -> bool:
    return bool(getattr(train, name) != getattr(Train(), name))


def _price(layout: ProjectPaths, asked: Params, cut: tuple[int, float], accepted: str) -> str:
    epochs, sample = cut
    known = measured_before.find(layout, [], asked, accepted)
    share = epochs * sample / (asked.train.epochs * asked.train.sample)
    count = RATES * SEEDS
    examples = "all examples" if sample == 1 else f"{sample:g} of the examples"
    line = f"price: {count} trainings, each {share:.0%} of the steps ({epochs} epochs, {examples})"
    if known.seconds is None:
        return f"{line}; how long one takes is not known yet"
    return f"{line}, at most {duration(known.seconds * share * count)}; what was trained before is read"


def _price_in_full(layout: ProjectPaths, asked: Params, accepted: str) -> str:
    """Three rates, and the baseline where its replicates are not at hand."""
    known = measured_before.find(layout, [], asked, accepted)
    against = max(0, asked.replicates - known.baseline) if accepted else 0
    count = CONFIRMED * asked.replicates
    line = f"then {count} whole trainings of {CONFIRMED} rates, of one more where the best lies at their end"
    line += f", and {against} of the baseline" * bool(against)
    return line if known.seconds is None else f"{line}: {duration(known.seconds * (count + against))}"


def _measured(layout: ProjectPaths, asked: Params, settings: list[dict[str, object]]) -> list[list[float | None]]:
    """Losses of every setting on HEAD."""
    scratch_experiment.tidy(layout)
    head = git.run(layout.root, "rev-parse", "HEAD")
    scratch = lay_out(layout, head, scratch_experiment.folder(layout, head, "rates"))
    try:
        root = scratch.layout.root
        if "fit" in task_source.read(root, asked.task.name, task_code.LEARNING).names:
            raise UsageError(
                "a task's own fit() cannot be cut short from outside", hint="assay sweep -S lr=1e-3,3e-3,1e-2"
            )
        furnish(scratch)
        code, said = run([*DVC, "repro", "--quiet", "context", "split"], root, layout.root, "rates")
        with tempfile.TemporaryDirectory() as folder:
            answer = Path(folder) / "losses.json"
            words = [json.dumps(one) for one in settings]
            if not code:
                command = library_fingerprint.command("short_training_curves", str(answer), *words)
                code, said = run(command, root, layout.root, "rates")
            if code:
                raise failed("the short trainings do not run", said, "assay check")
            found: list[list[float | None]] = json.loads(answer.read_text(encoding="utf-8"))
            return found
    finally:
        scratch.remove()
