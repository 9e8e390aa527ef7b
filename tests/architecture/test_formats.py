"""docs/formats.md against the sources: what outside readers rely on is added to, and never taken away."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import assay
from assay.cli.root import COMMANDS
from assay.core.errors import Exit
from assay.core.paths import STAGES
from assay.tags.strategy_events import KINDS
from support.project import Project

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/formats.md").read_text(encoding="utf-8")
#: as the first release has them; lines are added here, never removed
PROMISED = {
    "stages": {"context", "prepare", "split", "baseline", "train", "evaluate", "verdict"},
    "metrics": {
        *("schema", "sd", "n", "diverged", "baseline", "delta", "ci_low", "ci_high", "p", "verdict", "level"),
        *("metric_version", "profile", "commit"),
    },
    "columns": {"arm", "strategy", "seed", "status"},
    "tags": {"strategy", "attempt", "rejected", "revoked", "remeasured", "rescored"},
    "commands": {
        *("compare", "status", "ablate", "sweep", "accept", "reject", "revoke", "rebaseline", "rescore", "guard"),
        *("export", "log", "profile", "cache"),
    },
    "codes": {0: "DONE", 1: "BUG", 2: "USAGE", 3: "INCOMPARABLE", 4: "PROVENANCE", 5: "GATE"},
    "public": {"compare", "load"},
}


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def named(text: str) -> set[str]:
    return {name for part in re.findall(r"`([^`]+)`", text) for name in part.split(", ")}


def test_names_of_stages_commands_tags_and_codes() -> None:
    assert PROMISED["stages"] <= set(STAGES) and PROMISED["stages"] <= named(section("Stages and files"))
    assert PROMISED["commands"] <= set(COMMANDS) and PROMISED["commands"] <= named(section("Commands"))
    assert PROMISED["tags"] <= set(KINDS)
    assert all(f"refs/tags/{tag}/" in section("Git") for tag in PROMISED["tags"])
    assert PROMISED["codes"] == {int(code): code.name for code in Exit}
    assert PROMISED["public"] <= set(assay.__all__) and "compare, load" in section("Python")


def test_paths_are_those_that_stages_write() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    entries = [one for stage in stages.values() for kind in ("outs", "metrics", "plots") for one in stage.get(kind, [])]
    written = {next(iter(one)) if isinstance(one, dict) else one for one in entries}
    promised = {
        name
        for name in named(section("Stages and files"))
        if re.match(r"(data|models|predictions|results|plots)/", name)
    }
    assert len(promised) >= 14 and promised <= written


@pytest.mark.extra
def test_keys_and_columns_of_a_run(tried: Project) -> None:
    assert PROMISED["metrics"] <= set(tried.metrics) & named(section("results/metrics.json"))
    columns = set(tried.replicates("candidate")[0])
    assert PROMISED["columns"] <= columns & named(section("results/replicates.csv"))


def test_a_clone_has_every_folder_of_the_layout() -> None:
    """Also those that only the pipeline fills: with a page that says what lands there."""
    listed = Project(ROOT, ROOT).git("ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    top = {path.partition("/")[0] for path in listed}
    assert top == {
        *(".ci", ".dvc", ".dvcignore", ".gitignore", ".pre-commit-config.yaml", "CHANGELOG.md", "LICENSE", "README.md"),
        *(
            "benchmarks",
            "constraints.txt",
            "data",
            "docs",
            "dvc.lock",
            "dvc.yaml",
            "mkdocs.yml",
            "params.yaml",
            "plots",
            "pyproject.toml",
            "src",
            "tests",
        ),
    }
    assert {path for path in listed if path.startswith("data/")} == {"data/README.md"}
