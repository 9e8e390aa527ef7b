"""`search:` in params.yaml: what a space gives, what is refused in words, and that it is part of no strategy."""

from __future__ import annotations

import pytest

from assay.core import params_yaml, search_section
from assay.core.errors import UsageError
from assay.core.search_space import SearchSpace, written

PARAMS = b"lr: 0.1\nreplicates: 3\nseed: 1\nmetric: {name: accuracy}\ntask: {name: digits}\n"


def space(**keys: object) -> SearchSpace:
    return search_section.read({"space": {key.replace("__", "."): one for key, one in keys.items()}}).space


def test_a_point_is_a_setting_within_its_ranges() -> None:
    made = space(
        lr={"log": [1e-4, 1e-1]}, width={"log_int": [16, 256]}, depth={"int": [1, 3]}, drop={"float": [0, 0.5]}
    )
    assert made.setting([0, 0, 0, 0]) == {"lr": 1e-4, "width": 16, "depth": 1, "drop": 0.0}
    assert made.setting([1 - 1e-9] * 4) == {"lr": 0.1, "width": 256, "depth": 3, "drop": 0.5}
    assert made.setting([0.5] * 4) == {"lr": 0.00316, "width": 63, "depth": 2, "drop": 0.25}
    assert [made.setting([0, 0, place, 0])["depth"] for place in (0.3, 0.34, 0.67)] == [1, 2, 3]
    assert not made.outside(made.setting([0.123, 0.4, 0.9, 0.7]))
    assert made.outside({"lr": 1.0, "width": 16, "depth": 1, "drop": 0}) == (
        "lr is 1.0, and the space has lr in log [0.0001, 0.1]"
    )


def test_a_conditional_key_is_there_where_its_condition_holds() -> None:
    """The condition may name the last part of the key, and stand before it in the file."""
    made = space(
        train__momentum={"float": [0.5, 0.99], "when": "optimizer=sgd"},
        train__optimizer={"choice": ["adam", "sgd"], "role": "scientific"},
    )
    assert [one.key for one in made.keys] == ["train.optimizer", "train.momentum"]
    assert made.setting([0.1, 0.5]) == {"train.optimizer": "adam"}
    assert made.setting([0.9, 0.5]) == {"train.optimizer": "sgd", "train.momentum": 0.745}
    assert not made.outside({"train.optimizer": "adam"}) and made.outside({"train.optimizer": "sgd"})
    assert made.scientific == ("train.optimizer",)


def test_lists_are_choices_and_fixed_keys_stay() -> None:
    made = space(sizes={"choice": [[64, 64], [128]]}, note={"fixed": "a b"}, lr={"log": [0.1, 1]})
    setting = made.setting([0.7, 0])
    assert setting == {"sizes": [128], "note": "a b", "lr": 0.1} and len(made.searched) == 2
    assert written(setting) == ("sizes=[128]", 'note="a b"', "lr=0.1")
    assert written({"a": "true", "b": True, "c": "1e3", "d": None}) == ('a="true"', "b=true", 'c="1e3"', "d=null")


@pytest.mark.parametrize(
    ("section", "said"),
    [
        (None, "has no search: with a space:"),
        ({"space": {}}, "search.space is empty"),
        ({"space": {"lr": {"fixed": 1}}}, "search.space has one point alone"),
        ({"space": {"lr": {"choice": [1]}}}, "search.space has one point alone"),
        ({"space": {"lr": {"log": [0, 1]}}}, "search.space.lr.log begins at 0, and no logarithm does"),
        ({"space": {"lr": {"log": [1, 1]}}}, "search.space.lr.log is [1, 1]"),
        ({"space": {"lr": {"float": [1, 0]}}}, "allowed: float: [LOW, HIGH]"),
        ({"space": {"lr": {"int": [1, 2.5]}}}, "search.space.lr.int is [1, 2.5]"),
        ({"space": {"lr": {"log": [1, True]}}}, "search.space.lr.log is [1, True]"),
        ({"space": {"lr": [1, 2]}}, "search.space.lr is [1, 2]; allowed: one of float: [LOW, HIGH]"),
        ({"space": {"lr": {"log": [1, 2], "int": [1, 2]}}}, "has log and int"),
        ({"space": {"lr": {"log": [1, 2], "step": 3}}}, "has 'step'"),
        ({"space": {"lr": {"choice": [1, 1]}}}, "names 1 twice"),
        ({"space": {"decay": {"choice": [0, 0]}}}, "names 0 twice"),
        ({"space": {"decay": {"choice": [False, 0]}}}, "names 0 twice"),
        ({"space": {"sizes": {"choice": [[], 1, []]}}}, "names [] twice"),
        ({"space": {"lr": {"float": [0.1, 0.1]}}}, "next: lr: {fixed: 0.1} keeps it there"),
        ({"space": {"lr": {"log": [1, 0.1]}}}, "next: lr: {log: [0.1, 1]}"),
        (
            {"space": {"b": {"choice": ["x y"]}, "a": {"fixed": 2}}},
            "next: dvc exp run -S 'b=\"x y\"' -S a=2 measures it",
        ),
        ({"space": {"lr": {"choice": {"a": 1}}}}, "allowed: a list of values"),
        ({"space": {"lr": {"log": [1, 2], "role": "main"}}}, "allowed: scientific or nuisance"),
        ({"space": {"lr": {"fixed": 1, "role": "nuisance"}, "b": {"int": [1, 2]}}}, "a key that stays has fixed"),
        ({"space": {"m": {"log": [1, 2], "when": "sgd"}}}, "allowed: KEY=VALUE"),
        ({"space": {"m": {"log": [1, 2], "when": "opt=sgd"}}}, "names opt, no other key of the space"),
        (
            {"space": {"m": {"log": [1, 2], "when": "opt=lion"}, "opt": {"choice": ["sgd", "adam"]}}},
            "opt never is lion: m would never be used; allowed: sgd, adam",
        ),
        ({"space": {"m": {"log": [1, 2], "when": "lr=1"}, "lr": {"log": [1, 2]}}}, "lr never is 1"),
        (
            {"space": {"a": {"choice": [1, 2], "when": "b=1"}, "b": {"choice": [1, 2], "when": "a=1"}}},
            "each wait for the other",
        ),
        ({"space": {"lr": {"log": [1, 2]}}, "metrics": ["a", "b"]}, "a search has one, the metric that decides"),
        ({"space": {"lr": {"log": [1, 2]}}, "setings": 3}, "unknown key search.setings"),
        ({"space": {"lr": {"log": [1, 2]}}, "settings": 1}, "search.settings is 1; allowed: a whole number from 2"),
        ({"space": {"lr": {"log": [1, 2]}}, "replicates": 1}, "search.replicates is 1"),
        ({"space": {f"k{number}": {"int": [1, 9]} for number in range(33)}}, "has 33 keys to search"),
    ],
)
def test_refusals(section: object, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        search_section.read(section)
    assert said in refused.value.sentence
    assert "; allowed: " in refused.value.sentence and "; next: " in refused.value.sentence


def test_it_belongs_to_no_strategy() -> None:
    plain = params_yaml.resolved(PARAMS)
    with_space = params_yaml.resolved(PARAMS + b"search: {space: {lr: {log: [1e-4, 1]}}}\n")
    assert params_yaml.strategy(plain) == params_yaml.strategy(with_space)
    assert with_space.search == {"space": {"lr": {"log": [1e-4, 1]}}}
    task = b"task: {command: 'python t.py {lr} {seed}', result: {file: a, key: b, direction: maximize}}\n"
    script = b"lr: 0.1\nreplicates: 3\nseed: 1\n" + task
    own = params_yaml.resolved(script + b"search: {depth: 3}\n")
    assert own.own == {"lr": 0.1, "search": {"depth": 3}} and own.search is None, (
        "a script's own parameter stays its own"
    )
    ours = params_yaml.resolved(script + b"search: {space: {lr: {log: [1e-4, 1]}}}\n")
    assert ours.own == {"lr": 0.1} and ours.search
