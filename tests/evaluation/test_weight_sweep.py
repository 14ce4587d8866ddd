import csv
import dataclasses
import io

import numpy as np
import pytest

from pipeline.core.class_groups import ClassGroups
from pipeline.core.errors import ParamError
from pipeline.core.types import Detections
from pipeline.core.vocabulary import Vocabulary
from pipeline.evaluation.engine import evaluate_hicodet
from pipeline.evaluation.fusion import fuse, fuse_factors
from pipeline.evaluation.hicodet import SETTINGS, Rules
from pipeline.evaluation.row import score_dump
from pipeline.evaluation.weight_sweep import best_of_cells, factor_weights, sweep_csv, sweep_pairs
from pipeline.store.dump import open_dump, write_dump
from tests.evaluation.test_fusion import COLUMNS, WHOLE, dump_of
from tests.evaluation.worlds import detections, ground_truth

VOCABULARY = Vocabulary(
    objects=("person", "bicycle", "cup"), verbs=("ride", "hold"), hoi_classes=((0, 1), (1, 1), (1, 2))
)
RULES = Rules(VOCABULARY.hoi_object_ids)
GROUPS = ClassGroups.of(3, {"rare": np.array([True, False, False]), "other": np.zeros(3, bool)})
FACTORS = [*(column.factor for column in COLUMNS), "detector"]


def world(seed: int = 4):
    """Eight images of three people, a bicycle and a cup, a fifth of all triplets annotated."""
    pairs = [(human, thing) for human in range(3) for thing in (3, 4)]
    dump = dump_of(VOCABULARY, [[0, 0, 0, 1, 2]] * 8, [pairs] * 8, seed=seed)
    boxes = 10 * np.arange(len(dump.boxes), dtype=np.float32)[:, None] + np.array([0, 0, 8, 8], np.float32)
    dump = dataclasses.replace(dump, boxes=boxes)
    found = fuse(dump, WHOLE)
    shown = found.take(np.random.default_rng(0).permutation(len(found))[: len(found) // 5])
    columns = (shown.image_index, shown.hoi_id, shown.human_boxes, shown.object_boxes)
    return dump, ground_truth(list(zip(*columns, strict=True)), 8)


def opened(dump, path):
    write_dump(path, **vars(dump))
    return open_dump(path)


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_weight_of_evaluate_is_a_whole_evaluation(setting, tmp_path):
    dump, truth = world()
    params = dataclasses.replace(WHOLE, weights={"detector": 2.3}, setting=setting)
    row = score_dump(opened(dump, tmp_path / "x.zarr"), params, truth, GROUPS, sweep=True)
    tried = {name: list(results) for name, results in row.sweeps.items()}
    assert tried.pop("detector") == sorted([*factor_weights("detector"), 2.3])
    assert tried == {name: [0, 0.25, 0.5, 1, 2] for name in FACTORS[:-1]}
    for factor, results in row.sweeps.items():
        for weight, result in results.items():
            changed = dataclasses.replace(params, weights=params.weights | {factor: weight})
            alone = evaluate_hicodet(fuse(dump, changed), truth, dataclasses.replace(RULES, setting=setting))
            np.testing.assert_array_equal(result.ap, alone.ap)
    np.testing.assert_array_equal(row.result.ap, row.sweeps["detector"][2.3].ap)
    assert len({result.mean_ap for result in row.sweeps["detector"].values()}) > 1


def test_csv_marks_the_chosen_one_and_leaves_means_over_nothing_empty(tmp_path):
    dump, truth = world()
    params = dataclasses.replace(WHOLE, weights={"detector": 2.8})
    results = score_dump(opened(dump, tmp_path / "x.zarr"), params, truth, GROUPS, sweep=True).sweeps["detector"]
    rows = list(csv.DictReader(io.StringIO(sweep_csv(results, GROUPS, 2.8))))
    assert [row["weight"] for row in rows if row["chosen"] == "1"] == ["2.8"]
    assert {row["other"] for row in rows} == {""}
    assert float(rows[0]["full"]) == pytest.approx(100 * results[0.0].mean_ap, abs=1e-4)


@pytest.mark.parametrize("factor", [*FACTORS, "times"])
def test_every_weight_of_a_sweep_is_a_whole_evaluation(factor, tmp_path):
    dump, truth = world()
    times = None if factor != "times" else dataclasses.replace(world(seed=5)[0], variant="other")
    detections, factors = fuse_factors(dump, WHOLE, times)
    of_times = None if times is None else opened(times, tmp_path / "times.zarr")
    swept = sweep_pairs(opened(dump, tmp_path / "x.zarr"), WHOLE, truth, factor, of_times)
    best = best_of_cells(detections, factors.with_weights({factor: 0.0}).scores())
    for pairs, rows in {"all": slice(None), "best": best}.items():
        for weight in factor_weights(factor):
            scored = dataclasses.replace(detections, scores=factors.with_weights({factor: weight}).scores())
            assert swept.pop((pairs, weight)) == 100 * evaluate_hicodet(scored.take(rows), truth, RULES).mean_ap > 0
    assert not swept


def test_a_factor_that_the_predictions_lack_is_refused(tmp_path):
    dump, truth = world()
    with pytest.raises(ParamError, match=r'ours: no factor "globl" .*, did you mean "global"\?; .* have pairwise, gl'):
        sweep_pairs(opened(dump, tmp_path / "x.zarr"), WHOLE, truth, "globl")


def triplets(image_index, hoi_id) -> Detections:
    """Row r has the boxes (r, r, r + 9, r + 9)."""
    boxes = [(row, row, row + 9, row + 9) for row in range(len(hoi_id))]
    return detections([(*cell, box, box, 0) for *cell, box in zip(image_index, hoi_id, boxes, strict=True)])


def test_the_best_row_of_each_image_and_class_is_kept_the_first_of_equals():
    found = triplets([0, 0, 0, 1, 1, 0], [2, 2, 1, 2, 2, 2])
    rows = best_of_cells(found, np.array([0.1, 0.7, 0.2, 0.5, 0.5, 0.7]))
    assert rows.tolist() == [1, 2, 3]
    kept = found.take(rows)
    assert kept.hoi_id.tolist() == [2, 1, 2] and kept.object_boxes[0, 0] == found.object_boxes[1, 0]
    assert len(best_of_cells(triplets([], []), np.zeros(0))) == 0
