"""What differs between replicates: all uses of chance, or those that params.yaml names under `vary`.

What is named differs between replicates and between arms; what is not is drawn once for the root seed, and shared by
all replicates of both arms. `split` differs only where it is named, and both arms share it: replicate by replicate they
train and validate on the same examples. A replicate's purpose carries the names, so that it is another replicate under
another key. Covers: names, the purpose with them. Not covered: the streams (`replicates.replicate_seeds`), drawing
splits (`data.resampled_split`).
"""

from __future__ import annotations

from collections.abc import Sequence

from assay.core.errors import UsageError
from assay.core.short_repr import excerpt

#: what differs unless params.yaml says otherwise, in the order in which a training meets it
KINDS = ("init", "order", "augment", "dropout")
#: training and validation parts, drawn anew from their union for each replicate
SPLIT = "split"
#: all that may be named
NAMES = (*KINDS, SPLIT)
#: stream of chance in a training → what it belongs to
STREAMS = {
    "init": "init",
    "order": "order",
    "loader": "augment",
    "augmentation": "augment",
    "mixing": "augment",
    "dropout": "dropout",
}
#: judge.test of resampled splits: the corrected resampled t-test
RESAMPLED = "resampled"
#: what it stands in for: the default, and the test of a design in which arms share seeds as well
SUPERSEDED = ("welch", "paired", RESAMPLED)
#: ways of training that take one set of examples for all replicates
TOGETHER = ("fused", "processes")
_MARK = " varying "


def check(vary: Sequence[str], where: str) -> None:
    """Raise UsageError for a name that nobody draws by, one that stands there twice, and for none at all."""
    strange = next((one for one in vary if one not in NAMES), None)
    if strange is not None or not vary or len(set(vary)) < len(vary):
        hint = "set vary in params.yaml; task.fixed: true says that nothing in a task is random"
        raise UsageError(f"{where}: vary is {excerpt(list(vary))}", allowed=f"some of {', '.join(NAMES)}", hint=hint)


def is_all(vary: Sequence[str]) -> bool:
    """Whether the same differs as without `vary`."""
    return set(vary) == set(KINDS)


def has_all_of_training(vary: Sequence[str]) -> bool:
    """Whether all that a training draws by chance differs, whatever the parts do."""
    return set(vary) >= set(KINDS)


def purpose(base: str, vary: Sequence[str]) -> str:
    """`confirmation varying init+order`; `base` alone where everything differs. What it carried before is replaced."""
    plain = plain_purpose(base)
    return plain if is_all(vary) else f"{plain}{_MARK}{'+'.join(kind for kind in NAMES if kind in vary)}"


def plain_purpose(purpose: str) -> str:
    """A purpose without the names of what varies."""
    return purpose.partition(_MARK)[0]


def varied(of_purpose: str) -> tuple[str, ...]:
    """What differs between the replicates of a purpose."""
    _, mark, names = of_purpose.partition(_MARK)
    return tuple(names.split("+")) if mark else KINDS


def in_words(vary: Sequence[str]) -> str:
    """`init, order`."""
    return ", ".join(kind for kind in NAMES if kind in vary)


def has_splits(of_purpose: str) -> bool:
    """Whether each replicate of a purpose trains and validates on parts of its own."""
    return SPLIT in varied(of_purpose)


def refuse_splits(vary: Sequence[str], who: str, why: str) -> None:
    """Raise UsageError where parts differ between replicates and `who` cannot work with that; `why` says what it
    needs."""
    if SPLIT in vary:
        raise UsageError(
            f"params.yaml: vary has {SPLIT}, and {who} {why}",
            allowed=f"some of {', '.join(KINDS)}",
            hint=f"remove {SPLIT} from vary in params.yaml",
        )


def judging_test(vary: Sequence[str], test: str, execution: str, where: str) -> str:
    """`judge.test` as it judges: resampled where parts differ between replicates. Raises UsageError for another test
    there, for that one anywhere else, and for an `execution` that trains on one set of examples."""
    if SPLIT not in vary:
        if test == RESAMPLED:
            raise UsageError(
                f"{where}: judge.test is {test}, and vary draws no splits",
                allowed="welch, student, paired, permutation, anytime",
                hint=f"add {SPLIT} to vary in params.yaml",
            )
        return test
    if test not in SUPERSEDED:
        raise UsageError(
            f"{where}: judge.test is {test}, and splits overlap where vary has {SPLIT}",
            allowed=f"{RESAMPLED}, the corrected resampled t-test",
            hint="remove judge.test in params.yaml",
        )
    if execution in TOGETHER:
        raise UsageError(
            f"{where}: machine.execution is {execution}, and replicates have examples of their own where vary has "
            f"{SPLIT}",
            allowed="auto, sequential",
            hint="set machine.execution: auto in params.yaml",
        )
    return RESAMPLED
