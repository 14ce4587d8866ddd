import dataclasses

import numpy as np
import pytest

from pipeline.core.errors import DataError, ParamError
from pipeline.core.types import Detections
from pipeline.evaluation import two_pass
from pipeline.evaluation.hicodet import SETTINGS, evaluate_hicodet
from pipeline.evaluation.two_pass import Rules, evaluate_rankings
from tests.evaluation import worlds

RULES = Rules(worlds.NUM_HOIS, worlds.RARE, worlds.HOI_OBJECT_IDS)
FIGURES = ("ap", "max_recall", "num_gt", "num_detections", "hit_hoi_id", "hit_precision", "hit_recall")


@dataclasses.dataclass(frozen=True)
class InMemory:
    """Detections by image, with further rankings; remembers how many it gave out at once."""

    found: Detections
    rankings: tuple[np.ndarray, ...]
    given: list[int] = dataclasses.field(default_factory=list)

    def read(self, start, stop):
        rows = np.flatnonzero((self.found.image_index >= start) & (self.found.image_index < stop))
        part = worlds.take(self.found, rows)
        self.given.append(len(rows))
        image_index = part.image_index - np.int32(start)
        nothing = np.zeros(len(rows), np.float32)
        part = dataclasses.replace(part, image_index=image_index, scores=nothing)
        return part, [scores[rows] for scores in self.rankings]


def world(seed: int, num_levels: int = 7):
    """A world whose detections are in image order, and three rankings of them: as drawn, others, negative ones."""
    truth, found = worlds.random_world(seed, num_levels=num_levels)
    found = worlds.take(found, np.argsort(found.image_index, kind="stable"))
    other = np.random.default_rng(seed).integers(-3, 3, len(found)).astype(np.float32) * np.float32(0.5)
    return truth, found, InMemory(found, (found.scores, other, -found.scores))


def assert_equal(one, other):
    for name in FIGURES:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert (one.full, one.rare, one.setting) == (other.full, other.rare, other.setting)


def whole(found, scores, truth, setting):
    return evaluate_hicodet(
        dataclasses.replace(found, scores=scores), truth, **vars(dataclasses.replace(RULES, setting=setting))
    )


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("images_at_once", [1, 3, 256])
@pytest.mark.parametrize("seed", range(6))
def test_every_ranking_is_a_whole_evaluation(seed, images_at_once, setting, monkeypatch):
    monkeypatch.setattr(two_pass, "_IMAGES_AT_ONCE", images_at_once)
    monkeypatch.setattr(two_pass, "_TASKS", 2)  # so that a task has several blocks
    truth, found, blocks = world(seed)
    results, num_rows = evaluate_rankings(blocks, truth, dataclasses.replace(RULES, setting=setting))
    assert num_rows == len(found)
    for result, scores in zip(results, blocks.rankings, strict=True):
        assert_equal(result, whole(found, scores, truth, setting))


def test_image_level_labels_say_what_known_object_scores(monkeypatch):
    monkeypatch.setattr(two_pass, "_IMAGES_AT_ONCE", 3)
    truth, found, blocks = world(4)
    labels = np.random.default_rng(1).random((truth.num_images, worlds.NUM_HOIS)) < 0.4
    labelled = dataclasses.replace(truth, image_hois=labels)
    rules = dataclasses.replace(RULES, setting="known_object")
    results, _ = evaluate_rankings(blocks, labelled, rules)
    assert_equal(results[0], whole(found, found.scores, labelled, "known_object"))
    assert (results[0].num_detections != evaluate_rankings(blocks, truth, rules)[0][0].num_detections).any()


def test_no_more_than_a_block_is_read_at_once(monkeypatch):
    monkeypatch.setattr(two_pass, "_IMAGES_AT_ONCE", 2)
    truth, found, blocks = world(5)
    evaluate_rankings(blocks, truth, RULES)
    per_image = np.bincount(found.image_index, minlength=truth.num_images)
    assert sorted(blocks.given) == sorted(per_image.reshape(-1, 2).sum(axis=1).tolist() * 2)  # in each of two passes


def test_tasks_are_bounded_however_many_images():
    for num_images in (0, 1, 600, 9658, 10**7):
        edges = two_pass._span_edges(num_images)
        steps = np.diff(edges)
        assert (edges[0], edges[-1]) == (0, num_images) and len(steps) <= two_pass._TASKS
        assert (steps[:-1] % two_pass._IMAGES_AT_ONCE == 0).all()


def test_nothing_detected_and_nothing_annotated():
    truth, found, _ = world(2)
    none = worlds.take(found, slice(0, 0))
    results, num_rows = evaluate_rankings(InMemory(none, (none.scores,)), truth, RULES)
    assert num_rows == 0 and results[0].full == 0
    empty = worlds.ground_truth([], truth.num_images)
    results, num_rows = evaluate_rankings(InMemory(found, (found.scores,)), empty, RULES)
    assert num_rows == len(found) and np.isnan(results[0].ap).all()
    nowhere = worlds.ground_truth([], 0)
    assert evaluate_rankings(InMemory(none, (none.scores,)), nowhere, RULES)[1] == 0


def test_threads_change_nothing(monkeypatch):
    monkeypatch.setattr(two_pass, "_IMAGES_AT_ONCE", 1)
    truth, _, blocks = world(3, num_levels=2)
    for one, other in zip(
        evaluate_rankings(blocks, truth, RULES)[0],
        evaluate_rankings(blocks, truth, RULES, scheduler="threads")[0],
        strict=True,
    ):
        assert_equal(one, other)


def test_mistakes():
    truth, found, blocks = world(3)
    bad = found.scores.copy()
    bad[0] = np.nan
    with pytest.raises(DataError, match="the score of row 0 is nan"):
        evaluate_rankings(InMemory(found, (found.scores, bad)), truth, RULES)
    with pytest.raises(ParamError, match="setting"):
        evaluate_rankings(blocks, truth, dataclasses.replace(RULES, setting="known"))
