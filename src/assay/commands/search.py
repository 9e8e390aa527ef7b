"""`assay search`: settings of a typed space, generation by generation, each recorded in Git as soon as it is finished.

A search is what its records say: it is rebuilt from them at every step, so a kill costs the training under way and
nothing else. Not covered: what is asked (`commands.search_setup`), what comes next (`search.progress`), training and
scores (`stages.measure_settings`), finalists (`commands.search_finalists`).
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from assay.baseline import accepted_strategy
from assay.commands import measured_before, scratch_experiment, search_finalists, search_known, search_setup
from assay.commands.search_finalists import FoundBest
from assay.commands.search_setup import SearchSetup
from assay.core.errors import UsageError
from assay.core.search_space import written
from assay.history import search_records
from assay.history.search_records import AskedGeneration, AskedSetting, KnownSetting, RecordedSearch
from assay.report import search_text
from assay.runtime import append_only_ref, dvc_yaml, files, library_fingerprint, project_root, work_tree_snapshot
from assay.runtime.dvc_cli import DVC
from assay.runtime.file_locks import Lock
from assay.runtime.progress_line import duration
from assay.scratch.dvc_repro import furnish
from assay.scratch.scratch_repo import Scratch, failed, lay_out, run
from assay.search import generations, tpe_installed
from assay.search.generations import ToldSetting
from assay.search.progress import SearchState, ToAsk, ToTrain, TriedSetting
from assay.stats import selection_estimates, verdict_rule
from assay.tags.strategy_events import is_name

Say = Callable[[str], None]
#: why a search ends before all of its settings are tried
BUDGET, USED_UP, DIVERGED = "budget", "the space has no more settings", "every setting diverged"


@dataclass(frozen=True)
class SearchBudget:
    """What this call may spend; None for no limit. `finalists`: settings that become experiments, at most."""

    trainings: int | None = None
    seconds: float | None = None
    finalists: int = 3


@dataclass
class _Spent:
    """What this call has spent. `each`: seconds of one training as this call measured it."""

    began: float = field(default_factory=time.monotonic)
    trainings: int = 0
    training_seconds: float = 0.0

    @property
    def each(self) -> float | None:
        return self.training_seconds / self.trainings if self.trainings else None


def search(
    start: Path,
    name: str,
    settings: int | None,
    sampler: str | None,
    budget: SearchBudget,
    say: Say,
    dry_run: bool = False,
) -> FoundBest | None:
    """Search the space of params.yaml around HEAD, then measure the best settings as experiments.

    `sampler`: None for the one that the search was begun with, else the default. With `dry_run` only the price is said.
    Raises what `search_setup.setup` does; UsageError where another process searches under this name, where the budget
    is less than the first step, and where nothing trains; IncomparableError where code, data, metric or environment are
    not those that the search was begun with.
    """
    layout = project_root.find(start)
    begun = search_records.read(layout.root, name) if is_name(name) else RecordedSearch()
    made = search_setup.setup(layout, name, settings, sampler or _sampler(begun, say))
    held = Lock.take(dvc_yaml.store(layout.root).cells / f"search-{name}", wait=False)
    if held is None:
        raise UsageError(
            f"another assay search {name} is at work",
            allowed="one process a search",
            hint=f"wait for it, or begin another one: assay search {name}-2",
        )
    try:
        recorded = search_records.read(layout.root, name)
        _check_whole(name, recorded, say)
        made.check_same(recorded)
        for line in search_text.opening(made.name, made.plan, made.outside, _measured(recorded)):
            say(line)
        known = _known(made, recorded)
        _tell_known(known, recorded, say)
        left_out = [path for path in work_tree_snapshot.take(layout).edited if Path(path).name != layout.params.name]
        if left_out:
            say(f"a search is about HEAD: your edits of {', '.join(left_out)} are not in it")
        _needs_optuna(made)
        say(_price(made, recorded, budget))
        if dry_run:
            return None
        append_only_ref.check_writable(layout.root, search_records.ref(name))
        state, ended = _searched(made, known, budget, say)
        terms = search_records.read(layout.root, name).terms
        version = terms.metric_version if terms else ""
        return search_finalists.confirm(made, state, (ended, version), budget.finalists, say)
    except KeyboardInterrupt:
        say("stopped: what was trained is kept, and the same command goes on")
        raise
    finally:
        held.release()


def _sampler(begun: RecordedSearch, say: Say) -> str:
    """What the search was begun with; else the default, or what needs no package where that is not installed."""
    if begun.terms is not None and begun.terms.sampler in generations.BEGINNINGS:
        return begun.terms.sampler
    if tpe_installed.installed():
        return generations.DEFAULT
    other = f"--sampler {generations.WITHOUT_PACKAGE}"
    say(f"Optuna is not installed, so {other}; TPE ranks better: {tpe_installed.INSTALL}")
    return generations.WITHOUT_PACKAGE


def _known(made: SearchSetup, recorded: RecordedSearch) -> list[KnownSetting]:
    """What was measured before: as recorded when the search began, else as it is today."""
    return recorded.known if recorded.terms is not None else search_known.known(made)


def _tell_known(known: Sequence[KnownSetting], recorded: RecordedSearch, say: Say) -> None:
    if not known:
        return
    sign, best = verdict_rule.sign(recorded.terms.direction) if recorded.terms else 1.0, None
    finished = [one for one in known if one.value is not None] if recorded.terms else []
    if finished:
        first = max(finished, key=lambda one: sign * (one.value or 0.0))
        best = (search_text.label(first.values), first.value or 0.0, f"n={first.n}, {first.source}")
    say(search_text.known([one.source for one in known], best, recorded.terms is not None))


def state_of(made: SearchSetup, recorded: RecordedSearch, starts: Callable[[], list[dict[str, object]]]) -> SearchState:
    """The search as its records have it; `starts` is asked before there is any."""
    terms = recorded.terms
    return SearchState(
        plan=made.plan,
        seed=made.seed,
        sampler=made.sampler,
        direction=(terms.direction if terms else "") or "maximize",
        worst=terms.worst if terms else None,
        starts=[] if recorded.generations else starts(),
        known=[ToldSetting(one.values, one.value, 0) for one in recorded.known],
        tried=[TriedSetting(one.number, one.values, of, one.point) for one, of in recorded.settings()],
        scores={key: one.scores for key, one in recorded.finished.items()},
    )


def _check_whole(name: str, recorded: RecordedSearch, say: Say) -> None:
    """Raises UsageError where the path of the search cannot be known any more; a lost score is measured again."""
    if recorded.broken:
        raise UsageError(
            f"{recorded.broken} in {search_records.ref(name)} is damaged: {recorded.damaged[recorded.broken]}",
            hint=f"assay search {name}-2 begins a new one; what is the same is not trained again",
        )
    for path, why in recorded.damaged.items():
        say(f"{path} is damaged, and is measured again: {why}")


def _needs_optuna(made: SearchSetup) -> None:
    """Refuse before the first training what would fail at the first generation of TPE."""
    if generations.sampler(made.plan.settings - 1, made.sampler) == generations.TPE:
        generations.require_tpe()


def _price(made: SearchSetup, recorded: RecordedSearch, budget: SearchBudget) -> str:
    """Trainings and seconds, before anything trains."""
    r, done = made.plan.replicates, _measured(recorded)
    there = min(made.plan.settings, made.plan.space.count + bool(made.outside))  # HEAD's own is measured beside them
    left = max(0, int(there) - done)
    more = -(-left // generations.SIZE) * selection_estimates.CONTENDERS * r
    line = f"price: {left * r} trainings of {left} settings, {r} each, up to {more} more of contenders"
    line += f" ({done} measured already)" if done else ""
    fresh = min(budget.finalists, int(there)) * made.asked.replicates
    line += f"; then {fresh} of up to {budget.finalists} finalists" if fresh else ""
    baseline = accepted_strategy.resolve(dvc_yaml.current(made.layout.root), made.asked.baseline)
    known = measured_before.find(made.layout, [], made.asked, baseline.commit).seconds
    seconds = recorded.use.seconds if recorded.use else known
    if seconds is None:
        return f"{line}; how long one takes is not known yet, HEAD's own setting will tell"
    whole = [duration(seconds * count) for count in (left * r + fresh, left * r + more + fresh)]
    return f"{line}; measured at {seconds:.2g} s each: {whole[0]} to {whole[1]}, less where settings share a training"


def _searched(made: SearchSetup, known: list[KnownSetting], budget: SearchBudget, say: Say) -> tuple[SearchState, str]:
    """The state when the search ends, and why where that is before its last setting."""
    scratch_experiment.tidy(made.layout)
    root, spent = made.layout.root, _Spent()
    workplace: Scratch | None = None
    try:
        while True:
            recorded = search_records.read(root, made.name)
            state = state_of(made, recorded, lambda: search_known.starts(made))
            step = state.next(made.plan.settings)
            if step is None:
                return state, "" if len(state.tried) >= made.plan.settings else _why(state)
            if _beyond(made, step, budget, spent, recorded):
                return state, BUDGET
            if isinstance(step, ToAsk):
                search_records.add_generation(root, made.name, _asked(step, len(state.tried)))
                continue
            workplace = workplace or _laid_out(made)
            _train(made, workplace, step, spent, known)
            _tell(made, step, budget, say)
    finally:
        if workplace is not None:
            workplace.remove()


def _tell(made: SearchSetup, step: ToTrain, budget: SearchBudget, say: Say) -> None:
    """How far it is after a step; after the first one, what a training takes."""
    recorded = search_records.read(made.layout.root, made.name)
    state = state_of(made, recorded, list)
    if (step.round, step.settings[0].number) == (0, 0) and (use := recorded.use) is not None:
        for line in search_text.use(use.device, use.seconds, use.busy, use.loading):
            say(line)
        _tell_known(recorded.known, recorded, say)
        say(_price(made, recorded, budget))
        return
    ranked, _ = search_finalists.ranking(state)
    best = (search_text.label(ranked[0].setting), ranked[0].raw, ranked[0].n) if ranked else None
    say(
        search_text.progress(_measured(recorded), made.plan.settings, len(state.diverged), best, made.asked.metric.name)
    )


def _measured(recorded: RecordedSearch) -> int:
    """How many settings are measured."""
    return sum(part == 0 for _, part in recorded.finished)


def _why(state: SearchState) -> str:
    return USED_UP if any(one.value is not None for one in state.told()) else DIVERGED


def _asked(step: ToAsk, first: int) -> AskedGeneration:
    settings = [
        AskedSetting(number=first + place, values=one.setting, point=one.point)
        for place, one in enumerate(step.proposals)
    ]
    return AskedGeneration(number=step.generation, sampler=step.sampler, settings=settings)


def _beyond(
    made: SearchSetup, step: ToTrain | ToAsk, budget: SearchBudget, spent: _Spent, recorded: RecordedSearch
) -> bool:
    """Whether a step costs more than what is left of the budget. Raises UsageError where it is the first one."""
    count = len(step.proposals if isinstance(step, ToAsk) else step.settings) * made.plan.replicates
    each = spent.each or (recorded.use.seconds if recorded.use else 0.0)
    passed = time.monotonic() - spent.began
    over = budget.trainings is not None and spent.trainings + count > budget.trainings
    late = budget.seconds is not None and passed + count * each > budget.seconds
    if (over or late) and not spent.trainings:
        takes = f"{count} trainings" + (f", about {duration(count * each)}" if each else "")
        given = f"--trainings {budget.trainings}" if over else f"--budget {duration(budget.seconds or 0.0)}"
        enough = f"--trainings {count}" if over else f"--budget {math.ceil(2 * count * each)}s"
        raise UsageError(
            f"the next step takes {takes}, and {given} is spent before it ends",
            allowed=f"{enough} or more",
            hint=f"the same command with {enough}",
        )
    return over or late


def _laid_out(made: SearchSetup) -> Scratch:
    """HEAD in a repository of ours, with its data split."""
    folder = scratch_experiment.folder(made.layout, made.base, f"search-{made.name}")
    scratch = lay_out(made.layout, made.base, folder)
    try:
        furnish(scratch)
        stages = ["context"] if made.asked.is_script else ["context", "split"]
        code, said = run([*DVC, "repro", "--quiet", *stages], scratch.layout.root, made.layout.root, made.name)
        if code:
            raise failed("HEAD does not run", said, "assay check")
    except BaseException:
        scratch.remove()
        raise
    return scratch


def _train(made: SearchSetup, scratch: Scratch, step: ToTrain, spent: _Spent, known: list[KnownSetting]) -> None:
    """Train and record the settings of a step, in a process of its own."""
    r = made.plan.replicates
    asked = {
        "name": made.name,
        "round": step.round,
        "first": step.round * r,
        "count": r,
        "settings": [{"number": one.number, "values": one.setting, "point": one.point} for one in step.settings],
        "terms": msgspec.to_builtins(made.terms()),
        "known": msgspec.to_builtins(known),
    }
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        request = Path(folder) / "request.json"
        files.write_bytes(request, msgspec.json.encode(asked))
        command = library_fingerprint.command("measure_settings", str(request))
        label = written(step.settings[0].setting) if len(step.settings) == 1 else (f"{len(step.settings)} settings",)
        code, said = run(command, scratch.layout.root, made.layout.root, f"{made.name}: {' '.join(label)}")
    if code:
        raise search_finalists.refused(code, failed("the settings do not run", said, "assay check"))
    spent.trainings += len(step.settings) * r
    spent.training_seconds += time.monotonic() - began
