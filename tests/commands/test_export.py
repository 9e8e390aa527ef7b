"""`assay export` and `assay.load`: what was accepted predicts what was measured, elsewhere too."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.torch import load_file

from assay.core.errors import UsageError
from assay.core.paths import ProjectPaths
from assay.history.dvc_outputs import fetch
from assay.serving.export_folder import StoredStrategy, needed, pack
from assay.serving.predict import BrokenError, Predictor
from assay.tags.strategy_events import Accepted, RecordedComparison, Score, Seeds
from support.project import Project, environment

#: neither Assay nor DVC may be imported, whatever is installed
ALONE = """
import sys
for name in ("assay", "dvc", "msgspec", "sklearn"): sys.modules[name] = None
sys.argv = sys.argv[1:]
import runpy; runpy.run_path(sys.argv[0], run_name="__main__")
"""
#: by name, beside the project's own task of the same name; nothing is left behind, nothing is drawn
LOAD = """
import sys, numpy, torch, assay
sys.path.insert(0, "src")
import tasks.digits.learning as mine
state, paths = torch.get_rng_state(), list(sys.path)
one, mean = assay.load(sys.argv[1]), assay.load(sys.argv[1], ensemble=sys.argv[1].startswith("strategy/"))
inputs = numpy.load(sys.argv[2])
numpy.save(sys.argv[3], numpy.stack([one.predict(inputs), mean.predict(inputs)]))
assert sys.modules["tasks.digits.learning"] is mine and sys.path == paths
assert torch.equal(state, torch.get_rng_state())
try: one.predict(inputs[:, :4])
except ValueError as error: print(error)
try: one.predict(inputs / 16.0)
except ValueError as error: print(error)
print(",".join(one.classes), one.strategy, one.replicates, mean.replicates)
"""


def python(project: Project, script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    settings = environment(project.home)
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, cwd=project.root, env=settings, capture_output=True, text=True)


def stored(project: Project) -> NDArray[np.float32]:
    """(R, N, 10) predictions of strategy/fast, as its tag's dvc.lock knows them."""
    project.dvc("get", ".", "predictions/candidate", "--rev", "strategy/fast", "--out", "stored", "--quiet")
    made: NDArray[np.float32] = np.load(project.root / "stored/predictions.npy")
    shutil.rmtree(project.root / "stored")
    return made


def test_an_exported_model_predicts_alone_what_was_measured(done: Project, tmp_path: Path) -> None:
    measured, inputs = stored(done), done.root / "data/split/validation/inputs.npy"
    done.edit("src/tasks/digits/learning.py", "16.0", "1600.0")  # today's task of the same name is another
    said = json.loads(done.assay("export", "strategy/fast", "--to", str(tmp_path / "one"), "--json").stdout)
    assert said["replicates"] == [0] and said["classes"] == list("0123456789") and said["difference"] <= 1e-6
    assert said["commit"] == done.git("rev-parse", "strategy/fast^{}")
    assert done.git("status", "--porcelain").split() == ["M", "src/tasks/digits/learning.py"]
    moved = shutil.move(tmp_path / "one", tmp_path / "elsewhere")
    ran = python(done, ALONE, Path(moved) / "predict.py", inputs, tmp_path / "made.npy")
    assert ran.returncode == 0, ran.stderr
    np.testing.assert_allclose(np.load(tmp_path / "made.npy"), measured[0], rtol=0, atol=1e-6)
    again = done.assay("export", "fast", "--to", str(tmp_path / "elsewhere"), ok=False)
    assert again.returncode == 2 and "is there already; allowed: a new or an empty folder; next: rm -r" in again.stderr
    by_folder = python(done, LOAD, moved, inputs, tmp_path / "folder.npy")
    assert by_folder.returncode == 0, by_folder.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "folder.npy")[1], np.load(tmp_path / "made.npy"))
    check_the_seal(Path(moved))
    (tmp_path / "zip.npy").write_bytes(b"PK\x03\x04" + bytes(50))
    strange = python(done, ALONE, Path(moved) / "predict.py", tmp_path / "zip.npy", tmp_path / "again.npy")
    assert (
        strange.returncode == 2 and len(strange.stderr.splitlines()) == 1 and "zip.npy holds no array" in strange.stderr
    )
    weights = Path(moved) / "weights/0.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    broken = python(done, ALONE, Path(moved) / "predict.py", inputs, tmp_path / "again.npy")
    assert broken.returncode == 2 and "0.safetensors is missing or was changed" in broken.stderr


def check_the_seal(folder: Path) -> None:
    """Nothing that model.json says can be changed, and nothing added to its code; one sentence says so."""
    path, kept = folder / "model.json", (folder / "model.json").read_text(encoding="utf-8")
    info = json.loads(kept)
    swapped = {
        "classes": info["classes"][::-1],
        "test": 0.999,
        "commit": "0" * 40,
        "strategy": "strategy/other",
        "parameters": {},
        "files": {},
    }
    lacking = [{key: value for key, value in info.items() if key != gone} for gone in info]
    other = [json.dumps(one) for one in (*({**info, key: value} for key, value in swapped.items()), *lacking)]
    for content in (*other, "[]", "null", "[" * 100_000, "{", '{"schema": ' + "9" * 5000 + "}", "\\xff"):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(BrokenError) as caught:
            Predictor(folder)
        assert len(str(caught.value)) <= 500 and "\n" not in str(caught.value)
    path.write_text(kept, encoding="utf-8")
    (folder / "source/queue.py").write_text("raise SystemExit", encoding="utf-8")
    with pytest.raises(BrokenError, match=r"queue\.py was not exported"):
        Predictor(folder)
    (folder / "source/queue.py").unlink()
    assert Predictor(folder).classes == info["classes"]


@pytest.mark.extra
def test_loading_by_name_and_the_ensemble(done: Project, tmp_path: Path) -> None:
    measured, inputs = stored(done), done.root / "data/split/validation/inputs.npy"
    for _ in range(2):  # the second time from our cache
        found = python(done, LOAD, "strategy/fast", inputs, tmp_path / "made.npy")
        assert found.returncode == 0, found.stderr
        one, mean = np.load(tmp_path / "made.npy")
        np.testing.assert_allclose(one, measured[0], rtol=0, atol=1e-6)
        np.testing.assert_allclose(mean, measured.mean(axis=0), rtol=0, atol=1e-6)
        shutil.rmtree(done.root / ".dvc/cache", ignore_errors=True)
    shape, kind, summary = found.stdout.splitlines()
    assert shape.startswith("inputs have shape") and shape.endswith("allowed: (N, 8, 8)")
    assert kind == "inputs have type float64; allowed: uint8, as prepare() of the task makes them"
    assert summary == "0,1,2,3,4,5,6,7,8,9 strategy/fast [0] [0, 1, 2]"


@pytest.mark.extra
def test_soft_targets_of_an_ensemble(done: Project, tmp_path: Path) -> None:
    said = done.assay("export", "fast", "--soft-targets", "weights/teacher.safetensors").stdout
    file = done.root / "weights/teacher.safetensors"
    assert "of strategy/fast says of 1258 training examples: weights/teacher.safetensors" in said, said
    inputs = done.root / "data/split/train/inputs.npy"
    assert python(done, LOAD, "strategy/fast", inputs, tmp_path / "made.npy").returncode == 0
    found = load_file(file)
    np.testing.assert_array_equal(found["probabilities"].numpy(), np.load(tmp_path / "made.npy")[1])
    ids = bytes(found["ids"].numpy()).decode().split("\n")
    assert len(set(ids)) == len(ids) == 1258

    def refused(said: str, *arguments: str) -> None:
        made = done.assay("export", "fast", *arguments, ok=False)
        assert made.returncode == 2 and said in made.stderr, made.stderr

    refused("weights/teacher.safetensors is there already", "--soft-targets", "weights/teacher.safetensors")
    refused("give one of --to FOLDER and --soft-targets FILE")
    lock = done.read("dvc.lock")
    (part,) = re.findall(r"path: data/split/train\n\s+hash: md5\n\s+md5: (\w+)\.dir", lock)[:1]
    (done.root / "dvc.lock").write_text(lock.replace(part, "0" * 32))
    refused("it may have seen examples that are judged here", "--soft-targets", "other")
    assert not (done.root / "other").exists()


@pytest.mark.extra
def test_a_cache_that_takes_nothing_costs_no_model(done: Project, tmp_path: Path) -> None:
    """The model and the strategy's files lie in a folder that ends with the process; one line for each says so."""
    measured, inputs = stored(done), done.root / "data/split/validation/inputs.npy"
    cache, temporary = done.root / ".dvc/tmp/assay", tmp_path / "tmp"
    shutil.rmtree(cache)
    cache.write_text("mine", encoding="utf-8")
    temporary.mkdir()
    note = f"nothing is kept for re-use: {cache} is no folder; next: rm '{cache}'"
    script = f"import tempfile; tempfile.tempdir = {str(temporary)!r}\n" + LOAD
    loaded = python(done, script, "strategy/fast", inputs, tmp_path / "made.npy")
    assert loaded.returncode == 0 and loaded.stderr.count(note) == 1, loaded.stderr
    np.testing.assert_allclose(np.load(tmp_path / "made.npy")[0], measured[0], rtol=0, atol=1e-6)
    exported = done.assay("export", "fast", "--to", str(tmp_path / "model"), TMPDIR=str(temporary))
    assert exported.stderr == f"{note}\n" and (tmp_path / "model/model.json").is_file()
    assert list(temporary.iterdir()) == []


@pytest.mark.extra
def test_a_second_clone_fetches_from_the_remote(done: Project, tmp_path: Path) -> None:
    (tmp_path / "remote").mkdir()
    done.dvc("remote", "add", "--default", "--local", "store", str(tmp_path / "remote"))
    done.git("checkout", "--quiet", "strategy/fast")
    done.dvc("push", "--quiet", "models/candidate", "predictions/candidate", "data/split/validation")
    done.git("checkout", "--quiet", "main")
    done.git("clone", "--quiet", str(done.root), str(tmp_path / "clone"))
    clone = Project(tmp_path / "clone", done.home)
    missing = clone.assay("export", "fast", "--to", "model", ok=False)
    assert missing.returncode == 2 and len(missing.stderr.splitlines()) == 1, missing.stderr
    assert "models/candidate of strategy/fast is not available" in missing.stderr
    assert "git checkout strategy/fast && dvc pull models/candidate predictions/candidate" in missing.stderr
    assert not [path for path in clone.root.iterdir() if "model" in path.name], "nothing half-written"
    clone.dvc("remote", "add", "--default", "--local", "store", str(tmp_path / "remote"))
    assert "wrote strategy/fast" in clone.assay("export", "fast", "--to", "model").stdout


def test_outputs_of_a_project_that_is_one_folder_of_many(fresh: Project, tmp_path: Path) -> None:
    inner = Project(tmp_path / "many" / "vision", fresh.home)
    shutil.copytree(fresh.root, inner.root, ignore=shutil.ignore_patterns(".git"))
    inner.run("git", "init", "--quiet", "--initial-branch=main", str(inner.root.parent))
    inner.commit("start")
    inner.run(sys.executable, "-m", "dvc", "config", "--local", "core.analytics", "false")
    inner.dvc("repro", "--quiet", "--single-item", "context")
    commit = inner.commit("measured")
    fetch(inner.root, commit, "strategy/one", ["context/environment.json"], tmp_path / "fetched")
    assert (tmp_path / "fetched/context/environment.json").read_text() == inner.read("context/environment.json")


@pytest.mark.extra
def test_refusals(done: Project) -> None:
    def refused(said: str, *arguments: str, code: int = 2) -> None:
        found = done.assay("export", *arguments, "--to", "model", ok=False)
        assert found.returncode == code and said in found.stderr and len(found.stderr.splitlines()) == 1, found.stderr
        assert not (done.root / "model").exists()

    refused("there is no strategy 'slow'; allowed: fast", "slow")
    refused("tag strategy/first is not verifiable", "strategy/first", code=3)
    found = done.assay("export", "fast", "--to", "params.yaml/model", ok=False)
    assert found.returncode == 2 and "params.yaml/model cannot be written" in found.stderr
    refused("'../x' is not a name for a strategy", "../x")
    done.assay("revoke", "fast", "--why", "it was luck after all")
    refused("strategy/fast was revoked; allowed: no strategy", "fast")


STATISTICS = """

def statistics(inputs: Tensor) -> dict[str, Tensor]:
    return {"mean": inputs.float().mean(0), "scale": inputs.float().std() + 1}


def preprocess(inputs: Tensor, statistics: dict[str, Tensor]) -> Tensor:
    from tasks.digits.helping import centred  # found late, and only beside the model

    return centred(inputs.float(), statistics["mean"]) / statistics["scale"]
"""


@pytest.fixture
def kept(fresh: Project) -> StoredStrategy:
    """Measured, not accepted: statistics of a sample of the training part, batch normalisation, a helper."""
    path = fresh.root / "src/tasks/digits/learning.py"
    source = path.read_text().replace("nn.ReLU(), nn.Dropout", "nn.BatchNorm1d(hidden), nn.ReLU(), nn.Dropout")
    path.write_text(source[: source.index("def preprocess")] + STATISTICS)
    (path.parent / "helping.py").write_text("def centred(inputs, mean):\n    return inputs - mean\n")
    fresh.edit("dvc.yaml", "learning.py\n", "learning.py\n      - src/tasks/digits/helping.py\n")
    fresh.edit("params.yaml", "sample: 1.0", "sample: 0.3")
    commit = fresh.commit("statistics")
    for stage in ("context", "prepare", "split", "train"):
        fresh.stage(stage)
    nothing = RecordedComparison(verdict="progress", candidate=Score(n=3))
    event = Accepted(
        **dict.fromkeys(("metric", "metric_version", "baseline", "baseline_commit", "environment"), ""),
        **dict.fromkeys(("experiment", "experiment_commit"), ""),
        name="mean",
        sequence=1,
        commit=commit,
        profile="full",
        changed=[],
        attempts=1,
        selection=nothing,
        confirmation=nothing,
        seeds=Seeds(root=1, purpose="confirmation", n=3, candidate=0, baseline=9),
    )
    return StoredStrategy("strategy/mean", commit, event, fresh.root, ProjectPaths(fresh.root))


def test_statistics_come_from_the_examples_that_trained(kept: StoredStrategy, tmp_path: Path) -> None:
    wanted = needed(kept.strategy, kept.tree)
    assert wanted == ["models/candidate", "predictions/candidate", "data/split/validation", "data/split/train"]
    assert pack(kept, tmp_path / "model", ensemble=True) <= 1e-6
    assert "tasks.digits.helping" not in sys.modules
    (tmp_path / "model/source/tasks/digits/helping.py").write_text("")
    with pytest.raises(BrokenError, match=r"helping\.py is missing or was changed"):
        Predictor(tmp_path / "model")


def test_a_model_that_predicts_otherwise_is_refused(kept: StoredStrategy, tmp_path: Path) -> None:
    path = kept.fetched.predictions("candidate") / "predictions.npy"
    made = np.load(path)
    made[0, 5, 5] += 1e-4
    np.save(path, made)
    with pytest.raises(UsageError, match=r"by up to 0\.0001; allowed: 1e-05"):
        pack(kept, tmp_path / "model", ensemble=False)
    learning = kept.tree / "src/tasks/digits/learning.py"
    learning.write_text(learning.read_text() + "\nopen(__file__[:-11] + 'vocabulary.txt')\n")
    with pytest.raises(UsageError, match="fails outside of its project with FileNotFoundError"):
        pack(kept, tmp_path / "again", ensemble=False)
    learning.write_text(learning.read_text() + "\ndef fit(params, data, seed): ...\n")
    with pytest.raises(UsageError, match="trains with a loop of its own, and has no load"):
        needed(kept.strategy, kept.tree)
