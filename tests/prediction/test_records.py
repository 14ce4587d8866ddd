"""Records, pictures and their folder: what `predict` shows of an image."""

import json
import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor

from pipeline.core.errors import DataError
from pipeline.core.types import Detections
from pipeline.data.images import open_image
from pipeline.evaluation.fusion import Factors
from pipeline.prediction.picture import MAX_SIDE, MIN_SIDE, PictureFolder, draw_prediction, is_drawn
from pipeline.prediction.records import (
    Triplet,
    best_of_image,
    check_predictions_target,
    predictions_text,
    write_predictions,
)
from pipeline.prediction.result import Prediction
from pipeline.report.colors import PAIRS

COLORS = [ImageColor.getrgb(color) for color in PAIRS]
HUMAN, PARTNER = np.array([10, 20, 40, 80], np.float32), np.array([30, 60, 90, 95], np.float32)


def triplet(verb="ride", score=0.5, human=HUMAN, partner=PARTNER) -> Triplet:
    return Triplet(verb, "bicycle", score, np.stack([human, partner]), {"pairwise": 0.123456789})


def prediction(*found, path="a.jpg", people=1, best=None) -> Prediction:
    return Prediction(Path(path), Image.new("RGB", (100, 90)), list(found), people, best)


def test_the_best_of_an_image_by_falling_score_first_row_first(vocabulary):
    scores = np.array([0.2, 0.9, 0.5, 0.5, 0.05], np.float32)
    boxes, tens = np.tile(HUMAN, (5, 1)), np.arange(5) / 10
    found = Detections(np.array([0, 1, 0, 0, 0], np.int32), np.array([0, 1, 2, 3, 0], np.int16), boxes, boxes, scores)
    values = {"pairwise": tens, "detector": tens, "global": tens, "relatedness": tens + 0.01}
    factors = Factors(values, {"global": 0.0}, tens + 0.02, tens + 0.03)
    best = best_of_image(found, factors, vocabulary, 0, top_k=3, threshold=0.1)
    names = [f"{entry.verb} {entry.object}" for entry in best]
    assert names == ["hold cup", "drink_with cup", "ride bicycle"]
    parts = {"pairwise": 0.2, "relatedness": 0.21, "human_detector": 0.22, "object_detector": 0.23}
    assert best[0].factors == pytest.approx(parts)
    assert [entry.score for entry in best_of_image(found, factors, vocabulary, 0, top_k=2, threshold=0)] == [0.5, 0.5]
    assert best_of_image(found, factors, vocabulary, 2, top_k=2, threshold=0) == []


def test_records_are_plain_json():
    record = prediction(triplet(score=1.23456789e-7)).to_json()
    assert (record["path"], record["width"], record["height"]) == ("a.jpg", 100, 90)
    (entry,) = json.loads(json.dumps(record))["detections"]
    assert entry["score"] == 1.23457e-7
    assert entry["human_box"] == [10, 20, 40, 80]
    assert entry["parts"] == {"pairwise": 0.123457}


def test_a_line_says_what_was_found_or_what_to_lower():
    assert (
        prediction(triplet(), triplet("sit_on", 0.0001234)).line() == "a.jpg: ride bicycle 0.50, sit on bicycle 0.00012"
    )
    assert prediction(people=0).line() == "a.jpg: 0 people found; lower --detector-threshold"
    assert prediction(people=2).line() == "a.jpg: 2 people found, no object for a pair; lower --detector-threshold"
    line = prediction(best=triplet(score=0.0001)).line()
    assert line == "a.jpg: nothing above the threshold, best: ride bicycle 0.00010; lower --threshold"


def count_pixels(picture, color) -> int:
    return int((np.asarray(picture) == color).all(-1).sum())


def test_pairs_are_drawn_in_their_colors_over_the_picture():
    image = Image.new("RGB", (100, 100), (90, 90, 90))
    other = triplet("hold", 0.3, human=HUMAN + 5)
    picture = draw_prediction(image, [triplet(), triplet("push", 0.4), other], "")
    assert picture.width == MIN_SIDE
    assert min(count_pixels(picture, color) for color in COLORS[:2]) > 1000
    assert count_pixels(picture, COLORS[2]) == 0  # two pairs: the verbs of one share a color
    blank = draw_prediction(image, [], "nothing")
    assert all(count_pixels(blank, color) == 0 for color in COLORS)


def test_boxes_stand_where_they_were_found():
    picture = draw_prediction(Image.new("RGB", (640, 640), (90, 90, 90)), [triplet(human=HUMAN * 4, partner=HUMAN)], "")
    for x, y in ((40, 200), (160, 200), (100, 80), (100, 319)):  # sides of the human box
        assert picture.getpixel((x, y)) == COLORS[0]
    assert picture.getpixel((230, 500)) == (90, 90, 90)


@pytest.mark.parametrize(("size", "longer"), [((50, 20), MIN_SIDE), ((800, 700), 800), ((4000, 100), MAX_SIDE)])
def test_pictures_have_a_readable_size(size, longer):
    outside = np.array([-5, -5, 5000, 5000], np.float32)
    picture = draw_prediction(Image.new("RGB", size), [triplet(human=outside)], "")
    assert picture.width == longer


def test_a_legend_goes_on_in_the_next_line_and_leaves_the_width_as_it_is():
    """Lines of 22 pixels: one pair with twelve verbs takes several, and each entry is whole."""
    wide, narrow = Image.new("RGB", (640, 320)), Image.new("RGB", (50, 640))
    many = [triplet(f"look_at_{number}", 0.5) for number in range(12)]
    few, all_verbs = draw_prediction(wide, many[:1], ""), draw_prediction(wide, many, "")
    assert few.size == (640, 320 + 8 + 22)
    assert all_verbs.size == (640, 320 + 8 + 4 * 22)  # three entries of about 170 pixels fit in each line
    assert draw_prediction(narrow, many[:2], "").size == (320, 640 + 8 + 2 * 22)
    endless = draw_prediction(narrow, [triplet("look at the very far end of the world and its")], "")
    assert endless.size == (320, 640 + 8 + 2 * 22)  # cut between its words


# The folder of pictures


def saved(folder, sources, width=10):
    pictures = PictureFolder(folder, sources)
    return [pictures.save(source, Image.new("RGB", (width + row, 5))).name for row, source in enumerate(sources)]


def test_pictures_replace_those_of_an_earlier_run_and_never_each_other(tmp_path):
    sources = [tmp_path / name for name in ("a/x.png", "b/x.jpg", "c/X.gif")]
    for width in (10, 20):
        names = saved(tmp_path / "new", sources, width)
        assert names == ["x-hoi.jpg", "x-hoi-2.jpg", "X-hoi-3.jpg"]  # some file systems ignore case
        assert [open_image(tmp_path / "new" / name).width for name in names] == [width, width + 1, width + 2]
        assert is_drawn(tmp_path / "new/x-hoi.jpg")


def test_a_picture_of_somebody_elses_is_never_replaced(tmp_path):
    photo = tmp_path / "x-hoi.jpg"
    Image.new("RGB", (30, 5)).save(photo, comment=b"holiday")
    before = photo.read_bytes()
    for name in ("x", "y"):
        (tmp_path / f"{name}.png").write_text("")
    with pytest.raises(DataError, match=r"x-hoi.jpg: is there already and no picture that predict drew; .*for --draw"):
        PictureFolder(tmp_path, [tmp_path / "y.png", tmp_path / "x.png"])
    assert photo.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x-hoi.jpg", "x.png", "y.png"]  # nothing was begun


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("nowhere"), lambda path: path.mkdir()])
def test_what_is_no_file_is_no_drawn_picture(tmp_path, make):
    make(tmp_path / "x-hoi.jpg")
    assert not is_drawn(tmp_path / "x-hoi.jpg")
    with pytest.raises(DataError, match="is there already"):
        PictureFolder(tmp_path, [tmp_path / "x.png"])


@pytest.mark.parametrize("data", [b"", b"no image", b"\xff\xd8\xff\xfe\0\x1adrawn by weakhoi predict"])
def test_damaged_files_are_no_drawn_pictures(tmp_path, data):
    (tmp_path / "x.jpg").write_bytes(data)
    assert not is_drawn(tmp_path / "x.jpg")
    assert not is_drawn(tmp_path / "none.jpg")


def test_long_names_are_cut_and_stay_apart(tmp_path):
    sources = [tmp_path / folder / f"{letter * 251}.png" for folder, letter in ("ax", "bx")]
    sources += [tmp_path / ("é" * 124 + ".png"), tmp_path / os.fsdecode(b"caf\xe9.png")]
    names = saved(tmp_path / "new", sources)
    stems = [f"{'x' * 180}-hoi", f"{'x' * 180}-hoi-2", f"{'é' * 90}-hoi", os.fsdecode(b"caf\xe9-hoi")]
    assert names == [f"{stem}.jpg" for stem in stems]


# The file of predictions

DOCUMENT = {"checkpoint": "c", "detector": "d", "fusion": {}, "images": [{"path": "a\x1b\x9b\n.png"}], "skipped": []}


def test_predictions_of_an_earlier_run_are_replaced(tmp_path):
    path = tmp_path / "out" / "p.json"
    for checkpoint in ("first", "second"):
        check_predictions_target(path)
        write_predictions(path, DOCUMENT | {"checkpoint": checkpoint})
    assert json.loads(path.read_text())["checkpoint"] == "second"


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG\r\n", b"{}", b"[1]", b'{"images": [], "annotations": []}', b'{"checkpoint": "c", "images":']
)
def test_other_files_are_never_replaced_by_predictions(tmp_path, data):
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"file: is there already and holds no predictions; .*for --json"):
        check_predictions_target(path)
    assert path.read_bytes() == data


def test_a_link_that_leads_nowhere_is_not_replaced_by_predictions(tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(DataError, match="is there already"):
        check_predictions_target(tmp_path / "link")


def test_predictions_go_into_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        check_predictions_target(tmp_path / "pipe")
        write_predictions(tmp_path / "pipe", DOCUMENT)
        assert json.loads(os.read(reader, 10_000)) == DOCUMENT
    finally:
        os.close(reader)


def test_json_holds_names_as_they_are_and_no_control_character():
    text = predictions_text(DOCUMENT)
    assert json.loads(text) == DOCUMENT
    assert not [character for character in text.replace("\n", "") if unicodedata.category(character) == "Cc"]
    assert prediction(path="a\n\x1b[2J.png").line().startswith("a\\n\\x1b[2J.png: ")
