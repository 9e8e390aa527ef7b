"""`judge.blocks: machine`: every class of machine trains its part of both arms, and the verdict is one within classes.

Two classes on one machine: with one thread, and with two.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from assay.commands import work_plan
from assay.commands.work_plan import WorkerMachine
from assay.core import params_yaml
from assay.core.errors import IncomparableError, UsageError
from assay.core.machine_section import MachineClass
from assay.core.schemas import UNSET, Environment, Hardware
from assay.replicates.replicate_cache import Names, ReplicateCache
from assay.runtime import environment
from support.project import Project
from support.scored_arms import scored

HERE = Environment(
    device="cpu",
    machine="x86_64",
    system="Linux",
    packages={"torch": "2"},
    hardware=Hardware(instructions="AVX2", threads=2),
)
PARAMS = """\
lr: 0.1
replicates: {replicates}
seed: 1
metric: {{name: accuracy}}
judge: {{blocks: machine{judge}}}
machine: {{classes: {classes}}}
"""
BOTH = "{one: {threads: 1}, two: {threads: 2}}"


def written(replicates: int = 4, judge: str = "", classes: str = BOTH) -> params_yaml.Params:
    return params_yaml.load(PARAMS.format(replicates=replicates, judge=judge, classes=classes))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"classes": "{one: {threads: 1}}"}, "machine.classes has one; allowed: two classes"),
        ({"replicates": 5}, "replicates is 5, and blocks of 2 classes would be unbalanced or too small; allowed: 4, 6"),
        ({"replicates": 2}, "allowed: 4, 6, 8, …"),
        ({"judge": ", test: paired"}, "judge.blocks is machine, and judge.test is paired"),
        ({"judge": "s"}, "judge.blocks is 'machines'; allowed: machine"),
        ({"classes": "{one: {thread: 1}, two: {}}"}, "unknown parameter 'machine.classes[...].thread'"),
        ({"classes": "{'a b': {}, two: {}}"}, "machine.classes"),
    ],
)
def test_blocks_that_decide_nothing_are_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError) as told:
        written(**given)  # type: ignore[arg-type]
    assert said in told.value.sentence


def test_blocks_need_a_task() -> None:
    text = PARAMS.format(replicates=4, judge="", classes=BOTH).replace("metric: {name: accuracy}\n", "")
    with pytest.raises(UsageError, match="other machines train no scripts"):
        params_yaml.load(text + "task: {command: python a.py, result: {file: m.json, key: a, direction: maximize}}\n")


def test_classes_are_one_environment_whatever_machine_starts_the_run() -> None:
    params = written()
    found = environment.asked(HERE, params)
    elsewhere = msgspec.structs.replace(HERE, hardware=Hardware(instructions="AVX2", threads=64))
    assert environment.asked(elsewhere, params) == found and "2 threads" in found.key
    assert found.by_turns == ["one", "two"] and found.of_class("two") == HERE
    renamed = environment.asked(HERE, written(classes="{z: {threads: 1}, a: {threads: 2}}"))
    assert (renamed.key, renamed.by_turns) == (found.key, ["z", "a"]), "a name is no part of what trains"
    assert found.blocks([4, 5]) == {4: "one", 5: "two"} and HERE.blocks([4, 5]) is None
    with pytest.raises(UsageError, match=r"machine.classes one and two are both cpu \(x86_64, AVX2, 2 threads\)"):
        environment.asked(HERE, written(classes="{one: {}, two: {threads: 2}}"))
    gpu = environment.class_of_machine(HERE, MachineClass(device="NVIDIA H200", cudnn="9.9", torch_build="CUDA 13"))
    assert str(gpu) == "NVIDIA H200 (x86_64, cuDNN 9.9, torch built for CUDA 13)"


def names(classes: dict[str, str], key: str = "first") -> Names:
    return Names(
        code="c", parameters={}, train="t", profile="full", environment=key, purpose="p", seed=1, classes=classes
    )


def test_a_replicate_has_the_address_of_its_class(tmp_path: Path) -> None:
    blocks = names({"one": "first", "two": "second"})
    assert blocks.name(2) == names({}).name(2) and blocks.name(3) == names({}, "second").name(3)
    assert names({}).name(0) == "d4bee5b6889f3b490b00a79383b56947", "addresses of before stay"
    with pytest.raises(IncomparableError, match="p: replicates 1, 3 are for machines of class two") as told:
        ReplicateCache(tmp_path, blocks, "e", [], here="first").claim([0, 1, 2, 3])
    assert told.value.hint == "assay work --class two"
    assert not list(tmp_path.iterdir()), "nothing was begun"
    cache = ReplicateCache(tmp_path, blocks, "e", [], here="first")
    assert cache.claim([0, 2]) == [0, 2]
    cache.close()


def test_both_arms_know_the_class_of_each_replicate() -> None:
    found = scored("candidate", np.zeros((4, 3)))
    where = environment.asked(HERE, written())
    arm = msgspec.structs.replace(found.arm, environment=where)
    blocked = type(found)(arm, found.replicates, np.arange(12.0).reshape(4, 3), [{"accuracy": 0.5}] * 4)
    assert blocked.measured("accuracy").blocks == {0: "one", 1: "two", 2: "one", 3: "two"}
    assert where.classes is not UNSET and found.measured("accuracy").blocks is None


def test_work_is_asked_for_one_class_after_another() -> None:
    with pytest.raises(UsageError) as told:
        work_plan.check_class(written(), WorkerMachine())
    assert told.value.hint == "assay work --class one, and the same for each"
    with pytest.raises(UsageError, match="--class is 'three'; allowed: one, two"):
        work_plan.check_class(written(), WorkerMachine(name="three"))
    with pytest.raises(UsageError, match="names a device already"):
        work_plan.check_class(written(), WorkerMachine(device="cpu", name="one"))
    work_plan.check_class(written(), WorkerMachine(name="one"))


@pytest.mark.extra
def test_every_class_trains_its_part_and_one_verdict_is_given(project: Project, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    project.git("config", "assay.shared", str(shared))
    project.edit("params.yaml", "replicates: 3", "replicates: 4")
    project.edit("params.yaml", "judge:\n", "judge:\n  blocks: machine\n")
    project.edit("params.yaml", "\nmachine:", f"\nmachine:\n  classes: {BOTH}\n  #")
    project.commit()
    setting = ("-S", "lr=0.02")
    said = project.assay("work", *setting, "--class", "two", "--each", "2", "--max-parallel", "2", OMP_NUM_THREADS="2")
    assert "2 trainings of the candidate and 2 of the baseline" in said.stderr
    _wait_until_sealed(project, 4)
    project.dvc("exp", "run", *setting)  # with one thread: it trains its own part itself
    rows = [*project.replicates("baseline"), *project.replicates("candidate")]
    found = sorted((row["arm"], row["machine_class"]) for row in rows)
    assert found == sorted([(arm, name) for arm in ("baseline", "candidate") for name in ("one", "two")] * 2)
    verdict = project.read("results/verdict.txt")
    assert "Welch within blocks" in verdict and "by block: one " in verdict and "interaction p=" in verdict
    refs = project.git("for-each-ref", "refs/exps", "--format=%(refname:lstrip=2)").split("\n")
    name = next(ref.rpartition("/")[2] for ref in refs if not ref.startswith("exec/"))
    compared = json.loads(project.assay("compare", name, "--json").stdout)
    assert compared["blocks"]["differences"][0]["block"] == "one"


def _wait_until_sealed(project: Project, count: int) -> None:
    end = time.monotonic() + 240
    while True:
        last = json.loads(project.assay("work", "status", "--json").stdout)["launches"][-1]
        if last["sealed"] == count:
            return
        assert time.monotonic() < end, last
        time.sleep(1)
