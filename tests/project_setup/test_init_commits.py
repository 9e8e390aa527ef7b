"""`assay init` commits its own files alone, keeps what the user edits, and writes nothing where Git says no."""

from __future__ import annotations

import pytest

from assay.cli.report import PAGE
from assay.core.errors import AssayError, ProvenanceError, UsageError
from project_setup.conftest import Repository

FILES = {".gitignore", "dvc.yaml", "params.yaml", "plots/dvc.yaml", "task.py", "tests/test_assay_task.py"}
PLOTS = {f".dvc/plots/{name}.json" for name in ("cases", "intervals", "reliability", "replicates", "seeds")}


def committed(user: Repository) -> set[str]:
    return set(user.git("diff", "--name-only", "HEAD^", "HEAD").split())


def test_a_table_in_a_plain_repository(user: Repository) -> None:
    done = user.init()
    assert done.template == "table" and "data/plants.csv: a table of 30 rows, label 'species' (3 classes)" in done.took
    assert committed(user) == {*FILES, *PLOTS} == set(done.files)
    assert user.status() == "" and done.next[0] == "dvc exp run"
    assert not [note for note in done.notes if "neither Git nor DVC" in note]
    assert any("`No file hash info found`" in note for note in done.notes), "nineteen lines of DVC are said before"
    assert "  file: data/plants.csv " in user.read("params.yaml") and "- ${data.file}" in user.read("dvc.yaml")
    for path in ("models/candidate", "results/verdict.txt", "data/split/report.json", PAGE):
        assert user.git("check-ignore", f"{path}{'' if '.' in path else '/'}")
    for path in ("models/unet.py", "data/load.py", "results/metrics.json", "context/x/../../contexts.py"):
        assert not user.run("git", "check-ignore", path, ok=False).stdout, "no folder that code could lie in"

    before = user.state()
    again = user.init()
    assert (
        again.files == []
        and again.commit == ""
        and not any("hash info" in note for note in again.notes)
        and user.state() == before
    )


def test_what_the_user_edits_stays_his(user: Repository) -> None:
    """HEAD's version and our lines are committed; the work tree and the index keep both."""
    user.write(".gitignore", "*.bak\n")
    user.write("requirements.txt", "torch\n")
    user.write("params.yaml", "lr: 0.5\n")
    user.commit("mine")
    user.write(".gitignore", "*.bak\n*.edited\n")
    user.write("requirements.txt", "torch\nnumpy\n")
    user.git("add", "requirements.txt")
    user.write("requirements.txt", "torch\nnumpy\nscipy")
    user.write("params.yaml", "lr: 0.25\n")
    user.write("other.txt", "staged\n")
    user.git("add", "other.txt")
    user.write("README", "edited\n")
    user.init()
    assert "*.edited" not in user.at("HEAD", ".gitignore") and "/models/candidate/" in user.at("HEAD", ".gitignore")
    assert user.read(".gitignore").startswith("*.bak\n*.edited\n") and "/models/candidate/" in user.read(".gitignore")
    assert user.at("HEAD", "requirements.txt") == "torch\ndvc-assay[ready]\n"
    assert user.at("", "requirements.txt") == "torch\nnumpy\ndvc-assay[ready]\n", "staged"
    assert user.read("requirements.txt") == "torch\nnumpy\nscipy\ndvc-assay[ready]"
    assert user.at("HEAD", "params.yaml").startswith("lr: 0.5\n") and user.read("params.yaml").startswith("lr: 0.25\n")
    assert user.status().split("\n")[:-1] == [
        " M .gitignore", " M README", "A  other.txt", " M params.yaml", "MM requirements.txt"
    ]  # fmt: skip
    assert user.git("diff", "--stat", "--", ".gitignore").endswith("1 file changed, 1 insertion(+)")


def test_a_hook_that_refuses_leaves_no_trace(user: Repository) -> None:
    user.write(
        ".git/hooks/pre-commit",
        "#!/bin/sh\ntest -f task.py && git diff --cached --name-only > seen\necho no >&2\nexit 1\n",
    )
    (user.root / ".git/hooks/pre-commit").chmod(0o755)
    before = user.state()
    with pytest.raises(ProvenanceError, match=r"Git refused the commit, so nothing was written: no") as error:
        user.init()
    assert "assay init --no-commit" in error.value.hint
    assert "task.py" in user.read("seen"), "the hook saw what was to be committed"
    (user.root / "seen").unlink()
    assert user.state() == before

    (user.root / ".git/hooks/pre-commit").write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
    user.init()
    assert committed(user) > FILES


@pytest.mark.parametrize("sign", ["MERGE_HEAD", "rebase-merge/head", "CHERRY_PICK_HEAD", "REVERT_HEAD", "BISECT_LOG"])
def test_nothing_is_written_during(user: Repository, sign: str) -> None:
    user.write(f".git/{sign}", f"{user.git('rev-parse', 'HEAD')}\n")
    before = user.state()
    with pytest.raises(ProvenanceError, match=r"is under way in this repository"):
        user.init()
    assert user.state() == before


def test_a_real_merge_and_a_detached_head(user: Repository) -> None:
    user.git("checkout", "--quiet", "-b", "side")
    user.write("README", "side\n")
    user.commit("side")
    user.git("checkout", "--quiet", "main")
    user.write("README", "main\n")
    user.commit("main")
    user.git("merge", "side", ok=False)
    before = user.state()
    with pytest.raises(ProvenanceError, match="a merge is under way") as error:
        user.init()
    assert "git merge --abort" in error.value.hint and user.state() == before
    user.git("merge", "--abort")
    user.git("checkout", "--quiet", "--detach")
    with pytest.raises(ProvenanceError, match="HEAD is detached"):
        user.init()


def test_a_dry_run_shows_the_diff_and_writes_nothing(user: Repository) -> None:
    user.write(".gitignore", "*.bak\n")
    before = user.state()
    done = user.init(dry_run=True)
    assert "+++ b/task.py" in done.diff and "--- a/.gitignore" in done.diff and "+/models/candidate/" in done.diff
    assert set(done.files) == {*FILES, *PLOTS} and user.state() == before


def test_without_a_commit_the_command_is_printed(user: Repository) -> None:
    """It is run, and a second `assay init` knows that all is done."""
    done = user.init(commit=False)
    head = user.git("rev-parse", "HEAD")
    assert done.commit == "" and user.git("log", "--format=%s") == "start" and (user.root / "task.py").is_file()
    user.run("sh", "-c", done.next[0])
    assert user.git("rev-parse", "HEAD^") == head and user.status() == ""
    assert user.init().files == []
    assert set(user.init(remove=True).files) == {*FILES, *PLOTS}
    assert user.git("diff", head, "HEAD") == ""


def test_what_was_never_committed_is_taken_out_too(user: Repository) -> None:
    before = user.state()
    user.init(commit=False)
    done = user.init(remove=True)
    assert set(done.files) == {*FILES, *PLOTS} and not done.commit
    assert user.state() == before
    with pytest.raises(UsageError, match="no commit of `assay init`"):
        user.init(remove=True)


def test_killed_before_its_commit_it_goes_on(user: Repository) -> None:
    user.init(commit=False)
    user.git("update-ref", "-d", "refs/assay/init")
    done = user.init()
    assert set(done.files) == {*FILES, *PLOTS} == committed(user) and user.status() == ""


def test_before_the_first_commit_and_without_git(user: Repository) -> None:
    (user.root / ".git").rename(user.root.parent / "gone")
    before = sorted(user.root.iterdir())
    with pytest.raises(UsageError, match="is in no Git repository") as error:
        user.init("data/plants.csv")
    assert error.value.hint == "assay init --git data/plants.csv" and sorted(user.root.iterdir()) == before
    with pytest.raises(UsageError, match=r"nowhere\.csv is not there"):
        user.init("nowhere.csv", make_git=True)
    assert "task.py" in user.init(make_git=True, dry_run=True).diff and sorted(user.root.iterdir()) == before
    done = user.init(make_git=True)
    assert {*FILES, *PLOTS} <= set(done.files) and user.git("log", "--format=%s") == "Set up Assay for data/plants.csv"
    (note,) = [one for one in done.notes if "neither Git nor DVC" in one]
    add = "dvc add data/plants.csv && git add data/plants.csv.dvc && git commit -m 'Track data/plants.csv' -- "
    assert note.endswith(f"{add}data/plants.csv.dvc")
    assert user.git("check-ignore", "data/plants.csv"), "else DVC puts it into the commit of each experiment"
    assert set(user.init(remove=True).files) == set(done.files)
    assert "task.py" not in user.git("ls-files")


def test_remove_takes_out_exactly_what_init_put_in(user: Repository) -> None:
    user.write(".gitignore", "*.bak")
    user.write("requirements.txt", "torch\r\nnumpy\r\n")
    user.write("dvc.yaml", "stages:\n  fetch:\n    cmd: ./fetch\n\n# the end\nplots: []")
    user.write("params.yaml", "seed: 4")
    head = user.commit("mine")
    user.init()
    user.write("requirements.txt", user.bytes("requirements.txt").replace(b"torch", b"torch>2"))
    user.write("other.py", "new\n")
    done = user.init(remove=True)
    assert user.git("diff", "--stat", head, "HEAD") == "" and "requirements.txt" in done.files
    assert user.bytes("requirements.txt") == b"torch>2\r\nnumpy\r\n"
    assert user.status() == " M requirements.txt\n?? other.py\n"
    with pytest.raises(UsageError, match="no commit of `assay init`"):
        user.init(remove=True)
    user.git("checkout", "--quiet", "--", ".")
    assert user.init().files, "and again"
    user.init(remove=True)
    assert user.git("diff", "--stat", head, "HEAD") == ""


def test_remove_refuses_what_the_user_changed(user: Repository) -> None:
    user.init()
    user.edit("params.yaml", "lr: 0.003", "lr: 0.03")
    user.edit("task.py", "loss, model", "model, loss")
    user.commit("mine")
    before = user.state()
    with pytest.raises(AssayError, match=r"params.yaml, task.py were changed since init wrote there") as error:
        user.init(remove=True)
    assert user.state() == before
    assert "model, loss" in user.run("sh", "-c", error.value.hint).stdout
    user.git("rm", "--quiet", "params.yaml", "task.py")
    user.git("commit", "--quiet", "-m", "not mine any more")
    user.init(remove=True)
    assert not (user.root / "dvc.yaml").exists()
