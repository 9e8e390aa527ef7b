"""`assay rebaseline`: the accepted strategy under today's ruler, in the cheapest way that is honest.

Re-score stored predictions where only the metric changed; re-infer from stored weights where the
validation examples changed; re-train otherwise, on a new draw of seeds where environment or age ask for the
same measurement once more. Not covered: which way it is (`commands.rebaseline_plan`), other strategies
(`commands.rescore`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from assay.acceptance.confirmation_run import fresh_seeds
from assay.acceptance.earlier_attempts import next_sequence
from assay.acceptance.write_tags import check_identity, write
from assay.baseline.accepted_strategy import FLOOR, AcceptedStrategy
from assay.commands import check_evaluation_setup
from assay.commands.baseline_staleness import AskedBaseline, record
from assay.commands.rebaseline_plan import INFER, SCORE, TRAIN, RebaselinePlan, plan
from assay.core import params_yaml, schemas, variation
from assay.core.errors import IncomparableError, UsageError
from assay.core.paths import ProjectPaths
from assay.core.schemas import Environment
from assay.data.storage import read_manifest
from assay.history import look_ledger, metrics_json, name_lookup
from assay.history.experiments import read
from assay.history.strategy_status import State, Strategy, fold
from assay.metrics import scored_arm as scoring
from assay.replicates.measure_request import ALONE, RAN
from assay.runtime import dvc_yaml, files, project_root, script_source
from assay.runtime.dvc_cli import DVC
from assay.runtime.stage_setup import StageContext
from assay.scratch.dvc_repro import last
from assay.scratch.scratch_repo import failed, run
from assay.tags.strategy_events import NO_EVIDENCE, Remeasured, UnverifiableError

Say = Callable[[str], None]


@dataclass(frozen=True)
class RebaselineResult:
    """How the baseline was brought up to date, why so, and its numbers under today's metric version.

    `trained` counts replicates that no cache had. `evaluated` says whether results/ was made again: it is not
    where the candidate predicted other examples than today's.
    """

    way: str
    reasons: list[str]
    trained: int
    metric_version: str
    n: int
    mean: float | None
    sd: float | None
    diverged: int
    evaluated: bool


def rebaseline(start: Path, say: Say) -> RebaselineResult:
    """Measure the baseline of params.yaml as today asks for.

    Raises UsageError when it is the floor or weights are not at hand, IncomparableError when it is revoked.
    """
    layout = project_root.find(start)
    again = "each run measures its baseline under today's ruler where that is another one"
    script_source.refuse(layout.root, again, "dvc exp run, or dvc repro -f -s baseline for the same seeds once more")
    asked = params_yaml.resolved(dvc_yaml.parameters(layout.root))
    why = (
        "draws replicates for the baseline alone, which shares each split with the candidate: dvc exp run measures both"
    )
    variation.refuse_splits(asked.vary, "assay rebaseline", why)
    if asked.baseline == FLOOR:
        raise UsageError(
            "the baseline is the floor, which every run measures again", hint="assay accept EXPERIMENT NAME"
        )
    state = fold(read(layout.root, experiments=False).tags)
    strategy = _strategy(state, asked.baseline)
    _repro(layout, "context", "split")
    named = schemas.decode(
        files.read_bytes(layout.accepted), AcceptedStrategy, str(layout.accepted), "dvc repro context"
    )
    ctx = StageContext("rebaseline", dvc_yaml.current(layout.root), asked)
    today = schemas.decode(files.read_bytes(layout.environment), Environment, str(layout.environment))
    chosen = plan(ctx, AskedBaseline(named, asked, today, strategy), say)
    if chosen.redraw and strategy is None:
        reason = "the same seeds, as no evidence of it could record a new draw"
        chosen = RebaselinePlan(TRAIN, [*chosen.reasons, reason])
    say(f"{chosen.way}: {'; '.join(chosen.reasons)}")
    if chosen.redraw and strategy is not None:
        _draw(ctx, state, strategy, "; ".join(chosen.reasons))
        _repro(layout, "context")
    ran = chosen.way != SCORE and _measured(layout)
    return _done(layout, chosen, ran, say)


def _strategy(state: State, name: str) -> Strategy | None:
    """The baseline's evidence, None for a tag or commit that carries none. Refuses what is edited or revoked."""
    tag = name_lookup.unverified(state, name)
    if tag is not None and tag.problem != NO_EVIDENCE:
        raise UnverifiableError(name, tag.problem)
    found = state.strategies.get(name.removeprefix("strategy/"))
    if found is not None and found.revoked is not None:
        raise IncomparableError(
            f"the baseline {name} is revoked", hint=f'assay revoke {found.accepted.name} --why "move the baseline"'
        )
    return found


def _draw(ctx: StageContext, state: State, strategy: Strategy, why: str) -> None:
    """The tag first: killed after it, the next call or run measures this very draw."""
    root, asked = ctx.layout.root, ctx.params
    check_identity(root)
    sequence = next_sequence(state, look_ledger.read(root))
    event = Remeasured(
        name=strategy.accepted.name,
        sequence=sequence,
        commit=strategy.tag.commit,
        why=why,
        strategy=strategy.tag.object,
        seeds=fresh_seeds(asked.seed, asked.replicates, sequence),
    )
    write(root, event, f"Measure {strategy.tag.name} again", why)


def _done(layout: ProjectPaths, chosen: RebaselinePlan, ran: bool, say: Say) -> RebaselineResult:
    """Its numbers, and results/ made again where the candidate allows."""
    arm, candidate, today = record(layout), record(layout, "candidate"), check_evaluation_setup.load(layout)
    with today.said_by_task():
        scored = scoring.load(layout, arm, today.ruler) if arm else None
    if arm is None or scored is None:
        raise UsageError("the baseline stage measured nothing", hint="dvc repro -f -s baseline")
    content = read_manifest(layout.part("validation")).content
    evaluated = candidate is not None and candidate.evaluated == content
    if evaluated:
        _repro(layout, *dict.fromkeys(("evaluate", last(layout))), alone=True)
    else:
        say("results/ stays as it is: the candidate was not measured on today's examples; next: dvc exp run")
    score = metrics_json.score(scored.measured(today.ruler.decides))
    trained = sum(not one.reused for one in scored.replicates) * ran
    if chosen.way == INFER and trained:  # a cache may be deleted at any moment, even this one
        chosen = replace(chosen, way=TRAIN, reasons=[*chosen.reasons, "the cache lost replicates meanwhile"])
    return RebaselineResult(
        way=chosen.way,
        reasons=chosen.reasons,
        trained=trained,
        metric_version=today.version,
        n=score.n,
        mean=score.mean,
        sd=score.sd,
        diverged=score.diverged,
        evaluated=evaluated,
    )


def _measured(layout: ProjectPaths) -> bool:
    """Have the baseline measured; whether its stage ran, and DVC did not find what an earlier run left."""
    with tempfile.TemporaryDirectory() as folder:
        mark = Path(folder, "ran")
        _repro(layout, "baseline", alone=True, **{RAN: str(mark)})
        return mark.exists()


def _repro(layout: ProjectPaths, *stages: str, alone: bool = False, **more: str) -> None:
    """`dvc repro` of these stages; with `alone` without what comes before them. `more` joins its environment."""
    options = ["--single-item"] if alone else []
    command = [*DVC, "repro", *options, *stages]
    code, said = run(command, layout.root, layout.root, "rebaseline", **{ALONE: "1"}, **more)
    if code:
        raise failed(f"{' and '.join(stages)} did not run", said, "dvc repro")
