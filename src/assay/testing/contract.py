"""`check_task`: everything that a run takes for granted of a task, asked at once, on a few examples.

What `assay check` asks is asked by the same code (`runtime.task_problems`, `stages.check_run`). Beyond that: ids,
parts, row-wise preprocessing, batches, loading processes, determinism, twenty steps that learn, side effects. Not
covered: whether the idea is any good, and the training code's doctor (`assay.doctor`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import torch

from assay.core.errors import AssayError, UsageError
from assay.data.storage import Examples
from assay.replicates import assemble_measurement
from assay.replicates import train_and_eval_examples as samples
from assay.runtime import task_code, task_problems, task_source
from assay.stages import check_script
from assay.stages.check_run import CheckRun
from assay.testing import example_rules, learning_steps, repeated_results, task_under_test
from assay.testing.contract_report import BrokenRule, BrokenTaskError, ContractReport
from assay.testing.example_rules import NotAskedError
from assay.testing.side_effects import SideEffects
from assay.testing.task_under_test import UNNAMED, Named, TaskUnderTest
from assay.training import device, random_streams, task_interface, training_setup
from assay.training.missing_replicates import RequestRun

#: rule → what it asks, in the order in which they are asked
RULES: dict[str, str] = {
    "members": "all members are there, import, and take the arguments that params.yaml gives",
    "prepare": "prepare() returns usable examples",
    "ids": "prepare() gives the same examples, with the same ids, each time",
    "split": "no input and no group lies in two parts",
    "train": "model, loss and predictions have the right shapes; loss and weights stay finite over two batches",
    "determinism": "a replicate that is trained twice has the same weights; a metric gives the same number twice",
    "preprocess": "preprocess() gives an example the same values alone and among all",
    "batches": "batches of 1 and of B hold the same examples; the model gives each the same output",
    "workers": "0 and 2 loading processes give the same batches",
    "learning": "twenty small steps on one batch, dropout and augmentation off, lower its loss",
    "evaluate": "each metric gives a finite number",
    "side effects": "generators, files of the project, parameters, environment and current folder stay as they were",
}
#: rules that look into model, loss and batches, which a loop of a task's own has for itself
_OF_LOOP = ("preprocess", "batches", "workers", "learning")
#: rule → the members that it calls
_MEMBERS = {
    "preprocess": "statistics() or preprocess()",
    "batches": "decode(), collate() or model()",
    "workers": "collate()",
    "learning": "model() or loss()",
}
#: why the rules beside `members` are not asked of a script
_SCRIPT = "the task is a script: its steps are its own"


def check_task(
    task: Named = ".",
    params: Mapping[str, Any] | None = None,
    *,
    skip: Iterable[str] = (),
) -> ContractReport:
    """Hold a task against its contract; the report where it keeps all rules.

    `task` is a project's folder, a `task.py`, a folder `tasks/NAME`, or a module, such as `assay.ready.table`. `params`
    are laid over its params.yaml, section by section: `{"data": {"file": "rows.csv"}, "model": {"hidden": 8}}`; what
    neither has is at its default, and training is on the CPU where nobody says otherwise. `skip` names rules not to
    ask.

    Every rule is asked on a few examples (two batches), in this process, and nothing is written outside of a temporary
    folder. Raises `BrokenTaskError`, an AssertionError that lists every failure, and UsageError for what is no task.
    """
    __tracebackhide__ = True
    left_out = list(skip)
    if unknown := [rule for rule in left_out if rule not in RULES]:
        raise UsageError(f"there is no rule {unknown[0]!r}", allowed=", ".join(RULES))
    with (
        random_streams.untouched(),
        task_under_test.opened(task, params) as subject,
        tempfile.TemporaryDirectory(prefix="assay-contract-") as scratch,
    ):
        found = ContractRun(subject, Path(scratch), left_out).report()
    if found.broken:
        raise BrokenTaskError(found)
    return found


class ContractRun:
    """One task under test. Rules whose forerunner failed are not asked."""

    def __init__(self, subject: TaskUnderTest, scratch: Path, skip: list[str]) -> None:
        self.subject = subject
        self.run = CheckRun(subject.root, subject.params, scratch)
        self.effects = SideEffects(subject.root, subject.params)
        self.not_asked = dict.fromkeys(skip, "it is to be skipped")
        self.asked: set[str] = set()

    @property
    def name(self) -> str:
        return self.run.params.task.name

    def report(self) -> ContractReport:
        """All rules, asked."""
        if self.subject.params.is_script:
            self._script()
        else:
            self._members()
            self._data()
            self._training()
            self._metrics()
            with self._rule("side effects"):
                self._note("side effects", self.effects.found)
        found = [BrokenRule(str(one["topic"]), str(one["sentence"])) for one in self.run.problems]
        broken = tuple(one for one in found if one.rule not in self.not_asked)
        failed = {one.rule for one in broken}
        for rule in RULES:
            if rule not in self.asked | failed:
                self.not_asked.setdefault(rule, "an earlier one is broken")
        passed = tuple(rule for rule in RULES if rule in self.asked - failed)
        return ContractReport(self.subject.called, broken, passed, self.not_asked)

    @contextmanager
    def _rule(self, name: str, part: str = "learning") -> Iterator[None]:
        """Around what one rule asks: what it raises is a failure of the rule, of whatever kind."""
        if name not in self.not_asked:
            self.asked.add(name)
        with self.run.collecting(name), task_source.said_by_task(self.run.root, self.name, part):
            try:
                yield
            except NotAskedError as error:
                self.asked.discard(name)
                self.not_asked.setdefault(name, str(error))

    def _note(self, rule: str, problems: Iterable[AssayError]) -> None:
        for problem in problems:
            self.run.note(rule, problem.sentence, problem.exit_code)

    def _broken(self, *rules: str) -> bool:
        return any(one["topic"] in rules for one in self.run.problems)

    def _script(self) -> None:
        with self._rule("members"):
            check_script.look(self.run.ctx)
        self.not_asked |= {rule: _SCRIPT for rule in RULES if rule != "members"}

    def _members(self) -> None:
        root, params = self.run.root, self.run.params
        with self._rule("members"):
            self._note("members", task_problems.of_members(root, params))
            self._note("members", task_problems.of_metric(root, params))
        with self._rule("members"), self.effects.first(), task_under_test.imported_afresh(root):
            for part in task_code.MEMBERS:
                task_source.load(root, self.name, part)
        if self._broken("members"):
            return
        for part in task_code.MEMBERS:
            with self._rule("members"), self.effects.again(f"importing {task_source.where(root, self.name, part)}"):
                task_source.load(root, self.name, part)
        with self._rule("members"):
            task_interface.load(self.name, root, params.model, params.loss.name)

    def _data(self) -> None:
        if self._broken("members"):
            return
        with self._rule("prepare", "data"), self.effects.first():
            random_streams.seed_globals(1)
            self.run.prepare()
        first = self.run.examples
        if first is None:
            return
        self._name_metric(first)
        with self._rule("ids", "data"):
            self._again(first)
        with self._rule("split", "data"):
            self.run.split()
            if self.run.where is not None:
                self._note("split", repeated_results.in_two_parts(first, self.run.where))

    def _again(self, first: Examples) -> None:
        """Prepare once more, with the global generators elsewhere."""
        again = CheckRun(self.run.root, self.run.params, self.run.scratch / "again")
        again.scratch.mkdir()
        with random_streams.untouched():
            random_streams.seed_globals(2)
            with self.effects.again("prepare()"):
                again.prepare()
        self._note("ids", repeated_results.of_prepare(first, again.examples))

    def _name_metric(self, examples: Examples) -> None:
        """Where nobody names a metric: the first of METRICS, else the ready one that fits the targets."""
        if self.run.params.metric.name != UNNAMED:
            return
        module = task_source.load(self.run.root, self.name, "metrics")
        own = list(getattr(module, "METRICS", ())) if module.__name__ != task_source.READY else []
        name = own[0] if own else repeated_results.ready_metric(examples)
        metric = msgspec.structs.replace(self.run.params.metric, name=name)
        self.run.params = msgspec.structs.replace(self.run.params, metric=metric)

    def _training(self) -> None:
        if self.run.train is None:
            return
        with self._rule("train"), self.effects.first():
            self.run.fit()
        if self._broken("train"):
            return
        with self._rule("determinism"), self.effects.again("training", generators=False):
            self._trained_twice()
        if (
            task_interface.load(self.name, self.run.root, self.run.params.model, self.run.params.loss.name).fit
            is not None
        ):
            self.not_asked |= dict.fromkeys(_OF_LOOP, "fit() is a loop of its own")
            return
        with self._rule("train"), self._plan() as group:
            self._of_plan(group)

    @contextmanager
    def _plan(self) -> Iterator[RequestRun]:
        """What `fit` trained, ready for the device."""
        request, params = self.run.request(), self.run.short()
        sample = samples.read(request, params)
        ready = training_setup.prepare(request, self.run.root, params, sample)
        with closing(assemble_measurement.watched(request, params)) as progress, device.determinism(True) as missing:
            yield ready.group(request, params, progress, missing)

    def _of_plan(self, group: RequestRun) -> None:
        task, plan = group.task, group.plan
        dtype = device.DTYPES[self.run.params.train.precision]
        looks: dict[str, Callable[[], Iterator[UsageError]]] = {
            "preprocess": lambda: example_rules.preprocess(task, group.train, group.evaluated, dtype),
            "batches": lambda: example_rules.batches(plan, group.train),
            "workers": lambda: example_rules.workers(plan),
            "learning": lambda: learning_steps.learning(plan),
        }
        for rule in (rule for rule in looks if rule not in self.not_asked):
            # a fresh model draws its weights, and torch's loader a seed
            with self._rule(rule), self.effects.again(_MEMBERS[rule], generators=rule == "preprocess"):
                self._note(rule, looks[rule]())
        with self._rule("side effects"), self.effects.again("model()", generators=False):
            self._seeding(group)

    def _seeding(self, group: RequestRun) -> None:
        """A model that seeds torch itself takes the chance out of replicates."""
        plan, seed = group.plan, 20_261_130
        random_streams.seed_globals(seed)
        task_interface.build(plan.task, plan.train.shape, plan.outputs, plan.params.model)
        if torch.initial_seed() != seed:
            raise plan.task.refuse(
                "model() seeds torch's global generator itself", "no torch.manual_seed(): it is seeded already"
            )

    def _trained_twice(self) -> None:
        first = repeated_results.trained(self.run.scratch)
        self.run.fit()
        self._note("determinism", repeated_results.of_training(first, repeated_results.trained(self.run.scratch)))

    def _metrics(self) -> None:
        if self.run.train is None:
            return
        made = None if self.run.predictions is None else self.run.predictions.copy()
        for watch in (self.effects.first(), self.effects.again("evaluating")):
            with self._rule("evaluate", "metrics"), watch:
                self.run.evaluate()
        if self._broken("evaluate") or made is None:
            return
        with self._rule("determinism", "metrics"), self.effects.again("evaluating", generators=False):
            ruler = self.run.ruler(task_source.load(self.run.root, self.name, "metrics"))
            for metric in ruler.metrics.values():
                self._note("determinism", repeated_results.of_metric(ruler, metric, made))
