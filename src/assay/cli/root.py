"""The `assay` command: a table of commands, and one boundary for every error.

Covers: which module serves which command (imported only when that command runs, because NumPy costs
0.1 s and torch 1 s), exit codes, `--traceback`. Not covered: the commands themselves.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NamedTuple

import click

from assay.cli.printing import show
from assay.core import sanitize_output
from assay.core.errors import REFUSED, AssayError, Exit
from assay.runtime import git_env_vars, stage_runner, standard_streams, utf8_mode


class Command(NamedTuple):
    module: str
    help: str


#: name → module that defines a click command called `command`, and its line of `assay --help`; in the order of use
COMMANDS: dict[str, Command] = {
    "init": Command("assay.cli.init", "Make a repository of yours ready for `dvc exp run`, or take that out again."),
    "check": Command("assay.cli.check", "List everything that a run would refuse, within seconds; writes nothing."),
    "data": Command("assay.cli.data", "Look at the data: outliers, near duplicates, drift, suspected labels."),
    "doctor": Command("assay.cli.doctor", "Say what can be proved wrong in the training code, before it costs hours."),
    "status": Command("assay.cli.status", "Show what is clean, stale or left over, and the command that fixes it."),
    "show": Command("assay.cli.show", "Show experiments as a table that fits a terminal, running ones too."),
    "watch": Command("assay.cli.watch_run", "Watch a run: replicates, curves, time left, use of the machine."),
    "compare": Command("assay.cli.compare", "Compare two revisions, experiments or files of numbers."),
    "report": Command("assay.cli.report", "Write one page about a result that opens anywhere, or a comment on it."),
    "net": Command("assay.cli.net", "Record what one network is given and says, where no recorder was there."),
    "try": Command("assay.cli.try_idea", "Measure an idea look by look, and stop when it is decided or futile."),
    "sweep": Command("assay.cli.sweep", "Measure several values of parameters and judge them as one family."),
    "ablate": Command("assay.cli.ablate", "Measure changes alone and in all combinations: what brings the gain?"),
    "rates": Command("assay.cli.rates", "Find the range of learning rates that train, from short trainings."),
    "sensitivity": Command("assay.cli.sensitivity", "Say which parameters matter here, and where to tune them."),
    "fidelity": Command("assay.cli.fidelity", "Say how far the fast profile orders strategies as the full one does."),
    "search": Command("assay.cli.search", "Search a space of settings, and confirm the best on fresh seeds."),
    "tune": Command("assay.cli.tune", "Tune a candidate as its baseline is tuned, and judge it on fresh seeds."),
    "work": Command("assay.cli.work", "Train on other machines or processes what a run needs, and return at once."),
    "accept": Command("assay.cli.accept", "Confirm an experiment on fresh seeds and make it the next baseline."),
    "reject": Command("assay.cli.reject", "Keep an experiment that did not work as rejected/NAME, with its verdict."),
    "note": Command("assay.cli.note", "Add what was learned from an experiment, or show what is known of it."),
    "revoke": Command("assay.cli.revoke", "Take an accepted strategy back; nothing is deleted."),
    "log": Command("assay.cli.log", "Show accepted, revoked and rejected strategies as a table."),
    "sync": Command("assay.cli.sync", "Join the ledger of looks with that of a remote."),
    "rebaseline": Command(
        "assay.cli.rebaseline", "Measure the baseline as today asks for, in the cheapest honest way."
    ),
    "rescore": Command("assay.cli.rescore", "Bring stored predictions to today's metric version."),
    "guard": Command("assay.cli.guard", "Prove that a change leaves all other modes alone, bit for bit."),
    "export": Command("assay.cli.export", "Write an accepted model with all that predicting needs into a folder."),
    "profile": Command("assay.cli.profile", "Run `dvc exp run` and print where its seconds went."),
    "cache": Command("assay.cli.cache", "Show or prune what is kept so that nothing is trained or fetched twice."),
}


class LazyGroup(click.Group):
    """A group that imports a command's module only to run it or to show its own help."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command = importlib.import_module(COMMANDS[name].module).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--traceback", "show_traceback", is_flag=True, help="Show where an error came from.")
@click.version_option(package_name="dvc-assay", message="assay %(version)s")
def root(show_traceback: bool) -> None:
    """Tell a real gain from luck: verdicts for experiments in a DVC pipeline."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code; never returns."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["stage"]:
        stage_runner.leave(stage_runner.guarded(given[1:]))
    utf8_mode.enter()
    if arguments is None and sys.flags.hash_randomization and not sys.flags.ignore_environment and os.name != "nt":
        # A command may import a task, which must see sets in the order in which stages see them (assay/__main__.py)
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, sys.orig_argv)
    standard_streams.make_lenient()
    code = run(given)
    lost = standard_streams.trouble()
    if lost is not None and code == Exit.DONE:
        show(f"assay: standard output could not be written ({lost.strerror}); next: print elsewhere", err=True)
        code = Exit.USAGE
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command; its exit code. Known errors become one line on stderr."""
    git_env_vars.forget_places()  # Git itself may have started us, from a hook or an alias
    try:
        returned = root.main(args=list(arguments), prog_name="assay", standalone_mode=False)
        return int(returned) if isinstance(returned, int) else Exit.DONE
    except click.ClickException as error:
        usage = io.StringIO()
        error.show(usage)
        show(usage.getvalue().removesuffix("\n"), err=True)
        return Exit.USAGE
    except (click.Abort, KeyboardInterrupt):
        return 130
    except AssayError as error:
        if "--traceback" in arguments:
            traceback.print_exc()
        show(f"assay: {error.sentence}", err=True)
        return error.exit_code
    except Exception as error:
        if "--traceback" in arguments:
            traceback.print_exc()
        if isinstance(error, OSError) and error.errno in REFUSED:
            where = f" at {error.filename}" if error.filename else ""
            hint = "free some space or make it writable, then run again"
            show(f"assay: {error.strerror}{where}; next: {hint}", err=True)
            return Exit.USAGE
        said = sanitize_output.cut(sanitize_output.line(str(error)), sanitize_output.LONGEST // 2)
        show(
            f"assay: this is a bug: {type(error).__name__}: {said}; "
            "next: run again as `assay --traceback …` and report what it prints",
            err=True,
        )
        return Exit.BUG
