"""Replicates of a script: what they may do, what is refused, what is kept."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET

from assay.core.errors import AssayError, UsageError
from assay.core.schemas import Note
from assay.runtime import parent_watch
from support import scripted
from support.scripted import measured, project

#: a script of a few lines; its first one is given
HEAD = "import json, os, sys\nfrom pathlib import Path\nout, seed = Path(sys.argv[2]), int(sys.argv[1])\n"
REPORT = '(out / "metrics.json").write_text(json.dumps({"val": {"accuracy": seed / 2**32}}))\n'
SHORT: dict[str, Any] = {"command": "python -S train.py {seed} {out}", "ruler": []}


def short(tmp_path: Path, body: str, beside: dict[str, str] | None = None, /, **task: Any) -> Path:
    """A project whose script is `body` between the reading of its arguments and its report."""
    script = {"train.py": f"{HEAD}{body}\n{REPORT}"}
    return project(tmp_path / "project", {**script, **(beside or {})}, **{**SHORT, **task})


def said(root: Path, **changes: Any) -> str:
    with pytest.raises(UsageError) as error:
        measured(root, 1, **changes)
    return error.value.sentence


def test_numbers_logs_and_kept_files_and_none_of_it_twice(tmp_path: Path) -> None:
    root = project(tmp_path / "project", keep=["{out}/model.pt"])
    first = measured(root)
    values = [one.reported for one in first.replicates]
    assert len(set(values)) == 2 and all(isinstance(one, float) and abs(one - 0.6) < 0.1 for one in values)
    assert (root / "logs/candidate/0.log").read_text() == "training at lr 0.1\n"
    assert (root / "models/candidate/1/model.pt").read_bytes() == b"no pickle"
    again = measured(root, 3)
    assert [one.reused for one in again.replicates] == [True, True, False]
    assert [one.reported for one in again.replicates][:2] == values
    assert (root / "models/candidate/0/model.pt").read_bytes() == b"no pickle"
    assert (root / "logs/candidate/0.log").read_text() == "training at lr 0.1\n"
    assert not list((root / ".dvc/tmp/assay/scripts").iterdir()), "nothing is left of the copies"


def test_another_helper_parameter_file_or_environment_is_another_replicate(tmp_path: Path) -> None:
    root = short(tmp_path, "import helper", {"helper.py": "A = 1\n", "configs/a.json": "{}"}, files=["configs"])
    known = measured(root, 1).replicates[0]
    assert not known.reused and measured(root, 1).replicates[0].reused
    assert not measured(root, 1, environment="another").replicates[0].reused
    scripted.write(root, {"helper.py": "A = 1  # a comment\n"})
    assert measured(root, 1).replicates[0].reused
    for name, text in {
        "helper.py": "A = 2\n",
        "configs/a.json": "{ }",
        "params.yaml": scripted.params(**SHORT),
    }.items():
        scripted.write(root, {name: text})
        assert not measured(root, 1).replicates[0].reused, name


@pytest.mark.extra
def test_a_damaged_entry_runs_again(tmp_path: Path) -> None:
    root = short(tmp_path, '(out / "w").write_bytes(b"1")', keep=["{out}/w"])
    measured(root, 1)
    (kept,) = (root / ".dvc/tmp/assay/replicates").glob("*/kept/w")
    kept.write_bytes(b"2")
    assert not measured(root, 1).replicates[0].reused


def test_the_copy_has_what_git_tracks_as_it_stands_and_nothing_else(tmp_path: Path) -> None:
    body = 'assert Path("tracked").read_text() == "edited" and not Path("untracked").exists(); Path("new").touch()'
    root = short(tmp_path, body, {"tracked": "as committed"})
    scripted.write(root, {"tracked": "edited", "untracked": ""})
    measured(root, 1)
    assert not (root / "new").exists()


def test_a_crash_is_an_error_that_names_log_and_last_lines(tmp_path: Path) -> None:
    root = short(tmp_path, 'print("begin"); raise RuntimeError("no data")')
    text = said(root)
    assert "candidate replicate 0 (seed" in text and "ended with exit code 1" in text
    assert "RuntimeError: no data" in text and "logs/candidate/0.log" in text
    assert "RuntimeError" in (root / "logs/candidate/0.log").read_text()


def test_a_signal_is_a_crash(tmp_path: Path) -> None:
    assert "was ended by signal 9" in said(short(tmp_path, "os.kill(os.getpid(), 9)"))


@pytest.mark.parametrize("end", [pytest.param("", marks=pytest.mark.extra), "sys.exit(1)"])
def test_nan_diverges_however_the_script_ends(tmp_path: Path, end: str) -> None:
    body = f"""if seed % 2:
    (out / "metrics.json").write_text('{{"val": {{"accuracy": NaN}}}}'); {end or "sys.exit(0)"}"""
    root = short(tmp_path, body)
    found = measured(root, 4).replicates
    assert {one.seed % 2 == 1 for one in found} == {True, False}
    for one in found:
        assert (one.diverged is not None) == (one.seed % 2 == 1) == (one.reported is UNSET)


@pytest.mark.extra
def test_all_diverged(tmp_path: Path) -> None:
    root = short(tmp_path, "(out / 'metrics.json').write_text('{\"val\": {\"accuracy\": NaN}}'); sys.exit()")
    with pytest.raises(AssayError, match="all 2 replicates diverged"):
        measured(root, 2)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ('Path("params.yaml").write_text("x")', "changed params.yaml, which Git tracks"),
        ('Path("dvc.yaml").write_text("x")', "changed dvc.yaml, which Git tracks (DVCLive does"),
        ('Path("train.py").unlink()', "changed train.py, which Git tracks"),
        ('Path("large").open("a").write("x")', "changed large, which Git tracks"),
        ('Path("data/raw/a").write_text("x")', "changed data/raw (a), which task.files shares"),
        ('Path("data/raw/b").write_text("x")', "changed data/raw (b), which task.files shares"),
        ("sys.exit()", "prints no number: it wrote no metrics.json"),
        ('print("x" * 10)', "wrote no {out}/model.pt, which task.keep names"),
    ],
)
def test_what_is_refused(tmp_path: Path, body: str, text: str) -> None:
    files = {"dvc.yaml": "stages: {}\n", "large": "x" * 2**21, ".gitignore": "/data\n__pycache__/\n"}
    keep = ["{out}/model.pt"] if "model.pt" in text else []
    root = short(tmp_path, body, files, files=["data/raw"], keep=keep)
    scripted.write(root, {"data/raw/a": "1"})
    assert text in said(root)
    assert len((root / "large").read_text()) == 2**21


def test_a_tracked_file_that_is_written_as_it_was_is_unchanged(tmp_path: Path) -> None:
    measured(short(tmp_path, 'Path("params.yaml").write_bytes(Path("params.yaml").read_bytes())'), 1)


def test_it_may_read_what_files_names(tmp_path: Path) -> None:
    body = 'assert Path("data/raw/a").read_text() == "1" and Path("configs/b").read_text() == "2"'
    root = short(tmp_path, body, {".gitignore": "/data\n", "configs/a": ""}, files=["data/raw", "configs"])
    scripted.write(root, {"data/raw/a": "1", "configs/b": "2"})
    found = measured(root, 1)
    assert [one.text for one in found.notes if isinstance(one, Note)] == [
        "data/raw, configs: in neither Git nor DVC, so that another clone cannot repeat this"
    ]


def test_a_limit_of_time(tmp_path: Path) -> None:
    root = short(tmp_path, "print('begin', flush=True); import time; time.sleep(60)", timeout=0.5)
    assert "took longer than task.timeout (0.5 s)" in (text := said(root)) and "begin" in text


def test_modules_that_are_called_like_pythons_own(tmp_path: Path) -> None:
    """Python looks beside the script first; another version of such a module is another replicate."""
    files = {"secrets.py": "A = 1\n", "queue.py": "raise SystemExit('no queue of mine')\n"}
    root = short(tmp_path, "import secrets; assert secrets.A", files)
    measured(root, 1)
    scripted.write(root, {"secrets.py": "A = 2\n"})
    assert not measured(root, 1).replicates[0].reused


@pytest.mark.extra
def test_several_at_a_time_end_together(tmp_path: Path) -> None:
    bad = "if seed == int(os.environ.get('BAD', 0)): raise SystemExit('bad')"
    body = f"import time\n{bad}\ntime.sleep(float(os.environ.get('LONG', 0)))"
    root = short(tmp_path, body, parallel=3)
    found = measured(root, 3).replicates
    assert [one.number for one in found] == [0, 1, 2]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BAD", str(found[1].seed))
        patch.setenv("LONG", "60")
        began = time.monotonic()
        with pytest.raises(UsageError, match=r"replicate 1 .*bad"):
            measured(root, 3, environment="another")
        assert time.monotonic() - began < 20


def test_a_script_with_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", "hush-hush")
    monkeypatch.setenv("DVC_EXP_NAME", "mine")
    root = short(tmp_path, "print(os.environ['SERVICE_TOKEN'], 'DVC_EXP_NAME' in os.environ)")
    measured(root, 1)
    assert (root / "logs/candidate/0.log").read_text() == "*** False\n"


@pytest.mark.extra
def test_a_script_in_a_folder_of_a_larger_repository(tmp_path: Path) -> None:
    """Files beside the folder of dvc.yaml are there, and `python -m` finds the module from that folder."""
    root = short(tmp_path, "sys.path.insert(0, '..'); import shared", command="python -m train {seed} {out}")
    top = tmp_path / "many"
    top.mkdir()
    root.rename(top / "mine")
    scripted.write(top, {"shared.py": "A = 1\n"})
    shutil.rmtree(top / "mine/.git")
    scripted.git(top, "init", "--quiet")
    scripted.commit(top)
    measured(top / "mine", 1)
    scripted.write(top, {"shared.py": "A = 2\n"})
    assert not measured(top / "mine", 1).replicates[0].reused


def test_ctrl_c_ends_all_of_it(tmp_path: Path) -> None:
    root = short(tmp_path, "Path(os.environ['TOLD']).write_text(str(os.getpid())); import time; time.sleep(60)")
    told = tmp_path / "told"

    def interrupt() -> None:
        while not told.exists() or not told.read_text():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    heeded = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOLD", str(told))
        threading.Thread(target=interrupt).start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            measured(root, 3)
    signal.signal(signal.SIGINT, heeded)
    assert time.monotonic() - began < 30
    assert not parent_watch.alive(int(told.read_text()))


def test_an_interpreter_of_the_projects_own_that_git_does_not_track(tmp_path: Path) -> None:
    """`env/bin/python`, as a command names it: copies of the tree have none, and are led to it."""
    root = short(
        tmp_path, "", {".gitignore": "/env\n__pycache__/\n"}, command="env/bin/python -S train.py {seed} {out}"
    )
    (root / "env/bin").mkdir(parents=True)
    (root / "env/bin/python").symlink_to(sys.executable)
    assert measured(root, 1).replicates[0].reported is not None
