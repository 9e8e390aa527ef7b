"""What `assay search` is asked for, checked before anything trains: the space against the project, where it starts.

Covers: HEAD's own setting, what a search is told apart by. Not covered: reading the section (`core.search_section`),
what the strategy does not take of it (`commands.search_problems`), settings that were measured before
(`commands.search_known`), running it (`commands.search`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from assay.changes import strategy_content
from assay.changes.strategy_content import StrategyContent
from assay.commands import search_problems
from assay.core import ast_normal_form, params_yaml, search_section, search_space, variation
from assay.core.errors import UsageError
from assay.core.params_yaml import Params
from assay.core.paths import ProjectPaths
from assay.core.search_space import SearchPlan, Setting, same
from assay.history.search_records import RecordedSearch, SearchTerms
from assay.runtime import dvc_yaml, files, git
from assay.tags.strategy_events import NAMES, is_name


@dataclass(frozen=True)
class SearchSetup:
    """A search that can begin. `outside`: why HEAD's own setting is none of the space, "" where it is one."""

    layout: ProjectPaths
    name: str
    plan: SearchPlan
    sampler: str
    base: str  # commit that is searched around
    asked: Params  # of HEAD
    seed: int  # of the Sobol sequence, and root of the samplers'
    strategy: str  # hash of what HEAD has beside the space: other parameters, and code that trains
    own: Setting
    outside: str

    def terms(self) -> SearchTerms:
        """What params.yaml decides of the search; a run fills in the rest."""
        return SearchTerms(
            space=self.plan.space.canonical,
            replicates=self.plan.replicates,
            seed=self.seed,
            sampler=self.sampler,
            strategy=self.strategy,
            code="",
            data="",
            environment="",
            metric=self.asked.metric.name,
            metric_version="",
            direction="",
            worst=None,
        )

    def check_same(self, recorded: RecordedSearch) -> None:
        """Raises UsageError where the search was begun otherwise."""
        known, now = recorded.terms, self.terms()
        if known is None:
            return
        for field, what in (
            ("space", "search.space"),
            ("replicates", "search.replicates"),
            ("seed", "its seed"),
            ("sampler", "its sampler"),
            ("strategy", "what HEAD trains beside the space"),
            ("metric", "metric.name"),
        ):
            before, here = getattr(known, field), getattr(now, field)
            if before == here:
                continue
            told = f"{what} is {here!r}, and the search {self.name} was begun with {before!r}"
            if field == "space":
                told = f"{what} has {self._edited(before)}"
            if field in ("seed", "strategy"):  # numbers that say nothing to a reader
                told = f"{what} is not what the search {self.name} was begun with"
            raise UsageError(
                told,
                allowed="one space and one strategy around it for all settings of a search",
                hint=f"assay search {self.name}-2 begins a new one; what is the same is not trained again",
            )

    def _edited(self, before: str) -> str:
        """The first key of the space that is another one by now."""
        then = {one.key: one.text for one in search_space.keys_of(before)}
        now = {one.key: one.text for one in self.plan.space.keys}
        changed = next(key for key in {**now, **then} if now.get(key) != then.get(key))
        was = then.get(changed, f"no {changed}")
        return f"{now.get(changed, f'no {changed}')}, and the search {self.name} was begun with {was}"


def setup(layout: ProjectPaths, name: str, settings: int | None, sampler: str) -> SearchSetup:
    """The search that params.yaml in the work tree describes, around HEAD.

    Raises UsageError for a name that is none, an empty or wrong space, keys that HEAD does not have or that nothing
    reads, values that no run takes.
    """
    if not is_name(name):
        raise UsageError(f"{name!r} is no name for a search", allowed=NAMES)
    plan = search_section.read(params_yaml.load(dvc_yaml.parameters(layout.root)).search)
    if settings is not None:
        plan = replace(plan, settings=settings)
    content = dvc_yaml.parameters_at(layout.root, "HEAD") or b""
    asked = params_yaml.resolved(content)
    variation.refuse_splits(asked.vary, "assay search", "scores all settings on one validation part")
    for error in search_problems.problems(layout, content, plan):
        raise error
    known = search_problems.parameters(asked)
    own = plan.space.within(known)
    rest = {key: value for key, value in known.items() if key not in {one.key for one in plan.space.keys}}
    base = git.run(layout.root, "rev-parse", "HEAD")
    root = plan.seed if plan.seed is not None else asked.seed
    seed = int(files.digest(f"{name}\n{plan.space.canonical}\n{root}".encode())[:8], 16)
    return SearchSetup(
        layout=layout,
        name=name,
        plan=plan,
        sampler=sampler,
        base=base,
        asked=asked,
        seed=seed,
        strategy=strategy_hash(strategy_content.with_params(layout.root, base, asked), asked, rest),
        own=own,
        outside=plan.space.outside(own),
    )


def strategy_hash(content: StrategyContent, asked: Params, rest: Mapping[str, Any]) -> str:
    """Of the parameters beside the space, and of the sources as far as they do something."""
    code = {
        path: ast_normal_form.text(ast_normal_form.parse(text, path)) if path.endswith(".py") else text
        for path, text in content.sources.items()
    }
    return files.digest(same({**rest, "profile": asked.profile, "seed": asked.seed, "code": code}).encode())
