"""The gallery's record against the evaluation: at every threshold, verdicts and counts are the protocol's."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.config.layout import Layout
from pipeline.config.params import load_params
from pipeline.config.run import Run
from pipeline.core.types import Detections
from pipeline.evaluation.engine import evaluate_hicodet
from pipeline.evaluation.fusion import fuse
from pipeline.evaluation.hicodet import Rules
from pipeline.evaluation.params import EvaluateParams
from pipeline.evaluation.scored_split import ScoredSplit
from pipeline.report.gallery import gallery_record
from pipeline.report.selection import ScoredRun, read_scored
from pipeline.store.detections_dump import open_matched
from pipeline.store.dump import PredictionDump, read_dump, write_dump
from pipeline.store.inputs import StageInputs
from stages.evaluate import command as evaluate
from tests.report.worlds import write_world


@pytest.fixture(scope="module")
def layout(tmp_path_factory) -> Layout:
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def split(layout) -> ScoredSplit:
    return ScoredSplit.open(StageInputs(layout), "test")


@pytest.fixture(scope="module")
def dump(layout) -> PredictionDump:
    return read_dump(layout.predictions(Run("ours")))


@pytest.fixture(scope="module")
def fused(layout, dump) -> Detections:
    return fuse(dump, load_params(layout.params, "toyworld", Run("ours"))[EvaluateParams])


def scored(layout, split, images) -> ScoredRun:
    matched = open_matched(layout.detections(Run("ours")), run="ours", remedy="")
    return read_scored(matched, split.annotated.truth, split.vocabulary.num_hois, np.array(images))


def record_of(split, run, images) -> dict:
    return gallery_record({"baseline": run, "ours": run}, "ours", split, np.array(images), lambda count: None)


@pytest.mark.parametrize("images", [[0, 1, 2], [1]])
def test_cutting_the_ranking_at_a_threshold_keeps_every_verdict(layout, split, fused, images):
    """The claim that the slider rests on: the hits above a score are those of an evaluation of what is above it."""
    run = record_of(split, scored(layout, split, images), images)["runs"][1]
    rows = [row for pairs in run["found"] for pair in pairs for row in pair["rows"]]
    assert len(rows) == int(np.isin(fused.image_index, images).sum())  # few enough that none is below the floor
    rules = Rules(split.vocabulary.hoi_object_ids)
    for threshold in sorted(row[1] for row in rows):
        kept = fused.take(fused.scores >= threshold * 0.999)
        result = evaluate_hicodet(kept, split.annotated.truth, rules, keep_matches=True)
        expected = int(result.hits[np.isin(kept.image_index, images)].sum())
        assert sum(row[3] == 0 for row in rows if row[1] >= threshold) == expected


def test_rows_hold_score_and_parts_and_point_at_their_annotation(layout, split):
    record = record_of(split, scored(layout, split, [0]), [0])
    assert record["first"] == 1 and [run["name"] for run in record["runs"]] == ["baseline", "ours"]
    (image,), (pair,) = record["images"], record["runs"][1]["found"][0]
    assert (image["id"], image["width"], image["height"]) == ("test-0", 64, 64)
    assert [row[0] for row in image["truth"]] == [0, 1] and pair["boxes"] == image["truth"][0][1:]
    assert record["runs"][1]["factors"] == ["pairwise", "detector", "global", "relatedness"]
    for hoi, score, factors, kind, annotation in pair["rows"]:
        assert score == pytest.approx(np.prod(factors), rel=2e-3)
        assert kind == 0 and image["truth"][annotation][0] == hoi
    scores = [row[1] for row in pair["rows"]]
    assert scores == sorted(scores, reverse=True)
    json.dumps(record, allow_nan=False)


def test_the_floor_bounds_the_rows_and_the_break_even_point_counts_the_annotations(layout, split, fused, monkeypatch):
    monkeypatch.setattr("pipeline.report.selection._ROWS_PER_IMAGE", 1)
    run = scored(layout, split, [0, 1, 2])
    assert len(run.gallery.hits) == 3 and run.gallery.detections.scores.min() == np.float32(run.floor)
    assert run.break_even == run.floor  # the fourth best is the break-even point, but it is not embedded
    fourth = float(np.sort(fused.scores)[::-1][3])
    monkeypatch.undo()
    assert scored(layout, split, [0, 1, 2]).break_even == pytest.approx(fourth)
    assert len(split.annotated.truth) == 4


def test_a_dump_without_pairs_is_legal(layout, dump, tmp_path):
    shutil.copytree(layout.root, tmp_path, dirs_exist_ok=True)
    layout = Layout(tmp_path, "toyworld")
    none = dataclasses.replace(
        dump,
        pair_offsets=np.zeros_like(dump.pair_offsets),
        human_index=dump.human_index[:0],
        object_index=dump.object_index[:0],
        outputs={name: array[: 3 if name == "image_logits" else 0] for name, array in dump.outputs.items()},
    )
    write_dump(layout.predictions(Run("ours")), **vars(none))
    done = CliRunner().invoke(evaluate, ["--dataset", "toyworld", "--variant", "ours", "--root", str(tmp_path)])
    assert done.exit_code == 0, done.output
    split = ScoredSplit.open(StageInputs(layout), "test")
    run = scored(layout, split, [0, 1])
    assert (run.floor, run.break_even, len(run.best.hits)) == (1.0, 1.0, 0)
    assert record_of(split, run, [0, 1])["runs"][0]["found"] == [[], []]
