"""A language model in a repository of its own: one line of Python, floors that mean something, the end is judged."""

from __future__ import annotations

import json
import random
import re
import shutil

import pytest

from support.project import Project

LINE = "from assay.ready.tokens import loss, model, prepare, preprocess, score\n"


@pytest.mark.extra
def test_a_text_gives_a_verdict(fresh: Project) -> None:
    shutil.rmtree(fresh.root / "src")
    (fresh.root / "task.py").write_text(LINE, encoding="utf-8")
    draw = random.Random(0)
    names, verbs = ("cat", "dog", "bird", "horse"), ("sat on", "ran to", "saw")
    words = [f"the {draw.choice(names)} {draw.choice(verbs)} a {draw.choice(names)}.\n" for _ in range(500)]
    (fresh.root / "book.txt").write_text("".join(words), encoding="utf-8")
    pipeline = re.sub(r"^ +- src/tasks/\$\{task.name\}/.*\n", "", fresh.read("dvc.yaml"), flags=re.MULTILINE)
    (fresh.root / "dvc.yaml").write_text(pipeline, encoding="utf-8")
    text = re.sub(r"name: digits\b", "name: text", fresh.read("params.yaml"))
    text = re.sub(r"name: accuracy\b", "name: nats_per_token", text)
    text = re.sub(r"^data: \{\}", "data: {file: book.txt, length: 16}", text, flags=re.MULTILINE)
    text = re.sub(r"^ +(layers|dropout): .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"\bhidden: \d+", "width: 32", text)
    text = re.sub(r"\bbatch_size: \d+", "batch_size: 16", text)
    text = re.sub(r"^lr: \S+", "lr: 0.02", text, flags=re.MULTILINE)
    text = re.sub(r"^  epochs: 3\b", "  epochs: 20", text, flags=re.MULTILINE)
    (fresh.root / "params.yaml").write_text(text, encoding="utf-8")
    fresh.commit("a text")
    said = fresh.dvc("exp", "run").stdout
    assert "by time" in said and "no floor linear: inputs are token ids, whose size means nothing" in said
    floors = {row["strategy"] for row in fresh.replicates("floor")}
    assert floors == {"unigram", "bigram"}
    assert fresh.metrics["verdict"] == "progress" and "vs floor bigram" in said, said
    report = json.loads(fresh.read("data/split/report.json"))
    assert report["sizes"]["train"] > report["sizes"]["validation"] > report["sizes"]["test"] > 0
    before = str(fresh.metrics["metric_version"])

    # The ruler follows score(): a task that writes its own has another one.
    own = LINE.replace(", score", "") + "def score(outputs, targets):\n    return 0 * outputs[..., 0] + 1\n"
    (fresh.root / "task.py").write_text(own, encoding="utf-8")
    for stage in ("context", "train", "evaluate"):
        fresh.stage(stage)
    assert str(fresh.metrics["metric_version"]) != before and float(fresh.metrics["nats_per_token"]) == 1.0  # type: ignore[arg-type]
