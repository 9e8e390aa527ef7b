"""Each form of YAML means to us what it means to DVC, asked of DVC's own parser, or is refused in a sentence."""

from __future__ import annotations

import math

import pytest
from dvc.utils.serialize import parse_yaml

from assay.core.errors import UsageError
from assay.core.yaml12 import parse

#: values of one key that both read
VALUES = """
1 0 -0 +5 -17 1_000 -1_000 +1_0 1__0 0b101 -0b11 0b1_0 0o17 -0o17 017 -017 08 0_ 00 0x1F -0x1f 0xDE_AD 0o7_7
1.0 1. -1. .5 -.5 +.5 1.5e3 1.5E-3 1e3 1E3 1e-3 -1e+3 1_0.5 1_0e3 1.e5 .5e+3 .5e3 .5_0 1e400 1_000.000_1
.inf -.inf +.inf .INF .Inf .nan .NaN .NAN -.nan inf nan
true True TRUE false False FALSE tRue yes Yes no on On off y n
~ null Null NULL nULL none
1:30 1:30.5 190:20:30 1.2.3 1,000 0b2 0o8 0xg 1e 1e+ e5 _1 1_ + - . _ 0b 0x
2020-01-01 2020-1-1 20-01-01 2020-01-01T10:20:30 2020-01-01t10:20:30Z 2020-01-01T10:20:30.5+02:00
2020-01-01T10:20:30.1234567-03:30 2020-01-01T10:20:30.9999999 2020-02-30T1:02:03Z 2020-01-01T1:02:03.+1
'1' "0b101" 'true' "2020-01-01" '' "\\u00e9" <<: =x
[] [1,2] [1,[2.5,~]] {} {a} {a,b,} [a,b,] [2020-01-01,0x10]
!!str 1 !!int "7" !!int "0x1F" !!int "1_0" !!float 1 !!float "1e3" !!bool yes !!bool "off" !!null x !!seq [1] !!map {a}
!!timestamp "2020-1-1" ! 1
"""
#: whole texts that both read
TEXTS = [
    "a: 2020-01-01 10:20:30",
    "a: 2020-01-01 10:20:30 +1",
    "a: 2020-1-2 3:04:05",
    "a: 12e03\nb: -0.0\nc: 1e0_1",
    "b: &b {x: 1, y: 2}\na: {<<: *b, x: 3}",
    "b: &b {x: 1, y: 2}\na: {x: 3, <<: *b}",
    "b: &b {x: 1}\nc: &c {x: 2, z: 3}\na:\n  <<: [*b, *c]\n  w: 4",
    "b: &b {x: 1}\nc: &c {<<: *b, z: 3}\na: {<<: *c}\nd: {<<: *c, x: 9}",
    "a: {<<: {x: 1}, y: 2}",
    "a: {'<<': {x: 1}}",
    "a: &a [1, 2]\nb: *a\nc: [*a, *a]",
    "1: x\n1.5: y\n'1': z\n-0x10: w",
    "0b101: x\n1_000: y",
    "=: 1",
    "a: |\n  two\n  lines\nb: >-\n  one\n  line\nc: |+\n  kept\n\n",
    "a: one\n  more\nb: 'it''s'\nc: \"tab\\t\"",
    "a:\n- 1\n-   b: 2\n    c: 3\n- - 4\n  - 5",
    "? a\n: 1\n? b",
    "# only\na: 1 # comment\nb: a#b\nc: 'a # b'",
    "---\na: 1\n...\n",
    "%YAML 1.2\n---\na: on\n",
    "a: é\nµ: ü\n日本: 語",
    "\ufeffa: 1",
    'a: "\\x41\\u0042\\U0001F600"',
    "a: {b: {c: {d: {e: [[[[1]]]]}}}}",
    "a: http://x.org\nb: a:b\nc: -x\nd: ?x\ne: @@".replace("\ne: @@", ""),
    "a: \r\n  b: 1\r\nc: 2\r\n",
]
#: what DVC refuses, or reads to what no record of ours holds
REFUSED = [
    "a: 1\na: 2",
    "1: a\n1.0: b",
    "a: [1",
    "a: {b: 1",
    "a: *nowhere",
    "a: @x",
    "a: `x`",
    "a: %x",
    "\ta: 1",
    "a: 1\n b: 2",
    "a: 1\n---\nb: 2",
    "%YAML 1.1\n---\na: yes",
    "a: !!python/object:os.system x",
    "a: !mine 1",
    "a: !!int x",
    "a: !!int ''",
    "a: !!int 1.5",
    "a: !!int [1]",
    "a: !!float x",
    "a: !!bool x",
    "a: !!timestamp x",
    "a: !!timestamp [1]",
    "a: !!map [1]",
    "a: !!map 1",
    "a: !!seq {a: 1}",
    "a: !!str {=: 1}",
    "a: !!null [1]",
    "a: !!set {a, b}",
    "a: !!omap [a: 1]",
    "a: !!pairs [a: 1]",
    "a: !!binary aGk=",
    "a: =",
    "a: <<",
    "a: -_",
    "a: 0b_",
    "a: 0x_",
    "a: 2020-13-01",
    "a: 2020-02-30",
    "a: 2020-01-01T25:00:00",
    "a: 2020-01-01T10:20:30+25:00",
    "a: {<<: 1}",
    "a: {<<: [1]}",
    "a: {<<: {x: 1}, <<: {y: 2}}",
    "? [a]\n: 1",
    "? {a: 1}\n: 1",
    "~: 1",
    "true: 1",
    "2020-01-01: 1",
    ".nan: 1",
    "a: &a [*a]",
    "a: 18446744073709551616",
    "a: -9223372036854775809",
    "a: 0xFFFFFFFFFFFFFFFFF",
    "- 1",
    "1",
    "",
    "a: \x00",
    "a: \ud800",
]


def values() -> list[str]:
    """The forms of VALUES, tags with what they stand before."""
    words = VALUES.split()
    tagged = [f"{one} {words[place + 1]}" if one.startswith("!") else one for place, one in enumerate(words)]
    return [one for place, one in enumerate(tagged) if not place or not words[place - 1].startswith("!")]


def same(ours: object, theirs: object) -> bool:
    """Equal, and of the same kinds all the way down."""
    if isinstance(ours, float) and isinstance(theirs, float) and math.isnan(ours):
        return math.isnan(theirs)
    if type(ours) is not type(theirs):
        return False
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return bool(ours == theirs)


def read_by_dvc(text: str) -> object:
    """DVC's own reading; None where it fails, in whatever way."""
    try:
        return parse_yaml(text, "params.yaml")
    except Exception:
        return None


@pytest.mark.parametrize("text", [*(f"a: {one}" for one in values()), *TEXTS], ids=repr)
def test_read_as_dvc_reads_it(text: str) -> None:
    theirs = read_by_dvc(text)
    if theirs is None:  # then we may not read it either
        with pytest.raises(UsageError):
            parse(text)
    else:
        assert same(parse(text), theirs), (parse(text), theirs)


def test_there_are_enough_forms() -> None:
    assert sum(read_by_dvc(text) is not None for text in [*(f"a: {one}" for one in values()), *TEXTS]) >= 150


@pytest.mark.parametrize("text", REFUSED, ids=repr)
def test_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        pytest.fail(f"read as {parse(text)}")
    said = caught.value.sentence
    assert said.startswith("params.yaml ") and "\n" not in said and len(said) < 500
    assert caught.value.allowed or caught.value.hint
