from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from interpreters import SERIES, output

from assay.core.ast_normal_form import Source
from assay.core.errors import UsageError
from assay.core.metric_version import MetricVersion
from assay.metrics.version.version_key import metric_code, metric_version
from assay.runtime import import_closure

ROOT = Path(__file__).parents[2]
Tree = dict[str, str]


def reader(tree: Mapping[str, str]):
    """Modules by dotted name; a name that ends in `.__init__` is a package."""
    sources = {name.removesuffix(".__init__"): Source(text, name.endswith(".__init__")) for name, text in tree.items()}
    return sources.get


def code(tree: Mapping[str, str], name: str = "acc") -> str:
    return metric_code(reader(tree), "metrics", name)


TABLE = 'METRICS = {"acc": {"function": acc, "direction": "maximize", "min_effect": 0.1, "per_example": each}}\n'
SIMPLE = "def acc(t, p):\n    return (t == p).mean()\ndef each(t, p):\n    return t == p\n" + TABLE


def edited(tree: Tree, module: str, old: str, new: str) -> Tree:
    assert old in tree[module], "the test edits nothing"
    return {**tree, module: tree[module].replace(old, new)}


# every case: the project, the module to edit, what to replace by what
DIFFERENT: dict[str, tuple[Tree, str, str, str]] = {
    "body": ({"metrics": SIMPLE}, "metrics", "mean()", "sum()"),
    "direction": ({"metrics": SIMPLE}, "metrics", "maximize", "minimize"),
    "helper": ({"metrics": "def h(x): return x + 1\ndef acc(t, p): return h(t)\n" + TABLE}, "metrics", "+ 1", "+ 2"),
    "helper of a helper": (
        {"metrics": "from a import f\ndef acc(t, p): return f(t)\n" + TABLE}
        | {"a": "import b\ndef f(x): return b.g(x)\n", "b": "def g(x): return x * 3\n"},
        "b",
        "* 3",
        "* 4",
    ),
    "constant": ({"metrics": "K = 5\ndef acc(t, p): return K\n" + TABLE}, "metrics", "K = 5", "K = 6"),
    "constant of a constant": (
        {"metrics": "A = 5\nK = A * 2\ndef acc(t, p): return K\n" + TABLE},
        "metrics",
        "A = 5",
        "A = 6",
    ),
    "constant elsewhere": (
        {"metrics": "from p import consts\ndef acc(t, p): return consts.K\n" + TABLE, "p.consts": "K = 5"},
        "p.consts",
        "5",
        "6",
    ),
    "default": ({"metrics": "D = 5\ndef acc(t, p, k=D): return k\n" + TABLE}, "metrics", "D = 5", "D = 6"),
    "decorator": (
        {"metrics": "import d\n@d.wrap\ndef acc(t, p): return 1\n" + TABLE}
        | {"d": "def wrap(f): return lambda *a: f(*a) * 2\n"},
        "d",
        "* 2",
        "* 3",
    ),
    "decorator with arguments": (
        {"metrics": "N = 2\ndef wrap(n): return lambda f: f\n@wrap(N)\ndef acc(t, p): return 1\n" + TABLE},
        "metrics",
        "N = 2",
        "N = 3",
    ),
    "base class": (
        {"metrics": "from b import Base\nclass M(Base): pass\nacc = M()\n" + TABLE}
        | {"b": "class Base:\n    def __call__(self, t, p): return 1\n"},
        "b",
        "return 1",
        "return 2",
    ),
    "class attribute": (
        {"metrics": "class C:\n    k = 1\ndef acc(t, p): return C.k\n" + TABLE},
        "metrics",
        "k = 1",
        "k = 2",
    ),
    "registry filled by items": (
        {"metrics": "PARTS = {}\nPARTS['a'] = lambda x: x\ndef acc(t, p): return PARTS['a'](t)\n" + TABLE},
        "metrics",
        "lambda x: x",
        "lambda x: -x",
    ),
    "registry filled by a method": (
        {"metrics": "PARTS = []\nPARTS.append(3)\ndef acc(t, p): return sum(PARTS)\n" + TABLE},
        "metrics",
        "append(3)",
        "append(4)",
    ),
    "registry filled in a loop": (
        {"metrics": "PARTS = []\nfor i in (1, 2):\n    PARTS.append(i)\ndef acc(t, p): return sum(PARTS)\n" + TABLE},
        "metrics",
        "(1, 2)",
        "(1, 3)",
    ),
    "registry under another name": (
        {"metrics": "PARTS = []\nalias = PARTS\nalias.append(3)\ndef acc(t, p): return sum(PARTS)\n" + TABLE},
        "metrics",
        "append(3)",
        "append(4)",
    ),
    "registry filled by a decorator": (
        {
            "metrics": "PARTS = {}\ndef reg(f):\n    PARTS[f.__name__] = f\n    return f\n"
            "@reg\ndef one(x): return x + 1\ndef acc(t, p): return [f(t) for f in PARTS.values()]\n" + TABLE
        },
        "metrics",
        "x + 1",
        "x + 2",
    ),
    "registry filled from another module": (
        {"metrics": "import plug\nfrom reg import PARTS\ndef acc(t, p): return [f(t) for f in PARTS]\n" + TABLE}
        | {"reg": "PARTS = []\ndef add(f):\n    PARTS.append(f)\n    return f\n"}
        | {"plug": "from reg import add\n@add\ndef one(x): return x + 1\n"},
        "plug",
        "x + 1",
        "x + 2",
    ),
    "registry filled through a function with a local name": (
        {
            "metrics": "PARTS = {}\ndef reg(k, v):\n    table = PARTS\n    table[k] = v\n"
            "reg('a', 1)\ndef acc(t, p): return PARTS\n" + TABLE
        },
        "metrics",
        "reg('a', 1)",
        "reg('a', 2)",
    ),
    "table handed to somebody": (
        {"metrics": "import random\nW = [1, 2]\nrandom.Random(1).shuffle(W)\ndef acc(t, p): return W\n" + TABLE},
        "metrics",
        "Random(1)",
        "Random(2)",
    ),
    "subclass that registers itself": (
        {
            "metrics": "class B:\n    all = []\n    def __init_subclass__(cls): B.all.append(cls)\n"
            "class C(B):\n    k = 1\ndef acc(t, p): return B.all[0].k\n" + TABLE
        },
        "metrics",
        "k = 1",
        "k = 2",
    ),
    "single dispatch": (
        {
            "metrics": "from functools import singledispatch\n@singledispatch\ndef h(x): return 1\n"
            "@h.register(int)\ndef _(x): return 2\ndef acc(t, p): return h(t)\n" + TABLE
        },
        "metrics",
        "return 2",
        "return 3",
    ),
    "global statement": (
        {"metrics": "K = 1\ndef put(v):\n    global K\n    K = v\nput(5)\ndef acc(t, p): return K\n" + TABLE},
        "metrics",
        "put(5)",
        "put(6)",
    ),
    "conditional definition": (
        {"metrics": "import sys\nif sys.maxsize > 1:\n    K = 1\nelse:\n    K = 2\ndef acc(t, p): return K\n" + TABLE},
        "metrics",
        "K = 2",
        "K = 3",
    ),
    "either import": (
        {"metrics": "try:\n    from fast import f\nexcept ImportError:\n    from slow import f\nacc = f\n" + TABLE}
        | {"fast": "def f(t, p): return 1\n", "slow": "def f(t, p): return 2\n"},
        "slow",
        "return 2",
        "return 3",
    ),
    "attribute set on the function": (
        {"metrics": SIMPLE + "acc.scale = 2\n"},
        "metrics",
        "scale = 2",
        "scale = 3",
    ),
    "monkey patch of a helper": (
        {"metrics": "import h, patch\ndef acc(t, p): return h.f(t)\n" + TABLE}
        | {"h": "def f(x): return 1\n", "patch": "import h\nK = 2\ndef g(x): return K\nh.f = g\n"},
        "patch",
        "K = 2",
        "K = 3",
    ),
    "monkey patch by setattr": (
        {"metrics": "import h, patch\ndef acc(t, p): return h.f(t)\n" + TABLE}
        | {"h": "def f(x): return 1\n", "patch": "import h\ndef g(x): return 2\nsetattr(h, 'f', g)\n"},
        "patch",
        "return 2",
        "return 3",
    ),
    "monkey patch of another package": (
        {"metrics": "import numpy as np, patch\ndef acc(t, p): return np.mean(t)\n" + TABLE}
        | {"patch": "import numpy as np\ndef g(x): return 2\nnp.mean = g\n"},
        "patch",
        "return 2",
        "return 3",
    ),
    "state of another package": (
        {"metrics": "import numpy as np\nnp.random.seed(1)\ndef acc(t, p): return np.random.rand()\n" + TABLE},
        "metrics",
        "seed(1)",
        "seed(2)",
    ),
    "package that passes everything on": (
        {"metrics": "from p import f\nacc = f\n" + TABLE}
        | {"p.__init__": "from .b import *\n", "p.b": "def f(t, p): return 1\n"},
        "p.b",
        "return 1",
        "return 2",
    ),
    "alias of a patched helper": (
        {"metrics": "import patch\nfrom h import f\ndef acc(t, p): return f(t)\n" + TABLE}
        | {"h": "def f(x): return 1\n", "patch": "import metrics\ndef g(x): return 2\nmetrics.f = g\n"},
        "patch",
        "return 2",
        "return 3",
    ),
    "method that fills a table": (
        {
            "metrics": "class R:\n    def __init__(self): self.d = {}\n    def add(self, v): self.d[v] = v\n"
            "REG = R()\nREG.add(1)\ndef acc(t, p): return REG.d\n" + TABLE
        },
        "metrics",
        "add(1)",
        "add(2)",
    ),
    "method as a decorator": (
        {
            "metrics": "class R:\n    def __init__(self): self.d = {}\n    def add(self, f): self.d[f] = f\n"
            "REG = R()\n@REG.add\ndef one(): return 1\ndef acc(t, p): return REG.d\n" + TABLE
        },
        "metrics",
        "return 1",
        "return 2",
    ),
    "table taken from a function": (
        {
            "metrics": "T = {}\ndef table(): return T\ntable()['a'] = 1\n"
            "table().update(b=2)\ndef acc(t, p): return T\n" + TABLE
        },
        "metrics",
        "b=2",
        "b=3",
    ),
    "array written by a function that reads otherwise": (
        {"metrics": "import numpy as n\nW = n.ones(3)\nlo = n.clip(9, 0, 1, out=W)\ndef acc(t, p): return W\n" + TABLE},
        "metrics",
        "0, 1",
        "0, 2",
    ),
    "table filled by an operator": (
        {"metrics": "from plug import Table\nT = Table()\nT << 1\ndef acc(t, p): return T\n" + TABLE},
        "metrics",
        "T << 1",
        "T << 2",
    ),
    "table that a loop names otherwise": (
        {"metrics": "A, B = [], []\nfor each in (A, B):\n    each += [1]\ndef acc(t, p): return A\n" + TABLE},
        "metrics",
        "[1]",
        "[2]",
    ),
    "table filled by its parameter": (
        {
            "metrics": "A = []\ndef fill(where, what):\n    where += [what]\n"
            "fill(A, 1)\ndef acc(t, p): return A\n" + TABLE
        },
        "metrics",
        "fill(A, 1)",
        "fill(A, 2)",
    ),
    "constructor that registers": (
        {
            "metrics": "A = []\nclass Plug:\n    def __init__(self, v): A.append(v)\n"
            "Plug(1)\ndef acc(t, p): return A\n" + TABLE
        },
        "metrics",
        "Plug(1)",
        "Plug(2)",
    ),
    "monkey patch takes its whole module": (
        {"metrics": "import h, patch\ndef acc(t, p): return h.f(t)\n" + TABLE}
        | {"h": "def f(x): return 1\n", "patch": "import h\nOTHER = 2\nh.f = abs\n"},
        "patch",
        "OTHER = 2",
        "OTHER = 3",
    ),
    "function handed to another": (
        {
            "metrics": "K = 1\ndef put(v):\n    global K\n    K = v\nDONE = list(map(put, [5]))\n"
            "def acc(t, p): return K\n" + TABLE
        },
        "metrics",
        "[5]",
        "[6]",
    ),
    "name taken from the globals, imported": (
        {"metrics": "from h import f\ndef acc(t, p): return globals()['f'](t)\n" + TABLE, "h": "def f(x): return 1\n"},
        "h",
        "return 1",
        "return 2",
    ),
    "function of a package that has a module of that name": (
        {"metrics": "from p import f\nacc = f\n" + TABLE} | {"p.__init__": "def f(t, q): return 1\n", "p.f": "x = 1\n"},
        "p.__init__",
        "return 1",
        "return 2",
    ),
    "setattr in a function that is called": (
        {"metrics": "import h, patch\ndef acc(t, p): return h.f(t)\n" + TABLE}
        | {"h": "def f(x): return 1\n"}
        | {"patch": "import h\ndef put(n, g):\n    setattr(h, n, g)\nput('f', lambda x: 2)\n"},
        "patch",
        "lambda x: 2",
        "lambda x: 3",
    ),
    "globals set in a function that is called": (
        {"metrics": "K = 1\ndef put(v): globals()['K'] = v\nput(5)\ndef acc(t, p): return K\n" + TABLE},
        "metrics",
        "put(5)",
        "put(6)",
    ),
    "subclasses found by asking": (
        {"metrics": "class B: pass\nclass C(B):\n    k = 1\ndef acc(t, p): return B.__subclasses__()[0].k\n" + TABLE},
        "metrics",
        "k = 1",
        "k = 2",
    ),
    "deleted item": (
        {"metrics": "T = {1: 1, 2: 2}\ndel T[1]\ndef acc(t, p): return T\n" + TABLE},
        "metrics",
        "T[1]",
        "T[2]",
    ),
    "getattr takes the module": (
        {"metrics": "def k_a(): return 1\ndef acc(t, p): return globals()['k_' + 'a']()\n" + TABLE},
        "metrics",
        "return 1",
        "return 2",
    ),
    "getattr of a module takes both": (
        {"metrics": "import h\ndef acc(t, p): return getattr(h, p)(t)\n" + TABLE, "h": "def f(x): return 1\n"},
        "h",
        "return 1",
        "return 2",
    ),
    "getattr with a literal": (
        {"metrics": "import h\ndef acc(t, p): return getattr(h, 'f')(t)\n" + TABLE, "h": "def f(x): return 1\n"},
        "h",
        "return 1",
        "return 2",
    ),
    "module as a value": (
        {"metrics": "import h\nimpl = h\ndef acc(t, p): return impl.f(t)\n" + TABLE, "h": "def f(x): return 1\n"},
        "h",
        "return 1",
        "return 2",
    ),
    "import_module": (
        {"metrics": "import importlib\nh = importlib.import_module('p.h')\ndef acc(t, p): return h.f(t)\n" + TABLE}
        | {"p.h": "def f(x): return 1\n"},
        "p.h",
        "return 1",
        "return 2",
    ),
    "star import": (
        {"metrics": "from h import *\ndef acc(t, p): return f(t)\n" + TABLE, "h": "def f(x): return 1\n"},
        "h",
        "return 1",
        "return 2",
    ),
    "import inside a function": (
        {"metrics": "def acc(t, p):\n    from h import f\n    return f(t)\n" + TABLE, "h": "def f(x): return 1\n"},
        "h",
        "return 1",
        "return 2",
    ),
    "relative import": (
        {"metrics": "from p.a import acc\n" + TABLE}
        | {"p.a": "from .b import f\ndef acc(t, p): return f(t)\n", "p.b": "def f(x): return 1\n"},
        "p.b",
        "return 1",
        "return 2",
    ),
    "name passed on by a package": (
        {"metrics": "import p\nacc = p.f\n" + TABLE}
        | {"p.__init__": "from .b import g as f\n", "p.b": "def g(t, p): return 1\n"},
        "p.b",
        "return 1",
        "return 2",
    ),
    "submodule by its full name": (
        {"metrics": "import p.b\ndef acc(t, q): return p.b.g(t)\n" + TABLE, "p.b": "def g(t): return 1\n"},
        "p.b",
        "return 1",
        "return 2",
    ),
    "other package's function": (
        {"metrics": "import numpy as np\ndef acc(t, p): return np.mean(t)\n" + TABLE},
        "metrics",
        "import numpy as np",
        "import jax.numpy as np",
    ),
    "lambda in the registry": (
        {"metrics": 'K = 1\nMETRICS = {"acc": {"function": lambda t, p: K}}\n'},
        "metrics",
        "K = 1",
        "K = 2",
    ),
    "partial in the registry": (
        {"metrics": 'import functools as ft\ndef f(k): return k\nMETRICS = {"acc": {"function": ft.partial(f, k=1)}}'},
        "metrics",
        "k=1",
        "k=2",
    ),
    "worst value": (
        {"metrics": 'def f(t, p): return 1\nMETRICS = {"acc": {"function": f, "worst": 0}}'},
        "metrics",
        "0",
        "1",
    ),
    "registry built at import": (
        {
            "metrics": "METRICS = {}\ndef metric(f):\n    METRICS[f.__name__] = {'function': f}\n    return f\n"
            "@metric\ndef acc(t, p): return 1\n"
        },
        "metrics",
        "return 1",
        "return 2",
    ),
    "registry changed after it was written": (
        {"metrics": SIMPLE + "def new(t, p): return 1\nMETRICS['acc']['function'] = new\n"},
        "metrics",
        "return 1",
        "return 2",
    ),
    "registry elsewhere": (
        {"metrics": "from common import METRICS\n", "common": SIMPLE},
        "common",
        "mean()",
        "sum()",
    ),
    "comprehension that reads a global of its own name": (
        {"metrics": "k = [1, 2]\ndef acc(t, p): return [k for k in k]\n" + TABLE},
        "metrics",
        "[1, 2]",
        "[1, 3]",
    ),
    "class attribute read from a global of its name": (
        {"metrics": "k = 1\nclass C:\n    k = k\ndef acc(t, p): return C.k\n" + TABLE},
        "metrics",
        "k = 1",
        "k = 2",
    ),
    "match value": (
        {"metrics": "import h\ndef acc(t, p):\n    match t:\n        case h.K: return 1\n" + TABLE, "h": "K = 1\n"},
        "h",
        "K = 1",
        "K = 2",
    ),
    "nested function and closure": (
        {"metrics": "K = 1\ndef acc(t, p):\n    def inner(): return lambda: K\n    return inner()()\n" + TABLE},
        "metrics",
        "K = 1",
        "K = 2",
    ),
    "annotation": ({"metrics": "def acc(t, p: int): return 1\n" + TABLE}, "metrics", "p: int", "p: str"),
    "walrus": ({"metrics": "if (K := 3): pass\ndef acc(t, p): return K\n" + TABLE}, "metrics", "K := 3", "K := 4"),
    "augmented constant": ({"metrics": "K = 1\nK += 2\ndef acc(t, p): return K\n" + TABLE}, "metrics", "+= 2", "+= 3"),
    "unpacking": ({"metrics": "A, (B, *K) = 1, (2, 3)\ndef acc(t, p): return K\n" + TABLE}, "metrics", "2, 3", "2, 4"),
    "table of its own, filled": (
        {"metrics": "X = []\nX.append(1)\n" + SIMPLE},
        "metrics",
        "append(1)",
        "append(2)",
    ),
    "neighbour in a module that has effects": (
        {"metrics": "print('loaded')\nUNUSED = 7\n" + SIMPLE},
        "metrics",
        "UNUSED = 7",
        "UNUSED = 8",
    ),
    "neighbour in a module that imports one with effects": (
        {
            "metrics": "from reg import T\nY = T << 1\ndef acc(t, p): return T\n" + TABLE,
            "reg": "from q import Q\nT = Q()\n",
        },
        "metrics",
        "T << 1",
        "T << 2",
    ),
    "class patched through a loop variable": (
        {"metrics": "import c, patch\ndef acc(t, p): return c.A().f(t)\n" + TABLE}
        | {"c": "class A:\n    def f(self, x): return 1\nALL = [A]\n"}
        | {"patch": "import c\nfor k in c.ALL:\n    k.f = lambda self, x: 2\n"},
        "patch",
        "x: 2",
        "x: 3",
    ),
    "subclass that a class elsewhere notes": (
        {"metrics": "import sub\nfrom b import B\ndef acc(t, p): return B.all[0].k\n" + TABLE}
        | {"b": "class B:\n    all = []\n    def __init_subclass__(cls): B.all.append(cls)\n"}
        | {"sub": "from b import B\nclass C(B):\n    k = 1\n"},
        "sub",
        "k = 1",
        "k = 2",
    ),
    "subclass under a class of another package": (
        {"metrics": "import sub\ndef acc(t, p): return sub.seen()\n" + TABLE}
        | {"sub": "from plug import Base, seen\nclass C(Base):\n    k = 1\n"},
        "sub",
        "k = 1",
        "k = 2",
    ),
    "subclass under a class that is imported under a condition": (
        {"metrics": "import sub\ndef acc(t, p): return sub.seen()\n" + TABLE}
        | {"sub": "try:\n    from plug import Base, seen\nexcept ImportError:\n    pass\nclass C(Base):\n    k = 1\n"},
        "sub",
        "k = 1",
        "k = 2",
    ),
    "class patched through an object": (
        {"metrics": "import c, patch\ndef acc(t, p): return c.a.k\n" + TABLE}
        | {"c": "class A:\n    k = 1\na = A()\n", "patch": "from c import a\ntype(a).k = 4\n"},
        "patch",
        "k = 4",
        "k = 5",
    ),
    "context of another package": (
        {"metrics": "import decimal, setup\ndef acc(t, p): return decimal.Decimal(1) / 3\n" + TABLE}
        | {"setup": "import decimal\ndecimal.getcontext().prec = 2\n"},
        "setup",
        "prec = 2",
        "prec = 3",
    ),
    "context of another package, by its name": (
        {"metrics": "import decimal, setup\ndef acc(t, p): return decimal.Decimal(1) / 3\n" + TABLE}
        | {"setup": "from decimal import getcontext\ncontext = getcontext()\ncontext.prec = 2\n"},
        "setup",
        "prec = 2",
        "prec = 3",
    ),
    "bound method handed over": (
        {"metrics": "W = []\nDONE = list(map(W.append, [5.0]))\ndef acc(t, p): return W\n" + TABLE},
        "metrics",
        "5.0",
        "6.0",
    ),
    "bound method handed over as a key": (
        {"metrics": "W = []\nDONE = sorted([5.0], key=W.append)\ndef acc(t, p): return W\n" + TABLE},
        "metrics",
        "5.0",
        "6.0",
    ),
    "script that is run": (
        {"metrics": "import other\ndef acc(t, p): return other.f(t)\n" + TABLE}
        | {"other": "import runpy\nHOW = 'a'\nf = runpy.run_path('f.py', {'k': HOW})['f']\n"},
        "other",
        "'a'",
        "'b'",
    ),
    "module from a file": (
        {"metrics": "import load\ndef acc(t, p): return load.m.f(t)\n" + TABLE}
        | {
            "load": "from importlib.util import module_from_spec, spec_from_file_location\nK = 1\n"
            "s = spec_from_file_location('m', 'm.py')\nm = module_from_spec(s)\ns.loader.exec_module(m)\nm.k = K\n"
        },
        "load",
        "K = 1",
        "K = 2",
    ),
}


@pytest.mark.parametrize(("tree", "module", "old", "new"), DIFFERENT.values(), ids=DIFFERENT)
def test_what_the_metric_reaches_counts(tree: Tree, module: str, old: str, new: str) -> None:
    assert code(tree) != code(edited(tree, module, old, new))


OTHER = "def other(t, p): return 1\nUNUSED = 7\n"
SAME: dict[str, tuple[Tree, str, str, str]] = {
    "other function": ({"metrics": SIMPLE + OTHER}, "metrics", "return 1", "return 2"),
    "other constant": ({"metrics": SIMPLE + OTHER}, "metrics", "UNUSED = 7", "UNUSED = 8"),
    "other function added": ({"metrics": SIMPLE}, "metrics", "METRICS", "def new(): pass\nMETRICS"),
    "other function taken away": ({"metrics": SIMPLE + OTHER}, "metrics", OTHER, ""),
    "other import": ({"metrics": "import os\n" + SIMPLE}, "metrics", "import os", "import sys, json"),
    "other name of an import": (
        {"metrics": "from numpy import mean\ndef acc(t, p): return mean(t)\n" + TABLE},
        "metrics",
        "import mean",
        "import mean, median",
    ),
    "smallest gain": ({"metrics": SIMPLE}, "metrics", "0.1", "0.2"),
    "per example": ({"metrics": SIMPLE}, "metrics", "return t == p", "return t != p"),
    "other metric": (
        {"metrics": SIMPLE.replace("}}\n", '}, "loss": {"function": each}}\n')},
        "metrics",
        '"function": each',
        '"function": print',
    ),
    "revision constant": ({"metrics": "REVISION = 1\n" + SIMPLE}, "metrics", "REVISION = 1", "REVISION = 2"),
    "comment": ({"metrics": SIMPLE}, "metrics", "mean()", "mean()  # the share"),
    "docstring": ({"metrics": SIMPLE}, "metrics", "def acc(t, p):\n", 'def acc(t, p):\n    """Share."""\n'),
    "formatting": ({"metrics": SIMPLE}, "metrics", "(t == p).mean()", "(\n        t\n        == p\n    ).mean()"),
    "local name like a global": ({"metrics": "t = 1\n" + SIMPLE}, "metrics", "t = 1", "t = 2"),
    "parameter like a global": (
        {"metrics": "k = 1\ndef acc(t, p):\n    return [k for k in t]\n" + TABLE},
        "metrics",
        "k = 1",
        "k = 2",
    ),
    "helper's neighbour": (
        {"metrics": "from h import f\ndef acc(t, p): return f(t)\n" + TABLE}
        | {"h": "def f(x): return 1\ndef g(x): return 2\n"},
        "h",
        "return 2",
        "return 3",
    ),
    "reader of a reached table": (
        {"metrics": "W = [1, 2]\nTOTAL = sum(W) + len(W) * 3\ndef acc(t, p): return W\n" + TABLE},
        "metrics",
        "* 3",
        "* 4",
    ),
    "user of a reached constant": (
        {"metrics": "import math\nK = 2\nROOT = math.pow(K, 3)\ndef acc(t, p): return K\n" + TABLE},
        "metrics",
        "(K, 3)",
        "(K, 4)",
    ),
    "typing only, beside a name that an annotation uses": (
        {
            "metrics": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a\n    import b\n"
            "def acc(t, p: 'x') -> a.T: return 1\n" + TABLE
        },
        "metrics",
        "import b",
        "import c",
    ),
    "neighbour of a getattr with a literal": (
        {"metrics": "import h\ndef acc(t, p): return getattr(h, 'f')(t)\n" + OTHER + TABLE, "h": "f = abs\n"},
        "metrics",
        "UNUSED = 7",
        "UNUSED = 8",
    ),
    "script part that would change it": (
        {"metrics": SIMPLE + "if __name__ == '__main__':\n    acc.scale = 1\n"},
        "metrics",
        "scale = 1",
        "scale = 2",
    ),
    "script part": (
        {"metrics": SIMPLE + "if __name__ == '__main__':\n    print(acc([1], [1]))\n"},
        "metrics",
        "[1], [1]",
        "[1], [0]",
    ),
    "opaque code that the metric does not reach": (
        {"metrics": SIMPLE + "def show(name): return globals()[name], 1\n"},
        "metrics",
        ", 1",
        ", 2",
    ),
    "import that is not used": (
        {"metrics": "import h\n" + SIMPLE, "h": "def f(x): return 1\n"},
        "h",
        "return 1",
        "return 2",
    ),
    "typing only": (
        {"metrics": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a\n" + SIMPLE},
        "metrics",
        "import a",
        "import b",
    ),
    "absolute or relative": (
        {"metrics": "from p.a import acc\n" + TABLE}
        | {"p.a": "from .b import f\ndef acc(t, p): return f(t)\n", "p.b": "def f(x): return 1\n"},
        "p.a",
        "from .b",
        "from p.b",
    ),
    "other table": ({"metrics": "X = [1]\n" + SIMPLE}, "metrics", "[1]", "[2]"),
    "smallest gain beside an effect": ({"metrics": "print('loaded')\n" + SIMPLE}, "metrics", "0.1", "0.2"),
    "other constant beside calls without effects": (
        {
            "metrics": "import logging, math, re\nimport numpy as np\nfrom dataclasses import dataclass\n"
            "log = logging.getLogger(__name__)\nWORD = re.compile('x')\n"
            "SCALE = math.sqrt(float('2')) * np.array([1])[0]\n"
            "@dataclass(frozen=True)\nclass Pair:\n    left: int = 1\n    @property\n    def twice(self): return 2\n"
            + SIMPLE
        },
        "metrics",
        "'x'",
        "'y'",
    ),
    "class under a class of the project": (
        {"metrics": "from b import B\nclass C(B):\n    k = 1\n" + SIMPLE, "b": "class B:\n    pass\n"},
        "metrics",
        "k = 1",
        "k = 2",
    ),
    "other class": (
        {"metrics": "class E(ValueError):\n    k = 1\n" + SIMPLE},
        "metrics",
        "k = 1",
        "k = 2",
    ),
    "effect in a module for types only": (
        {"metrics": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a\n" + SIMPLE, "a": "print(1)\n"},
        "a",
        "1",
        "2",
    ),
}


@pytest.mark.parametrize(("tree", "module", "old", "new"), SAME.values(), ids=SAME)
def test_what_the_metric_does_not_reach_does_not_count(tree: Tree, module: str, old: str, new: str) -> None:
    assert code(tree) == code(edited(tree, module, old, new))


THERE = """
import json, sys
from assay.metrics.version.version_key import metric_code
from assay.core.ast_normal_form import Source
trees = json.load(open(sys.argv[1]))
def read(tree):
    return {n.removesuffix(".__init__"): Source(t, n.endswith(".__init__")) for n, t in tree.items()}.get
print(json.dumps({name: metric_code(read(tree), "metrics", "acc") for name, tree in trees.items()}))
"""


@pytest.mark.parametrize("series", SERIES)
def test_every_supported_python_gives_the_same_code(series: str, tmp_path: Path) -> None:
    trees = {name: case[0] for name, case in (DIFFERENT | SAME).items()}
    (tmp_path / "trees.json").write_text(json.dumps(trees))
    there = json.loads(output(series, THERE, str(tmp_path / "trees.json")))
    assert there == {name: code(tree) for name, tree in trees.items()}


def digits(root: Path, name: str = "accuracy") -> str:
    return metric_version(partial(import_closure.read_module, root), "tasks.digits.metrics", name, 1, "0a1b", {})


def test_the_reference_task_as_it_stands(tmp_path: Path) -> None:
    task = tmp_path / "src" / "tasks" / "digits" / "metrics.py"
    task.parent.mkdir(parents=True)
    source = (ROOT / "src" / "tasks" / "digits" / "metrics.py").read_text(encoding="utf-8")
    task.write_text(source)
    before = digits(tmp_path), digits(tmp_path, "cross_entropy")
    assert before == (digits(ROOT), digits(ROOT, "cross_entropy"))
    assert before[0] != before[1]
    task.write_text("# new\n" + source.replace('"min_effect": 0.005', '"min_effect": 0.01') + "\n\nX = 1\n")
    assert (digits(tmp_path), digits(tmp_path, "cross_entropy")) == before
    task.write_text(source.replace("argmax", "argmin"))  # in `correct`, which only accuracy calls
    assert digits(tmp_path) != before[0]
    assert digits(tmp_path, "cross_entropy") == before[1]


def version(**changed: object) -> str:
    given = {"module": "metrics", "name": "acc", "revision": 1, "evaluated": "0a1b", "options": {"k": 1}} | changed
    return metric_version(reader({"metrics": SIMPLE}), **given)  # type: ignore[arg-type]


def test_the_version_covers_examples_options_and_revision() -> None:
    keys = [version(), version(revision=2), version(evaluated="0a1c"), version(options={"k": 2}), version(options={})]
    assert len(set(keys)) == len(keys)
    assert version(options={"a": 1, "b": 2}) == version(options={"b": 2, "a": 1})
    assert MetricVersion.parse(version(revision=2)).digest == MetricVersion.parse(version()).digest


def test_a_missing_metric_or_registry_is_a_sentence() -> None:
    with pytest.raises(UsageError, match="'f1' is not in METRICS of metrics; allowed: acc"):
        code({"metrics": SIMPLE}, "f1")
    with pytest.raises(UsageError, match="metrics has no METRICS"):
        code({"metrics": "x = 1"})
    with pytest.raises(UsageError, match="h:2 is not valid Python"):
        code({"metrics": "import h\n" + SIMPLE, "h": "x = 1\ny = = 2"})


@pytest.mark.parametrize("text", ["accuracy-1.5f3c9a2e", "f1-0.00000000", "_x9-12.ffffffff"])
def test_good_versions_parse(text: str) -> None:
    assert str(MetricVersion.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "a", "a-1", "a-1.", "a-.5f3c9a2e", "a-01.5f3c9a2e", "a--1.5f3c9a2e", "a-1.5F3C9A2E", "a-1.5f3c9a2"),
        *("a-1.5f3c9a2ee", "9x-1.5f3c9a2e", "a-b-1.5f3c9a2e", "a-1.5f3c9a2e\n", " a-1.5f3c9a2e", "a-1.5.5f3c9a2e"),
    ],
)
def test_bad_versions_are_refused_with_the_value(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        MetricVersion.parse(text)
    assert repr(text) in caught.value.sentence


NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True)


@given(NAMES, st.integers(0, 10**6), st.text("0123456789abcdef", min_size=8, max_size=8))
def test_format_and_parse_are_inverse(name: str, revision: int, digest: str) -> None:
    made = MetricVersion(name, revision, digest)
    assert MetricVersion.parse(str(made)) == made


HELPER = "import math\n\n\nSCALE = 7\n\n\ndef scaled(x):\n    half = x / 2\n    return math.floor(half * SCALE)\n"
METRIC = "from h import scaled\n\nSHIFT = 5\n\n\ndef acc(t, p):\n    return scaled(t) + SHIFT\n\n\n"
PROJECT = {"metrics": METRIC + TABLE.replace(', "per_example": each', ""), "h": HELPER}
EDITS = st.lists(st.tuples(st.sampled_from(["comment", "blank", "tail", "docstring", "unrelated"]), st.integers(0, 99)))


def disturbed(source: str, edits: list[tuple[str, int]]) -> str:
    """`source` with comments, blank lines, docstrings and code of no concern put in at random places."""
    lines = source.splitlines()
    for kind, seed in edits:
        place = seed % len(lines)
        indent = " " * (len(lines[place]) - len(lines[place].lstrip()))
        if kind == "tail" and lines[place]:
            lines[place] += f"  # {seed}"
        elif kind in ("comment", "blank"):
            lines.insert(place, f"{indent}# {seed}" if kind == "comment" else "")
        elif kind == "docstring" and lines[place].endswith(":"):
            lines.insert(place + 1, f'    """Number {seed}."""')
        elif kind == "unrelated":
            lines += [f"OTHER_{seed} = {seed}", f"def other_{seed}(x): return x * OTHER_{seed}"]
    return "\n".join(lines) + "\n"


@given(EDITS, EDITS)
def test_random_layout_and_unrelated_code_keep_the_code(
    first: list[tuple[str, int]], second: list[tuple[str, int]]
) -> None:
    assert code({"metrics": disturbed(PROJECT["metrics"], first), "h": disturbed(HELPER, second)}) == code(PROJECT)


@given(EDITS, st.sampled_from([("h", "7"), ("h", "2"), ("metrics", "5")]), st.integers(100, 10**6))
def test_a_change_of_any_reached_number_changes_the_code(
    edits: list[tuple[str, int]], place: tuple[str, str], value: int
) -> None:
    module, number = place
    changed = edited(PROJECT, module, number, str(value))
    assert code({**changed, module: disturbed(changed[module], edits)}) != code(PROJECT)
