"""The placeholders of a script's command: `{lr}`, `{train.epochs}`, `{seed}`, `{out}`.

Covers: finding them, refusing those that nothing fills, filling them in with values quoted for a shell. `${NAME}` is
the shell's own, and `{{x}}` stands for `{x}`. Not covered: which files the command names
(`runtime.script_source`).
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from assay.core.errors import UsageError

SEED, OUT = "seed", "out"
_PLACEHOLDER = re.compile(r"(?<![\w${])\$\{[^}]*\}|\{\{|\}\}|\{([A-Za-z_][\w.-]*)\}")


def placeholders(template: str) -> list[str]:
    """Names in braces, in their order, each once."""
    return list(dict.fromkeys(match[1] for match in _PLACEHOLDER.finditer(template) if match[1]))


def check(command: str, values: Mapping[str, object], seedless: bool, where: str) -> None:
    """Refuse a placeholder that nothing fills, one inside of quotes, and a command that takes no seed."""
    allowed = [*values, SEED, OUT]
    for name in placeholders(command):
        if name not in allowed:
            raise UsageError(
                f"{where}: task.command names {{{name}}}, which no parameter is",
                allowed=", ".join(f"{{{one}}}" for one in allowed),
                hint=f"add {name} to params.yaml, or write {{{{{name}}}}} for braces",
            )
    for name in _quoted(command):
        raise UsageError(
            f"{where}: task.command has {{{name}}} inside of quotes",
            allowed="placeholders outside of quotes: each value is quoted when it is filled in",
            hint="take the quotes away in task.command",
        )
    if SEED not in placeholders(command) and not seedless:
        raise UsageError(
            f"{where}: task.command names no {{seed}}, so that replicates could not differ by it",
            allowed="{seed} in task.command; or seed: none under task:, where the script draws without one",
            hint="add --seed {seed} to task.command",
        )


def check_path(templates: Sequence[str], where: str) -> None:
    """Refuse a placeholder in a path that a run fills in: `{out}` and `{seed}` alone."""
    for name in (name for template in templates for name in placeholders(template)):
        if name not in (SEED, OUT):
            raise UsageError(
                f"{where} names {{{name}}}", allowed=f"{{{OUT}}}, {{{SEED}}}", hint="set it in params.yaml"
            )


def fill(template: str, values: Mapping[str, object], *, quote: bool = True) -> str:
    """`template` with its placeholders filled in; `quote` for a shell, not for a path."""

    def one(match: re.Match[str]) -> str:
        if match[1]:
            text = written(values[match[1]])
            return shlex.quote(text) if quote else text
        return {"{{": "{", "}}": "}"}.get(match[0], match[0])

    return _PLACEHOLDER.sub(one, template)


def written(value: object) -> str:
    """A value of params.yaml as a word on a command line: text as it is, all else as JSON writes it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _quoted(command: str) -> Iterator[str]:
    """Placeholders inside of quotes of the shell."""
    spans = {match.start(): match[1] for match in _PLACEHOLDER.finditer(command) if match[1]}
    inside, escaped = "", False
    for place, sign in enumerate(command):
        if inside and place in spans:
            yield spans[place]
        if escaped:
            escaped = False
        elif sign == "\\" and inside != "'":
            escaped = True
        elif inside:
            inside = "" if sign == inside else inside
        elif sign in "'\"":
            inside = sign
