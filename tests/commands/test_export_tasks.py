"""`assay export` of tasks whose inputs are no arrays, and of loops of their own: they predict on raw examples, alone,
what was measured."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest

from assay.core.errors import UsageError
from assay.core.paths import ProjectPaths
from assay.core.schemas import FOREGROUND, MeasureRequest
from assay.data import storage
from assay.data.validate_examples import canonical
from assay.ready import image_folder, masks, table, tokens
from assay.serving import export_folder
from assay.serving.export_folder import StoredStrategy
from assay.serving.predict import BrokenError, Predictor
from assay.tags.strategy_events import Accepted, RecordedComparison, Score, Seeds
from assay.training.train_and_predict import measure
from support.project import environment

Image = pytest.importorskip("PIL.Image")
pandas = pytest.importorskip("pandas")

#: the program of an exported folder, where Assay and its dependencies are not installed
ALONE = """
import sys
for name in ("assay", "dvc", "msgspec", "ruamel"): sys.modules[name] = None
sys.argv = sys.argv[1:]
import runpy; runpy.run_path(sys.argv[0], run_name="__main__")
"""
PARAMS = {
    "lr": 0.01,
    "replicates": 2,
    "seed": 1,
    "profile": "full",
    "task": {"name": "mine"},
    "train": {"epochs": 2, "batch_size": 16},
    "metric": {"name": "accuracy"},
    "profiles": {"full": {}, "fast": {"train": {"epochs": 1}}},
}


@dataclass(frozen=True)
class Measured:
    """A strategy that was measured in `kept.tree`, and the rows of what prepare() gave that were predicted."""

    kept: StoredStrategy
    rows: np.ndarray

    @property
    def stored(self) -> np.ndarray:
        found: np.ndarray = np.load(self.kept.fetched.predictions("candidate") / "predictions.npy")
        return found

    def packed(self, folder: Path) -> Predictor:
        """The exported model; its two replicates predict what they predicted when they were measured."""
        export_folder.needed(self.kept.strategy, self.kept.tree)
        export_folder.pack(self.kept, folder, ensemble=True)
        return Predictor(folder)

    def alone(self, folder: Path, inputs: Path) -> np.ndarray:
        """What the folder's own program predicts, from another folder."""
        command = [sys.executable, "-c", ALONE, str(folder / "predict.py"), str(inputs), str(folder / "out.npy")]
        done = subprocess.run(command, cwd="/", env=environment(Path("/nowhere")), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found: np.ndarray = np.load(folder / "out.npy")
        return found


Build = Callable[..., Measured]


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Build]:
    """Builds a project around task.py and what its prepare() gave, and measures two replicates."""
    before = list(sys.path)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")

    def made(source: str, raw: Any, **params: Any) -> Measured:
        root = tmp_path / "project"
        (root / "task.py").write_text(dedent(source), encoding="utf-8")
        settings = {**PARAMS, **params, "train": {**PARAMS["train"], **params.get("train", {})}}  # type: ignore[dict-item]
        (root / "params.yaml").write_text(json.dumps(settings), encoding="utf-8")
        examples, layout = canonical(raw, "task.py", root / "prepared"), ProjectPaths(root)
        rows = np.arange(len(examples))
        chosen = rows % 4 == 1
        for name, taken in (("train", ~chosen), ("validation", chosen)):
            storage.write(layout.part(name), name, examples, rows[taken])
        sys.modules.pop("task", None)
        measure(request(layout), root)
        sys.modules.pop("task", None)
        return Measured(StoredStrategy("strategy/mine", "0" * 40, accepted(), root, layout), rows[chosen])

    yield made
    sys.modules.pop("task", None)
    sys.path[:] = before


def request(layout: ProjectPaths) -> MeasureRequest:
    paths = {
        "train": layout.part("train"),
        "evaluate": layout.part("validation"),
        "models": layout.models("candidate"),
        "predictions": layout.predictions("candidate"),
        **{name: layout.root / f"{name}.txt" for name in ("curves", "log", "answer")},
    }
    named = {name: str(path) for name, path in paths.items()}
    return MeasureRequest(
        replicates=[0, 1],
        profile="full",
        purpose="candidate",
        seed=1,
        device="cpu",
        environment="here",
        code="code",
        execution=FOREGROUND,
        cache="",
        **named,
    )


def accepted() -> Accepted:
    nothing = RecordedComparison(verdict="progress", candidate=Score(n=2))
    words = ("metric", "metric_version", "baseline", "baseline_commit", "environment", "experiment")
    return Accepted(
        **dict.fromkeys((*words, "experiment_commit"), ""),
        name="mine",
        sequence=1,
        commit="0" * 40,
        profile="full",
        changed=[],
        attempts=1,
        selection=nothing,
        confirmation=nothing,
        seeds=Seeds(root=1, purpose="confirmation", n=2, candidate=0, baseline=9),
    )


def close(one: np.ndarray, two: np.ndarray) -> None:
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-5)


def images(build: Build, tmp_path: Path) -> tuple[Measured, Any, Path]:
    chance = np.random.default_rng(0)
    for label, name in enumerate(("above", "below")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(16):
            shown = chance.integers(0, 100, (20, 24, 3), dtype=np.uint8)
            shown[label * 10 :][:10] += 150
            Image.fromarray(shown).save(tmp_path / "photos" / name / f"{number:03}.png")
    raw = image_folder.prepare(folder=str(tmp_path / "photos"), size=16)
    names = "augment, decode, loss, model, prepare, preprocess, statistics"
    made = build(f"from assay.ready.image_folder import {names}\n", raw, model={"width": 2}, train={"holdout": 0.2})
    return made, raw, tmp_path / "photos"


def test_images_in_files(build: Build, tmp_path: Path) -> None:
    made, raw, _ = images(build, tmp_path)
    model = made.packed(tmp_path / "model")
    paths = [raw["inputs"][row] for row in made.rows]
    close(model.each(paths), made.stored)
    close(model.each([str(path) for path in paths]), made.stored)
    close(model.each([path.read_bytes() for path in paths]), made.stored)
    assert model.predict(paths[:1]).shape == (1, 2) and model.classes == ["above", "below"]
    with pytest.raises(ValueError, match=r"nowhere\.png cannot be read \(No such file"):
        model.predict(["nowhere.png"])
    with pytest.raises(ValueError, match="inputs are str; allowed: a list of files, an example each"):
        model.predict("photos")


def people(count: int = 64) -> str:
    chance = np.random.default_rng(0)
    lines = ["age,town,since,label"]
    for row in range(count):
        town, age = ["Bern", "Genf", ""][row % 3], "" if row % 7 == 0 else f"{20 + row % 40}"
        lines.append(f"{age},{town},{chance.normal():.6f},{'yes' if row % 3 == 0 else 'no'}")
    return "\n".join(lines) + "\n"


def a_table(build: Build, tmp_path: Path) -> tuple[Measured, Any, Path]:
    (tmp_path / "people.csv").write_text(people(), encoding="utf-8")
    raw = table.prepare(file=str(tmp_path / "people.csv"), target="label")
    names = "loss, model, prepare, preprocess, statistics, transform"
    made = build(f"from assay.ready.table import {names}\n", raw, model={"hidden": 8})
    return made, raw, tmp_path / "people.csv"


def test_a_table(build: Build, tmp_path: Path) -> None:
    made, raw, _ = a_table(build, tmp_path)
    model = made.packed(tmp_path / "model")
    frame = pandas.read_csv(tmp_path / "people.csv").iloc[made.rows]
    close(model.each(frame), made.stored)
    close(model.each(frame[["since", "label", "town", "age"]].to_dict("list")), made.stored)
    close(model.each(raw["inputs"].take(made.rows).to_pylist()), made.stored)
    assert model.predict(frame.iloc[:1]).shape == (1, 2)
    with pytest.raises(ValueError, match="inputs have no column 'town'; allowed: 'age', 'town', 'since'"):
        model.predict(frame.drop(columns="town"))
    with pytest.raises(ValueError, match=r"column 'age' is no int64 \(.*old.*\); allowed: int64"):
        model.predict(frame.assign(age="old"))


def some_texts(build: Build, tmp_path: Path) -> tuple[Measured, Any, Path]:
    words = np.random.default_rng(0).choice(["good", "bad", "film", "a", "the"], (48, 6))
    raw = {
        "inputs": [" ".join(row) for row in words],
        "targets": (words == "good").any(axis=1).astype(np.int64),
        "classes": ["bad", "good"],
    }
    made = build("from assay.ready.text import loss, model, prepare, preprocess, transform\n", raw, model={"width": 4})
    (tmp_path / "texts.txt").write_text("\n".join(raw["inputs"]), encoding="utf-8")
    return made, raw, tmp_path / "texts.txt"


def test_texts(build: Build, tmp_path: Path) -> None:
    made, raw, _ = some_texts(build, tmp_path)
    model = made.packed(tmp_path / "model")
    close(model.each([raw["inputs"][row] for row in made.rows]), made.stored)
    with pytest.raises(ValueError, match="example 0 is int; allowed: str"):
        model.predict([3])
    (tmp_path / "model/transformer.pickle").write_bytes(pickle.dumps({}))
    with pytest.raises(BrokenError, match=r"transformer\.pickle is missing or was changed"):
        Predictor(tmp_path / "model")


def test_tokens_give_probabilities_and_were_measured_by_scores(build: Build, tmp_path: Path) -> None:
    letters = np.random.default_rng(0).choice(list("abc"), 300)
    (tmp_path / "book.txt").write_text("".join(letters), encoding="utf-8")
    raw = tokens.prepare(file=str(tmp_path / "book.txt"), length=8)
    raw = {name: value for name, value in raw.items() if name != "order"}
    made = build("from assay.ready.tokens import loss, model, prepare, preprocess, score\n", raw, model={"width": 4})
    model = made.packed(tmp_path / "model")
    found = model.each(raw["inputs"][made.rows])
    assert found.shape == (2, len(made.rows), 8, 3)
    nats = -np.log(np.take_along_axis(found, raw["targets"][made.rows][None, ..., None], axis=-1)[..., 0])
    np.testing.assert_allclose(nats, made.stored, rtol=0, atol=1e-4)


def test_masks(build: Build, tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    pixels = chance.integers(0, 255, (16, 3, 12, 12), dtype=np.uint8)
    raw = {"inputs": pixels, "targets": (pixels[:, 0] > 120).astype(np.int64), "classes": ["off", "on"]}
    assert masks.predict
    names = "augment, loss, model, predict, prepare, preprocess"
    made = build(f"from assay.ready.masks import {names}\n", raw, model={"width": 2}, metric={"name": "iou"})
    close(made.packed(tmp_path / "model").each(pixels[made.rows]), made.stored)


SEVERAL = """
from torch import nn

def prepare(): ...

def model(shape, outputs):
    return nn.Sequential(nn.Linear(shape[0], outputs["place"] * 2), nn.Unflatten(1, (2, outputs["place"])))

def loss(outputs, targets):
    return (outputs[:, 0] - targets["place"]).square().mean() + outputs[:, 1].square().mean()
"""


def test_several_targets(build: Build, tmp_path: Path) -> None:
    """Whatever shape predictions have, they keep it: that of the targets' table is another."""
    inputs = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    raw = {"inputs": inputs, "targets": {"place": inputs[:, :2], "other": inputs[:, 1:]}}
    made = build(SEVERAL, raw)
    assert made.stored.shape == (2, 10, 2, 2)
    close(made.packed(tmp_path / "model").each(inputs[made.rows]), made.stored)


RAGGED = """
from assay.ready.padding import collate
import torch
from torch import nn

class Mean(nn.Module):
    def __init__(self, width, outputs):
        super().__init__()
        self.head = nn.Linear(width, outputs)

    def forward(self, batch):
        values, mask = batch["values"], batch["mask"].unsqueeze(-1)
        return self.head((values * mask).sum(1) / mask.sum(1))

def prepare(): ...

def statistics(examples):
    return {"mean": torch.stack([one.float().mean(0) for one in examples]).mean(0)}

def preprocess(batch, statistics):
    return {**batch, "values": batch["values"].float() - statistics["mean"]}

def model(shape, outputs):
    assert shape == (-1, 3), shape
    return Mean(shape[-1], outputs)

def loss(outputs, targets):
    return nn.functional.cross_entropy(outputs, targets)
"""


def sequences(build: Build, tmp_path: Path) -> tuple[Measured, Any, Path]:
    chance = np.random.default_rng(0)
    inputs = [chance.normal(size=(2 + row % 5, 3)).astype(np.float32) for row in range(40)]
    targets = np.array([int(one.sum() > 0) for one in inputs])
    made = build(RAGGED, {"inputs": inputs, "targets": targets, "classes": ["low", "high"]})
    np.savez(tmp_path / "inputs.npz", *inputs)
    return made, inputs, tmp_path / "inputs.npz"


def test_sequences_of_unequal_lengths(build: Build, tmp_path: Path) -> None:
    made, inputs, _ = sequences(build, tmp_path)
    model = made.packed(tmp_path / "model")
    close(model.each([inputs[row] for row in made.rows]), made.stored)
    with pytest.raises(ValueError, match="example 0 has type <U1; allowed: an array of numbers"):
        model.predict(["x"])


LOOP = """
import torch
from torch import nn

def prepare(): ...

def statistics(inputs):
    return {"mean": inputs.mean(0)}

def preprocess(inputs, statistics):
    return inputs - statistics["mean"]

def network(params):
    return nn.Sequential(nn.Linear(3, params["model"]["hidden"]), nn.Tanh(), nn.Linear(params["model"]["hidden"], 2))

def fit(params, data, seed, log):
    model = network(params)
    optimizer = torch.optim.SGD(model.parameters(), lr=params["lr"])
    for epoch in range(params["train"]["epochs"]):
        loss = nn.functional.cross_entropy(model(data.train.inputs), data.train.targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model
"""
LOAD = """
def load(params, weights):
    model = network(params)
    model.load_state_dict(weights)
    return model
"""


def points() -> dict[str, Any]:
    inputs = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    return {"inputs": inputs, "targets": (inputs.sum(1) > 0).astype(np.int64), "classes": ["low", "high"]}


def a_loop(build: Build, tmp_path: Path) -> tuple[Measured, Any, Path]:
    raw = points()
    np.save(tmp_path / "inputs.npy", raw["inputs"])
    made = build(LOOP + LOAD, raw, model={"hidden": 4}, train={"holdout": 0.2})
    return made, raw, tmp_path / "inputs.npy"


def test_a_loop_of_its_own_with_load(build: Build, tmp_path: Path) -> None:
    made, raw, _ = a_loop(build, tmp_path)
    close(made.packed(tmp_path / "model").each(raw["inputs"][made.rows]), made.stored)


@pytest.mark.extra
@pytest.mark.parametrize("form", [images, a_table, some_texts, sequences, a_loop])
def test_the_program_of_the_folder_alone(build: Build, tmp_path: Path, form: Callable[..., Any]) -> None:
    """From a file or folder of raw examples, where neither Assay nor what it needs is installed."""
    made, _, inputs = form(build, tmp_path)
    made.packed(tmp_path / "model")
    moved = (tmp_path / "model").rename(tmp_path / "elsewhere")
    close(made.alone(moved, inputs)[made.rows], made.stored.mean(axis=0))


def test_a_loop_whose_function_takes_texts(build: Build, tmp_path: Path) -> None:
    source = """
    import torch

    class Lengths:
        def __init__(self, weights):
            self.weights = weights

        def state_dict(self):
            return self.weights

        def __call__(self, texts):
            long = torch.tensor([float(len(one) > float(self.weights["limit"])) for one in texts])
            return torch.stack([1 - long, long], dim=1)

    def prepare(): ...

    def fit(params, data, seed, log):
        return Lengths({"limit": torch.tensor(float(sum(map(len, data.train.inputs)) / len(data.train)) + seed % 2)})

    def load(params, weights):
        return Lengths(weights)
    """
    texts = ["x" * (1 + row % 9) for row in range(24)]
    raw = {"inputs": texts, "targets": np.array([int(len(one) > 5) for one in texts]), "classes": ["short", "long"]}
    made = build(source, raw)
    close(made.packed(tmp_path / "model").each([texts[row] for row in made.rows]), made.stored)


def test_loops_that_leave_no_model_are_refused_before_anything_is_fetched(build: Build, tmp_path: Path) -> None:
    made = build(LOOP, points(), model={"hidden": 4})
    said = r"has no load\(\) that makes its model again; allowed: load\(params, weights\) beside fit"
    with pytest.raises(UsageError, match=said):
        export_folder.needed("strategy/mine", made.kept.tree)
    task = made.kept.tree / "task.py"
    task.write_text(LOOP.replace("seed, log)", "seed)") + LOAD)
    with pytest.raises(UsageError, match=r"fit\(\) takes no log"):
        export_folder.pack(made.kept, tmp_path / "model", ensemble=False)
    params = made.kept.tree / "params.yaml"
    task.write_text(LOOP + LOAD)
    params.write_text(params.read_text().replace('"hidden": 4', '"hidden": 2026-01-01'))
    with pytest.raises(UsageError, match=r"params\.yaml has a date"):
        export_folder.needed("strategy/mine", made.kept.tree)


@pytest.mark.extra
def test_a_transformer_that_no_file_holds(build: Build, tmp_path: Path) -> None:
    source = """
    from sklearn.preprocessing import FunctionTransformer
    from torch import nn

    def prepare(): ...
    def transform():
        return FunctionTransformer(lambda rows: rows * 2)
    def model(shape, outputs):
        return nn.Linear(shape[0], outputs)
    def loss(outputs, targets):
        return nn.functional.cross_entropy(outputs, targets)
    """
    made = build(source, points())
    with pytest.raises(UsageError, match=r"what transform\(\) returns cannot be kept .*; allowed: functions and"):
        made.packed(tmp_path / "model")
    named = source.replace("lambda rows: rows * 2", "twice") + "\n    def twice(rows):\n        return rows * 2\n"
    (made.kept.tree / "task.py").write_text(dedent(named))
    raw = points()
    close(made.packed(tmp_path / "other").each(raw["inputs"][made.rows]), made.stored)
    assert json.loads((tmp_path / "other/model.json").read_text())["transformer"].keys() == {"numpy", "scikit-learn"}
