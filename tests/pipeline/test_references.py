"""Published numbers in a run: lines under the verdict, a column of `dvc exp show`, no key and no training."""

from __future__ import annotations

from support.project import Project

REFERENCES = """
  references:
    paper: {value: 0.9, margin: 0.5, source: Smith 2020}
    wrong: {value: 3.5, margin: 0.01, source: a blog, examples: 10000}
    other: {value: 0.5, margin: 0.1, source: a thesis, metric: bleu}
  max_cost:"""


def test_references_beside_a_verdict(tried: Project) -> None:
    before = tried.metrics
    tried.edit("params.yaml", "\n  max_cost:", REFERENCES)
    said = tried.judged()
    assert "reference paper 0.9 (Smith 2020): reproduced within 0.5: " in said
    assert "reference wrong 3.5 (a blog): below by more than 0.01: " in said and "% CI" in said
    assert "reference other 0.5 (a thesis): not computed: this run has no bleu" in said
    assert "look at, before at the model:" in said and "10,000 in the source" in said
    after = tried.metrics
    assert after.pop("references") == "paper reproduced, wrong below, other not computed"
    assert after == before, "nothing else is another, the verdict least of all"
    page = tried.assay("report", "--markdown").stdout
    assert "reference paper 0.9 (Smith 2020): reproduced" in page.replace("\\", "")
