"""What differs between replicates: all uses of chance, or those that params.yaml names under `vary`.

What is named differs between replicates and between arms; what is not is drawn once for the root seed, and shared by
all replicates of both arms. A replicate's purpose carries the names, so that it is another replicate under another key.
Covers: names, the purpose with them. Not covered: the streams (`replicates.replicate_seeds`).
"""

from __future__ import annotations

from collections.abc import Sequence

from assay.core.errors import UsageError
from assay.core.short_repr import excerpt

#: what may differ, in the order in which a training meets it
KINDS = ("init", "order", "augment", "dropout")
#: stream of chance in a training → what it belongs to
STREAMS = {
    "init": "init",
    "order": "order",
    "loader": "augment",
    "augmentation": "augment",
    "mixing": "augment",
    "dropout": "dropout",
}
_MARK = " varying "


def check(vary: Sequence[str], where: str) -> None:
    """Raise UsageError for a name that nobody draws by, one that stands there twice, and for none at all."""
    strange = next((one for one in vary if one not in KINDS), None)
    if strange is not None or not vary or len(set(vary)) < len(vary):
        hint = "set vary in params.yaml; task.fixed: true says that nothing in a task is random"
        raise UsageError(f"{where}: vary is {excerpt(list(vary))}", allowed=f"some of {', '.join(KINDS)}", hint=hint)


def is_all(vary: Sequence[str]) -> bool:
    """Whether everything differs, as without `vary`."""
    return set(vary) >= set(KINDS)


def purpose(base: str, vary: Sequence[str]) -> str:
    """`confirmation varying init+order`; `base` alone where everything differs. What it carried before is replaced."""
    plain = base.partition(_MARK)[0]
    return plain if is_all(vary) else f"{plain}{_MARK}{'+'.join(kind for kind in KINDS if kind in vary)}"


def varied(of_purpose: str) -> tuple[str, ...]:
    """What differs between the replicates of a purpose."""
    _, mark, names = of_purpose.partition(_MARK)
    return tuple(names.split("+")) if mark else KINDS


def in_words(vary: Sequence[str]) -> str:
    """`init, order`."""
    return ", ".join(kind for kind in KINDS if kind in vary)
