"""First blind round of the doctor: faults by somebody who had not read the checks, committed before the first look.

    python benchmarks/doctor_blind_1.py [--seeds 3] [--part static|short|loops|harm] [--only NAME …]

Faults stand in doctor_blind_static_1.py and doctor_blind_loops_1.py. One counts as found with a failed check, an error
or a warning, at two of three seeds; its healthy twin as alarmed with either at any seed. `short` cuts the rehearsal to
25 steps, `harm` trains both and shows held-out scores. Intervals are Wilson's, 95 %.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import torch
from doctor_blind_loops_1 import LOOPS, LoopFault
from doctor_blind_programs_1 import Program, held_out
from doctor_blind_static_1 import STATIC, Static

from assay.doctor import examine, watch

Faults = Mapping[str, Any]
Said = list[Any]
"""Failed errors and warnings of one report, in its order."""


@dataclass
class Outcome:
    """What was said about one fault and its twin, a list a seed."""

    name: str
    groups: tuple[str, ...]
    right_place: Callable[[str], bool]
    faulty: list[Said] = field(default_factory=list)
    healthy: list[Said] = field(default_factory=list)

    @property
    def first(self) -> list[Any]:
        return [said[0] for said in self.faulty if said]

    @property
    def found(self) -> bool:
        return _most(map(bool, self.faulty))

    @property
    def named(self) -> bool:
        """Found, and a finding of the right group is among those shown."""
        return _most(any(each.group in self.groups for each in said) for said in self.faulty)

    @property
    def group_first(self) -> bool:
        return _most(each.group in self.groups for each in self.first)

    @property
    def place_first(self) -> bool:
        return _most(bool(each.places) and self.right_place(each.places[0]) for each in self.first)

    @property
    def same_on_twin(self) -> bool:
        checks = {each.check for each in self.first}
        return any(each.check in checks for said in self.healthy for each in said)

    def alarm(self, level: str | None = None) -> bool:
        return any(level in (None, each.level) for said in self.healthy for each in said)

    def line(self) -> str:
        say = [_words(said) for said in self.faulty]
        twin = sorted({each.check for said in self.healthy for each in said})
        marks = f"{_yes(self.found)} | {_yes(self.group_first)} | {_yes(self.place_first)}"
        return f"| {self.name} | {marks} | {'; '.join(dict.fromkeys(say))} | {', '.join(twin)} |"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _words(said: Said) -> str:
    if not said:
        return "nothing"
    place = f" at {said[0].places[0]}" if said[0].places else ""
    return f"{said[0].check} ({said[0].level}, {said[0].group}){place}" + (f" +{len(said) - 1}" if said[1:] else "")


def _most(values: Iterable[bool]) -> bool:
    """At two of three; never of none."""
    listed = list(values)
    return bool(listed) and sum(listed) * 3 >= 2 * len(listed)


def failures(report: Any) -> Said:
    return [each for each in report.findings if each.result == "fail" and each.level in ("error", "warning")]


def wilson(hits: int, of: int, z: float = 1.96) -> str:
    if not of:
        return "0 of 0"
    share, spread = hits / of, z * z / of
    middle = (share + spread / 2) / (1 + spread)
    reach = z / (1 + spread) * math.sqrt(share * (1 - share) / of + spread / of / 4)
    return f"{hits} of {of}: {share:.0%} [{max(0.0, middle - reach):.0%}, {min(1.0, middle + reach):.0%}]"


def examined(program: Program, budget: int) -> Said:
    report = examine(
        program.model,
        program.loss,
        program.optimizer,
        program.train_loader,
        program.val_loader,
        scheduler=program.scheduler,
        metric=program.metric,
        forward=program.forward,
        planned_steps=program.planned_steps,
        task=program.task,
        batch_dim=program.batch_dim,
        pad_id=program.pad_id,
        scheduler_unit=program.scheduler_unit,
        accumulate=program.accumulate,
        clip=program.clip,
        budget=budget,
    )
    return failures(report)


def watched(fault: LoopFault, seed: int, faulty: bool) -> Said:
    program = fault.build(seed)
    given = (program.model, program.optimizer) if fault.given else (None, None)
    with watch(*given, program.train_loader, program.val_loader, program.planned_steps) as seen:
        (fault.faulty if faulty else fault.healthy)(program)
    return failures(seen.report)


def static_outcome(fault: Static, seeds: int, budget: int) -> Outcome:
    outcome = Outcome(fault.name, fault.groups, lambda place: any(fnmatchcase(place, each) for each in fault.places))
    for seed in range(seeds):
        for faulty, said in ((True, outcome.faulty), (False, outcome.healthy)):
            torch.manual_seed(seed)
            said.append(examined(fault.build(seed, faulty), budget))
    return outcome


def loop_outcome(fault: LoopFault, seeds: int) -> Outcome:
    places = fault.places
    outcome = Outcome(fault.name, fault.groups, lambda place: place.rsplit("/", 1)[-1] in places)
    for seed in range(seeds):
        for faulty, said in ((True, outcome.faulty), (False, outcome.healthy)):
            torch.manual_seed(seed)
            said.append(watched(fault, seed, faulty))
    return outcome


def trained(program: Program) -> float:
    for _ in range(program.epochs):
        program.model.train()
        for batch in program.train_loader:
            output, target = program.step(batch)
            loss = program.loss(output, target)
            program.optimizer.zero_grad()
            loss.backward()
            if program.clip is not None:
                torch.nn.utils.clip_grad_norm_(program.model.parameters(), program.clip)
            program.optimizer.step()
            if program.scheduler_unit == "step":
                program.scheduler.step()
        if program.scheduler_unit == "epoch":
            program.scheduler.step()
    return held_out(program)


def static_scores(fault: Static, seed: int, faulty: bool) -> float:
    torch.manual_seed(seed)
    return trained(fault.build(seed, faulty))


def loop_scores(fault: LoopFault, seed: int, faulty: bool) -> float:
    torch.manual_seed(seed)
    program = fault.build(seed)
    own = (fault.faulty if faulty else fault.healthy)(program)
    return held_out(program) if own is None else own


def show(title: str, outcomes: list[Outcome], seconds: float) -> None:
    found = [each for each in outcomes if each.found]
    print(f"\n## {title}: {len(outcomes)} faults, {seconds:.0f} s\n")
    print("| what | by program |\n| --- | --- |")
    for what, hits, among in (
        ("found", found, outcomes),
        ("found, and the right group among the findings", [each for each in outcomes if each.named], outcomes),
        ("right group first, of those found", [each for each in found if each.group_first], found),
        ("right place first, of those found", [each for each in found if each.place_first], found),
        ("the same finding on the twin, of those found", [each for each in found if each.same_on_twin], found),
        ("twins with an error", [each for each in outcomes if each.alarm("error")], outcomes),
        ("twins with a warning", [each for each in outcomes if each.alarm("warning")], outcomes),
    ):
        print(f"| {what} | {wilson(len(hits), len(among))} |")
    print("\n| fault | found | group | place | said first | on the twin |\n| --- | --- | --- | --- | --- | --- |")
    for each in outcomes:
        print(each.line())


def harm(static: Faults, loops: Faults, only: list[str], seeds: int) -> None:
    print("\n| fault | twin, faulty | twin better |\n| --- | --- | --- |")
    for score, faults in ((static_scores, static), (loop_scores, loops)):
        for name, fault in faults.items():
            if only and name not in only:
                continue
            scores = [[score(fault, seed, faulty) for faulty in (False, True)] for seed in range(seeds)]  # type: ignore
            better = sum(healthy > faulty for healthy, faulty in scores)
            words = "; ".join(", ".join(f"{value:.3f}" if value > -1e8 else "NaN" for value in pair) for pair in scores)
            print(f"| {name} | {words} | {better} of {seeds} |", flush=True)


def run(what: str | None, static: Faults, loops: Faults) -> None:
    """The command line of a round."""
    parser = argparse.ArgumentParser(description=what, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--part", choices=("static", "short", "loops", "harm"), help="one part alone")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME")
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    chosen = [given.part] if given.part else ["static", "short", "loops"]
    for part in chosen:
        if part == "harm":
            harm(static, loops, given.only, given.seeds)
            continue
        start, outcomes = time.process_time(), []
        for name, fault in (loops if part == "loops" else static).items():
            if given.only and name not in given.only:
                continue
            if isinstance(fault, LoopFault):
                outcomes.append(loop_outcome(fault, given.seeds))
            else:
                outcomes.append(static_outcome(fault, given.seeds, 25 if part == "short" else 120))
            print(outcomes[-1].line(), file=sys.stderr, flush=True)
        titles = {"static": "Before training", "short": "Rehearsal of 25 steps", "loops": "In flight"}
        show(titles[part], outcomes, time.process_time() - start)


if __name__ == "__main__":
    run(__doc__, STATIC, LOOPS)
