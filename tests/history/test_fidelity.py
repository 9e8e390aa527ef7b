"""`assay fidelity`: groups of both profiles are paired, a certificate is kept, and no verdict carries a stale one."""

from __future__ import annotations

import dataclasses
import json
import shutil

import msgspec
import pytest
from gitproject import PARAMS, Project

from assay.commands.fidelity import fidelity
from assay.core.paths import ProjectPaths
from assay.history import fidelity_certificates, profile_groups
from assay.history.experiments import read
from assay.runtime import git
from assay.stages import verdict as stage_verdict

pytestmark = pytest.mark.extra

GIVEN = f"{PARAMS}profiles: {{full: {{}}, fast: {{train: {{epochs: 5}}}}}}\n"
LOCK = """\
schema: '2.0'
stages:
  train:
    cmd: assay stage train
    deps:
    - path: context/code-train.json
      md5: {code}
    - path: data/split/train
      md5: {data}.dir
"""
COLUMNS = "arm,strategy,identity,replicate,seed,status,metric_version,profile,direction,min_effect,worst,environment"
VERSION = "accuracy-1.5f3c9a2e"


def files(profile, rate, value, version=VERSION, status="ok", code="c" * 32, data="d" * 32, environment="env", n=3):
    rows = [f"{COLUMNS},same_as,accuracy"]
    for number in range(n):
        score = f"{value + number / 1000:.4f}" if status == "ok" or number else ""
        state = "ok" if score else "diverged"
        rows.append(
            f"candidate,candidate,{rate}-{profile},{number},{number + 100},{state},{version},{profile},maximize,0.005,,"
            f"{environment},,{score}"
        )
    params = GIVEN.replace("profile: full", f"profile: {profile}").replace("lr: 0.001", f"lr: {rate}")
    return {
        "params.yaml": params,
        "dvc.lock": LOCK.format(code=code, data=data),
        "results/replicates.csv": "\n".join(rows) + "\n",
        "results/metrics.json": json.dumps({"schema": 1, "profile": profile, "metric_version": version}),
    }


@pytest.fixture(scope="module")
def twelve(template, tmp_path_factory):
    """Twelve settings in both profiles; fast ranks the best of them low."""
    project = Project(shutil.copytree(template, tmp_path_factory.mktemp("twelve") / "project"))
    project.commit({"params.yaml": GIVEN})
    for place in range(12):
        rate = round(0.002 + place / 1000, 4)
        project.experiment(f"full-{place}", files("full", rate, 0.5 + place / 50))
        project.experiment(f"fast-{place}", files("fast", rate, 0.4 + place / 60 - 0.11 * (place == 11)))
    return project.path


@pytest.fixture
def measured(twelve, tmp_path):
    return Project(shutil.copytree(twelve, tmp_path / "measured"))


def fast_group(project):
    return next(one for one in profile_groups.find(project.path, read(project.path)) if one.profile == "fast")


def test_a_certificate_from_what_is_kept(measured, capsys):
    found = fidelity(measured.path, None, [].append)
    one = found.certificate
    assert (one.settings, one.pairs, one.separated, one.alike, one.word) == (12, 66, 66, 60.0, "measured")
    assert (found.settings["full-0"], found.alone, found.left, one.speed_up) == ("fast-0", [], {}, None)
    assert fidelity(measured.path, "fast", [].append).certificate == one, "nothing new is nothing to record"
    assert measured.assay("fidelity") == 0
    said = capsys.readouterr().out
    assert "full separates 66 of 66 pairs; fast orders 60 of them alike: 91% [" in said and "certified: " in said
    assert measured.assay("fidelity", "--json") == 0
    assert json.loads(capsys.readouterr().out)["certificate"]["separated"] == 66
    measured.experiment("full-more", files("full", 0.5, 0.9))
    measured.experiment("fast-more", files("fast", 0.5, 0.9))
    assert fidelity(measured.path, None, [].append).certificate.number == 2


def test_no_certificate_outlives_its_conditions(measured):
    one, group = fidelity(measured.path, None, [].append).certificate, fast_group(measured)
    assert fidelity_certificates.holding(measured.path, group) == one
    other = {
        "metric_version": "accuracy-2.00000000",
        "data": "other",
        "baseline": "0" * 40,
        "environment": "another torch",
        "profiles": {**group.terms.profiles, "fast": "other"},
    }
    assert set(other) | {"schema"} == set(group.terms.__struct_fields__), "a new condition wants its line here"
    for name, value in other.items():
        moved = dataclasses.replace(group, terms=msgspec.structs.replace(group.terms, **{name: value}))
        assert fidelity_certificates.holding(measured.path, moved) is None, name
    full = dataclasses.replace(
        group, terms=msgspec.structs.replace(group.terms, profiles={**group.terms.profiles, "full": "other"})
    )
    assert fidelity_certificates.holding(measured.path, full) is None
    assert fidelity_certificates.holding(measured.path, dataclasses.replace(group, profile="faster")) is None
    unrelated = {**group.terms.profiles, "third": "new"}
    kept = dataclasses.replace(group, terms=msgspec.structs.replace(group.terms, profiles=unrelated))
    assert fidelity_certificates.holding(measured.path, kept) == one, "another profile says nothing of these two"
    against = dataclasses.replace(group, against="the tag names another strategy today")
    assert fidelity_certificates.holding(measured.path, against) is None


def test_what_does_not_count_is_named(measured):
    measured.experiment("full-diverged", files("full", 0.7, 0.9, status="diverged"))
    measured.experiment("full-single", files("full", 0.8, 0.9, n=1))
    measured.experiment("full-alone", files("full", 0.9, 0.9))
    measured.experiment("fast-old", files("fast", 0.9, 0.9, version="accuracy-0.00000000"))
    measured.experiment("fast-data", files("fast", 0.9, 0.9, data="e" * 32))
    measured.experiment("fast-elsewhere", files("fast", 0.9, 0.9, environment="gpu"))
    measured.experiment("fast-code", files("fast", 0.9, 0.9, code="f" * 32))
    measured.experiment("broken", {"results/replicates.csv": "a,b\n1", "params.yaml": "lr: [", "dvc.lock": "x"})
    found = fidelity(measured.path, None, [].append)
    assert found.certificate.settings == 12 and sorted(found.alone) == ["fast-code (fast)", "full-alone (full)"]
    assert found.left == {
        "full-diverged": "a replicate diverged, and the metric names no worst value",
        "full-single": "it has fewer than two replicates",
        "fast-old": "another metric version",
        "fast-data": "another data",
        "fast-elsewhere": "another environment",
    }


def test_a_damaged_certificate_certifies_nothing(measured):
    fidelity(measured.path, None, [].append)
    group, ref = fast_group(measured), fidelity_certificates.FIDELITY
    path = measured.git("ls-tree", "-r", "--name-only", ref)
    text = measured.git("show", f"{ref}:{path}").replace('"settings": 12', '"settings": 99')
    blob = measured.git("hash-object", "-w", "--stdin", stdin=text)
    index = {"GIT_INDEX_FILE": str(measured.path / ".git/other-index")}
    measured.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=index)
    commit = measured.git("commit-tree", measured.git("write-tree", env=index), "-m", "edited")
    measured.git("update-ref", ref, commit)
    assert fidelity_certificates.holding(measured.path, group) is None
    measured.git("update-ref", "-d", ref)
    assert fidelity_certificates.holding(measured.path, group) is None, "a ref that is gone is no certificate"


def test_a_fast_verdict_carries_it_or_says_unmeasured(measured, capsys):
    measured.write({**files("fast", 0.003, 0.5), "results/verdict.txt": "progress accuracy\n"})
    stage_verdict.main(measured.path, [])
    unmeasured = "fidelity of fast to full: unmeasured; next: assay fidelity"
    assert capsys.readouterr().out == f"progress accuracy\n{'':11}{unmeasured}\n"
    fidelity(measured.path, None, [].append)
    stage_verdict.main(measured.path, [])
    assert "fidelity of fast to full: orders 91% [" in capsys.readouterr().out
    measured.write(files("fast", 0.003, 0.5, data="e" * 32))
    stage_verdict.main(measured.path, [])
    assert "unmeasured" in capsys.readouterr().out
    measured.write(files("full", 0.003, 0.5))
    stage_verdict.main(measured.path, [])
    assert "fidelity" not in capsys.readouterr().out


def test_the_price_comes_first_and_is_of_what_one_profile_lacks(measured):
    said = list[str]()
    measured.experiment("full-alone", files("full", 0.9, 0.9))
    measured.experiment("fast-alone", files("fast", 0.8, 0.9, n=2))
    before = measured.git("for-each-ref")
    assert fidelity(measured.path, None, said.append, 1, dry_run=True) is None
    assert said == ["price: 3 trainings of 1 settings and 1 starts of DVC; how long one takes is not known yet"]
    fidelity(measured.path, None, said.append, 9, dry_run=True)
    assert said[1].startswith("price: 5 trainings of 2 settings")
    assert measured.git("for-each-ref") == before


@pytest.mark.parametrize(
    ("params", "words", "said"),
    [
        (PARAMS, (), "params.yaml has the profiles full; allowed: full and a cheaper one"),
        (GIVEN, ("--profile", "quick"), "--profile quick is none to certify; allowed: fast"),
        (GIVEN.replace("fast:", "a: {}, b:"), (), "2 profiles stand beside full; allowed: --profile a or b"),
        (GIVEN, ("--measure", "3"), "no experiment is kept in one profile alone (0 settings in both)"),
    ],
)
def test_refusals(project, capsys, params, words, said):
    project.commit({"params.yaml": params})
    assert project.assay("fidelity", *words) == 2
    assert said in capsys.readouterr().err


def test_nothing_kept_is_unmeasured_and_not_an_error(project, capsys):
    project.commit({"params.yaml": GIVEN})
    assert project.assay("fidelity") == 0
    assert "unmeasured: fewer than two settings" in capsys.readouterr().out
    assert git.resolve(project.path, fidelity_certificates.FIDELITY) is None
    assert profile_groups.of_work_tree(ProjectPaths(project.path), project.path) is None


def test_compare_and_status_say_it_too(measured, capsys):
    assert measured.assay("compare", "fast-0", "fast-1", "--test", "paired") == 0
    assert "fidelity of fast to full: unmeasured; next: assay fidelity" in capsys.readouterr().out
    fidelity(measured.path, None, [].append)
    assert measured.assay("compare", "fast-0", "fast-1", "--test", "paired") == 0
    assert "fidelity of fast to full: orders 91% [" in capsys.readouterr().out
    assert measured.assay("compare", "full-0", "full-1", "--test", "paired") == 0
    assert "fidelity" not in capsys.readouterr().out
    shown = {"verdict": "progress", "accuracy": 0.5, "sd": 0.1, "n": 3, "baseline": 0.4, "delta": 0.1}
    measured.write(files("fast", 0.003, 0.5))
    text = {"schema": 1, "profile": "fast", "metric_version": VERSION, **shown}
    measured.write({"results/metrics.json": json.dumps(text)})
    measured.assay("status")
    assert "fidelity of fast to full: orders 91% [" in capsys.readouterr().out
