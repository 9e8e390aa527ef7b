"""What `assay data` found, in lines: what should worry a reader first, then where to look."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from assay.core import sanitize_output

#: classes this many times larger than the smallest are worth a word
LOPSIDED = 10


def lines(found: Mapping[str, Any], shown: int) -> Iterator[str]:
    """`found`: the record as plain values. `shown`: entries of each list that are printed."""
    for line in _lines(found, shown):
        yield sanitize_output.line(line)


def _lines(found: Mapping[str, Any], shown: int) -> Iterator[str]:
    sizes = found["examples"]
    yield f"examples: {', '.join(f'{count:,} {name}' for name, count in sizes.items())}"
    yield from _classes(found["classes"])
    yield from _drift(found["drift"], shown)
    yield from _sizes(found)
    yield from _outliers(found, shown)
    yield from _near(found, shown)
    yield from _labels(found, shown)
    for what, why in found["left_out"].items():
        yield f"not looked at: {what}: {why}"


def _classes(classes: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    if not classes:
        return
    totals = {name: sum(parts.values()) for name, parts in classes.items()}
    least, most = min(totals, key=totals.__getitem__), max(totals, key=totals.__getitem__)
    ratio = totals[most] / max(1, totals[least])
    said = f"classes: {len(totals)}, from {totals[least]:,} ({least}) to {totals[most]:,} ({most})"
    hint = "; lopsided: macro_f1 or balanced_accuracy counts classes alike" if ratio >= LOPSIDED else ""
    yield said + hint
    empty = [f"{name} in {part}" for name, parts in classes.items() for part, count in parts.items() if not count]
    if empty:
        yield f"classes without an example: {', '.join(empty[:10])}{', …' if len(empty) > 10 else ''}"


def _drift(drift: Sequence[Mapping[str, Any]], shown: int) -> Iterator[str]:
    if not drift:
        yield "drift between parts: none at 0.1 % over all columns"
    for one in drift[:shown]:
        what = f"mean {one['shift']:+.3g} sd" if one["kind"] == "mean" else f"shares apart by {one['shift']:.3g}"
        yield f"drift: {one['column']} of {one['part']} against train: {what} (p={one['p']:.1g})"


def _sizes(found: Mapping[str, Any]) -> Iterator[str]:
    if sizes := found["sizes"]:
        unit = found["size_unit"]
        yield f"sizes of inputs: {sizes['min']:,.0f} to {sizes['max']:,.0f} {unit}, median {sizes['median']:,.0f}"
    for label, parts in found["objects"].items():
        for part, one in parts.items():
            yield (
                f"objects: {label} in {part}: {one['objects']:,} in {one['examined']:,} masks, {one['smallest']:,} to "
                f"{one['largest']:,} pixels, median {one['median']:,.0f}; {100 * one['small']:.0f} % are small"
            )


def _outliers(found: Mapping[str, Any], shown: int) -> Iterator[str]:
    yield f"outliers: {found['outliers']:,} examples lie 8 robust standard deviations or more from the others"
    for one in found["farthest"][:shown]:
        yield f"    {_example(one)}: {one['what']} {one['value']:.5g} ({one['score']:.3g})"


def _near(found: Mapping[str, Any], shown: int) -> Iterator[str]:
    if "near duplicates" in found["left_out"]:
        return
    across = {pair: count for pair, count in found["near_across"].items() if count}
    said = ", ".join(f"{count:,} of {pair.replace('-', ' in ')}" for pair, count in across.items())
    yield f"near duplicates across parts: {said or 'none'}; within parts: {found['near_within']:,}"
    for one in found["near_pairs"][:shown]:
        yield f"    {_example(one['first'])} ~ {_example(one['second'])}: distance {one['distance']:.3g}"
    if across:
        yield "    next: give such examples one group in prepare(), so that they stay in one part"


def _labels(found: Mapping[str, Any], shown: int) -> Iterator[str]:
    if found["agreement"] is None:
        return
    count, all_ = found["suspected_labels"], found["examined_labels"]
    share, agree = 100 * count / max(1, all_), 100 * found["agreement"]
    yield f"labels: {count:,} of {all_:,} suspected ({share:.2g} %); {agree:.3g} % are predicted as labelled"
    yield from (f"    by {source}" for source in found["sources"])
    for one in found["suspects"][:shown]:
        yield f"    {_example(one)}: {one['label']}, more likely {one['suggested']} ({one['margin']:+.2f})"
    if found["confused"]:
        said = ", ".join(f"{label} for {other} {n}" for label, other, n in found["confused"][:5])
        yield f"    most often: {said}"


def _example(one: Mapping[str, Any]) -> str:
    return f"{one['part']} {one['id'][:12]}"
