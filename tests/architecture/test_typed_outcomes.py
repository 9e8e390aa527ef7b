"""What is decided is decided by types, numbers and files: never by how a sentence begins or ends, or what it holds."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "assay"
#: names and attributes that hold a sentence for people: of ours, or of a program that we started
SENTENCES = {"said", "note", "why", "reason", "problem", "sentence", "message", "stderr", "stdout", "said_by"}
#: file → why a sentence of somebody else's is all that there is
NOTHING_ELSE = {
    "runtime/git_checkout.py": "Git's exit code is 128 for a full disk and for a missing filter",
    "training/memory_estimate.py": "torch raises RuntimeError, and no subclass, where a CPU's memory is used up",
    "training/example_loader.py": "torch raises RuntimeError, and no subclass, where a worker of a DataLoader died",
    "history/detached_head.py": "a reflog holds words alone",
    "core/params_yaml.py": "msgspec tells in words what it expected; they become words of ours",
    "replicates/live_arm.py": "another process trains, and its log holds words alone",
    "scratch/scratch_repo.py": "a child's output becomes one sentence; that it failed, its exit code told",
}


def sentence(node: ast.expr) -> bool:
    """Whether it is a sentence: a name for one, an attribute, `str(error)`, or any of these in another case."""
    if isinstance(node, ast.Name):
        return node.id in SENTENCES
    if isinstance(node, ast.Attribute):
        return node.attr in SENTENCES
    if isinstance(node, ast.Call):
        function = node.func
        if isinstance(function, ast.Name) and function.id == "str":
            return any(isinstance(each, ast.Name) and each.id == "error" for each in node.args)
        kept = isinstance(function, ast.Attribute) and function.attr in ("lower", "strip", "decode", "casefold")
        return kept and sentence(function.value)  # type: ignore[union-attr]
    return False


def decided_by_words(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in ("startswith", "endswith") and sentence(node.func.value):
                yield node.lineno
        elif isinstance(node, ast.Compare):
            texts = [side for operator, side in zip(node.ops, node.comparators, strict=True) if _within(operator)]
            if any(map(sentence, texts)):
                yield node.lineno


def _within(operator: ast.cmpop) -> bool:
    return isinstance(operator, ast.In | ast.NotIn)


def test_no_control_flow_by_words() -> None:
    found = {}
    for path in SOURCE.rglob("*.py"):
        lines = list(decided_by_words(ast.parse(path.read_text(encoding="utf-8"))))
        if lines:
            found[path.relative_to(SOURCE).as_posix()] = lines
    assert found.keys() <= NOTHING_ELSE.keys(), found


def test_it_finds_them() -> None:
    """The four places that there were."""
    for line in (
        'if not note.startswith("nothing is kept"): print(note)',
        'next(why for why in reasons if why.endswith("not at hand"))',
        "ran = \"Running stage 'baseline'\" in said",
        'if "disk is full" in str(error): pass',
        'if f"[Errno {number}]" in done.stderr: pass',
    ):
        assert list(decided_by_words(ast.parse(line))), line
    assert not list(decided_by_words(ast.parse('if path.endswith(".py") and name in names: pass')))
