"""`assay sync`: two clones and a bare remote; nothing that anybody looked at is lost, whoever is first."""

from __future__ import annotations

import json

import pytest
from gitproject import Project
from test_ledger import asked

from assay.history import look_ledger, rescored_metrics, search_records
from assay.history.rescored_metrics import RescoredScore
from assay.history.search_records import AskedGeneration, AskedSetting, FinishedSetting, SearchTerms
from assay.runtime import append_only_ref
from assay.tags.strategy_events import Score


@pytest.fixture
def clones(project, tmp_path) -> tuple[Project, Project]:
    """Two clones of one bare repository."""
    project.git("init", "-q", "--bare", str(tmp_path / "bare.git"))
    project.git("remote", "add", "origin", str(tmp_path / "bare.git"))
    project.git("push", "-q", "origin", "main")
    project.git("clone", "-q", "-b", "main", str(tmp_path / "bare.git"), str(tmp_path / "other"))
    return project, Project(tmp_path / "other")


def test_looks_are_joined_and_the_next_one_pays_for_all(clones, capsys):
    one, two = clones
    first, second = (look_ledger.look(each.path, asked(seed))[0] for each, seed in zip(clones, (1, 2), strict=True))
    assert first.level == second.level == 0.04
    one.assay("status")
    assert "1 of 1 looks and attempts are on no remote; next: assay sync" in capsys.readouterr().out
    for project, said in [(one, (0, 1)), (two, (1, 1)), (one, (1, 0))]:
        assert project.assay("sync", "--json") == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["came"], found["went"]) == said
    known = [look_ledger.read(each.path) for each in clones]
    assert known[0] == known[1] and {one.level for one in known[0].looks} == {0.04}, "given levels stand"
    assert look_ledger.look(one.path, asked(1))[1].known
    assert look_ledger.look(two.path, asked(3))[1].hold, "both have spent it all"
    one.assay("status")
    assert "on no remote" not in capsys.readouterr().out
    tips = {each.git("rev-parse", append_only_ref.LOOKS) for each in clones}
    for project in (two, one, two, one):
        project.assay("sync")
    assert len({each.git("rev-parse", append_only_ref.LOOKS) for each in clones}) == 1 and len(tips) == 2, (
        "it comes to rest"
    )


def test_a_plain_fetch_cannot_replace_what_is_here(clones):
    one, two = clones
    for project, commit in zip(clones, ("aa11", "bb22"), strict=True):
        rescored_metrics.write(project.path, "accuracy-2.0", {commit: Score(n=3, mean=0.5)})
        look_ledger.look(project.path, asked())
    two.assay("sync")
    with pytest.raises(AssertionError, match="rejected"):
        one.git("fetch", "origin", "refs/assay/*:refs/assay/*")
    assert rescored_metrics.tables(one.path) == {"accuracy-2.0": {"aa11": RescoredScore(n=3, mean=0.5)}}
    one.assay("sync")
    two.assay("sync")
    assert all(set(rescored_metrics.tables(each.path)["accuracy-2.0"]) == {"aa11", "bb22"} for each in clones)
    assert len(look_ledger.read(one.path).looks) == 1, "the same look twice is one"


def test_a_table_that_an_earlier_version_wrote_is_read_joined_and_written_anew(clones):
    one, two = clones
    for project, commit in zip(clones, ("aa11", "bb22"), strict=True):
        blob = project.git("hash-object", "-w", "--stdin", stdin=json.dumps({commit: {"n": 3, "mean": 0.5}}))
        project.git("update-ref", f"{rescored_metrics.FOLDER}/accuracy-2.0", blob)
    assert set(rescored_metrics.tables(one.path)["accuracy-2.0"]) == {"aa11"}
    two.git("push", "-q", "origin", f"{rescored_metrics.FOLDER}/accuracy-2.0")
    for project in (one, two):
        assert project.assay("sync") == 0
    assert all(set(rescored_metrics.tables(each.path)["accuracy-2.0"]) == {"aa11", "bb22"} for each in clones)
    assert one.git("cat-file", "-t", f"{rescored_metrics.FOLDER}/accuracy-2.0") == "commit"


def test_without_a_remote_or_with_one_that_is_away_it_says_so(project, capsys):
    assert project.assay("sync") == 2 and "there is no remote 'origin'; allowed: none is set" in capsys.readouterr().err
    project.git("remote", "add", "origin", "/nowhere/at/all")
    look_ledger.look(project.path, asked())
    assert project.assay("sync") == 2
    said = capsys.readouterr().err
    assert said.startswith("assay: git fetch failed") and "Traceback" not in said
    assert len(look_ledger.read(project.path).looks) == 1


def searched(project, name="wide", settings=(0,), environment="machine", value=0.5):
    """Records of a search as its runs leave them: terms, one generation of two settings, scores of `settings`."""
    terms = SearchTerms(
        space="[]", replicates=2, seed=7, sampler="sobol", strategy="s", code="c", data="d", environment=environment,
        metric="accuracy", metric_version="accuracy-1.0", direction="maximize", worst=None,
    )  # fmt: skip
    search_records.begin(project.path, name, terms, [])
    asked = [AskedSetting(number=number, values={"lr": 10.0**-number}, point=number) for number in range(2)]
    search_records.add_generation(project.path, name, AskedGeneration(number=0, sampler="sobol", settings=asked))
    for number in settings:
        done = FinishedSetting(number=number, round=0, scores=[value, value], seconds=number + value)
        search_records.add_finished(project.path, name, done)


def test_a_search_goes_along_and_two_that_went_on_apart_by_the_same_path_are_one(clones, capsys):
    one, two = clones
    searched(one)
    assert one.assay("sync") == 0 and two.assay("sync") == 0
    assert search_records.read(two.path, "wide") == search_records.read(one.path, "wide")
    searched(one, settings=(0, 1))
    searched(two, settings=(1,), value=0.6)
    for project in (one, two, one):
        assert project.assay("sync") == 0
    assert "two searches" not in capsys.readouterr().err
    for project in clones:
        assert set(search_records.read(project.path, "wide").finished) == {(0, 0), (1, 0)}
    kept = [search_records.read(each.path, "wide").finished[1, 0].scores for each in clones]
    assert kept == [[0.6, 0.6], [0.6, 0.6]], "of two measurements of a setting, that of who joined them"
    assert len({each.git("rev-parse", search_records.ref("wide")) for each in clones}) == 1


def test_two_searches_of_one_name_are_never_mixed(clones, capsys):
    one, two = clones
    searched(one)
    searched(two, environment="another machine", settings=(1,))
    assert one.assay("sync") == 0
    before = search_records.read(two.path, "wide")
    capsys.readouterr()
    assert two.assay("sync") == 0
    said = capsys.readouterr().err
    assert "refs/assay/search/wide: here and on origin are two searches (their environment differs)" in said
    assert search_records.read(two.path, "wide") == before
    assert one.assay("sync") == 0 and search_records.read(one.path, "wide").terms.environment == "machine"
    capsys.readouterr()
    two.assay("sync", "--json")
    assert list(json.loads(capsys.readouterr().out)["apart"]) == ["refs/assay/search/wide"]
    command = said.partition("next: ")[2].strip().split(" ", 1)[1]
    two.git(*command.split())
    assert search_records.read(two.path, "wide-origin").terms.environment == "machine", "the command that it names"
