"""`assay accept` and what it has not written: refused before anything is trained, or left as it is."""

from __future__ import annotations

import subprocess

import pytest

from assay.core.errors import Exit
from support.project import Project

HOOK = "#!/bin/sh\ncat >/dev/null\n[ $1 != prepared ] || { echo main is frozen until Monday >&2; exit 1; }\n"


def refused(project: Project, said: str, code: Exit, experiment: str = "fast-lr") -> str:
    """`accept` says so in one line, trains nothing, and leaves refs and work tree as they are; the line."""
    before = project.git("for-each-ref"), project.git("status", "--porcelain")
    found = project.assay("accept", experiment, "fast", ok=False)
    assert said in found.stderr and found.returncode == code and len(found.stderr.splitlines()) == 1, found.stderr
    assert (project.git("for-each-ref"), project.git("status", "--porcelain")) == before
    return found.stderr


def with_raw_data(project: Project) -> None:
    """The folder `raw` is kept by DVC, HEAD is signed and says so, and the work tree is HEAD's."""
    project.git("checkout", "--quiet", "--force", ".")
    (project.root / "raw").mkdir()
    (project.root / "raw/labels.txt").write_text("1\n")
    (project.root / "notes.txt").write_text("1\n")
    project.dvc("add", "--quiet", "raw")
    project.git("add", "raw.dvc", ".gitignore", "notes.txt")
    key = project.root.parent / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    for name, value in {"gpg.format": "ssh", "user.signingkey": f"{key}.pub", "log.showSignature": "true"}.items():
        project.git("config", name, value)
    project.git("commit", "--quiet", "-S", "-m", "raw data")


def branch_with_other_data(project: Project) -> None:
    """The branch `data` is HEAD with another hash in raw.dvc."""
    digest = "549458bbd6aae6c5b60f9108da76a7c8"
    text = project.read("raw.dvc")
    (project.root / "raw.dvc").write_text(text.replace(text.split("md5: ")[1].split(".dir")[0], digest))
    project.git("add", "raw.dvc")
    tree = project.git("write-tree")
    project.git("branch", "data", project.git("commit-tree", tree, "-p", "HEAD", "-m", "other data"))
    (project.root / "raw.dvc").write_text(text)
    project.git("add", "raw.dvc")


@pytest.mark.extra
def test_what_it_has_not_written_is_as_it_was(ready: Project) -> None:
    """Lost before: data that were not yet `dvc add`ed, and edits of files that Git was told not to look at. Refused
    only after all training: a hook's no, and what stood in the way of a file that it brings."""
    with_raw_data(ready)
    branch_with_other_data(ready)
    (ready.root / "raw/labels.txt").write_text("1\nmine\n")
    (ready.root / "raw/new.txt").write_text("mine\n")

    ready.git("update-index", "--assume-unchanged", "notes.txt")
    (ready.root / "notes.txt").write_text("mine\n")
    said = refused(ready, "notes.txt is edited, in neither HEAD nor fast-lr", Exit.PROVENANCE)
    assert "next: git update-index --no-assume-unchanged 'notes.txt'" in said
    (ready.root / "notes.txt").write_text("1\n")

    refused(ready, "raw holds other data than its .dvc file says", Exit.PROVENANCE, "data")

    hook = ready.root / ".git/hooks/reference-transaction"
    hook.write_text(HOOK)
    hook.chmod(0o755)
    refused(ready, "(main is frozen until Monday); next: look at ", Exit.USAGE)
    hook.unlink()

    mine = ready.root / "results/confirmation.csv"
    mine.write_text("mine\n")
    refused(ready, "results/confirmation.csv is not tracked and would be overwritten", Exit.USAGE)
    mine.unlink()

    ready.assay("accept", "fast-lr", "fast")
    assert ready.read("raw/labels.txt") == "1\nmine\n" and ready.read("raw/new.txt") == "mine\n"
    assert ready.git("status", "--porcelain") == "" and ready.git("tag", "--list", "strategy/fast")
    assert ready.dvc("status", "--json", "train", ok=False).stdout.strip() == "{}", "its own outputs followed"
