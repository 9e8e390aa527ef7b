"""A params.yaml made to crash, to hang or to fill the memory is refused in a sentence, at once."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

GOOD = (Path(__file__).parents[2] / "params.yaml").read_text(encoding="utf-8")
LONGEST = 2.0  # seconds


def after(line: str) -> str:
    """The parameters of this repository with one more line in the section that may hold anything."""
    return GOOD.replace("data: {}", f"data:\n  x: {line}")


def bomb(levels: int, width: int, form: str) -> str:
    """Aliases of aliases: width ** levels values in a few hundred characters."""
    lines = ["l0: &l0 {a: 1}"]
    for level in range(1, levels + 1):
        several = ", ".join([f"*l{level - 1}"] * width)
        lines.append(f"l{level}: &l{level} {form.format(several)}")
    return GOOD.replace("data: {}", "data:\n  " + "\n  ".join(lines))


PROFILES = "".join(f"\n  p{number}: {{}}" for number in range(6_000))

#: what crashes or hangs the reader that does not look first → what is said
WORST = {
    "lists in lists": (after("[" * 100_000), "is nested more than 64 levels deep"),
    "lists in lists, closed": (after("[" * 100_000 + "]" * 100_000), "is nested more than 64 levels deep"),
    "mappings in mappings": (after("{a: " * 100_000), "is nested more than 64 levels deep"),
    "items in items": (after("\n    " + "- " * 100_000 + "1"), "is nested more than 64 levels deep"),
    "keys in keys": (after("\n    " + "? " * 100_000 + "1"), "is nested more than 64 levels deep"),
    "indented": ("\n".join(" " * level + "a:" for level in range(1_300)), "is nested more than 64 levels deep"),
    "400 lists": (after("[" * 400 + "]" * 400), "is nested more than 64 levels deep (line 12)"),
    "aliases": (bomb(9, 9, "[{}]"), "holds more than 20,000 values, aliases written out"),
    "merges": (bomb(9, 9, "{{<<: [{}]}}"), "holds more than 20,000 values, aliases written out"),
    "itself": (after("&x [*x]"), "has the alias *x within what it stands for"),
    "decimal": (after("9" * 5_000), "holds the whole number '9999"),
    "decimal, negative": (after("-" + "9" * 100_000), "holds the whole number '-999"),
    "hex": (after("0x" + "f" * 100_000), "holds the whole number '0xff"),
    "binary": (after("0b" + "1" * 100_000), "holds the whole number '0b11"),
    "long": (after("'" + "x" * 2_000_000 + "'"), "has more than 1,000,000 characters"),
    "many": (after("[" + "1, " * 100_000 + "]"), "holds more than 20,000 values"),
    "profiles": (GOOD.replace("\nprofiles:", f"\nprofiles:{PROFILES}"), "6002 profiles and"),
}


def read(texts: Sequence[str], folder: Path) -> list[dict[str, Any]]:
    """What a process of its own says of each text. Fails where it crashes."""
    given = folder / "texts.json"
    given.write_text(json.dumps(list(texts)), encoding="utf-8")
    command = [sys.executable, str(Path(__file__).with_name("reader.py")), str(given)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and len(found) == len(texts), (done.returncode, done.stderr, texts[len(found) :][:1])
    return found


def well(found: dict[str, Any], text: str) -> None:
    assert "traceback" not in found, f"{text!r}\n{found['traceback']}"
    assert found["seconds"] < LONGEST, text
    said = found["said"]
    assert "\n" not in said and len(said) < 1000, said


@pytest.mark.parametrize("name", WORST)
def test_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    text, said = WORST[name]
    (found,) = read([text], tmp_path)
    well(found, text[:200])
    assert said in found["said"] and found["said"].startswith("params.yaml "), found["said"]
    assert "allowed: " in found["said"] or "next: " in found["said"]


WORDS = """
[ ] { } : , - ? & * ! | > ' " % @ ` # ~ << = &a *a --- ... %YAML true null é µ
!!int !!map !!seq !!str !!set !!binary !!timestamp !!python/name:os !!float !!bool !!null !x
0x 0b1 0o7 1_ .5 1e999 -1 .nan .inf 2020-01-01 2020-13-40 18446744073709551616
lr: model: data: profiles: full: modes: metric: options: task: name: judge: looks: seed:
"""
TOKENS = WORDS.split()
CHARACTERS = "\t\n\r \0\x1b\x7f\x85\xa0\u2028\ufeff\U0001f600"


def insert(text: str, draw: random.Random) -> str:
    place = draw.randrange(len(text))
    return text[:place] + draw.choice([*TOKENS, *CHARACTERS]) + draw.choice(["", " ", "\n"]) + text[place:]


def replace_value(text: str, draw: random.Random) -> str:
    lines = text.split("\n")
    place = draw.choice([number for number, line in enumerate(lines) if ":" in line] or [0])
    value = " ".join(draw.choices(TOKENS, k=draw.randint(1, 4)))
    lines[place] = f"{lines[place].partition(':')[0]}: {value}"
    return "\n".join(lines)


def remove(text: str, draw: random.Random) -> str:
    start = draw.randrange(len(text))
    return text[:start] + text[start + draw.randint(1, 30) :]


def repeat(text: str, draw: random.Random) -> str:
    lines = text.split("\n")
    place = draw.randrange(len(lines))
    return "\n".join([*lines[:place], *[lines[place]] * draw.choice([2, 50, 400]), *lines[place:]])


def indent(text: str, draw: random.Random) -> str:
    lines = text.split("\n")
    place = draw.randrange(len(lines))
    lines[place] = " " * draw.randint(1, 8) + lines[place]
    return "\n".join(lines)


def nest(text: str, draw: random.Random) -> str:
    place = draw.randrange(len(text))
    count = draw.choice([3, 60, 70, 500])
    opening, closing = draw.choice([("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", "")])
    return text[:place] + " " + opening * count + closing * draw.choice([0, count]) + text[place:]


def lengthen(text: str, draw: random.Random) -> str:
    place = draw.randrange(len(text))
    return text[:place] + draw.choice([*"9f_x.[-", "é"]) * draw.choice([30, 5_000, 100_000]) + text[place:]


MUTATIONS: tuple[Callable[[str, random.Random], str], ...] = (
    insert,
    replace_value,
    remove,
    repeat,
    indent,
    nest,
    lengthen,
)


def variants(count: int) -> list[str]:
    draw = random.Random(13)
    found = []
    for _ in range(count):
        text = GOOD
        for mutate in draw.choices(MUTATIONS, weights=[6, 6, 2, 1, 2, 1, 0.3], k=draw.randint(1, 3)):
            text = mutate(text, draw)
        found.append(text)
    return found


def test_variants_of_a_good_file(tmp_path: Path) -> None:
    texts = variants(1_200)
    found = read(texts, tmp_path)
    for one, text in zip(found, texts, strict=True):
        well(one, text)
    refused = sum(bool(one["said"]) for one in found)
    assert 200 < refused < 1_150, f"{refused} of {len(found)} were refused: then most of them try nothing"
