"""`vary`: what differs between replicates, and what is drawn once for both arms."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from miniature import Make
from msgspec.structs import replace

from assay.baseline import candidate_seeds
from assay.baseline.accepted_strategy import AcceptedStrategy
from assay.core import params_yaml, variation
from assay.core.errors import UsageError
from assay.core.schemas import Draw, Identity, encode
from assay.metrics import candidate_verdict
from assay.replicates import replicate_seeds
from assay.training.random_streams import Streams
from support.scored_arms import scored

HERE = Identity(code="", parameters={}, data="")

SOURCE = """
    import numpy as np
    import torch
    from torch import Tensor, nn

    def model(shape, outputs):
        made = nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Dropout(0.3), nn.Linear(12, outputs))
        with torch.no_grad():
            made[1].bias += float(np.random.uniform())  # of NumPy's global generator
        return made

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return -outputs.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).mean()

    def preprocess(inputs):
        return inputs / 16

    def augment(inputs, targets, generator):
        return inputs + 0.1 * torch.randn(inputs.shape, generator=generator), targets
"""


def test_a_purpose_carries_what_varies() -> None:
    assert variation.purpose("candidate", variation.KINDS) == "candidate", "the keys of before"
    named = variation.purpose("confirmation", ["dropout", "init"])
    assert named == "confirmation varying init+dropout" and variation.varied(named) == ("init", "dropout")
    assert variation.purpose(named, ["order"]) == "confirmation varying order", "replaced, not added"
    assert variation.purpose(named, variation.KINDS) == "confirmation"
    assert variation.varied("candidate") == variation.KINDS


@pytest.mark.parametrize("kind", variation.KINDS)
def test_streams_that_do_not_vary_are_shared_by_replicates_and_arms(kind: str) -> None:
    others = [name for name in variation.KINDS if name != kind]
    for stream, belongs in variation.STREAMS.items():
        drawn = {
            Streams(1, variation.purpose(base, others), number).integer(stream)
            for base in ("candidate", "baseline", "confirmation")
            for number in (0, 1)
        }
        assert len(drawn) == (1 if belongs == kind else 6)
    assert Streams(1, variation.purpose("candidate", others), 0).display != Streams(1, "candidate", 0).display
    plain = replicate_seeds.sequence(1, "candidate", 3, "init")
    assert plain.entropy == replicate_seeds.sequence(1, "candidate", 3, "init").entropy


def test_every_stream_belongs_somewhere(make: Make) -> None:
    """A stream of chance that nobody named would vary unseen."""
    drawn: set[str] = set()
    plain = Streams.sequence

    def noting(self: Streams, stream: str, *position: int) -> np.random.SeedSequence:
        drawn.add(stream)
        return plain(self, stream, *position)

    made = make(SOURCE, examples=64, evaluated=20)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Streams, "sequence", noting)
        made.set(train={"epochs": 1, "mixup": 0.2}, loss={"name": "cross_entropy"})
        made.measure([0])
    assert drawn <= set(variation.STREAMS) and {"init", "order", "augmentation", "mixing", "dropout"} <= drawn


@pytest.mark.parametrize("execution", ["sequential", pytest.param("fused", marks=pytest.mark.extra)])
@pytest.mark.parametrize("vary", [["order"], ["init"], ["dropout"], ["augment"]])
def test_only_what_varies_differs(make: Make, vary: list[str], execution: str) -> None:
    made = make(SOURCE, examples=64, evaluated=20, train={"epochs": 1, "batch_size": 64, "optimizer": "sgd"})
    made.set(lr=1e-12)  # weights stay those of the start
    purpose = variation.purpose("candidate", vary)
    found = made.measure([0, 1], purpose=purpose, execution=execution)
    starts = made.predictions()
    assert np.allclose(starts[0], starts[1]) == (vary != ["init"]), "NumPy's generator, too"
    assert not any("same weights" in text for text in found.texts("caution")) and found.purpose == purpose
    made.set(lr=0.1, train={"epochs": 2, "batch_size": 16})
    made.measure([0, 1], purpose=purpose, execution=execution)
    assert not np.allclose(made.predictions()[0], made.predictions()[1]), "one use of chance is enough"
    made.measure([7, 8], out="again", purpose=variation.purpose("baseline", vary), execution=execution)
    assert not np.array_equal(made.predictions("again"), made.predictions()), "each arm draws what varies"


def test_nothing_that_varies_is_there(make: Make) -> None:
    """Replicates that differ in dropout alone, of a model without: they are one."""
    source = SOURCE.replace("nn.Dropout(0.3)", "nn.Identity()")
    made = make(source, examples=64, evaluated=20, train={"epochs": 1})
    made.measure([0, 1], purpose=variation.purpose("candidate", ["dropout"]))
    assert np.array_equal(*made.predictions())


def test_a_loop_of_its_own_has_one_seed(make: Make) -> None:
    made = make("def fit(params, data, seed, log):\n    return lambda inputs: inputs\n", examples=20, evaluated=20)
    with pytest.raises(UsageError, match="has one seed for all that it draws"):
        made.measure([0], purpose="candidate varying order")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("[]", "vary is []"),
        ("[init, init]", "vary is"),
        ("[splits]", "allowed: some of init, order, augment, dropout, split"),
        ("init", "vary is 'init'"),
    ],
)
def test_bad_values(given: str, said: str) -> None:
    text = f"lr: 0.1\nreplicates: 3\nseed: 1\nmetric: {{name: accuracy}}\nvary: {given}\n"
    with pytest.raises(UsageError) as caught:
        params_yaml.load(text)
    assert said in caught.value.sentence
    task = "task: {name: s, command: 'run {seed}', result: {file: a, key: b, direction: maximize}}\n"
    script = text.replace(given, "[order]") + task
    with pytest.raises(UsageError, match="a script has one seed"):
        params_yaml.load(script)


def test_arms_that_vary_in_other_things_are_not_subtracted() -> None:
    arms = []
    for name, vary in (("baseline", variation.KINDS), ("candidate", ["order"])):
        one = scored(name, np.zeros((2, 4)))
        measured = replace(one.arm.measurement, purpose=variation.purpose(name, vary), identity=HERE)
        arms.append(dataclasses.replace(one, arm=replace(one.arm, measurement=measured, evaluated="x")))
    found = candidate_verdict.differences(*arms)
    assert found == ["vary: baseline init, order, augment, dropout, candidate order"]


def test_both_stages_run_again_for_another_variance() -> None:
    accepted, draw = AcceptedStrategy(name="strategy/a", commit="c"), Draw(purpose="candidate", first=0)
    assert candidate_seeds.varying(accepted, draw, variation.KINDS) == (accepted, draw), "the bytes of before"
    one, other = candidate_seeds.varying(accepted, draw, ["dropout", "init"])
    assert one.vary == other.vary == ["init", "dropout"] and b"vary" not in encode(draw)
    floor = AcceptedStrategy(name="floor", commit="")
    assert candidate_seeds.varying(floor, draw, ["init"])[0] == floor, "a floor has no replicates"


def test_left_out_is_as_before() -> None:
    text = "lr: 0.1\nreplicates: 3\nseed: 1\nmetric: {name: accuracy}\n"
    assert variation.is_all(params_yaml.load(text).vary)
    assert "vary" not in params_yaml.strategy(params_yaml.load(text + "vary: [order]\n")), "no part of an idea"


HEAD = "lr: 0.1\nreplicates: 3\nseed: 1\nmetric: {name: accuracy}\nvary: [init, split]\n"


def test_splits_have_their_own_test_and_no_lanes() -> None:
    found = params_yaml.load(HEAD)
    assert found.judge.test == "resampled" and not variation.is_all(found.vary)
    assert params_yaml.load(HEAD.replace(", split", "")).judge.test == "welch"
    assert params_yaml.load(f"{HEAD}judge: {{test: resampled}}\n").judge.test == "resampled"
    for more, said in (
        ("judge: {test: permutation}", "splits overlap where vary has split"),
        ("machine: {execution: fused}", "machine.execution is fused"),
        ("machine: {execution: processes}", "machine.execution is processes"),
    ):
        with pytest.raises(UsageError, match=said):
            params_yaml.load(f"{HEAD}{more}\n")
    with pytest.raises(UsageError, match="vary draws no splits"):
        params_yaml.load(f"{HEAD.replace(', split', '')}judge: {{test: resampled}}\n")
    task = "task: {name: s, command: 'run {seed}', result: {file: a, key: b, direction: maximize}}\n"
    with pytest.raises(UsageError, match="a script has one seed"):
        params_yaml.load(HEAD + task)


def test_arms_share_splits_and_a_floor_has_them() -> None:
    candidates = candidate_seeds.Draw(purpose="paired", first=40_000)
    floor = AcceptedStrategy(name="floor", commit="")
    one, other = candidate_seeds.varying(floor, candidates, ["init", "split"])
    assert (one.purpose, one.first, one.vary) == ("paired", 40_000, ["init", "split"]) and other.vary == one.vary
    assert variation.purpose("paired", ["split", "init"]) == "paired varying init+split"
    assert variation.has_splits("paired varying init+split") and not variation.has_splits("paired")
