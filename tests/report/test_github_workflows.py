"""Workflows for GitHub: what may write runs nothing of a pull request, and trusts neither its number nor its text."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from assay.cli import root as cli
from assay.commands import github_workflows
from assay.core.errors import UsageError
from assay.report.page import page_marks

PLACE = Path(github_workflows.__file__).parents[1] / "templates/report/github"


def workflow(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((PLACE / name).read_text(encoding="utf-8"))
    return found


def steps(name: str) -> list[dict[str, Any]]:
    (job,) = workflow(name)["jobs"].values()
    found: list[dict[str, Any]] = job["steps"]
    return found


def test_who_runs_foreign_code_may_only_read() -> None:
    assert workflow("assay-report.yml")["permissions"] == {"contents": "read"}
    assert not any("secrets." in str(step) for step in steps("assay-report.yml"))
    assert steps("assay-report.yml")[0]["with"]["persist-credentials"] is False
    assert not any("${{" in step.get("run", "") for name in github_workflows.NAMES for step in steps(name))


def test_who_may_write_checks_nothing_out_and_runs_nothing() -> None:
    assert workflow("assay-comment.yml")["permissions"] == {"actions": "read", "pull-requests": "write"}
    used = [step["uses"].partition("@")[0] for step in steps("assay-comment.yml")]
    assert used == ["actions/download-artifact", "actions/github-script"]
    assert not any("run" in step for step in steps("assay-comment.yml"))


HARNESS = """
const calls = [], failed = []
const core = { notice: () => 0, setFailed: (why) => failed.push(why) }
const context = { repo: { owner: 'o', repo: 'r' } }
const issues = {
  listComments: 'list',
  updateComment: (given) => calls.push(['update', given]),
  createComment: (given) => calls.push(['create', given]),
}
const pulls = { get: async () => ({ data: { head: { sha: 'abc' } } }) }
const github = { paginate: async () => COMMENTS, rest: { pulls, issues } }
const run = async () => { SCRIPT }
run().then(() => console.log(JSON.stringify({ calls, failed })))
"""


def posted(folder: Path, number: str, text: str, head: str = "abc", comments: tuple[Any, ...] = ()) -> dict[str, Any]:
    """What the script would do with an artifact: it runs in Node with GitHub's own calls replaced."""
    (folder / "comment").mkdir(exist_ok=True)
    (folder / "comment/number").write_text(number, encoding="utf-8")
    (folder / "comment/comment.md").write_text(text, encoding="utf-8")
    script = HARNESS.replace("SCRIPT", steps("assay-comment.yml")[1]["with"]["script"])
    script = script.replace("COMMENTS", json.dumps(comments))
    env = {"HEAD_SHA": head, "PATH": os.environ["PATH"]}
    done = subprocess.run(["node", "-e", script], cwd=folder, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
def test_number_and_text_of_a_pull_request_are_hostile(tmp_path: Path) -> None:
    text = f"{page_marks.MARK}\n# x\n<img src=x> ![a](http://b) [c]: d @octocat #12 @<!-- -->kept\n" + "y" * 70_000
    (kind, given), *more = posted(tmp_path, "7", text)["calls"]
    assert kind == "create" and not more and given["issue_number"] == 7 and len(given["body"]) < 65_536
    body = given["body"].replace("<!-- -->", "·")
    assert body.startswith(page_marks.MARK) and body.count("<") == 1
    assert "@octocat" not in body and "#12" not in body and "](" not in body and "http:/" not in body
    assert "@·kept" in body
    for number in ("7\n8", "-1", "0x7", "", "7/../../x", "９"):
        assert posted(tmp_path, number, text) == {"calls": [], "failed": ["the number is none"]}
    assert posted(tmp_path, "7", text, head="other")["failed"] == ["that is another pull request"]
    mine = {"id": 5, "user": {"type": "Bot"}, "body": page_marks.MARK}
    theirs = {"id": 4, "user": {"type": "User"}, "body": page_marks.MARK}
    ((kind, given),) = posted(tmp_path, "7", text, comments=(theirs, mine))["calls"]
    assert kind == "update" and given["comment_id"] == 5


def test_they_are_written_once_and_over_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    monkeypatch.chdir(tmp_path)
    assert cli.run(["report", "--github"]) == 0
    assert sorted(path.name for path in (tmp_path / ".github/workflows").iterdir()) == sorted(github_workflows.NAMES)
    assert github_workflows.write(tmp_path) == []
    changed = tmp_path / ".github/workflows/assay-comment.yml"
    changed.write_text("mine", encoding="utf-8")
    (tmp_path / ".github/workflows/assay-report.yml").unlink()
    with pytest.raises(UsageError, match="another content"):
        github_workflows.write(tmp_path)
    assert changed.read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / ".github/workflows/assay-report.yml").exists()
    assert cli.run(["report", "--github", "--markdown"]) == 2
