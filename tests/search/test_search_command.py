"""`assay search`: what is refused before anything trains, what is read again, what is said; and a whole run."""

from __future__ import annotations

import random
from dataclasses import replace

import msgspec
import pytest

from assay.cli import search as search_cli
from assay.commands import check, search_known, search_problems, search_setup
from assay.commands import search as search_command
from assay.commands.search import SearchBudget, search, state_of
from assay.core.errors import AssayError, UsageError
from assay.core.params_yaml import load
from assay.core.paths import ProjectPaths
from assay.history import search_records
from assay.history.search_records import AskedGeneration, AskedSetting, FinishedSetting
from assay.runtime import append_only_ref, dvc_yaml
from assay.runtime.file_locks import Lock
from assay.search import tpe_installed
from assay.search.progress import ToAsk
from support.project import Project

SPACE = "{lr: {log: [1e-4, 1e-1]}, model.dropout: {float: [0, 0.5]}}"


def with_space(project: Project, space: str = SPACE, more: str = "replicates: 2") -> ProjectPaths:
    with (project.root / "params.yaml").open("a") as file:
        file.write(f"\nsearch: {{space: {space}, {more}}}\n")
    return ProjectPaths(project.root)


def finish(
    layout: ProjectPaths,
    settings: int,
    name: str = "search",
    flat: bool = False,
    lost: bool = False,
    sampler: str = "sobol",
) -> None:
    """All records of a search over so many settings, as runs leave them; nothing is trained."""
    made, chance = search_setup.setup(layout, name, settings, sampler), random.Random(7)
    terms = msgspec.structs.replace(made.terms(), metric_version="accuracy-1.00000000", direction="maximize")
    recorded = search_records.RecordedSearch(terms)
    kept = {"search.json": msgspec.json.encode(terms)}
    while True:
        state = state_of(made, recorded, lambda: search_known.starts(made))
        step = state.next(settings)
        if step is None:
            break
        if isinstance(step, ToAsk):
            asked = [
                AskedSetting(number=len(state.tried) + place, values=one.setting, point=one.point)
                for place, one in enumerate(step.proposals)
            ]
            one = AskedGeneration(number=step.generation, sampler=step.sampler, settings=asked)
            kept[f"generations/{step.generation:05}.json"] = msgspec.json.encode(one)
            recorded = replace(recorded, generations=[*recorded.generations, one])
            continue
        for setting in step.settings:
            value = -abs(setting.setting["lr"] - 0.01)
            scores = [None if lost else 0.5 if flat else 0.9 + value + chance.gauss(0, 0.01) for _ in range(2)]
            done = FinishedSetting(number=setting.number, round=step.round, scores=scores, seconds=1.0)
            kept[f"settings/{setting.number:05}-{step.round}.json"] = msgspec.json.encode(done)
            recorded = replace(recorded, finished={**recorded.finished, (setting.number, step.round): done})
    append_only_ref.grow(layout.root, search_records.ref(name), lambda _: kept)


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ("{train.lr: {log: [1e-4, 1]}}", "search.space.train.lr is no parameter of HEAD"),
        ("{train.momentum: {float: [0, 0.9]}}", "search.space.train.momentum is not read by adam"),
        (
            "{train.momentum: {float: [0, 0.9]}, train.optimizer: {choice: [sgd, adam]}}",
            "not read by adam; allowed: with sgd or rmsprop alone; next: add when: train.optimizer=sgd",
        ),
        ("{train.epochs: {int: [0, 9]}}", "search.space.train.epochs: no run takes train.epochs=0"),
        ("{train.optimizer: {choice: [adam, lion]}}", "no run takes train.optimizer=lion"),
        (
            "{seed: {int: [1, 9]}}",
            "search.space.seed: seed says how each setting is measured, and is the same for all of them; allowed: keys"
            " under lr, model, train, loss; next: leave seed out of search.space, and set it in params.yaml",
        ),
        ("{split.test: {float: [0.1, 0.2]}}", "search.space.split.test: split.test says how each setting is measured"),
        (
            "{train.beta1: {float: [0.8, 0.99]}, train.optimizer: {choice: [adam, sgd, adamw]}}",
            "search.space.train.beta1: no run takes train.beta1=0.8 with train.optimizer=sgd: params.yaml has"
            " train.beta1, and train.optimizer is sgd; allowed: train.beta1 where it is read;"
            " next: add when: train.optimizer=adam,adamw to it",
        ),
        ("{}", "search.space is empty"),
    ],
)
def test_what_the_project_does_not_take_is_refused(fresh: Project, space: str, said: str) -> None:
    with pytest.raises(AssayError) as refused:
        search_setup.setup(with_space(fresh, space), "search", None, "tpe")
    assert said in refused.value.sentence


def test_a_choice_may_need_another_key_of_the_space(fresh: Project) -> None:
    """A schedule of steps has no meaning without their length, which is there where the schedule is."""
    space = "{train.schedule: {choice: [constant, step]}, train.step_epochs: {int: [1, 3], when: schedule=step}}"
    assert search_setup.setup(with_space(fresh, space), "search", None, "tpe").own == {"train.schedule": "constant"}


def test_check_says_everything_that_a_search_would_refuse(fresh: Project) -> None:
    def found() -> list[str]:
        layout = ProjectPaths(fresh.root)
        return [one.sentence for one in search_problems.of_section(layout, load(fresh.read("params.yaml")).search)]

    before = fresh.read("params.yaml")
    with_space(fresh, "{lr: {log: [0, 1]}, model.dropout: {float: [1, 1]}, train.epochs: [1, 2]}", "objectives: [a, b]")
    assert [one.split("; ")[0] for one in found()] == [
        "params.yaml: search.objectives asks for an objective",
        "params.yaml: search.space.lr.log begins at 0, and no logarithm does",
        "params.yaml: search.space.model.dropout.float is [1, 1]",
        "params.yaml: search.space.train.epochs is [1, 2]",
    ]
    (fresh.root / "params.yaml").write_text(before)
    with_space(fresh, "{lr: {log: [1e-3, 1]}, train.momentum: {float: [0, 0.9]}, depth: {int: [1, 2]}}")
    told = [one.sentence for one in dict(check._looks(fresh.root))["search"]()]
    assert told == found() and len(told) == 2
    assert "train.momentum is not read by adam" in told[0] and "depth is no parameter of HEAD" in told[1]
    (fresh.root / "params.yaml").write_text(before)
    with_space(fresh)
    assert found() == []


def test_more_refusals(fresh: Project) -> None:
    fresh.edit("params.yaml", "profile: full", "profile: fast")
    fresh.commit("the fast profile")
    layout = with_space(fresh, "{model.hidden: {log_int: [16, 64]}}")
    with pytest.raises(UsageError, match=r"the profile fast sets model\.hidden"):
        search_setup.setup(layout, "search", None, "tpe")
    with pytest.raises(UsageError, match="'no name' is no name for a search"):
        search_setup.setup(layout, "no name", None, "tpe")


def test_the_space_is_that_of_the_work_tree_and_the_rest_that_of_head(fresh: Project) -> None:
    layout = with_space(
        fresh,
        "{lr: {log: [1e-2, 1]}, train.momentum: {float: [0, 0.9], when: optimizer=sgd},"
        " train.optimizer: {choice: [sgd, adam]}}",
    )
    made = search_setup.setup(layout, "search", 16, "tpe")
    assert made.own == {"train.optimizer": "adam", "lr": 0.003}
    assert made.outside == "lr is 0.003, and the space has lr in log [0.01, 1]" and made.plan.settings == 16
    said: list[str] = []
    assert search(fresh.root, "search", 16, None, SearchBudget(), said.append, dry_run=True) is None
    assert any(line.startswith("HEAD is outside of the space: lr is 0.003") for line in said)
    assert said[-1].startswith("price: 32 trainings of 16 settings, 2 each, up to 16 more of contenders; then 9 of up")
    assert not fresh.git("for-each-ref", "refs/assay"), "a price writes nothing"
    other = search_setup.setup(layout, "other", 16, "tpe")
    assert other.seed != made.seed and other.strategy == made.strategy


@pytest.mark.extra
def test_experiments_inside_of_the_space_are_told_and_not_trained_again(tried: Project) -> None:
    measured = tried.metrics["accuracy"]
    tried.git("reset", "--quiet", "--hard")
    layout = with_space(tried, SPACE, "replicates: 2, settings: 17")
    made = search_setup.setup(layout, "search", None, "tpe")
    (known,) = search_known.known(made)
    assert known.values == {"lr": 0.02, "model.dropout": 0.1} and (known.n, known.source) == (3, "tried")
    assert known.value == pytest.approx(measured)
    assert search_known.starts(made) == [made.own], "no experiment is measured again"
    said = tried.assay("search", "--finalists", "0").stderr
    assert "1 setting was measured before (tried): told to the sampler, and not trained again, where" in said
    assert "best of them lr=0.02 model.dropout=0.1: " in said and "(n=3, tried)" in said
    recorded = search_records.read(layout.root, "search")
    assert recorded.known == [known] and all(one.values != known.values for one, _ in recorded.settings())
    last = recorded.generations[-1]
    asked = state_of(made, replace(recorded, generations=recorded.generations[:-1]), list).next(17)
    assert [one.setting for one in asked.proposals] == [one.values for one in last.settings]
    tried.edit("src/tasks/digits/learning.py", "nn.ReLU()", "nn.GELU()")
    tried.commit("another net")
    assert search_known.known(search_setup.setup(layout, "other", None, "tpe")) == [], (
        "another code is no prior knowledge"
    )


def test_another_search_is_where_a_new_one_starts(fresh: Project) -> None:
    layout = with_space(fresh)
    finish(layout, 16)
    fresh.edit("params.yaml", "[1e-4, 1e-1]", "[1e-3, 1e-1]")
    made = search_setup.setup(layout, "narrow", None, "tpe")
    begun = search_known.starts(made)
    assert begun[0] == made.own and len(begun) == 8 and not any(made.plan.space.outside(one) for one in begun)
    known = search_known.known(made)
    assert {one.source for one in known} == {"search"} and [one.values for one in known if one.values == begun[1]]
    terms = msgspec.structs.replace(
        made.terms(), metric_version="accuracy-1.00000000", environment="", direction="maximize"
    )
    search_records.begin(layout.root, "narrow", terms, known)
    assert search_records.read(layout.root, "narrow").known == known
    other = msgspec.structs.replace(terms, environment="another machine")
    search_records.begin(layout.root, "elsewhere", other, known)
    assert search_records.read(layout.root, "elsewhere").known == [], "another environment is no prior knowledge"


def test_what_was_measured_before_moves_the_sampler_once_it_asks(fresh: Project) -> None:
    """The first 16 settings are random, whatever is known; then TPE asks, and what others measured counts."""
    layout = with_space(fresh)
    finish(layout, 24, "before")
    finish(layout, 16, "now", sampler="tpe")
    made, alone = search_setup.setup(layout, "now", 24, "tpe"), search_records.read(layout.root, "now")
    known = search_known.known(made)
    assert len(known) >= 16
    told = replace(alone, known=known)

    def asked(recorded: search_records.RecordedSearch) -> list[dict[str, object]]:
        step = state_of(made, recorded, list).next(24)
        assert isinstance(step, ToAsk) and step.sampler == "tpe"
        return [one.setting for one in step.proposals]

    assert asked(told) == asked(told), "the same records, the same settings"
    assert sum(one not in asked(alone) for one in asked(told)) >= 4, "as if nothing was known"
    first = replace(told, generations=told.generations[:1])
    step = state_of(made, first, list).next(24)
    assert isinstance(step, ToAsk) and step.sampler == "random"
    assert [one.setting for one in step.proposals] == [one.values for one in told.generations[1].settings]


def test_the_default_is_the_sampler_that_ranks_best_where_its_package_is(fresh: Project, monkeypatch) -> None:
    layout, said = with_space(fresh), list[str]()
    assert search_command._sampler(search_records.RecordedSearch(), said.append) == "tpe" and not said
    monkeypatch.setattr(tpe_installed, "installed", lambda: False)
    assert search_command._sampler(search_records.RecordedSearch(), said.append) == "sobol"
    assert "TPE ranks better: pip install 'dvc-assay[search]'" in said[0]
    finish(layout, 8)
    monkeypatch.undo()
    assert search_command._sampler(search_records.read(layout.root, "search"), said.append) == "sobol", (
        "as it was begun"
    )


def test_settings_that_no_seed_tells_apart_have_no_spread(fresh: Project) -> None:
    """Seeds differ, as their first weights do; settings do not: nothing can be chosen, and nothing is confirmed."""
    layout = with_space(fresh)
    finish(layout, 8, flat=True)
    files = append_only_ref.read(layout.root, search_records.ref("search"))[0].files
    alike = {
        path: content.replace(b"[0.5,0.5]", b"[0.4,0.6]")
        for path, content in files.items()
        if path.startswith("settings/")
    }
    append_only_ref.grow(layout.root, search_records.ref("search"), lambda _: alike)
    found = search(fresh.root, "search", 8, "sobol", SearchBudget(), print)
    assert found is not None and found.flat and found.confirmed is None


def test_the_price_of_a_space_of_few_settings_is_that_of_all_of_them(fresh: Project) -> None:
    with_space(fresh, "{model.dropout: {choice: [0, 0.2, 0.4]}}")
    said: list[str] = []
    search(fresh.root, "search", 64, "sobol", SearchBudget(), said.append, dry_run=True)
    assert "the space has 3 settings and no more: the search ends with them" in said
    assert said[-1].startswith("price: 8 trainings of 4 settings, 2 each"), "HEAD's own, outside of it, and all three"


def test_what_is_recorded_is_read_and_ranked(fresh: Project) -> None:
    layout = with_space(fresh)
    finish(layout, 16)
    said: list[str] = []
    found = search(fresh.root, "search", 16, "sobol", SearchBudget(finalists=0), said.append)
    assert found is not None and (found.tried, found.diverged, found.ended, found.confirmed) == (16, 0, "", None)
    assert "going on: " in said[1] and "price: 0 trainings of 0 settings" in said[-1]
    best = found.ranked[0]
    assert 0.003 < best.setting["lr"] < 0.03 and best.n == 4 and best.shrunk is not None and best.shrunk < best.raw
    done = fresh.assay("search", "--settings", "16", "--sampler", "sobol", "--finalists", "0")
    assert "family: all 16 settings that were tried" in done.stdout and "only confirmed decides" in done.stdout
    shown = search_cli._plain(found)
    assert shown["settings"][0]["values"] == best.setting and len(shown["settings"]) == 16


@pytest.mark.extra
def test_of_few_settings_it_says_confirm(fresh: Project) -> None:
    layout = with_space(fresh)
    finish(layout, 8)
    found = search(fresh.root, "search", 8, "sobol", SearchBudget(finalists=0), print)
    assert found is not None and all(one.shrunk is None for one in found.ranked)
    done = fresh.assay("search", "--settings", "8", "--sampler", "sobol", "--finalists", "0")
    assert "confirm: of fewer than 10 settings nobody can say what picking the best adds" in done.stdout


@pytest.mark.extra
def test_a_metric_without_spread_and_a_search_in_which_all_diverge(fresh: Project) -> None:
    layout = with_space(fresh)
    finish(layout, 8, "flat", flat=True)
    done = fresh.assay("search", "flat", "--settings", "8", "--sampler", "sobol")
    assert "it has no spread, and nothing can be chosen by it" in done.stdout
    finish(layout, 8, "lost", lost=True)
    with pytest.raises(UsageError, match="none of 8 settings finished"):
        search(fresh.root, "lost", 16, "sobol", SearchBudget(), print)


@pytest.mark.extra
def test_a_space_that_was_edited_halfway_two_at_once_and_a_spent_budget(fresh: Project) -> None:
    layout = with_space(fresh)
    finish(layout, 8)
    held = Lock.take(dvc_yaml.store(layout.root).cells / "search-search", wait=False)
    assert held is not None
    with pytest.raises(UsageError, match=r"another assay search search is at work.*next: .*assay search search-2"):
        search(fresh.root, "search", 8, "sobol", SearchBudget(), print)
    held.release()
    with pytest.raises(UsageError, match="the next step takes 16 trainings, and --trainings 5 is spent") as spent:
        search(fresh.root, "search", 16, "sobol", SearchBudget(trainings=5), print)
    assert spent.value.sentence.endswith("allowed: --trainings 16 or more; next: the same command with --trainings 16")
    assert len(search_records.read(layout.root, "search").generations) == 1, "refused before it is asked for"
    with pytest.raises(UsageError, match="its sampler is 'tpe', and the search search was begun with 'sobol'"):
        search(fresh.root, "search", 8, "tpe", SearchBudget(), print)
    fresh.edit("src/tasks/digits/learning.py", "from __future__", "# as ever\nfrom __future__")
    fresh.commit("a comment")
    assert search(fresh.root, "search", 8, "sobol", SearchBudget(finalists=0), print) is not None
    fresh.edit("src/tasks/digits/learning.py", "nn.ReLU()", "nn.GELU()")
    fresh.commit("another net")
    with pytest.raises(UsageError, match="what HEAD trains beside the space is not what the search"):
        search(fresh.root, "search", 8, "sobol", SearchBudget(finalists=0), print)
    fresh.git("reset", "--quiet", "--hard", "HEAD~")
    fresh.edit("params.yaml", "[1e-4, 1e-1]", "[1e-4, 1e0]")
    with pytest.raises(UsageError) as refused:
        search(fresh.root, "search", 8, "sobol", SearchBudget(), print)
    changed = "search.space has lr in log [0.0001, 1], and the search search was begun with lr in log [0.0001, 0.1]"
    assert changed in refused.value.sentence
    assert "next: assay search search-2 begins a new one" in refused.value.sentence


@pytest.mark.extra
def test_a_damaged_record_counts_as_none(fresh: Project) -> None:
    layout = with_space(fresh)
    finish(layout, 8)
    append_only_ref.grow(layout.root, search_records.ref("search"), lambda _: {"settings/00003-0.json": b"{"})
    found = search_records.read(layout.root, "search")
    assert (3, 0) not in found.finished and list(found.damaged) == ["settings/00003-0.json"] and not found.broken
    again = FinishedSetting(number=3, round=0, scores=[0.1, 0.2], seconds=1.0)
    search_records.add_finished(layout.root, "search", again)
    search_records.add_finished(layout.root, "search", msgspec.structs.replace(again, scores=[0.3, 0.4]))
    assert search_records.read(layout.root, "search").finished[3, 0] == again, "the first to finish has measured it"
    append_only_ref.grow(layout.root, search_records.ref("search"), lambda _: {"generations/00000.json": b"{"})
    with pytest.raises(UsageError, match=r"generations/00000\.json in refs/assay/search/search is damaged"):
        search(fresh.root, "search", 8, "sobol", SearchBudget(), print)


@pytest.mark.extra
def test_a_whole_run_and_again_after_its_ref_was_deleted(project: Project) -> None:
    with_space(project, "{lr: {log: [1e-3, 1e-1]}}", "replicates: 2, settings: 9")
    before = project.git("status", "--porcelain")
    done = project.assay("search", "--finalists", "1")
    assert "after the first setting: a training takes" in done.stderr and "9 of 9 settings" in done.stderr
    assert done.stderr.count("price: ") == 2, "known better after the first setting"
    assert "measuring 1 finalists as experiments" in done.stderr
    assert project.git("status", "--porcelain") == before
    records = search_records.read(project.root, "search")
    assert records.terms is not None and records.terms.metric_version.startswith("accuracy-1.")
    again = project.assay("search", "--finalists", "1")
    assert again.stdout == done.stdout and "is measured: search-" in again.stderr
    project.git("update-ref", "-d", "refs/assay/search/search")
    for name in project.git("for-each-ref", "--format=%(refname)", "refs/exps").splitlines():
        project.git("update-ref", "-d", name)
    anew = project.assay("search", "--finalists", "0")
    assert "9 of 9 settings" in anew.stderr
    rebuilt = search_records.read(project.root, "search")
    assert rebuilt.generations == records.generations
    assert {key: one.scores for key, one in rebuilt.finished.items()} == {
        key: one.scores for key, one in records.finished.items()
    }
