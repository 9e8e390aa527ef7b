"""Record of the cases behind a verdict (`results/cases.json`): single examples, how each is shown, what luck gives.

Covers: fields. Not covered: which examples are in it (`metrics.example_cases`), how they are drawn
(`data.example_display`).
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from assay.core.schemas import Record

#: examples of a list that are shown
MOST_SHOWN = 40
FIXED, BROKEN, WRONG, SPLIT = "fixed", "broken", "wrong", "split"
BETTER, WORSE = "better", "worse"
#: right_or_wrong: the lists fixed, broken, wrong, split; scores: better, worse; none: no lists
CaseRule: TypeAlias = Literal["right_or_wrong", "scores", "none"]


class ExampleDisplay(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One example for a person: a picture, a text or a row, else a note why not; none is safe to print as it stands."""

    picture: str | UnsetType = UNSET  # a PNG in base64
    size: list[int] | UnsetType = UNSET  # width and height of the picture in pixels
    text: str | UnsetType = UNSET  # a text, or what stands under the picture
    row: list[list[str]] | UnsetType = UNSET  # name and value of each column
    note: str | UnsetType = UNSET  # what was cut, or why nothing can be shown


class Predicted(Struct, frozen=True, forbid_unknown_fields=True):
    """A class that replicates of an arm predict, and the share of them that do; a value has the share 1."""

    label: str
    share: float


class ExampleCase(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One example. `before` and `after`: shares of the baseline's and the candidate's replicates that have it right,
    or mean scores; where there is nothing to compare with `before` is left out."""

    id: str
    after: float
    before: float | UnsetType = UNSET
    label: str | UnsetType = UNSET
    predicted_before: list[Predicted] | UnsetType = UNSET  # the most frequent first
    predicted_after: list[Predicted] | UnsetType = UNSET
    display: ExampleDisplay | UnsetType = UNSET


class CaseList(Struct, frozen=True, forbid_unknown_fields=True):
    """A list by its name: how many examples are in it, and the ids of those that are in the record."""

    name: str
    count: int
    ids: list[str]


class LuckRange(Struct, frozen=True, forbid_unknown_fields=True):
    """What two groups of one strategy would give: the expected number, and the ends of its 90 % range."""

    expected: float
    low: int
    high: int


class Luck(Struct, frozen=True, forbid_unknown_fields=True):
    """Of both lists that luck alone fills, too."""

    fixed: LuckRange
    broken: LuckRange


class CasesRecord(Record, frozen=True, kw_only=True):
    """`results/cases.json`. Fields are added, none is taken away."""

    metric: str
    metric_version: str
    rule: CaseRule
    rule_text: str  # the same in words: what counts as right, or as better, or why there are no lists
    against: str  # what the candidate is compared with: a strategy, `floor NAME`; "" where there is nothing
    examples: int  # in the validation part
    baseline_n: int  # replicates that count; 0 for a floor, which has no seeds, and without a baseline
    candidate_n: int
    lists: list[CaseList]
    cases: list[ExampleCase]  # each example once, whatever lists it is in
    luck: Luck | UnsetType = UNSET
    luck_unknown: str | UnsetType = UNSET  # why luck's number is not known
    notes: list[str]  # what went wrong while examples were shown
