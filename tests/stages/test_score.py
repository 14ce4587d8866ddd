"""`score`: one seeded run, and every row that shares it."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pytest
from click.testing import Result

from pipeline.config.layout import Layout
from pipeline.config.params import load_variants
from pipeline.config.run import Run
from pipeline.report.results import read_study
from pipeline.store.dump import PredictionDump, read_dump, write_dump
from tests.report.worlds import VOCABULARY
from tests.roots import weakhoi


@pytest.fixture
def layout(layout) -> Layout:
    dump = read_dump(layout.predictions(Run("ours")), vocabulary=VOCABULARY)
    for variant in ("ours", "exp8"):
        write_run(layout, Run(variant, seed=3), dump)
    write_run(layout, Run("abl1", seed=3), dump, sign=-1)
    return layout


def write_run(layout: Layout, run: Run, dump: PredictionDump, sign: float = 1) -> None:
    outputs = {**dump.outputs, "interaction_logits": sign * dump.outputs["interaction_logits"]}
    write_dump(layout.predictions(run), **vars(dataclasses.replace(dump, variant=run.name, outputs=outputs)))


def score(layout: Layout, variant: str, seed: int = 3) -> Result:
    return weakhoi(layout.root, "score", "--dataset", "toyworld", "--variant", variant, "--seed", str(seed))


def test_rows_that_share_a_run_are_scored_from_it(layout):
    result = score(layout, "ours")
    assert result.exit_code == 0, result.output
    study = read_study(layout.studies)
    shared = {name for name, row in load_variants(layout.params).items() if row.run == "ours"}
    assert set(study) == {"ours", *shared} > {"exp7", "top1"} and list(study["ours"]) == [3]
    assert study["top1"][3] == dataclasses.replace(study["ours"][3], variant="top1")
    assert study["ours"][3].means["full"] == json.loads(layout.metrics(Run("ours")).read_text())["full"]


def test_abl3_is_abl2_times_the_zero_shot_run_of_the_same_seed(layout):
    assert score(layout, "exp8").exit_code == 0
    rows = json.loads(layout.study(Run("exp8", seed=3)).read_text())["rows"]
    assert rows["abl2"] == rows["exp8"] and set(rows) == {"exp8", "abl2", "abl3"}
    shutil.rmtree(layout.predictions(Run("abl1", seed=3)))
    result = score(layout, "exp8")  # what the product is: tests/evaluation/test_fusion.py
    assert result.exit_code == 2
    assert "abl1-3" in result.output
    assert 'run "weakhoi infer --dataset toyworld --variant abl1 --seed 3"' in result.output


def test_missing_predictions_are_one_line(layout):
    result = score(layout, "ours", seed=9)
    assert result.exit_code == 2 and result.output.count("\n") == 1 and "ours-9" in result.output
