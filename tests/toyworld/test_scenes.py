import hashlib

import numpy as np
import pytest

from pipeline.toyworld.configurations import CONFIGURATIONS, hoi_ids_of
from pipeline.toyworld.scenes import SPLITS, Scene, render_scene
from pipeline.toyworld.vocabulary import toyworld_vocabulary


def render(index: int, split: str = "train", root_seed: int = 0, exponent: float = 1.3) -> Scene:
    return render_scene(split, index, root_seed=root_seed, exponent=exponent)


def fingerprint(scene: Scene) -> str:
    arrays = (scene.boxes, scene.object_ids, scene.human_index, scene.object_index, scene.hoi_id)
    digest = hashlib.sha256(scene.image.tobytes())
    for array in arrays:
        digest.update(array.tobytes())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def train_scenes() -> list[Scene]:
    return [render(index) for index in range(1000)]


def test_vocabulary_has_the_stated_sizes():
    vocabulary = toyworld_vocabulary()
    verbs_of_object = np.bincount(vocabulary.hoi_object_ids, minlength=vocabulary.num_objects)
    assert (vocabulary.num_objects, vocabulary.num_verbs, vocabulary.num_hois) == (9, 15, 40)
    assert verbs_of_object[vocabulary.human_object_id] == 0
    assert verbs_of_object[1:].min() >= 3 and verbs_of_object[1:].max() <= 6


def test_every_class_has_a_configuration():
    assert len(CONFIGURATIONS) == len(set(CONFIGURATIONS)) == 38
    ids = [hoi_id for configuration in CONFIGURATIONS for hoi_id in hoi_ids_of(configuration)]
    assert min(ids) >= 0, "a configuration names a class that the vocabulary lacks"
    assert set(ids) == set(range(toyworld_vocabulary().num_hois))


def test_scenes_do_not_depend_on_order():
    forward = [fingerprint(render(index)) for index in range(6)]
    backward = [fingerprint(render(index)) for index in reversed(range(6))]
    assert forward == backward[::-1]
    assert len(set(forward)) == 6


def test_every_split_and_seed_has_a_stream_of_its_own():
    prints = {fingerprint(render(0, split, seed, 0.4)) for split in SPLITS for seed in (0, 1)}
    assert len(prints) == 2 * len(SPLITS)


def test_unknown_split_is_refused():
    with pytest.raises(ValueError, match="training"):
        render(0, "training")


@pytest.mark.parametrize("size", [96, 160])
def test_records_are_consistent(size):
    vocabulary = toyworld_vocabulary()
    for index in range(60):
        scene = render_scene("val", index, root_seed=3, size=size, exponent=0.4)
        boxes = scene.boxes
        assert scene.image.size == (size, size) and scene.image.mode == "RGB"
        assert boxes.dtype == np.float32 and boxes.shape == (len(scene.object_ids), 4)
        assert len(scene.colors) == len(boxes)
        assert boxes.min() >= 0 and boxes.max() <= size
        assert (boxes[:, 2:] - boxes[:, :2]).min() > 2
        assert len(scene.hoi_id) >= 1
        assert (scene.object_ids[scene.human_index] == vocabulary.human_object_id).all()
        assert (scene.object_ids[scene.object_index] == vocabulary.hoi_object_ids[scene.hoi_id]).all()


def test_boxes_are_tight_around_what_is_drawn(monkeypatch):
    # One idle ball alone, drawn once with and once without: the pixels that change lie in the box and touch its sides.
    from pipeline.toyworld import scenes

    monkeypatch.setattr(scenes, "add_noise", lambda image, generator, amplitude: image)
    monkeypatch.setattr(scenes, "_draw_groups", lambda random, exponent: [scenes.idle_object("ball", random)])
    for index in range(10):
        scene = render(index, "test")
        with monkeypatch.context() as nothing_painted:
            nothing_painted.setattr(scenes, "paint", lambda canvas, sketch: None)
            empty = render(index, "test")
        changed = np.abs(np.asarray(scene.image, dtype=int) - np.asarray(empty.image, dtype=int)).sum(-1) > 0
        rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        drawn = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        assert np.abs(scene.boxes[0] - drawn).max() <= 1.5


def test_most_pairs_are_unrelated(train_scenes):
    humans = np.array([(scene.object_ids == 0).sum() for scene in train_scenes])
    things = np.array([(scene.object_ids != 0).sum() for scene in train_scenes])
    interacting = sum(len(scene.pairs) for scene in train_scenes)
    assert 9.5 <= (humans * things).mean() <= 11.5
    assert 0.13 <= interacting / (humans * things).sum() <= 0.18


def test_training_frequencies_have_a_long_tail(train_scenes):
    counts = np.bincount(np.concatenate([scene.hoi_id for scene in train_scenes]), minlength=40)
    assert counts.min() >= 1
    assert 10 <= (counts < 10).sum() <= 18
    flat = [render(index, "test", exponent=0.4) for index in range(300)]
    flatter = np.bincount(np.concatenate([scene.hoi_id for scene in flat]), minlength=40)
    assert counts.max() / counts.sum() > 2 * flatter.max() / flatter.sum()


def test_an_object_in_use_often_has_an_idle_twin(train_scenes):
    with_twin = 0
    for scene in train_scenes:
        used = np.isin(np.arange(len(scene.object_ids)), scene.object_index)
        with_twin += bool(set(scene.object_ids[~used]) & set(scene.object_ids[used]) - {0})
    assert with_twin > 0.4 * len(train_scenes)
