"""A real repository with what Assay looks at, and short words to change it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from assay.cli import root as command_line
from assay.tags.strategy_events import Accepted, Event, RecordedComparison, Score, Seeds, tag_of
from assay.tags.trailers import format_event

PARAMS = """\
# what a run measures
lr: 0.001          # step size
replicates: 10
seed: 1
profile: full
baseline: floor    # floor, a tag or a commit

task:
  name: digits
train:
  epochs: 20
  schedule: constant
metric:
  name: accuracy
"""
VERSION = "accuracy-1.5f3c9a2e"


def metrics(mean=0.97, verdict="progress", delta=0.01, version=VERSION, baseline=0.96, **more) -> str:
    found = {
        "schema": 1,
        "accuracy": mean,
        "sd": 0.004,
        "n": 10,
        "diverged": 0,
        "baseline": baseline,
        "delta": delta,
        "ci_low": delta - 0.004,
        "ci_high": delta + 0.004,
        "p": 0.0001,
        "verdict": verdict,
        "metric_version": version,
        "profile": "full",
        **more,
    }
    return json.dumps(found, indent=2) + "\n"


class Project:
    """A repository with what Assay looks at, and short words to change it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.git_environment: dict[str, str] = {}

    def git(self, *args: str, stdin: str | None = None, env: dict[str, str] | None = None) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.path), *args],
            input=stdin,
            capture_output=True,
            text=True,
            env={**os.environ, **self.git_environment, **(env or {})},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def write(self, files: dict[str, str]) -> None:
        for name, content in files.items():
            place = self.path / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(content, encoding="utf-8")

    def commit(self, files: dict[str, str] | None = None, message: str = "Change") -> str:
        self.write(files or {})
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.head

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    def experiment(self, name: str, files: dict[str, str], base: str = "HEAD") -> str:
        """A commit on top of `base` under refs/exps, as DVC leaves one; work tree and index stay."""
        base = self.git("rev-parse", base)
        scratch = {"GIT_INDEX_FILE": str(self.path / ".git" / "scratch-index")}
        self.git("read-tree", base, env=scratch)
        for path, content in files.items():
            blob = self.git("hash-object", "-w", "--stdin", stdin=content)
            self.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=scratch)
        tree = self.git("write-tree", env=scratch)
        commit = self.git("commit-tree", tree, "-p", base, "-m", f"dvc: commit experiment {name}")
        self.git("update-ref", f"refs/exps/{base[:2]}/{base[2:]}/{name}", commit)
        return commit

    def tag(self, event: Event) -> str:
        name = tag_of(event)
        self.git("tag", "-a", "--cleanup=verbatim", "-F", "-", name, event.commit, stdin=format_event(event, name))
        return self.git("rev-parse", f"refs/tags/{name}")

    def assay(self, *args: str) -> int:
        """Run `assay ARGS` in this process, in the project's folder."""
        before = Path.cwd()
        os.chdir(self.path)
        try:
            return command_line.run(args)
        finally:
            os.chdir(before)


def accepted(commit: str, name: str = "adam", sequence: int = 1, **changes) -> Accepted:
    better, worse = Score(10, 0.9712, 0.004), Score(10, 0.96, 0.0051)
    comparison = RecordedComparison("progress", better, worse, 0.0112, 0.0069, 0.0155, 0.00004, 0.025)
    fields = {
        "metric": "accuracy",
        "metric_version": VERSION,
        "profile": "full",
        "baseline": "floor",
        "baseline_commit": "",
        "experiment": f"exp-{name}",
        "experiment_commit": commit,
        "changed": ["lr: 0.0003"],
        "selection": comparison,
        "confirmation": comparison,
        "attempts": 1,
        "seeds": Seeds(1, "confirmation", 10, 20000, 30000),
        "environment": "torch 2.13.0; cpu; x86_64; Linux",
        "test": Score(10, 0.9698, 0.004),
        **changes,
    }
    return Accepted(name=name, sequence=sequence, commit=commit, **fields)
