"""Pages of docs/reference that are made from the code: parameters.md and commands.md.

    python docs/generate.py        # writes both; a test holds them equal to what this gives

What a parameter means stands in a comment beside its field (`core/params_yaml.py` and modules of its sections), else
beside the key in params.yaml. Not covered: the reference of Python objects, which mkdocstrings makes.
"""

from __future__ import annotations

import inspect
import re
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import click
import msgspec
from msgspec import Meta

from assay.cli import root as cli
from assay.core import params_yaml
from assay.core.params_yaml import Params, Section

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
#: kinds of values, in words
KINDS = {float: "number", int: "whole number", str: "text", bool: "true or false", dict: "mapping", list: "list"}
#: patterns of texts that have a plain name
PATTERNS = {r"^[A-Za-z_][A-Za-z0-9_]*$": "a name of letters, digits and _"}


class Parameter(NamedTuple):
    key: str
    kind: str
    default: str
    meaning: str


def pages() -> dict[str, str]:
    """File name in docs/reference → its whole text."""
    return {"parameters.md": parameters_page(), "commands.md": commands_page()}


# ---------------------------------------------------------------------------------------------------- parameters


def parameters_page() -> str:
    top, below = [], []
    for field in msgspec.structs.fields(Params):
        section = section_of(field.type)
        if field.name not in params_yaml.KEYS:
            continue
        if section is None:
            top.append(parameter(Params, field, ""))
        else:
            below.append((field.name, list(parameters(section, f"{field.name}."))))
    head = (
        "# Parameters\n\n"
        "Every key of `params.yaml`. This page is made from the code by `python docs/generate.py`.\n\n"
        "`dvc exp run -S KEY=VALUE` changes one for one experiment. A default never changes its\n"
        "meaning, and a new option is off. A key that is not here is refused, unless a stage of your own declares it.\n"
    )
    parts = [head, "## At the top\n", table(top)]
    for name, rows in below:
        parts += [f"## {name}\n", table(rows)]
    return "\n".join(parts)


def table(rows: list[Parameter]) -> str:
    head = "| key | value | default | meaning |\n| --- | --- | --- | --- |\n"
    return head + "".join(f"| `{row.key}` | {row.kind} | {row.default} | {row.meaning} |\n" for row in rows)


def parameters(section: type[Section], above: str) -> Iterator[Parameter]:
    for field in msgspec.structs.fields(section):
        inner = section_of(field.type)
        if inner is not None:
            yield from parameters(inner, f"{above}{field.name}.")
        else:
            yield parameter(section, field, above)


def parameter(section: type[Section], field: msgspec.structs.FieldInfo, above: str) -> Parameter:
    key = f"{above}{field.name}"
    hint = typing.get_type_hints(section, include_extras=True)[field.name]
    meaning = comment_in_source(section, field.name) or comment_in_yaml(key)
    return Parameter(key, escaped(described(hint)), default_of(field), escaped(meaning))


def escaped(text: str) -> str:
    """`text` as one cell of a table."""
    return text.replace("|", "\\|")


def section_of(kind: Any) -> type[Section] | None:
    """The section that a field holds, where it is one or may be one."""
    for one in (kind, *typing.get_args(kind)):
        if isinstance(one, type) and issubclass(one, Section):
            return one
    return None


def default_of(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if value is None or value is msgspec.UNSET:
        return "not set"
    if value in ({}, [], "", ()):
        return "empty"
    return f"`{msgspec.json.encode(value).decode()}`"


def described(hint: Any) -> str:
    """A type in words: `Annotated[int, Meta(ge=1)]` is "whole number ≥ 1"."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hasattr(hint, "__metadata__"):
        return described(inner[0]) + "".join(limits(one) for one in hint.__metadata__ if isinstance(one, Meta))
    if origin is Literal:
        return ", ".join(f"`{one}`" for one in inner)
    if origin in (list, tuple):
        return f"list of: {described(inner[0])}"
    if inner and origin is not dict:
        kept = [one for one in inner if one not in (type(None), msgspec.UnsetType)]
        return " or ".join(described(one) for one in kept)
    return KINDS.get(origin or hint, "any value")


def limits(meta: Meta) -> str:
    if meta.pattern:
        return f": {PATTERNS.get(meta.pattern, 'one of the forms below')}"
    signs = (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))
    found = [f"{sign} {getattr(meta, name):,}" for name, sign in signs if getattr(meta, name) is not None]
    return f" {', '.join(found)}" if found else ""


def comment_in_source(section: type[Section], name: str) -> str:
    """What stands behind `#` at the end of a field's line, or behind `#:` in the line above it."""
    lines = inspect.getsource(section).splitlines()
    at = next((number for number, line in enumerate(lines) if re.match(rf"\s+{name}:", line)), None)
    if at is None:
        return ""
    found = re.search(r"\s#:? (.*)$", lines[at]) or re.match(r"\s+#: (.*)$", lines[at - 1])
    return found[1] if found else ""


def comment_in_yaml(key: str) -> str:
    """The comment beside a key in params.yaml of this repository."""
    above: list[tuple[int, str]] = []
    for line in (ROOT / "params.yaml").read_text(encoding="utf-8").splitlines():
        found = re.match(r"( *)([\w.]+):(?:[^#]*)(?:# ?(.*))?$", line)
        if found is None:
            continue
        above = [one for one in above if one[0] < len(found[1])] + [(len(found[1]), found[2])]
        if ".".join(name for _, name in above) == key:
            return found[3] or ""
    return ""


# ------------------------------------------------------------------------------------------------------ commands


def commands_page() -> str:
    head = (
        "# Commands\n\n"
        "Every command of `assay`, in the order of use. This page is made from the code by `python docs/generate.py`.\n"
        "\n`assay COMMAND --help` prints the same. `--json`, where a command has it, prints one JSON object on\n"
        "standard output and nothing else there. Exit codes are in [formats.md](../formats.md#commands).\n"
    )
    group = cli.LazyGroup()
    context = click.Context(group, info_name="assay")
    sections = [part for name in cli.COMMANDS for part in sections_of(name, group.get_command(context, name), context)]
    return "\n".join((head, *sections))


def sections_of(name: str, command: click.Command | None, parent: click.Context) -> list[str]:
    """The section of a command, and those of the commands below it."""
    found = [command_section(name, command, parent)]
    below = command.commands if isinstance(command, click.Group) else {}
    shown = (one for one in below if not below[one].hidden)
    return found + [command_section(f"{name} {one}", below[one], parent) for one in shown]


def command_section(name: str, command: click.Command | None, parent: click.Context) -> str:
    assert command is not None
    context = click.Context(command, info_name=name, parent=parent)
    usage = " ".join((f"assay {name}", *command.collect_usage_pieces(context)))
    said = inspect.cleandoc(command.help or "").replace("\b\n", "")
    examples = [line.strip() for line in (command.epilog or "").splitlines() if line.strip().startswith("assay ")]
    options = [one for one in command.params if isinstance(one, click.Option) and not one.hidden]
    rows = "".join(f"| {option_name(one)} | {escaped(one.help or meaning(one))} |\n" for one in options)
    parts = [f"## assay {name}", said, f"```text\n{usage}\n```"]
    if rows:
        parts.append(f"| option | what |\n| --- | --- |\n{rows}".rstrip())
    if examples:
        parts.append("```sh\n" + "\n".join(examples) + "\n```")
    return "\n\n".join(parts) + "\n"


def option_name(option: click.Option) -> str:
    names = ", ".join(f"`{one}`" for one in (*option.opts, *option.secondary_opts))
    if option.is_flag or option.count:
        return names
    kind = option.type
    taken = ", ".join(map(str, kind.choices)) if isinstance(kind, click.Choice) else option.metavar
    return f"{names} {taken or kind.name.split()[0].upper()}"


def meaning(option: click.Option) -> str:
    """For an option whose name says it all: its default."""
    return f"default: `{option.default}`" if isinstance(option.default, (str, int, float)) else "as its name says"


def main() -> int:
    REFERENCE.mkdir(exist_ok=True)
    for name, text in pages().items():
        (REFERENCE / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
