"""`assay init --template script`: no Python is written, and a pipeline of the user's own stays where it is."""

from __future__ import annotations

import pytest

from assay.core import params_yaml
from assay.core.errors import UsageError
from project_setup.conftest import Repository


def test_a_script_by_its_name_or_by_a_usual_one(user: Repository) -> None:
    with pytest.raises(UsageError, match=r"there is none of train\.py, .*assay init --template script PATH"):
        user.init(template="script")
    with pytest.raises(UsageError, match=r"fit\.py is not there"):
        user.init("fit.py", template="script")
    user.write("main.py", "print(1)\n")
    user.write("my fit.py", "print(1)\n")
    user.commit()
    done = user.init("my fit.py", template="script")
    assert "task.command: nothing" not in done.took and done.next == ["dvc exp run"]
    found = params_yaml.load(user.read("params.yaml"))
    assert found.task.command == "python 'my fit.py' --seed {seed} --out {out}" and found.task.ruler == []
    assert set(done.files) >= {"dvc.yaml", "params.yaml", ".gitignore"} and "task.py" not in done.files
    assert user.git("check-ignore", "logs/candidate/") and not user.status()
    before = user.state()
    assert user.init().files == [] and user.state() == before
    with pytest.raises(UsageError, match="is set up already"):
        user.init(template="script")
    user.init(remove=True)
    assert not (user.root / "params.yaml").exists()


def test_beside_a_pipeline_that_has_stages_of_these_names(user: Repository) -> None:
    user.write("train.py", "print(1)\n")
    user.write("dvc.yaml", "stages:\n  train:\n    cmd: python train.py\n    deps: [train.py]\n")
    user.commit()
    done = user.init(template="script")
    found = params_yaml.load(user.read("assay/params.yaml"))
    assert done.folder == "assay" and found.task.command == "cd .. && python train.py --seed {seed} --out {out}"
    assert done.next == ["dvc exp run assay/dvc.yaml"]


SCRIPT = """import json, sys
from pathlib import Path
Path(sys.argv[4], "metrics.json").write_text(json.dumps({"accuracy": int(sys.argv[2]) % 7 / 10}))
"""


@pytest.mark.extra
def test_check_of_a_script(user: Repository) -> None:
    """It is not run unasked: a run may take hours. Asked for, it runs once, and nothing is left in the project."""
    user.write("train.py", f"{SCRIPT}Path(__file__).with_name('ran').touch()\n")
    user.commit()
    user.init(template="script")
    before = user.state()
    said = user.assay("check").stdout
    assert "Python 3" in said and said.endswith("check: nothing to refuse; next: dvc exp run\n")
    said = user.assay("check", "--stage", "train").stdout
    assert "check: train    1 replicate, accuracy 0." in said and user.state() == before
    user.write("train.py", "raise SystemExit('no data')\n")
    user.commit()
    done = user.assay("check", "--stage", "train", ok=False)
    assert done.returncode == 2 and "no data" in done.stdout
    assert done.stdout.endswith("next: correct the script, then assay check --stage train\n")
