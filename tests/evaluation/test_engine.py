import dataclasses
import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.core.errors import DataError, ParamError
from pipeline.core.label_rows import LabelRows
from pipeline.core.types import Detections
from pipeline.evaluation import engine, matching, ranking
from pipeline.evaluation.detections_file import open_zarr_detections
from pipeline.evaluation.engine import evaluate_hicodet, evaluate_rankings
from pipeline.evaluation.hicodet import SETTINGS, Rules
from pipeline.evaluation.selection import selected_rows
from pipeline.store.detections_dump import ROW_BYTES, write_detections
from tests.evaluation import references, worlds

RULES = Rules(worlds.HOI_OBJECT_IDS)
FIGURES = ("ap", "max_recall", "num_gt", "num_detections", "hit_hoi_id", "hit_precision", "hit_recall")


@dataclasses.dataclass(frozen=True)
class InMemory:
    """Detections by image, with further rankings; remembers how many it gave out at once."""

    found: Detections
    rankings: tuple[np.ndarray, ...]
    given: list[int] = dataclasses.field(default_factory=list)

    def read(self, start, stop):
        rows = np.flatnonzero((self.found.image_index >= start) & (self.found.image_index < stop))
        part = self.found.take(rows)
        self.given.append(len(rows))
        image_index = part.image_index - np.int32(start)
        nothing = np.zeros(len(rows), np.float32)
        part = dataclasses.replace(part, image_index=image_index, scores=nothing)
        return part, [scores[rows] for scores in self.rankings]


def world(seed: int, num_levels: int = 7):
    """A world whose detections are in image order, and three rankings of them: as drawn, others, negative ones."""
    truth, found = worlds.random_world(seed, num_levels=num_levels)
    found = found.take(np.argsort(found.image_index, kind="stable"))
    other = np.random.default_rng(seed).integers(-3, 3, len(found)).astype(np.float32) * np.float32(0.5)
    return truth, found, InMemory(found, (found.scores, other, -found.scores))


def assert_equal(one, other):
    for name in FIGURES:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert one.setting == other.setting


def whole(found, scores, truth, setting):
    return evaluate_hicodet(
        dataclasses.replace(found, scores=scores), truth, dataclasses.replace(RULES, setting=setting)
    )


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("images_at_once", [1, 3, 256])
@pytest.mark.parametrize("seed", range(6))
def test_every_ranking_is_a_whole_evaluation(seed, images_at_once, setting, monkeypatch):
    monkeypatch.setattr(engine, "IMAGES_AT_ONCE", images_at_once)
    monkeypatch.setattr(engine, "_TASKS", 2)  # so that a task has several blocks
    truth, found, blocks = world(seed)
    evaluation = evaluate_rankings(blocks, truth, dataclasses.replace(RULES, setting=setting), keep_matches=True)
    rows = selected_rows(found, found.scores, dataclasses.replace(RULES, setting=setting))
    assert evaluation.num_detections == len(rows)
    monkeypatch.undo()  # the other way: all images at once, and the authors' own loops
    for result, scores in zip(evaluation.results, blocks.rankings, strict=True):
        assert_equal(result, whole(found, scores, truth, setting))
        scored = dataclasses.replace(found, scores=scores)
        ap, recall = references.evaluate(scored, truth, worlds.NUM_HOIS, worlds.HOI_OBJECT_IDS, setting)
        np.testing.assert_allclose(result.ap, ap, atol=1e-12)
        np.testing.assert_allclose(result.max_recall, recall, atol=1e-12)
    assert (evaluation.errors.error == 0).sum() == len(evaluation.results[0].hit_hoi_id)
    hit = evaluation.matched[evaluation.errors.error == 0]
    assert (hit >= 0).all() and len(np.unique(hit)) == len(hit)
    np.testing.assert_array_equal(
        truth.hoi_id[evaluation.matched[evaluation.matched >= 0]], found.hoi_id[rows][evaluation.matched >= 0]
    )


def test_image_level_labels_say_what_known_object_scores(monkeypatch):
    monkeypatch.setattr(engine, "IMAGES_AT_ONCE", 3)
    truth, found, blocks = world(4)
    labels = np.random.default_rng(1).random((truth.num_images, worlds.NUM_HOIS)) < 0.4
    labeled = dataclasses.replace(truth, image_hois=LabelRows.of_mask(labels))
    rules = dataclasses.replace(RULES, setting="known_object")
    results = evaluate_rankings(blocks, labeled, rules).results
    assert_equal(results[0], whole(found, found.scores, labeled, "known_object"))
    assert (results[0].num_detections != evaluate_rankings(blocks, truth, rules).results[0].num_detections).any()


def test_no_more_than_a_block_is_read_at_once(monkeypatch):
    monkeypatch.setattr(engine, "IMAGES_AT_ONCE", 2)
    truth, found, blocks = world(5)
    evaluate_rankings(blocks, truth, RULES)
    per_image = np.bincount(found.image_index, minlength=truth.num_images)
    assert sorted(blocks.given) == sorted(per_image.reshape(-1, 2).sum(axis=1).tolist() * 2)  # in each of two passes


def test_tasks_are_bounded_however_many_images():
    for num_images in (0, 1, 600, 9658, 10**6):
        blocks = engine._blocks(worlds.ground_truth([], num_images), keep_labels=False)
        tasks = engine._tasks(blocks)
        assert [block for task in tasks for block in task] == blocks and len(tasks) <= engine._TASKS
        assert [block.start for block in blocks] == [0, *(block.stop for block in blocks[:-1])]
        assert blocks[-1].stop == num_images


def test_nothing_detected_and_nothing_annotated():
    truth, found, _ = world(2)
    none = found.take(slice(0, 0))
    evaluation = evaluate_rankings(InMemory(none, (none.scores,)), truth, RULES)
    assert evaluation.num_detections == 0 and evaluation.results[0].mean_ap == 0
    empty = worlds.ground_truth([], truth.num_images)
    evaluation = evaluate_rankings(InMemory(found, (found.scores,)), empty, RULES, keep_matches=True)
    assert evaluation.num_detections == len(found) and np.isnan(evaluation.results[0].ap).all()
    assert evaluation.results[0].mean_ap == 0
    assert (evaluation.matched == -1).all() and not (evaluation.errors.error == 0).any()
    nowhere = worlds.ground_truth([], 0)
    assert evaluate_rankings(InMemory(none, (none.scores,)), nowhere, RULES).num_detections == 0


def test_threads_change_nothing(monkeypatch):
    monkeypatch.setattr(engine, "IMAGES_AT_ONCE", 1)
    truth, _, blocks = world(3, num_levels=2)
    for one, other in zip(
        evaluate_rankings(blocks, truth, RULES).results,
        evaluate_rankings(blocks, truth, RULES, scheduler="threads").results,
        strict=True,
    ):
        assert_equal(one, other)


@given(hnp.arrays(np.float32, st.integers(0, 30), elements=st.floats(width=32, allow_nan=False)))
@example(np.array([-0.0, 0.0, -0.0, -np.inf, np.inf], np.float32))
def test_keys_rise_by_group_then_as_scores_fall(scores):
    group = np.arange(len(scores)) % 3
    keys = ranking.ranking_keys(group, scores)
    assert np.argsort(keys, kind="stable").tolist() == np.lexsort((-scores, group)).tolist()
    assert len(np.unique(keys)) == len(set(zip(group.tolist(), scores.tolist(), strict=True)))


def test_mistakes():
    truth, found, blocks = world(3)
    bad = found.scores.copy()
    bad[0] = np.nan
    with pytest.raises(DataError, match="the score of row 0 is nan"):
        evaluate_rankings(InMemory(found, (found.scores, bad)), truth, RULES)
    with pytest.raises(ParamError, match="setting"):
        evaluate_rankings(blocks, truth, dataclasses.replace(RULES, setting="known"))


def test_triplets_in_zarr_are_evaluated_as_those_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "IMAGES_AT_ONCE", 3)
    truth, found, _ = world(3)
    sizes = np.full((truth.num_images, 2), 100)
    pieces = [found.take(slice(row, row + 77)) for row in range(0, len(found), 77)]
    write_detections(tmp_path / "d.zarr", pieces, block_rows=64)
    opened = open_zarr_detections(tmp_path / "d.zarr", sizes, worlds.NUM_HOIS)
    assert len(opened) == len(found)
    assert_equal(evaluate_rankings(opened, truth, RULES).results[0], evaluate_hicodet(found, truth, RULES))
    for pieces in ([], [found.take(slice(0, 0))]):
        write_detections(tmp_path / "none.zarr", pieces)
        none = open_zarr_detections(tmp_path / "none.zarr", sizes, worlds.NUM_HOIS)
        assert evaluate_rankings(none, truth, RULES).results[0].mean_ap == 0


def test_rows_in_zarr_that_are_not_in_the_order_of_images_are_refused(tmp_path):
    _, found, _ = world(3)
    write_detections(tmp_path / "d.zarr", [found.take(np.arange(len(found))[::-1])], block_rows=64)
    with pytest.raises(DataError, match=r"rows from 0 on: image_index falls in row \d+; expected all rows"):
        open_zarr_detections(tmp_path / "d.zarr", np.full((8, 2), 100), worlds.NUM_HOIS)


@pytest.mark.slow
def test_triplets_larger_than_memory(tmp_path, monkeypatch):
    """180 thousand rows, 7 MiB, in 3 MiB: 600 copies of a world, each in images of its own."""
    monkeypatch.setattr(matching, "_BLOCK_PAIRS", 1 << 12)
    monkeypatch.setattr(engine, "IMAGES_AT_ONCE", 64)
    truth, found, _ = world(5)
    copies, images = 600, np.arange(600, dtype=np.int32) * 8

    def tiled(record, count):
        columns = {name: value for name, value in vars(record).items() if isinstance(value, np.ndarray)}
        wide = {name: np.tile(value, (count, *[1] * (value.ndim - 1))) for name, value in columns.items()}
        wide["image_index"] += np.repeat(images[:count], len(record))
        return dataclasses.replace(record, **wide)

    piece = tiled(found, 60)
    pieces = (dataclasses.replace(piece, image_index=piece.image_index + first) for first in images[::60])
    write_detections(tmp_path / "d.zarr", pieces, block_rows=1 << 12)
    wide = tiled(dataclasses.replace(truth, num_images=8 * copies), copies)
    opened = open_zarr_detections(tmp_path / "d.zarr", np.full((wide.num_images, 2), 100), worlds.NUM_HOIS)
    limit = 3 * 2**20
    assert len(opened) * ROW_BYTES > 2 * limit
    tracemalloc.start()
    result = evaluate_rankings(opened, wide, RULES).results[0]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < limit + sum(value.nbytes for value in vars(wide).values() if isinstance(value, np.ndarray)) * 3
    np.testing.assert_array_equal(result.num_gt, copies * evaluate_hicodet(found, truth, RULES).num_gt)
