"""`assay try`: one idea, look by look: what is refused, what is taken along, how it goes on and ends."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from assay.commands import try_idea, try_price, try_setup
from assay.commands.measured_before import MeasuredBefore
from assay.commands.try_price import LookPrice
from assay.core import time_budget
from assay.core.errors import AssayError
from assay.core.paths import ProjectPaths
from assay.history import look_ledger
from assay.history.experiments import read
from assay.report import try_text
from assay.runtime import work_tree_snapshot
from assay.stats.arm_comparison import compare
from support.project import Project, environment


@pytest.mark.extra
def test_an_idea_ends_when_it_is_decided_and_costs_nothing_again(project: Project) -> None:
    """One experiment with the message, the declared plan in its record and in the ledger; the work tree stays."""
    (project.root / "notes.txt").write_text("mine\n")
    before = project.git("status", "--porcelain")
    done = project.assay("try", "-S", "lr=0.02", "-m", "larger steps", "--json")
    found = json.loads(done.stdout)
    assert found["verdict"] == "progress" and found["ended"] == "decided" and found["n"] == 3
    assert found["alpha"] == 0.007533, "the level of the first of the looks 3, 5, 10, 20"
    said = done.stderr.splitlines()
    assert "looks at 3, 5, 10, 20 replicates an arm" in said[0]
    assert said[1].startswith("price: at most 20 trainings of the candidate and 17 of the baseline, measured at ")
    assert said[2].startswith("n=20 finds a difference of ") and said[2].endswith(" sd) with 80 % power")
    (kept,) = read(project.root).experiments
    assert (kept.name, kept.base) == (found["experiment"], project.git("rev-parse", "HEAD"))
    assert project.git("log", "-1", "--format=%s", kept.commit) == "larger steps"
    assert project.git("status", "--porcelain") == before
    looks = [one for one in look_ledger.kept(project.root).looks if one.key.plan]
    assert [(one.key.plan, one.key.n, one.level) for one in looks] == [((3, 5, 10, 20), 3, 0.007533)]
    again = project.assay("try", "-S", "lr=0.02", "-m", "larger steps")
    assert "measured before: n=3" in again.stderr and "look 1 of 4" not in again.stderr
    assert again.stdout.startswith("progress ") and "decided at n=3: 17 of 20 trainings were saved" in again.stdout
    assert f"next: assay accept {kept.name} NAME" in again.stdout.splitlines()[-1]


@pytest.mark.extra
def test_stopped_it_goes_on_at_the_same_price(project: Project) -> None:
    """Edits are the idea; a spent budget and Ctrl-C end a call, never the idea; it stays one experiment."""
    project.edit("src/tasks/digits/learning.py", "nn.ReLU()", "nn.ReLU(inplace=False)")
    project.edit("params.yaml", "lr: 0.003", "lr: 0.02")
    project.edit("params.yaml", "looks: []", "looks: [2, 3, 6]")
    before = project.git("status", "--porcelain")
    first = project.assay("try", "--budget", "1s")
    assert "with your edits of params.yaml, src/tasks/digits/learning.py" in first.stderr
    assert "the look at n=3 takes about " in first.stderr and "stopped: the budget" in first.stdout
    (kept,) = read(project.root).experiments
    running = subprocess.Popen(
        ["assay", "try"], cwd=project.root, env=environment(project.home), stderr=subprocess.PIPE
    )
    assert running.stderr is not None
    while not running.stderr.readline().startswith(b"look 2 of 3"):
        pass
    time.sleep(0.2)  # under way, and not over yet
    running.send_signal(signal.SIGINT)
    assert b"the same command goes on" in running.stderr.read() and running.wait() == 130
    done = json.loads(project.assay("try", "--json").stdout)
    assert done["experiment"] == kept.name and [one.name for one in read(project.root).experiments] == [kept.name]
    assert done["ended"] in ("decided", "last look") and done["n"] in (3, 6)
    assert project.git("status", "--porcelain") == before
    looks = sorted((one for one in look_ledger.kept(project.root).looks if one.key.plan), key=lambda one: one.key.n)
    assert [one.key.n for one in looks] == [2, 3, 6][: len(looks)] and looks[-1].key.n == done["n"]
    assert sum(one.spends for one in looks) <= 0.05


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["lr=3e-3"], "lr=3e-3 is what strategy/first has already: it is no idea"),
        ([], "HEAD as it stands is what strategy/first has already"),
        (["replicates=5"], "replicates says how an idea is measured, and is none"),
        (["judge.looks=[3]"], "set judge.looks in params.yaml"),
        (["lr=1e-3,2e-3"], "is several values; allowed: one; next: assay sweep -S lr=1e-3,2e-3"),
        (["lr=1e-3", "lr=2e-3"], "names a parameter twice"),
        (["lr"], "-S lr is no setting"),
        (["lr=-1"], "lr is -1"),
        (["rl=0.1"], "unknown parameter 'rl'"),
    ],
)
def test_what_is_no_idea_is_refused_before_anything_trains(_first: Project, settings: list[str], said: str) -> None:
    with pytest.raises(AssayError) as refused:
        try_setup.idea(ProjectPaths(_first.root), settings, "", "try")
    assert said in refused.value.sentence


def test_edits_make_an_idea_of_their_own_and_results_do_not(project: Project) -> None:
    layout = ProjectPaths(project.root)
    first = try_setup.idea(layout, ["lr=0.02"], "", "try")
    project.edit("results/metrics.json", "{", "{ ")
    (project.root / "dvc.lock").write_text("schema: '2.0'\n")
    assert try_setup.idea(layout, ["lr=0.02"], "why", "try").cell.name == first.cell.name
    (project.root / "src/helper.py").write_text("A = 1\n")
    project.edit("src/tasks/digits/learning.py", "import torch\n", "import helper\nimport torch\n")
    with pytest.raises(AssayError, match=r"src/helper\.py imported, but not tracked by Git") as refused:
        try_setup.idea(layout, [], "", "try")
    assert refused.value.exit_code == 4
    project.git("add", "src/helper.py")
    found = try_setup.idea(layout, [], "", "try")
    assert found.edited == ["src/helper.py", "src/tasks/digits/learning.py"]
    assert found.plan == (3, 5, 10, 20) and found.at(5).settings == ("replicates=5", "judge.looks=[3,5,10,20]")
    listed = project.git("ls-tree", "-r", "--name-only", found.cell.tree).splitlines()
    assert "import helper" in project.git("show", f"{found.cell.tree}:src/tasks/digits/learning.py")
    assert "src/helper.py" in listed and project.git("show", f"{found.cell.tree}:dvc.lock") != "schema: '2.0'"
    assert project.git("diff", "--cached", "--name-only") == "src/helper.py", "the user's index is his own"
    project.edit("params.yaml", "test: welch", "test: anytime")
    assert try_setup.idea(layout, [], "", "try").at(5).settings == ("replicates=5",), "anytime needs no plan"


def test_a_removed_file_is_removed_in_the_idea(project: Project) -> None:
    (project.root / ".dvcignore").unlink()
    found = work_tree_snapshot.take(ProjectPaths(project.root))
    assert found.edited == [".dvcignore"] and ".dvcignore" not in project.git("ls-tree", "--name-only", found.tree)


def test_the_price_counts_what_is_at_hand_and_learns_from_each_look(_first: Project) -> None:
    idea = try_setup.idea(ProjectPaths(_first.root), ["lr=0.02"], "", "try")
    price = LookPrice(idea, MeasuredBefore(None, None, 3), 0)
    assert price.trainings(20) == (20, 17) and price.seconds(3) is None
    assert "how long one takes is not known yet" in try_price.lines(price)[0]
    assert "nothing was measured under this metric" in try_price.lines(price)[1]
    price = LookPrice(idea, MeasuredBefore(2.0, 0.01, 3), 0)
    assert price.seconds(3) == 6.0
    price.looked(3, 10.0)
    assert price.trainings(5) == (2, 2) and price.seconds(5) == 2 * 4 + 4.0
    assert "17 trainings of the candidate and 17 of the baseline" in try_price.lines(price)[0]
    assert "(1.0 sd)" in try_price.lines(price)[1]
    assert try_idea._beyond(price, 5, None) is None and try_idea._beyond(price, 5, 60.0) is None
    refused = try_idea._beyond(price, 5, 5.0)
    assert refused is not None and "the look at n=5 takes about 12 s, and " in refused.problem


def test_time_is_read_with_its_unit() -> None:
    assert [time_budget.parse(text) for text in ("90s", "20m", "1.5h")] == [90, 1200, 5400]
    for text in ("20", "0m", "m", "-5m", "1d", "20 minutes"):
        with pytest.raises(AssayError, match="is no span of time"):
            time_budget.parse(text)


def test_every_end_has_words_and_a_next_command() -> None:
    result = compare([0.1, 0.2, 0.3], [0.1, 0.22, 0.3])
    for ended in ("futile", "last look", "alpha is spent", "diverged", "all alike", "budget"):
        lines = try_text.text(result, ("try-1", "floor"), ("acc", ""), (5, 20), ended, "").splitlines()
        assert lines[-1].startswith("next: ") and lines[-2] and "{" not in lines[-1] + lines[-2]
    better = replace(result, verdict="progress")
    assert try_text.text(better, ("try-1", "b"), ("acc", ""), (5, 20), "decided", "said\n").startswith(
        "said\n\ndecided"
    )


def test_a_second_call_for_the_same_idea_is_refused(project: Project) -> None:
    idea = try_setup.idea(ProjectPaths(project.root), ["lr=0.02"], "", "try")
    place = project.root / ".dvc/tmp/assay/cells" / f"{idea.cell.name}.lock"
    place.parent.mkdir(parents=True, exist_ok=True)
    held = subprocess.Popen(["flock", str(place), "sleep", "30"])
    try:
        for _ in range(100):
            if place.exists() and Path(f"/proc/{held.pid}").exists():
                break
            time.sleep(0.05)
        time.sleep(0.2)
        done = project.assay("try", "-S", "lr=0.02", ok=False)
        assert done.returncode == 2 and f"another assay try measures {idea.cell.name} already" in done.stderr
    finally:
        held.terminate()
        held.wait()
