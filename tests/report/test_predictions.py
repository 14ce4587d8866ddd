"""Records, pictures and their folder: what `predict` shows of an image."""

import json

import numpy as np
import pytest
from PIL import Image

from pipeline.core.types import Detections
from pipeline.data.images import open_image
from pipeline.evaluation.fusion import Factors
from pipeline.report.prediction_folder import PictureFolder
from pipeline.report.prediction_picture import COLORS, MAX_SIDE, MIN_SIDE, draw_prediction
from pipeline.report.prediction_record import NamedDetection, best_of_image, image_record, summary_line

HUMAN, PARTNER = np.array([10, 20, 40, 80], np.float32), np.array([30, 60, 90, 95], np.float32)


def detection(verb="ride", score=0.5, human=HUMAN, partner=PARTNER) -> NamedDetection:
    return NamedDetection(verb, "bicycle", score, human, partner, {"pairwise": 0.123456789})


def test_the_best_of_an_image_by_falling_score_first_row_first(vocabulary):
    scores = np.array([0.2, 0.9, 0.5, 0.5, 0.05], np.float32)
    boxes = np.tile(HUMAN, (5, 1))
    found = Detections(np.array([0, 1, 0, 0, 0], np.int32), np.array([0, 1, 2, 3, 0], np.int16), boxes, boxes, scores)
    columns = np.arange(5) / 10
    factors = Factors(
        {"pairwise": columns, "detector": columns, "global": columns, "relatedness": columns + 0.01},
        columns + 0.02,
        columns + 0.03,
        {"global": 0.0},
    )
    best = best_of_image(found, factors, vocabulary, 0, top_k=3, threshold=0.1)
    assert [(entry.verb, entry.object_name) for entry in best] == [
        ("hold", "cup"),
        ("drink_with", "cup"),
        ("ride", "bicycle"),
    ]
    assert best[0].parts == pytest.approx(
        {"pairwise": 0.2, "relatedness": 0.21, "human_detector": 0.22, "object_detector": 0.23}
    )
    assert [entry.score for entry in best_of_image(found, factors, vocabulary, 0, top_k=2, threshold=0)] == [0.5, 0.5]
    assert best_of_image(found, factors, vocabulary, 2, top_k=2, threshold=0) == []


def test_records_are_plain_json():
    record = image_record("a.jpg", (100, 90), [detection(score=1.23456789e-7)])
    (entry,) = json.loads(json.dumps(record))["detections"]
    assert entry["score"] == 1.23457e-7
    assert entry["human_box"] == [10, 20, 40, 80]
    assert entry["parts"] == {"pairwise": 0.123457}
    assert summary_line("a.jpg", [detection()]) == "a.jpg: ride bicycle 0.500"
    assert "nothing found" in summary_line("a.jpg", [])


def count_pixels(picture, color) -> int:
    return int((np.asarray(picture) == color).all(-1).sum())


def test_pairs_are_drawn_in_their_colours_over_the_picture():
    image = Image.new("RGB", (100, 100), (90, 90, 90))
    other = detection("hold", 0.3, human=HUMAN + 5)
    picture = draw_prediction(image, [detection(), detection("push", 0.4), other])
    assert picture.width == MIN_SIDE
    assert count_pixels(picture, COLORS[0]) > 1000
    assert count_pixels(picture, COLORS[1]) > 1000
    assert count_pixels(picture, COLORS[2]) == 0  # two pairs: the verbs of one share a colour
    blank = draw_prediction(image, [])
    assert all(count_pixels(blank, color) == 0 for color in COLORS)


def test_boxes_stand_where_they_were_found():
    picture = draw_prediction(Image.new("RGB", (640, 640), (90, 90, 90)), [detection(human=HUMAN * 4, partner=HUMAN)])
    for x, y in ((40, 200), (160, 200), (100, 80), (100, 319)):  # sides of the human box
        assert picture.getpixel((x, y)) == COLORS[0]
    assert picture.getpixel((230, 500)) == (90, 90, 90)


@pytest.mark.parametrize(("size", "longer"), [((50, 20), MIN_SIDE), ((800, 700), 800), ((4000, 100), MAX_SIDE)])
def test_pictures_have_a_readable_size(size, longer):
    outside = np.array([-5, -5, 5000, 5000], np.float32)
    picture = draw_prediction(Image.new("RGB", size), [detection(human=outside)])
    assert picture.width == longer


def test_a_folder_never_writes_over_its_own_pictures(tmp_path):
    folder = PictureFolder(tmp_path / "new")
    for index, source in enumerate(("a/x.png", "b/x.jpg", "c/X.gif")):
        folder.save(tmp_path / source, Image.new("RGB", (10 + index, 5)))
    widths = {path.name: open_image(path).width for path in (tmp_path / "new").iterdir()}
    assert widths == {"x-hoi.jpg": 10, "x-hoi-2.jpg": 11, "X-hoi-3.jpg": 12}  # some file systems ignore case
