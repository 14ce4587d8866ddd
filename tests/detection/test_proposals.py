import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.core.errors import DataError
from pipeline.core.vocabulary import Vocabulary
from pipeline.detection.detectors import Detector
from pipeline.detection.params import DetectParams
from pipeline.detection.proposals import DetectWork, category_map, count_humans, detect_tensors, proposal_columns
from pipeline.store.part_work import compute_parts
from pipeline.store.parts import FinishedParts, PartPlan
from pipeline.store.proposals_file import read_proposals, write_proposals
from tests.small_split import write_split_images

CATEGORIES = ("__background__", "N/A", "lamp", "person", "N/A", "cup", "zebra", "bicycle")


class Stub(torch.nn.Module):
    """Finds as many boxes as the image's first pixel says (mod 4), with labels that go round; remembers calls."""

    def __init__(self, labels=(3, 6, 5, 7)):
        super().__init__()
        self.labels, self.seen = labels, []

    def forward(self, images):
        self.seen.append(len(images))
        return [self.one(image) for image in images]

    def one(self, image):
        assert 0 <= image.min() <= image.max() <= 1
        count = int(image[2, 0, 0] * 255) % 4 + 1
        scores = torch.arange(count) / 10 + 0.5  # rising: the order must be made
        boxes = torch.tensor([[-5.0, 2, 30, 99]]).repeat(count, 1)
        return {"boxes": boxes, "labels": torch.tensor(self.labels[:count]), "scores": scores}


@pytest.fixture
def detector() -> Detector:
    return Detector(Stub(), "stub", CATEGORIES, "0f", "nothing", {})


@pytest.fixture
def manifest(tmp_path, vocabulary):
    return write_split_images(tmp_path, vocabulary, 7, size=(64, 48))


@pytest.fixture
def run(tmp_path, manifest, vocabulary, toyworld_params):
    def detect(detector, done=lambda count: None, vocabulary=vocabulary, **changes):
        params = dataclasses.replace(toyworld_params[DetectParams], **{"batch_size": 2, "part_size": 3} | changes)
        work = DetectWork(detector, manifest, vocabulary, params, tmp_path, torch.device("cpu"))
        plan = PartPlan(tmp_path / "work", work.digest, work.num_images, params.part_size)
        compute_parts(plan, plan.ranges(), work, threads=2, done=done)
        columns = proposal_columns(FinishedParts(plan, work.empty))
        humans = count_humans(columns["object_ids"], work)
        path = tmp_path / "proposals.h5"
        write_proposals(path, image_ids=manifest.image_ids, objects=vocabulary.objects, detector="x", **columns)
        found = read_proposals(path, class_probabilities=True)
        assert humans == (found.object_ids == vocabulary.human_object_id).sum()
        return found

    return detect


def test_categories_are_mapped_by_name_with_spaces_or_underscores(vocabulary):
    assert category_map(CATEGORIES, vocabulary).tolist() == [-1, -1, 3, 0, -1, 2, -1, 1]
    hot_dogs = Vocabulary(("hot_dog", "human being"), (), (), human="human being")
    assert category_map(("x", "hot dog", "human_being"), hot_dogs).tolist() == [-1, 0, 1]
    assert category_map(("x", "hot dog", "person"), hot_dogs).tolist() == [-1, 0, 1]  # the detector's name of a human


def test_categories_that_the_detector_lacks_are_named(vocabulary):
    with pytest.raises(DataError, match=r"does not know 2 categories of the vocabulary: bicycle, cup"):
        category_map(("__background__", "person", "lamp"), vocabulary)
    with pytest.raises(DataError, match='knows no "person" among its 3 categories'):
        category_map(("bicycle", "cup", "lamp"), vocabulary)


def test_proposals_are_known_categories_clipped_by_falling_score(run, detector, manifest, vocabulary, tmp_path):
    found = run(detector)
    assert found.image_ids == manifest.image_ids
    assert found.objects == vocabulary.objects
    for index in range(len(manifest)):
        count = int(np.asarray(Image.open(tmp_path / "images" / f"{index}.png"))[0, 0, 2]) % 4 + 1
        expected = [(0, 0.5), (-1, 0.6), (2, 0.7), (1, 0.8)][:count]
        expected = [pair for pair in reversed(expected) if pair[0] >= 0]
        image = found.image(index)
        assert image.object_ids.tolist() == [object_id for object_id, _ in expected]
        assert image.scores.tolist() == pytest.approx([score for _, score in expected])
        assert image.boxes.tolist() == [[0, 2, 30, 48]] * len(expected)
    assert len({len(found.image(i)) for i in range(7)}) > 1


def test_class_probabilities_are_of_the_vocabularys_categories(run, detector, manifest, vocabulary):
    """Labels of the detector in their own order, two of them unknown; rows follow the boxes' order."""

    class WithRows(Stub):
        def one(self, image):
            found = super().one(image)
            rows = torch.arange(8) / 64 + found["scores"][:, None] / 4
            return found | {"class_probabilities": rows}

    assert run(detector).class_probabilities is None
    found = run(dataclasses.replace(detector, model=WithRows(), digest="1e", gives_class_probabilities=True))
    labels = [CATEGORIES.index(name) for name in vocabulary.objects]
    expected = np.array(labels) / 64 + found.scores[:, None] / 4
    assert found.class_probabilities.dtype == np.float16
    np.testing.assert_allclose(found.class_probabilities, expected, atol=1e-3)


def test_boxes_without_width_or_height_are_no_proposals():
    """Some of torchvision's detectors clip a box to a line at the border and keep it."""
    found = {
        "boxes": torch.tensor([[64.0, 2, 70, 9], [0, 2, 0.02, 9], [3, 7, 9, 7], [1, 1, 5, 5]]),
        "labels": torch.tensor([0, 0, 0, 0]),
        "scores": torch.tensor([0.9, 0.8, 0.7, 0.6]),
    }
    detector = Detector(lambda images: [found] * len(images), "stub", ("person",), "0f", "nothing", {})
    (kept,) = detect_tensors(detector, [torch.zeros(3, 48, 64)], np.array([0]), torch.device("cpu"))
    assert kept.scores.tolist() == pytest.approx([0.8, 0.6])


def test_batches_and_parts_do_not_change_the_result(run, detector):
    whole = run(detector, batch_size=7, part_size=100)
    for batch_size, part_size in ((1, 1), (2, 3), (4, 5)):
        cut = run(detector, batch_size=batch_size, part_size=part_size)
        for name in ("offsets", "boxes", "scores", "object_ids"):
            np.testing.assert_array_equal(getattr(cut, name), getattr(whole, name))


def test_an_interrupted_run_goes_on_at_its_first_missing_part(run, detector):
    whole = run(detector, part_size=100)
    told = []

    def interrupt(count):
        told.append(count)
        if len(told) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(detector, done=interrupt)
    second = dataclasses.replace(detector, model=Stub())
    found = run(second)
    assert second.model.seen == [1]  # images 0 to 5 were done
    np.testing.assert_array_equal(found.scores, whole.scores)


def test_parts_of_other_settings_weights_or_images_are_not_used(run, detector, tmp_path, manifest):
    def images_seen(digest="0f", **changes):
        model = Stub()
        run(dataclasses.replace(detector, model=model, digest=digest), **changes)
        return sum(model.seen)

    assert [images_seen(), images_seen()] == [7, 0]
    assert images_seen(score_threshold=0.9) == 7
    assert images_seen(digest="1e") == 7


def test_no_human_in_any_image(run, detector):
    nobody = dataclasses.replace(detector, model=Stub(labels=(5, 7, 5, 7)))
    with pytest.raises(DataError, match=r'no "person" found in any of 7 images; lower detect.score_threshold \(0.15\)'):
        run(nobody, score_threshold=0.15)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "image does not exist"),
        (lambda path: Image.new("RGB", (48, 64)).save(path), "image has changed"),
    ],
)
def test_an_image_that_is_not_as_prepared_is_named(run, detector, tmp_path, damage, message):
    damage(tmp_path / "images" / "4.png")
    with pytest.raises(DataError, match=rf"4.png: {message}"):
        run(detector)
