from __future__ import annotations

import ast
import json

import pytest
from interpreters import SERIES, output
from tricky import TRICKY

from assay.core import ast_normal_form
from assay.core.errors import UsageError

READ_ALL = """
import hashlib, json
from assay.core import ast_normal_form as normal_form
from tricky import TRICKY
print(json.dumps({name: normal_form.text(normal_form.parse(TRICKY[name], name)) for name in TRICKY}))
"""


def form(source: str | bytes) -> str:
    return ast_normal_form.text(ast_normal_form.parse(source, "x.py"))


@pytest.mark.parametrize("series", SERIES)
def test_every_supported_python_writes_the_same_form(series: str) -> None:
    there = json.loads(output(series, READ_ALL))
    for name, source in TRICKY.items():
        assert there[name] == form(source), name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "# why\nx   =  (1)  # so\n\n"),
        ("def f():\n    return 1", 'def f():\n    """Doc."""\n    return (\n        1\n    )'),
        ("class A:\n    pass", 'class A:\n    """Doc."""'),
        ("class A:\n    x: int", 'class A:\n    """Doc."""\n    x: int\n    """What x is."""'),
        ("x = 1", '"""Doc."""\n\nx = 1\n'),
        ("x = 'a'", 'x = "a"'),
        ("x = 'ab'", 'x = u"a" "b"'),
        ("x = 255", "x = 0xFF"),
        ("x = 1000", "x = 1_000"),
        ("x = f'{a}b'", 'x = f"{a}" "b"'),
        ("x = f'{a}'", "x = f'{a:}'"),
        ("f(a, b)", "f(\n    a,\n    b,\n)"),
        ("if a:\n    b\nelif c:\n    d", "if a:\n    b\nelse:\n    if c:\n        d"),
        ("x = 1; y = 2", "x = 1\ny = 2"),
        ("x = 'é'", b"# -*- coding: latin-1 -*-\nx = '\xe9'"),
        ("x = 1", b"\xef\xbb\xbfx = 1\r\n"),
    ],
)
def test_spelling_does_not_count(one: str, other: str | bytes) -> None:
    assert form(one) == form(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x = 2"),
        ("x = 1", "x = 1.0"),
        ("x = 1", "x = True"),
        ("x = 'a'", "x = b'a'"),
        ("x = '1'", "x = 1"),
        ("x = None", "x = 'None'"),
        ("x = 0.0", "x = -0.0"),
        ("return_ = [1, 2]", "return_ = [2, 1]"),
        ("f(a, b=c)", "f(a, c)"),
        ("f(*a)", "f(**a)"),
        ("{**a, b: c}", "{b: c, **a}"),
        ("def f(a, /): pass", "def f(a): pass"),
        ("def f(a, *, b=1): pass", "def f(a, b=1): pass"),
        ("def f(*, a=1, b): pass", "def f(*, a, b=1): pass"),
        ("from . import a", "from .. import a"),
        ("from . import a", "import a"),
        ("import a", "import a as b"),
        ("x: int = 1", "(x): int = 1"),
        ("f'{a}'", "f'{a!r}'"),
        ("f'{a:2}'", "f'{a:3}'"),
        ("f'{a}b'", "f'b{a}'"),
        ("f'{a}'", "'{a}'"),
        ("async def f(): pass", "def f(): pass"),
        ("[x for x in y]", "(x for x in y)"),
        ("a < b", "a <= b"),
        ("def f(): return\ng()", "def f():\n    return\n    g()"),
        ("global a, b", "global a"),
        ("x[1:]", "x[:1]"),
        ("match a:\n    case None: b()", "match a:\n    case True: b()"),
        ("try: a()\nexcept: b()", "try: a()\nfinally: b()"),
        ("x = ['a,b']", "x = ['a', 'b']"),
        ("x = 'a;'", "x = 'a'"),
    ],
)
def test_meaning_counts(one: str, other: str) -> None:
    assert form(one) != form(other)


def test_reading_a_form_back_from_printed_code_gives_the_same_form() -> None:
    for name, source in TRICKY.items():
        if name not in ("f-strings", "deep", "literals"):  # unparse recurses, and prints no long integers
            assert form(ast.unparse(ast.parse(source))) == form(source), name


def test_the_tree_stays_as_it_was() -> None:
    tree = ast.parse('def f():\n    """Doc."""\n    return f"{a}" "b"')
    before = ast.dump(tree)
    ast_normal_form.text(tree)
    assert ast.dump(tree) == before


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = 1\ny = (", "pkg/bad.py:2 is not valid Python"),
        ("def f(:\n", "pkg/bad.py:1 is not valid Python"),
        ("x = 1\x00", "pkg/bad.py"),
        (b"x = '\xff'", "pkg/bad.py"),
    ],
)
def test_bad_sources_are_one_sentence(source: str | bytes, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        ast_normal_form.parse(source, "pkg/bad.py")
    assert said in caught.value.sentence
    assert "\n" not in caught.value.sentence
