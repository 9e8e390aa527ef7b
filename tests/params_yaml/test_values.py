"""Names and values that YAML holds and JSON does not reach a task as they were written, and keep apart what differs."""

from __future__ import annotations

import datetime
from pathlib import Path

import msgspec
import pytest

from assay.core import params_yaml
from assay.core.errors import UsageError

GOOD = (Path(__file__).parents[2] / "params.yaml").read_text(encoding="utf-8")


def model(line: str) -> str:
    """A file whose model section is `line`, beside the profile `fast`, which has its own `hidden`."""
    head, _, rest = GOOD.partition("\nmodel:")
    return f"{head}\nmodel: {line}\n\ntrain:{rest.partition(chr(10) + 'train:')[2]}"


def keys(*lines: str) -> set[bytes]:
    found = (params_yaml.strategy(params_yaml.resolved(model(line))) for line in lines)
    return {msgspec.json.encode(one, order="deterministic") for one in found}


def test_a_task_gets_what_was_written():
    given = params_yaml.as_given(params_yaml.resolved(model("{since: 2020-01-01, weights: {0: 1.0, 1.5: 2}}")))["model"]
    assert given == {"since": datetime.date(2020, 1, 1), "weights": {0: 1.0, 1.5: 2}}


def test_what_differs_has_another_key():
    forms = ("{a: 2020-01-01}", "{a: '2020-01-01'}", "{a: 2020-01-01T00:00:00}", "{a: 1}", "{a: 1.0}", "{a: true}")
    nested = ("{a: {0: 1}}", "{a: {'0': 1}}", "{a: {0.0: 1}}", "{a: [{0: 1}]}")
    assert len(keys(*forms, *nested)) == len(forms) + len(nested)


def test_one_name_in_two_unicode_forms():
    """U+00B5 is what keyboards type; Python reads U+03BC in `def model(…, µ)`, and é in either form."""
    assert keys("{\u00b5: 1, \u00e9: 2}") == keys("{\u03bc: 1, e\u0301: 2}")
    overlaid = GOOD.replace("hidden: 64", "\u00b5: 2").replace("hidden: 128", "\u03bc: 1")
    changed = params_yaml.changed(overlaid, {"model.\u00b5": 3})
    assert changed.model["\u03bc"] == 3 and "\u00b5" not in changed.model
    with pytest.raises(UsageError, match=r"has model\.'µ' in two Unicode forms; next: remove one of the two"):
        params_yaml.load(model("{\u00b5: 1, \u03bc: 1}"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{1: x}", "params.yaml: model has a key that is no text; next: write the key in quotes"),
        ("{" + "k" * 500 + ": .nan}", "params.yaml: model.kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk… (506 characters) is nan"),
        ("'" + "x" * 500 + "'", "params.yaml: model is 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… (502 characters)"),
    ],
)
def test_refused_in_a_sentence(line: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        params_yaml.load(model(line))
    assert caught.value.sentence.startswith(said), caught.value.sentence
