"""`assay export` and `assay.load`: what was accepted predicts what was measured, elsewhere too."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from support.project import Project, environment

#: two strategies side by side: the exported one and one whose task of the same name is another's
PREDICT = """
import sys, numpy, assay
model, again = assay.load(sys.argv[1]), assay.load(sys.argv[1], ensemble=True)
assert not [name for name in sys.modules if name.split(".")[0] == "tasks"]
inputs = numpy.load(sys.argv[2])
numpy.save("one.npy", model.predict(inputs)); numpy.save("mean.npy", again.predict(inputs))
print(",".join(model.classes), model.head.strategy)
"""


def predict(project: Project, what: str, inputs: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    settings = environment(project.home) | {"PYTHONPATH": str(project.root / "src")}
    command = [sys.executable, "-c", PREDICT, what, str(inputs)]
    return subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True)


def test_an_exported_strategy_predicts_what_was_measured(done: Project, tmp_path: Path) -> None:
    import numpy as np

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    inputs = shutil.copy2(done.root / "data/split/validation/inputs.npy", elsewhere)
    done.git("checkout", "--quiet", "strategy/fast")
    done.dvc("checkout", "--quiet", "--force")
    measured = np.load(done.root / "predictions/candidate/predictions.npy")
    done.git("switch", "--quiet", "main")
    done.edit("src/tasks/digits/learning.py", "16.0", "1600.0")  # another task of the same name
    done.assay("export", "fast", str(elsewhere / "model"))
    assert done.git("status", "--porcelain").split() == ["M", "src/tasks/digits/learning.py"]
    found = predict(done, str(elsewhere / "model"), Path(inputs), elsewhere)
    assert found.stdout.strip() == "0,1,2,3,4,5,6,7,8,9 strategy/fast", found.stderr
    np.testing.assert_allclose(np.load(elsewhere / "one.npy"), measured[0], atol=1e-6)
    np.testing.assert_allclose(np.load(elsewhere / "mean.npy"), measured.mean(axis=0), atol=1e-6)
    by_name = predict(done, "strategy/fast", Path(inputs), done.root)
    assert by_name.returncode == 0, by_name.stderr
    np.testing.assert_array_equal(np.load(done.root / "one.npy"), np.load(elsewhere / "one.npy"))
    again = done.assay("export", "fast", str(elsewhere / "model"), ok=False)
    assert again.returncode == 2 and "exists; next: choose another folder" in again.stderr


def test_what_is_nowhere_is_said_with_the_command(done: Project, tmp_path: Path) -> None:
    shutil.rmtree(done.root / ".dvc/cache")
    found = done.assay("export", "fast", str(tmp_path / "model"), ok=False)
    assert found.returncode == 2 and len(found.stderr.splitlines()) == 1
    assert "models/candidate of strategy/fast is neither in the cache nor on a remote" in found.stderr
    assert not [path for path in tmp_path.iterdir() if "model" in path.name], "nothing half-written"
