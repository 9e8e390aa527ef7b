"""Where `assay init` puts its pipeline: beside the user's stages where there is room, else in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from assay.core.errors import UsageError
from assay.core.paths import STAGES
from assay.core.yaml12 import parse
from project_setup.conftest import TABLE, Repository


def mine(name: str, content: str | bytes) -> Callable[[Repository], None]:
    return lambda user: user.write(name, content)


#: what is in the way → what is there, and the words of the reason
IN_THE_WAY = {
    "names of stages": (mine("dvc.yaml", "stages:\n  train:\n    cmd: ./train\n"), "stages of its own called train"),
    "an output": (
        mine("dvc.yaml", "stages:\n  fit:\n    cmd: ./fit\n    wdir: models\n    outs: [candidate]\n"),
        "models/candidate of dvc.yaml overlaps with models/candidate",
    ),
    "an output of another dvc.yaml": (
        mine(
            "sub/dvc.yaml",
            "stages:\n  fit:\n    cmd: ./fit\n    metrics:\n      - ../results:\n          cache: false\n",
        ),
        "results of sub/dvc.yaml overlaps with",
    ),
    "a .dvc file": (mine("data.dvc", "outs:\n- md5: 0.dir\n  path: data\n"), "data of data.dvc overlaps with data/"),
    "flow style": (mine("dvc.yaml", "stages: {}\n"), "leaves no line to insert ours"),
    "a folder of code": (mine("context/window.py", "x = 1\n"), "context is there"),
    "a file": (mine("models", "weights"), "models is there"),
    "vars": (mine("dvc.yaml", "vars:\n  - seed: 3\nstages:\n  fetch:\n    cmd: ./a\n"), "vars of dvc.yaml set seed"),
    "vars in a file unlike YAML": (
        mine("dvc.yaml", "vars:\n  - own.toml\nstages:\n  fetch:\n    cmd: ./a\n"),
        "vars of dvc.yaml name a file",
    ),
    "a section of params.yaml": (mine("params.yaml", "model: {width: 3}\n"), "a section model of its own"),
    "a value that we refuse": (mine("params.yaml", "train: {layers: 3}\n"), "unknown parameter 'train.layers'"),
    "a key that no stage declares": (mine("params.yaml", "detector: 3\n"), "has detector, which no stage"),
    "params.yaml in flow style": (mine("params.yaml", "{lr: 0.1}\n"), "leaves no line to append ours"),
    "an ignored folder": (mine(".gitignore", "results/\n"), "Git leaves results/ out"),
    "another task.py": (mine("task.py", "import celery\n"), "task.py is there"),
}


@pytest.mark.parametrize("name", IN_THE_WAY)
def test_a_folder_of_its_own_is_chosen_and_said(user: Repository, name: str) -> None:
    write, why = IN_THE_WAY[name]
    write(user)
    user.commit("mine")
    done = user.init(dry_run=True)
    assert done.notes[0].startswith("in a folder of its own, assay/, because ") and why in done.notes[0]
    assert done.folder == "assay" and done.next[0] == "dvc exp run assay/dvc.yaml"
    assert done.next[1] == "dvc exp run assay/dvc.yaml -S assay/params.yaml:lr=0.001"
    assert {one for one in done.files if not one.startswith(".dvc/")} == {
        f"assay/{one}"
        for one in (".gitignore", "dvc.yaml", "params.yaml", "plots/dvc.yaml", "task.py", "tests/test_assay_task.py")
    }
    assert "  file: ../data/plants.csv " in done.diff


def test_a_file_of_vars_that_is_not_there(user: Repository) -> None:
    """DVC will say so; it sets nothing that could be in the way."""
    user.write("dvc.yaml", "vars:\n  - gone.yaml\nstages:\n  fetch:\n    cmd: ./a\n")
    user.commit("mine")
    assert user.init(dry_run=True).folder == "."


def test_what_git_holds_in_a_folder_of_its_own(user: Repository) -> None:
    user.write(".gitignore", "results/\n*.lock\n")
    user.commit("mine")
    user.init()
    assert not user.run("git", "check-ignore", "assay/results/metrics.json", "assay/dvc.lock", ok=False).stdout
    assert user.git("check-ignore", "assay/results/train.log", "assay/models/candidate/", ok=False)
    assert user.status() == "" and user.init().files == []


def test_stages_and_parameters_beside_the_users(user: Repository) -> None:
    user.write("dvc.yaml", "stages:\r\n  fetch:\r\n    cmd: ./fetch ${detector.size}\r\n    outs: [data/raw]\r\n")
    user.write("params.yaml", "# mine\nlr: 0.1\ndetector:\n  size: 3\n")
    user.commit("mine")
    done = user.init()
    assert done.folder == "." and list(parse(user.read("dvc.yaml"))["stages"]) == ["fetch", *STAGES]
    assert user.read("params.yaml").startswith("# mine\nlr: 0.1\ndetector:\n  size: 3\n\n")
    assert parse(user.read("params.yaml"))["lr"] == 0.1 and "replicates: 5 " in user.read("params.yaml")


def test_a_folder_that_was_asked_for(user: Repository) -> None:
    done = user.init(folder="lab/one")
    assert (
        done.folder == "lab/one"
        and "because --in" in done.notes[0]
        and "file: ../../data/plants.csv" in user.read("lab/one/params.yaml")
    )
    with pytest.raises(UsageError, match="allowed: a folder below this one"):
        user.init("plants.csv", folder="../x", where="data")


def test_no_room_in_the_folder_of_its_own(user: Repository) -> None:
    user.write("dvc.yaml", "stages:\n  train:\n    cmd: ./train\n")
    user.write("assay/task.py", "import celery\n")
    user.commit("mine")
    before = user.state()
    with pytest.raises(UsageError, match=r"assay/ has no room either: task.py is there already") as error:
        user.init()
    assert user.state() == before and error.value.hint == "assay init --in assay-runs"
    assert user.init(folder="assay-runs").folder == "assay-runs"


def test_patterns_that_hide_results_are_undone_for_ours_alone(user: Repository) -> None:
    user.write(".gitignore", "*.json\n*.csv\ndvc.lock\n")
    user.commit("mine")
    done = user.init("data/plants.csv")
    assert done.folder == "."
    assert not user.run("git", "check-ignore", "results/metrics.json", "results/cases.csv", "dvc.lock", ok=False).stdout
    assert user.git("check-ignore", "results/other.json", "mine.csv")


def test_a_folder_below_the_top(user: Repository) -> None:
    """DVC is there at the top already, or is set up in the folder itself."""
    user.write("lab/houses.csv", "size,price\n" + "".join(f"{n},{n * 1.5}\n" for n in range(40)))
    user.commit("mine")
    done = user.init(where="lab")
    assert done.folder == "lab" and done.template == "regression" and done.next[0] == "dvc exp run"
    assert {"lab/dvc.yaml", "lab/.gitignore", ".dvc/plots/seeds.json"} < set(done.files)
    assert "lab/.dvc/config" not in done.files
    assert user.init(where="lab").files == []


def test_dvc_is_set_up_below_the_top(user: Repository) -> None:
    user.write("lab/houses.csv", TABLE)
    user.git("rm", "-r", "--quiet", ".dvc")
    user.commit("no DVC")
    done = user.init(where="lab")
    assert {"lab/.dvc/config", "lab/.dvc/.gitignore", "lab/.dvc/plots/seeds.json"} < set(done.files)
    assert user.status() == "" and not (user.root / ".dvc").exists()


def test_hydra(user: Repository) -> None:
    """Hydra writes params.yaml: our keys stand where it reads, and the one line to add is named."""
    user.write(".dvc/config", "[core]\n    analytics = false\n[hydra]\n    enabled = True\n")
    user.write("conf/config.yaml", "defaults:\n  - _self_\n")
    user.commit("mine")
    done = user.init()
    assert "conf/assay.yaml" in done.files and "params.yaml" not in done.files
    assert user.read("conf/assay.yaml").startswith("# @package _global_\n")
    assert done.notes[0].startswith(
        "Hydra writes params.yaml: add the line `  - assay` under `defaults:` in conf/config.yaml"
    )
    user.git("checkout", "--quiet", "--", "conf")
    user.init(remove=True)
    assert not (user.root / "conf/assay.yaml").exists() and user.read("conf/config.yaml") == "defaults:\n  - _self_\n"


def test_what_requires_assay(user: Repository) -> None:
    user.write("pyproject.toml", '[project]\nname = "mine"\nversion = "1"\ndependencies = ["torch"]\n')
    user.commit("mine")
    assert 'add "dvc-assay[ready]" to the dependencies in pyproject.toml' in user.init().notes
    user.init(remove=True)
    user.write("requirements.txt", "torch==2 --hash=sha256:00\n")
    user.commit("pinned")
    assert "add dvc-assay[ready] with its hash to requirements.txt" in user.init(dry_run=True).notes


def test_hydra_whose_parameters_are_in_the_way(user: Repository) -> None:
    """In a folder of its own params.yaml is ours, and Hydra writes none there."""
    user.write(".dvc/config", "[hydra]\n    enabled = True\n")
    user.write("conf/config.yaml", "defaults:\n  - _self_\ndetector: 3\nlr: 0.1\n")
    user.commit("mine")
    done = user.init(dry_run=True)
    assert "params.yaml has detector, which no stage in dvc.yaml" in done.notes[0] and "assay/params.yaml" in done.files
    user.write("conf/config.yaml", "defaults:\n  - _self_\nlr: 0.1\n")
    assert "conf/assay.yaml" in user.init(dry_run=True).files
