"""Data in files outside of Git: what runs in a repository of its own finds them, without a copy."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from assay.core.errors import UsageError
from assay.runtime import project_root as projects
from assay.scratch import scratch_repo
from assay.scratch.dvc_repro import furnish
from assay.stages import prepare
from support.project import Project

FOREIGN = """
  publish:  # what must happen once, and by hand
    cmd: touch {0}/published
    deps: [results/metrics.json]
    outs: [published.txt]
  beside:
    cmd: touch {0}/beside
    outs: [beside.txt]
"""


def of_photos(project: Project) -> Project:
    """`project`, whose task reads the same examples from photos/, a folder that Git ignores, beside foreign stages."""
    sklearn = importlib.util.find_spec("sklearn")
    assert sklearn is not None and sklearn.origin is not None
    (project.root / "photos").mkdir()
    shutil.copy2(Path(sklearn.origin).parent / "datasets/data/digits.csv.gz", project.root / "photos")
    project.edit("src/tasks/digits/data.py", 'Path(package.origin).parent / "datasets" / "data" /', 'Path("photos") /')
    code = "      - src/tasks/${task.name}/data.py\n"
    project.edit("dvc.yaml", code, f"{code}      - photos\n")
    for path, more in {"dvc.yaml": FOREIGN.format(project.root.parent), ".gitignore": "photos/\n"}.items():
        (project.root / path).write_text(project.read(path) + more, encoding="utf-8")
    project.commit("read photos from a folder")
    return project


def laid_out(project: Project) -> Path:
    """The project's commit in a repository of its own, ready to run."""
    layout = projects.find(project.root)
    made = scratch_repo.lay_out(layout, project.git("rev-parse", "HEAD"), project.root / ".dvc/tmp/assay/cells/x-1")
    furnish(made)
    shown = subprocess.run(["git", "-C", made.top, "status", "--porcelain"], capture_output=True, text=True).stdout
    assert shown == "", "a link is nothing that a run made"
    return made.layout.root


@pytest.mark.extra
def test_an_acceptance_and_a_sweep_of_photos_in_a_folder(ready: Project) -> None:
    """Foreign stages beside and behind ours stay out of it."""
    ready.git("checkout", "--quiet", "HEAD", "--", ".")
    photos = of_photos(ready)
    photos.dvc("exp", "run", "-S", "lr=0.02", "-n", "seen", "evaluate")
    photos.assay("accept", "seen", "seen", "--allow", "bundle", "--why", "the examples are the same")
    assert photos.git("tag", "--list", "strategy/seen")
    assert json.loads(photos.assay("sweep", "-S", "lr=0.01,0.003", "--json").stdout)["failed"] == {}
    assert not (photos.root.parent / "published").exists() and not (photos.root.parent / "beside").exists()
    assert photos.git("log", "--all", "--format=%H", "--", "photos") == "", "nothing of it got into Git"


@pytest.mark.extra
def test_a_baseline_of_photos_in_a_folder_is_measured_again(ready: Project) -> None:
    """On other examples by its weights, and anew where those saw them; its own training data are of that folder."""
    ready.git("checkout", "--quiet", "HEAD", "--", ".")
    photos = of_photos(ready)
    photos.dvc("exp", "run", "-S", "lr=0.02", "-n", "seen", "evaluate")
    photos.assay("accept", "seen", "seen", "--allow", "bundle", "--why", "the examples are the same")
    found = json.loads(photos.assay("rebaseline", "--json").stdout)
    assert (found["way"], found["n"]) == ("re-train", 3), "a strategy that was never a baseline"
    photos.edit("params.yaml", "test: 0.1", "test: 0.05")
    assert json.loads(photos.assay("rebaseline", "--json").stdout)["way"] == "re-infer"
    photos.edit("params.yaml", "validation: 0.2", "validation: 0.5")
    assert json.loads(photos.assay("rebaseline", "--json").stdout)["way"] == "re-train"
    assert photos.git("log", "--all", "--format=%H", "--", "photos") == ""


def test_what_prepare_reads_may_lie_outside_of_the_project(tmp_path: Path) -> None:
    """A dependency by its absolute path ended in a traceback."""
    (tmp_path / "project").mkdir()
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.txt").write_text("a\n", encoding="utf-8")
    (found,) = prepare._states(tmp_path / "project", str(tmp_path / "photos"))
    assert found[:2] == ("../photos/a.txt", 2)


def test_files_that_nobody_keeps_are_taken_as_dvc_lock_knows_them(fresh: Project) -> None:
    photos = of_photos(fresh)
    with pytest.raises(UsageError, match=r"photos, which prepare needs, .* is not in dvc.lock; next: dvc add 'photos'"):
        laid_out(photos)
    photos.dvc("repro", "--quiet", "prepare")
    photos.commit("prepared")
    assert (laid_out(photos) / "photos").readlink() == photos.root / "photos"
    # Some files of the folder in Git, the others not.
    (photos.root / "photos/note.txt").write_text("scanned\n", encoding="utf-8")
    photos.git("add", "--force", "photos/note.txt")
    photos.dvc("repro", "--quiet", "prepare")
    photos.commit("one of them in Git")
    made = laid_out(photos) / "photos"
    assert not (made / "note.txt").is_symlink() and (made / "digits.csv.gz").is_symlink()
    (photos.root / "photos/note.txt").unlink()
    photos.git("rm", "--quiet", "--cached", "photos/note.txt")
    photos.commit("none of them")
    with pytest.raises(UsageError, match=r"photos, .* is not as DVC knows it \(\w{32}.dir\); next: dvc add"):
        laid_out(photos)
    shutil.rmtree(photos.root / "photos")
    with pytest.raises(UsageError, match=r"photos, which prepare needs, is in neither Git, DVC's cache, nor your"):
        laid_out(photos)


def test_what_dvc_keeps_is_linked_to_its_cache(fresh: Project) -> None:
    photos = of_photos(fresh)
    photos.edit(".gitignore", "photos/\n", "")
    photos.dvc("add", "--quiet", "photos")
    photos.commit("keep photos")
    cached = {path.stat().st_ino for path in (photos.root / ".dvc/cache").rglob("*") if path.is_file()}
    assert (laid_out(photos) / "photos/digits.csv.gz").stat().st_ino in cached
    shutil.rmtree(photos.root / ".dvc/cache")
    assert (laid_out(photos) / "photos").readlink() == photos.root / "photos", "the user has what the cache lost"
    (photos.root / "photos/more.txt").write_text("not added yet\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"photos, which photos.dvc needs, .*; next: dvc"):
        laid_out(photos)
    shutil.rmtree(photos.root / "photos")
    with pytest.raises(UsageError, match=r"photos, .* is in neither Git, DVC's cache, .*; next: dvc pull 'photos.dvc'"):
        laid_out(photos)
