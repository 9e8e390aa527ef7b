"""Factorial: which part of a change brings the gain.

Covers: up to three factors, every combination measured; main effects, interactions, each part alone and on top
of all others, with intervals and p adjusted by Holm over the whole family; what these say in words. Designs
that share seeds are blocked by seed. Not covered: fractions of a design.
Cells may have different n and spread: contrasts of cell means with Satterthwaite's degrees of freedom.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from assay.core.errors import UsageError
from assay.stats import verdict_rule
from assay.stats.arm_scores import ArmScores, sample
from assay.stats.difference_estimate import Array, Contrast, one_sample
from assay.stats.multiple_comparisons import holm

Cell = frozenset[str]


@dataclass(frozen=True)
class Effect:
    """One contrast in the metric's units; the interval is not adjusted, `p_holm` is over all effects of the design."""

    name: str  # "A", "A × B", "A alone", "A given B", "all"
    kind: str  # main, interaction, alone, given, all
    parts: tuple[str, ...]
    delta: float
    ci: tuple[float, float]
    p: float
    p_holm: float


@dataclass(frozen=True)
class Factorial:
    """All effects, and what they mean. `findings` is empty where nothing can be said."""

    effects: tuple[Effect, ...]
    findings: tuple[str, ...]
    harmful: tuple[str, ...]  # parts that are shown to harm: in the mean, alone, or given the others
    carried: tuple[str, ...]  # parts without a shown effect in a design where another part has one
    alpha: float


def factorial(
    groups: Mapping[Sequence[str] | Cell, Sequence[float]],
    direction: str = "maximize",
    *,
    blocked: bool = False,
    alpha: float = 0.05,
    min_effect: float = 0.0,
    distinct: bool = False,
) -> Factorial:
    """Main effects, interactions and single effects of up to three changes, every combination measured.

    Keys of `groups` name the parts switched on: `()`, `("A",)`, `("B",)`, `("A", "B")`. Values are (n,) numbers in
    the metric's units; n may differ from group to group. `blocked`: position r has the same seed in every group, and
    effects are taken seed by seed. Else they are contrasts of means with Satterthwaite's degrees of freedom (1946). p
    is adjusted over all effects (Holm 1979).

    Runs of a group that are all alike count as one, unless the caller knows that they are `distinct`. Raises
    `UsageError` for a missing or unknown combination, fewer than two runs in a group, or blocks of different size.
    """
    toward = verdict_rule.sign(direction)
    cells = {frozenset(key): sample(_label(frozenset(key)), values, 0, None) for key, values in groups.items()}
    if not distinct:
        cells = {key: group.counted(0, fixed=False) for key, group in cells.items()}
    parts = _parts(cells)
    _check(cells, parts, blocked)
    named = _contrasts(parts)
    found = [_estimate(weights, cells, blocked) for *_, weights in named]
    adjusted = holm([p for _, _, p in (_read(contrast, alpha) for contrast in found)])
    effects = []
    for (name, kind, about, _), contrast, p_holm in zip(named, found, adjusted, strict=True):
        low, high, p = _read(contrast, alpha)
        effects.append(Effect(name, kind, about, float(contrast.delta), (low, high), p, p_holm))
    return _interpret(tuple(effects), parts, toward, alpha, min_effect)


def _label(cell: Cell) -> str:
    return "+".join(sorted(cell)) or "baseline"


def _parts(cells: Mapping[Cell, ArmScores]) -> tuple[str, ...]:
    parts = tuple(dict.fromkeys(part for cell in cells for part in sorted(cell)))
    if not 2 <= len(parts) <= 3:
        raise UsageError(f"the design has {len(parts)} factors", allowed="two or three")
    return parts


def _check(cells: Mapping[Cell, ArmScores], parts: tuple[str, ...], blocked: bool) -> None:
    wanted = {frozenset(c) for size in range(len(parts) + 1) for c in itertools.combinations(parts, size)}
    missing = sorted(_label(cell) for cell in wanted - set(cells))
    if missing:
        raise UsageError(f"the design lacks {', '.join(missing)}", allowed="every combination of its parts")
    alike = next((_label(cell) for cell, group in cells.items() if group.repeats), "")
    if alike:
        raise UsageError(f"all runs of {alike} are the same", allowed="runs whose seed reaches the training")
    thin = sorted(_label(cell) for cell, group in cells.items() if group.n < 2)
    if thin:
        raise UsageError(f"{', '.join(thin)} has fewer than two runs", allowed="two or more in every group")
    if blocked and len({group.n for group in cells.values()}) > 1:
        raise UsageError("a blocked design has groups of different size", allowed="the same seeds in every group")


def _contrasts(parts: tuple[str, ...]) -> list[tuple[str, str, tuple[str, ...], dict[Cell, float]]]:
    """(name, kind, parts, weight of each cell) of every effect in the family."""
    everything = frozenset(parts)
    cells = [frozenset(c) for size in range(len(parts) + 1) for c in itertools.combinations(parts, size)]
    found: list[tuple[str, str, tuple[str, ...], dict[Cell, float]]] = []
    for size in range(1, len(parts) + 1):
        for about in itertools.combinations(parts, size):
            # Main effects and interactions: products of ±1, averaged over the levels of all other parts.
            share = 2.0 ** (len(parts) - size)
            weights = {cell: math.prod(1 if part in cell else -1 for part in about) / share for cell in cells}
            found.append((" × ".join(about), "main" if size == 1 else "interaction", about, weights))
    for part in parts:
        rest = everything - {part}
        found.append((f"{part} alone", "alone", (part,), {frozenset({part}): 1.0, frozenset(): -1.0}))
        found.append((f"{part} given {_label(rest)}", "given", (part,), {everything: 1.0, rest: -1.0}))
    return [*found, ("all", "all", parts, {everything: 1.0, frozenset(): -1.0})]


def _estimate(weights: Mapping[Cell, float], cells: Mapping[Cell, ArmScores], blocked: bool) -> Contrast:
    if blocked:
        per_seed: Array = np.sum([weight * cells[cell].values for cell, weight in weights.items()], axis=0)
        whole = ArmScores(per_seed)
        return one_sample(whole.mean or 0.0, whole.variance or 0.0, whole.n)
    delta, shares = 0.0, []
    for cell, weight in weights.items():
        group = cells[cell]
        assert group.mean is not None and group.variance is not None
        delta += weight * group.mean
        shares.append((weight**2 * group.variance / group.n, group.n - 1))
    variance = sum(share for share, _ in shares)
    df = variance**2 / sum(share**2 / df for share, df in shares) if variance else 1.0
    return Contrast(np.asarray(delta), np.asarray(math.sqrt(variance)), np.asarray(df))


def _read(contrast: Contrast, alpha: float) -> tuple[float, float, float]:
    """(low, high, p); nothing is said without spread."""
    if not float(contrast.se) > 0:
        return -math.inf, math.inf, 1.0
    low, high = contrast.interval(alpha)
    return float(low), float(high), float(contrast.p)


def _interpret(
    effects: tuple[Effect, ...], parts: tuple[str, ...], toward: int, alpha: float, min_effect: float
) -> Factorial:
    shown = [effect for effect in effects if effect.p_holm <= alpha]
    about = {part: [e for e in shown if e.parts == (part,)] for part in parts}
    harmful = tuple(part for part in parts if any(e.delta * toward < 0 for e in about[part]))
    helpful = tuple(part for part in parts if any(e.delta * toward > 0 for e in about[part]))
    mixed = {part for e in shown if e.kind == "interaction" for part in e.parts}
    idle = tuple(part for part in parts if not about[part] and part not in mixed)
    carried = idle if helpful or harmful else ()
    gain = any(e.kind == "all" and e.delta * toward > 0 for e in shown)
    findings = [*_harm(harmful, about, toward, gain), *_idle(carried, effects, min_effect)]
    findings += [_interaction(e, toward) for e in shown if e.kind == "interaction"]
    return Factorial(effects, tuple(findings), harmful, carried, alpha)


def _harm(harmful: tuple[str, ...], about: Mapping[str, list[Effect]], toward: int, gain: bool) -> list[str]:
    said = []
    for part in harmful:
        where = ", ".join(e.name if e.kind != "main" else "on average" for e in about[part] if e.delta * toward < 0)
        hides = "the gain of the whole hides a loss: " if gain else ""
        said.append(f"{hides}{part} harms ({where}): try the whole without {part}")
    return said


def _idle(carried: tuple[str, ...], effects: tuple[Effect, ...], min_effect: float) -> list[str]:
    said = []
    for part in carried:
        main = next(e for e in effects if e.kind == "main" and e.parts == (part,))
        proved = max(abs(main.ci[0]), abs(main.ci[1])) < min_effect
        how = f"its effect is below {min_effect:g}" if proved else "no effect of it is shown"
        said.append(f"{part} is carried along: {how} [{main.ci[0]:+.3g}, {main.ci[1]:+.3g}]")
    return said


def _interaction(effect: Effect, toward: int) -> str:
    how = "bring more together than" if effect.delta * toward > 0 else "bring less together than"
    return f"{' and '.join(effect.parts)} {how} the sum of each alone ({effect.delta:+.3g})"
