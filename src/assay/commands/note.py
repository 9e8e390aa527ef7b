"""`assay note`: what was learned from an experiment, kept in Git beside it and shown wherever it is.

Not covered: the ref that holds notes (`history.experiment_notes`), sharing it (`commands.sync`).
"""

from __future__ import annotations

from pathlib import Path

from assay.acceptance.write_tags import check_identity
from assay.core.errors import UsageError
from assay.core.schemas import Record
from assay.history import experiment_notes, name_lookup
from assay.history.experiment_notes import ExperimentNote, Notes
from assay.history.experiments import Repository, read
from assay.history.strategy_status import fold
from assay.runtime import project_root

#: characters of one note: whoever has more to say writes a document and names it
LONGEST = 2_000


class NotesOfExperiment(Record, frozen=True, kw_only=True):
    """What `assay note` prints. `why`: the `-m` of the run."""

    name: str
    commit: str
    why: str
    notes: list[ExperimentNote]


def note(start: Path, name: str, text: str | None) -> NotesOfExperiment:
    """Add `text` to what is known of the experiment, branch, commit, `strategy/NAME` or `rejected/NAME` called `name`;
    only read it where `text` is None. Raises UsageError for an unknown name, an empty or too long text."""
    root = project_root.find(start).root
    repository = read(root)
    commits, why = _meant(root, repository, name)
    if text is not None:
        said = " ".join(text.split())
        if not said or len(said) > LONGEST:
            allowed = f"1 to {LONGEST:,} characters, for those who read it in a year"
            raise UsageError(f"the note has {len(said):,} characters", allowed=allowed)
        check_identity(root)
        experiment_notes.add(root, commits[0], said, experiment_notes.author(root))
    return NotesOfExperiment(name=name, commit=commits[0], why=why, notes=of(experiment_notes.read(root), *commits))


def of(notes: Notes, *commits: str) -> list[ExperimentNote]:
    """Notes about any of these commits."""
    return [one for commit in dict.fromkeys(commits) for one in notes.get(commit, ())]


def _meant(root: Path, repository: Repository, name: str) -> tuple[list[str], str]:
    """Commits that `name` stands for, the one that a new note is about first, and why it was run."""
    folder, _, rest = name.partition("/")
    if folder == "strategy" and rest:
        accepted = name_lookup.strategy(fold(repository.tags), name).accepted
        return [accepted.experiment_commit, accepted.commit], accepted.why or ""
    if folder == "rejected" and rest:
        state = fold(repository.tags)
        tag = next((one for one in state.rejected.values() if one.name == name), None)
        if tag is None:
            known = ", ".join(one.name for one in state.rejected.values()) or "none was rejected yet"
            raise UsageError(f"there is no {name!r}", allowed=known, hint="assay log --all")
        return [tag.commit], ""
    tried = name_lookup.experiment(root, repository, name)
    return [tried.commit], tried.why
