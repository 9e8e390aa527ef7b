"""Tasks whose inputs are no array: decoded once and shared, transformed by what the training part taught, collated."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from miniature import Make, Project
from PIL import Image

from assay.core.errors import AssayError, UsageError
from assay.data.validate_examples import canonical
from assay.ready import image_folder
from assay.training import batches, example_batch
from assay.training.model_inputs import Preprocessing
from assay.training.task_interface import Task

MODEL = """
    import os
    import torch
    from torch import nn
    def loss(outputs, targets): return nn.functional.cross_entropy(outputs, targets)
"""

DECODE = (
    MODEL
    + """
    def model(shape, outputs, *, hidden=4):
        return nn.Sequential(nn.Linear(shape[0], hidden), nn.Tanh(), nn.Linear(hidden, outputs))
    def decode(example, *, scale=1):
        with open(os.environ["SEEN"], "a") as seen:
            seen.write(example.path + "\\n")
        return scale * torch.frombuffer(bytearray(example.content), dtype=torch.uint8)
    def preprocess(inputs): return inputs.float() / 100
"""
)

COLLATE = (
    MODEL
    + """
    from assay.ready.padding import collate
    class Mean(nn.Module):
        def __init__(self, outputs):
            super().__init__()
            self.embed, self.out = nn.Embedding(50, 8), nn.Linear(8, outputs)
        def forward(self, batch):
            mask = batch["mask"][..., None]
            return self.out((self.embed(batch["values"]) * mask).sum(1) / mask.sum(1))
    def model(shape, outputs):
        assert shape == (-1,), shape
        return Mean(outputs)
"""
)

TABLE = (
    MODEL
    + """
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler
    def model(shape, outputs): return nn.Linear(shape[0], outputs)
    def transform():
        return make_column_transformer(
            (make_pipeline(SimpleImputer(), StandardScaler()), make_column_selector(dtype_include="number")),
            (OneHotEncoder(handle_unknown="ignore", sparse_output=False), make_column_selector(dtype_exclude="number")),
        )
"""
)


def given(project: Project, inputs: object, labels: list[int], evaluated: int = 20, **more: object) -> None:
    """Parts of what prepare() returned: the last `evaluated` examples are the validation part."""
    raw = {"inputs": inputs, "targets": labels, "classes": ["a", "b"], **more}
    examples = canonical(raw, "test", project.root / "all")
    rows = np.arange(len(examples))
    project.part("train", examples.take(rows[:-evaluated]))
    project.part("validation", examples.take(rows[-evaluated:]))


def pictures(folder: Path, count: int = 60, unequal: bool = False) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"{number:02}" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number, number % 2 * 90, 7, 7][: 3 + unequal * number % 2]))
    return paths


LABELS = [number % 2 for number in range(60)]


def test_decoded_once_for_all_replicates_and_arms(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = tmp_path / "seen"
    monkeypatch.setenv("SEEN", str(seen))
    project = make(DECODE)
    given(project, pictures(tmp_path / "raw"), LABELS, decode={"scale": 2})
    kept = {"cache": str(project.root / "cache")}
    project.measure([0, 1, 2], **kept, execution="fused")
    assert sorted(seen.read_text().split()) == sorted(str(tmp_path / "raw" / f"{number:02}") for number in range(60))
    project.measure([7, 8], **kept, purpose="baseline", code="another model")
    assert len(seen.read_text().split()) == 60
    shutil.rmtree(project.root / "cache")  # at any moment
    before = project.predictions()
    project.measure([7, 8], **kept, purpose="baseline", code="another model")
    assert len(seen.read_text().split()) == 120 and np.array_equal(project.predictions(), before)
    (damaged,) = sorted((project.root / "cache" / "decoded").glob("*/0.bin"))[:1]
    damaged.write_bytes(damaged.read_bytes()[::-1])
    project.measure([9], **kept)
    assert len(seen.read_text().split()) in (140, 160)  # the damaged part alone


def test_unequal_files_need_a_collate(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    project = make(DECODE)
    given(project, pictures(tmp_path / "raw", unequal=True), LABELS)
    with pytest.raises(UsageError, match=r"different shapes.*assay.ready.padding import collate"):
        project.measure([0])


def sentences() -> list[np.ndarray]:
    chance = np.random.default_rng(0)
    return [chance.integers(0, 25, 3 + number % 5) + 25 * (number % 2) for number in range(60)]


def test_a_collated_task_trains_one_after_another(make: Make) -> None:
    project = make(COLLATE)
    given(project, sentences(), LABELS)
    project.set(lr=0.1, train={"epochs": 3, "batch_size": 16})
    found = project.measure([0, 1], execution="fused")
    assert {one.execution for one in found.replicates} == {"sequential"}
    assert any("collate() makes batches" in note for note in found.texts())
    assert (project.predictions().argmax(axis=2) == np.array(LABELS[-20:])).mean() > 0.9
    whole = project.predictions()
    project.measure([1])
    assert np.array_equal(project.predictions()[0], whole[1])


CHANCE = COLLATE.replace(
    "from assay.ready.padding import collate",
    """from assay.ready.padding import collate as padded
    def collate(examples):
        kept = [one[torch.rand(len(one)) < 0.9] if len(one) > 3 else one for one in examples]
        return padded([one if len(kept) else examples[0] for one in kept])
    """,
)


def test_as_many_processes_load_the_same_batches(make: Make) -> None:
    """Also where collate() draws by chance."""
    project = make(CHANCE)
    given(project, sentences(), LABELS)
    project.measure([0])
    alone = project.weights(0)
    project.set(machine={"loaders": 2})
    project.measure([0])
    assert project.weights(0) == alone


def test_a_loading_process_that_dies_is_one_sentence(make: Make) -> None:
    dying = "if torch.utils.data.get_worker_info(): os._exit(9)"
    project = make(
        COLLATE.replace(
            "from assay.ready.padding import collate",
            f"""
    from assay.ready.padding import collate as padded
    def collate(examples):
        {dying}
        return padded(examples)
    """,
        )
    )
    given(project, sentences(), LABELS)
    project.set(machine={"loaders": 1})
    with pytest.raises(AssayError, match=r"loads examples was killed.*next: set machine.loaders to 0"):
        project.measure([0])


def test_an_error_in_a_loading_process_is_the_task_s(make: Make) -> None:
    project = make(
        COLLATE.replace(
            "from assay.ready.padding import collate",
            """
    def collate(examples): raise ValueError("no such token") if len(examples) == 32 else None
    """,
        )
    )
    given(project, sentences(), LABELS)
    project.set(machine={"loaders": 1})
    with pytest.raises(UsageError, match=r"collate\(\)"):
        project.measure([0])


def people() -> pd.DataFrame:
    chance = np.random.default_rng(0)
    found = pd.DataFrame({"age": chance.normal(size=60) + 3 * np.array(LABELS), "city": chance.choice(["x", "y"], 60)})
    found.loc[4, "age"], found.loc[9, "city"] = None, None
    found.loc[59, ["age", "city"]] = [1e6, "never trained on"]
    return found


def test_a_table_is_transformed_by_what_the_training_part_taught(make: Make) -> None:
    project = make(TABLE)
    given(project, people(), LABELS)
    project.set(lr=0.1, train={"epochs": 5, "batch_size": 8})
    project.measure([0, 1], execution="fused")
    first = project.predictions()
    assert (first[:, :-1].argmax(axis=2) == np.array(LABELS[-20:-1])).mean() > 0.8
    other = people()
    other.loc[59, "age"] = 5.0  # of the evaluated part: no other prediction may change
    given(project, other, LABELS)
    project.measure([0, 1], execution="fused")
    assert np.array_equal(project.predictions()[:, :-1], first[:, :-1])


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (
            MODEL + "    def model(shape, outputs): return nn.Linear(1, outputs)\n",
            "a table of age, city; allowed: transform",
        ),
        (
            TABLE.replace("SimpleImputer(), ", ""),
            r"leaves 1 of 40 examples with missing values.* 4;.*Imputer",
        ),
        (TABLE.replace('"number"', '"no such kind"'), r"transform\(\) fails with"),
    ],
)
def test_what_a_table_lacks_is_one_sentence(source: str, sentence: str, make: Make) -> None:
    project = make(source)
    given(project, people(), LABELS)
    with pytest.raises(UsageError, match=sentence):
        project.measure([0])


WIDE = (
    MODEL
    + """
    def model(shape, outputs): return nn.Sequential(nn.Flatten(), nn.Linear(64, outputs))
    def statistics(inputs): return {"mean": inputs.float().mean(0)}
    def preprocess(inputs, statistics): return inputs.float() - statistics["mean"]
"""
)


def test_large_inputs_are_preprocessed_by_batch_to_the_same_numbers(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make(WIDE)
    for execution in ("sequential", "fused"):
        monkeypatch.undo()
        project.measure([0, 1], execution=execution)
        whole = project.predictions(), project.weights(1)
        monkeypatch.setattr("assay.training.batches.BY_BATCH", 100)
        project.measure([0, 1], execution=execution)
        assert np.array_equal(project.predictions(), whole[0]) and project.weights(1) == whole[1]


def test_a_preprocess_of_all_examples_at_once_is_refused_by_batch(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make(WIDE.replace('statistics["mean"]', "inputs.float().mean()"))
    project.measure([0])
    monkeypatch.setattr("assay.training.batches.BY_BATCH", 100)
    with pytest.raises(UsageError, match=r"preprocess\(\) gives an example other values among other examples"):
        project.measure([0])


def test_inputs_are_large_by_what_preprocess_makes_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few raw numbers, of which categories make a column each."""
    task = Task("wide", "task.py", preprocess=lambda inputs: inputs.repeat(1, 32))
    monkeypatch.setattr(batches, "BY_BATCH", 100_000)
    assert batches._ready_bytes(Preprocessing(task, (), torch.float32), torch.zeros(1000, 10)) == 1000 * 320 * 4


def test_the_shape_of_a_batch_is_told_by_name_where_it_has_names() -> None:
    one = torch.zeros(2, 3)
    assert example_batch.shape(one) == (2, 3) and example_batch.shape({"values": one}) == {"values": (2, 3)}


def test_the_ready_task_for_images_learns(make: Make, tmp_path: Path) -> None:
    """Bright above, or bright below; decoded to one size, fused."""
    chance = np.random.default_rng(0)
    for label, name in enumerate(("above", "below")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(30):
            shown = chance.integers(0, 100, (20 + number, 24, 3), dtype=np.uint8)
            shown[label * len(shown) // 2 :][: len(shown) // 2] += 150
            Image.fromarray(shown).save(tmp_path / "photos" / name / f"{number:03}.png")
    project = make("from assay.ready.image_folder import augment, decode, loss, model, prepare, preprocess, statistics")
    examples = canonical(image_folder.prepare(folder=str(tmp_path / "photos"), size=16), "test", project.root / "all")
    rows = chance.permutation(60)
    project.part("train", examples.take(np.sort(rows[:40])))
    project.part("validation", examples.take(np.sort(rows[40:])))
    project.set(lr=0.01, model={"width": 4}, train={"epochs": 8, "batch_size": 10})
    found = project.measure([0, 1], execution="fused")
    assert {one.execution for one in found.replicates} == {"fused"}
    assert (project.predictions().argmax(axis=2) == examples.take(np.sort(rows[40:])).targets).mean() > 0.9
