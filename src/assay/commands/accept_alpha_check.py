"""The look that selected an idea: what is to be accepted was seen at a level that its account can pay.

Covers: a verdict that another clone or an earlier version gave, and whose look nobody recorded here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from assay.acceptance.confirmation_attempt import Names
from assay.commands.compare_find_recorded_look import tags
from assay.core import params_yaml
from assay.core.errors import IncomparableError
from assay.core.paths import ProjectPaths
from assay.history import look_ledger, metrics_json, past_verdicts
from assay.runtime import dvc_yaml, files, table_files
from assay.stats.alpha_budget import metric_label


def check(layout: ProjectPaths, home: Path, called: Names, metrics: Mapping[str, Any]) -> None:
    """Take the look behind the results of the project at `layout`, where nobody did.

    Raises IncomparableError where earlier looks left less for it than the verdict took.
    """
    asked = params_yaml.load(dvc_yaml.parameters(layout.root))
    table = table_files.parse(files.read_bytes(layout.replicates), str(layout.replicates))
    label = metric_label(asked.metric.name, asked.metric.options)
    look = past_verdicts.recorded(table, asked.judge, label, tags(home), called[0])
    look = msgspec.structs.replace(look, identity=called[0], formerly=called[1])
    _, price, _ = look_ledger.look(home, look)
    level, p = metrics_json.number(metrics, "level"), metrics_json.number(metrics, "p")
    shown = metrics_json.text(metrics, "verdict") == "progress" and p is not None and p <= price.level
    if price.hold or not (shown or (level is not None and level <= price.level * (1 + 1e-9))):
        given_at = "?" if level is None else f"{level:g}"
        raise IncomparableError(
            f"the verdict was given at level {given_at}; earlier looks at this idea left {price.level:g} for it",
            allowed="a verdict that holds at what its look costs",
            hint="dvc exp run, then accept that",
        )
