from __future__ import annotations

import csv
import dataclasses
import io

import numpy as np
import pytest

from pipeline.core.class_groups import ClassGroups
from pipeline.core.vocabulary import Vocabulary
from pipeline.evaluation.engine import evaluate_hicodet
from pipeline.evaluation.fusion import fuse
from pipeline.evaluation.hicodet import Rules
from pipeline.evaluation.row import score_dump
from pipeline.evaluation.weight_sweep import SWEPT, SWEPT_OTHERS, sweep_csv
from pipeline.store.dump import open_dump, write_dump
from tests.evaluation.test_fusion import WHOLE, dump_of
from tests.evaluation.worlds import ground_truth

VOCABULARY = Vocabulary(
    objects=("person", "bicycle", "cup"), verbs=("ride", "hold"), hoi_classes=((0, 1), (1, 1), (1, 2))
)
GROUPS = ClassGroups.of(3, {"rare": np.array([True, False, False]), "other": np.zeros(3, bool)})


@pytest.fixture
def dump():
    pairs = [[(0, 1), (0, 2), (3, 1), (3, 2)], [], [(0, 1)]]
    made = dump_of(VOCABULARY, [[0, 1, 2, 0], [0], [0, 1]], pairs, seed=4)
    boxes = 10 * np.arange(len(made.boxes), dtype=np.float32)[:, None] + np.array([0, 0, 8, 8], np.float32)
    return dataclasses.replace(made, boxes=boxes)


@pytest.fixture
def truth(dump):
    found = fuse(dump, WHOLE)
    rows = [(0, 0), (0, 2), (2, 1)]
    picked = [
        int(np.flatnonzero((found.image_index == image) & (found.hoi_id == hoi_id))[-1]) for image, hoi_id in rows
    ]
    return ground_truth(
        [(*rows[place], found.human_boxes[row], found.object_boxes[row]) for place, row in enumerate(picked)], 3
    )


def swept(dump, params, truth, tmp_path):
    write_dump(tmp_path / "x.zarr", **vars(dump))
    return score_dump(open_dump(tmp_path / "x.zarr"), params, truth, GROUPS, sweep=True)


@pytest.mark.parametrize("setting", ["default", "known_object", "explanation_hoi"])
def test_every_point_is_a_whole_evaluation(dump, truth, setting, tmp_path):
    params = dataclasses.replace(WHOLE, weights={"detector": 2.3}, setting=setting)
    row = swept(dump, params, truth, tmp_path)
    assert tuple(row.sweeps["detector"]) == tuple(sorted({*SWEPT["detector"], 2.3}))
    for factor in ("pairwise", "global", "relatedness"):
        assert tuple(row.sweeps[factor]) == SWEPT_OTHERS
    for factor, results in row.sweeps.items():
        for weight, result in results.items():
            alone = evaluate_hicodet(
                fuse(dump, dataclasses.replace(params, weights=params.weights | {factor: weight})),
                truth,
                Rules(VOCABULARY.hoi_object_ids, setting),
            )
            np.testing.assert_array_equal(result.ap, alone.ap)
    np.testing.assert_array_equal(row.result.ap, row.sweeps["detector"][2.3].ap)
    assert setting != "default" or len({result.mean_ap for result in row.sweeps["detector"].values()}) > 1


def test_csv_marks_the_chosen_one_and_leaves_means_over_nothing_empty(dump, truth, tmp_path):
    params = dataclasses.replace(WHOLE, weights={"detector": 2.8})
    results = swept(dump, params, truth, tmp_path).sweeps["detector"]
    rows = list(csv.DictReader(io.StringIO(sweep_csv(results, GROUPS, 2.8))))
    assert [row["weight"] for row in rows if row["chosen"] == "1"] == ["2.8"]
    assert {row["other"] for row in rows} == {""}
    assert float(rows[0]["full"]) == pytest.approx(100 * results[0.0].mean_ap, abs=1e-4)
