"""`assay ablate --accepted`: each accepted change taken out of the baseline, by settings and a merge; no training."""

from __future__ import annotations

import csv
import io
import json

import pytest

from assay.baseline import accepted_strategy
from assay.commands import accepted_changes
from assay.commands.ablate_accepted import ablate_accepted
from assay.commands.experiment_grid import Wanted
from assay.core.errors import AssayError
from assay.core.paths import ProjectPaths
from assay.runtime import dvc_yaml
from support.project import Project

pytestmark = pytest.mark.extra

COLUMNS = "arm,strategy,identity,replicate,seed,status,metric_version,direction,min_effect,worst,environment,same_as,"


def kept(project: Project, one, values: list[float]) -> None:  # type: ignore[no-untyped-def]
    """Keep an experiment as a cell's run leaves it."""
    common = "ok,accuracy-1.00000000,maximize,0.005,,env,,full"
    rows = [f"candidate,candidate,{one.name},{n},{n + 9},{common},{value}" for n, value in enumerate(values)]
    project.git("switch", "--quiet", "--detach", one.base)
    (project.root / "results/replicates.csv").write_text("\n".join([f"{COLUMNS}profile,accuracy", *rows, ""]))
    project.git("update-ref", one.ref, project.commit(one.label))
    project.git("switch", "--quiet", "--force", "main")


def test_what_was_accepted_is_taken_out_and_judged(done: Project) -> None:
    layout = ProjectPaths(done.root)
    said = list[str]()
    assert ablate_accepted(done.root, said.append, Wanted("ablate", 4), dry_run=True) is None
    assert said[0] == "without fast: lr=0.003" and said[1].startswith("price: 8 trainings of 2 settings")
    baseline = accepted_strategy.resolve(dvc_yaml.current(done.root), "strategy/fast")
    made = accepted_changes.find(layout, baseline, Wanted("ablate", 4))
    assert set(made.without) == {"fast"} and not made.left
    one = made.without["fast"]
    assert "lr=0.003" in one.settings and "baseline=strategy/fast" in one.settings
    kept(done, made.centre, [0.9, 0.91, 0.92, 0.93])
    kept(done, one, [0.8, 0.812, 0.819, 0.83])
    found = json.loads(done.assay("ablate", "--accepted", "--replicates", "4", "--json").stdout)
    (change,) = found["changes"]
    assert change["strategy"] == "fast" and change["without"] == "regression" and found["n"] == 4
    text = done.assay("ablate", "--accepted", "--replicates", "4").stdout
    assert "fast still brings a gain: the baseline is worse without it" in text


def test_refusals(project: Project) -> None:
    with pytest.raises(AssayError, match="nothing was accepted on the way to strategy/first"):
        ablate_accepted(project.root, [].append, Wanted("ablate"))
    with pytest.raises(AssayError, match="nothing is accepted: baseline: is floor"):
        project.edit("params.yaml", "baseline: strategy/first", "baseline: floor")
        ablate_accepted(project.root, [].append, Wanted("ablate"))
    both = project.assay("ablate", "--accepted", "-S", "lr=0.1", ok=False)
    assert both.returncode == 2 and "it takes neither -S nor --branch" in both.stderr


def test_code_is_merged_out_and_what_later_changes_need_is_named(project: Project) -> None:
    """Three commits as acceptances leave them, the middle one taken out of the last."""
    layout, source = ProjectPaths(project.root), "src/tasks/digits/learning.py"
    first = project.git("rev-parse", "HEAD")
    text = project.read(source)
    (project.root / source).write_text(f"FIRST = 1\n{text}")
    middle = project.commit("middle")
    (project.root / source).write_text(f"FIRST = 1\n{text}\n\nLAST = 1\n")
    project.edit("params.yaml", "lr: 0.003", "lr: 0.004")
    last = project.commit("last")
    tree = accepted_changes._tree(layout, last, middle, first)
    without = project.git("show", f"{tree}:{source}")
    assert "LAST = 1" in without and "FIRST = 1" not in without
    assert project.git("show", f"{tree}:params.yaml") == project.git("show", f"{last}:params.yaml")
    assert accepted_changes._settings(layout, last, last, middle) == ("lr=0.003",)
    project.edit("params.yaml", "lr: 0.004", "lr: 0.005")
    later = project.commit("later")
    with pytest.raises(AssayError, match="a later change set lr again"):
        accepted_changes._settings(layout, later, last, middle)
    (project.root / source).write_text(f"FIRST = 2\n{text}")
    conflicting = project.commit("conflicting")
    with pytest.raises(AssayError, match=f"later changes build on it in {source}"):
        accepted_changes._tree(layout, conflicting, middle, first)


def test_two_accepted_changes_are_trained_without_and_judged_for_real(done: Project) -> None:
    """Two acceptances, then the baseline without each of them: trained, judged as one family, read again."""
    done.dvc("exp", "run", "-S", "train.epochs=8", "-n", "longer")
    done.assay("accept", "longer", "longer")
    ran = done.assay("ablate", "--accepted", "--replicates", "3")
    assert "without fast: lr=0.003" in ran.stderr and "without longer: train.epochs=3" in ran.stderr
    assert "price: 9 trainings of 3 settings" in ran.stderr and ran.stderr.count("running ") == 3
    found = json.loads(done.assay("ablate", "--accepted", "--replicates", "3", "--json").stdout)
    assert found["baseline"] == "strategy/longer" and found["n"] == 3 and not found["left"] and not found["failed"]
    assert {one["strategy"] for one in found["changes"]} == {"fast", "longer"}

    def values(ref: str) -> dict[str, float]:
        text = done.git("show", f"{ref}:results/replicates.csv")
        rows = [row for row in csv.DictReader(io.StringIO(text)) if row["arm"] == "candidate"]
        return {row["seed"]: float(row["accuracy"]) for row in rows}

    refs = done.git("for-each-ref", "--format=%(refname)", "refs/exps").splitlines()
    cells = {ref.rpartition("/")[2]: values(ref) for ref in refs if ref.rpartition("/")[2].startswith("ablate-")}
    assert len(cells) == 3 and len({frozenset(one) for one in cells.values()}) == 1, "three cells on the same seeds"
    centre = next(one for name, one in cells.items() if name not in {each["experiment"] for each in found["changes"]})
    for one in found["changes"]:
        cell = cells[one["experiment"]]
        assert one["delta_without"] == pytest.approx(sum(cell[seed] - centre[seed] for seed in centre) / 3)
        assert one["finding"] and one["without"] in ("regression", "inconclusive", "equivalent", "progress")
    again = done.assay("ablate", "--accepted", "--replicates", "3")
    assert again.stdout == ran.stdout and again.stderr.count("is measured: ablate-") == 3
