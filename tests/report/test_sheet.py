from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image, ImageColor

from pipeline.report.colors import VERDICTS
from pipeline.report.drawing import jpeg_bytes, png_bytes
from pipeline.report.selection import DrawnPair, Label
from pipeline.report.sheet import TILE, SheetImage, contact_sheet, draw_pairs, fitted_scale, label_text

COLORS = {verdict: ImageColor.getrgb(color) for verdict, color in VERDICTS.items()}
GRAY = (90, 90, 90)
# (verdict, human box, object box) on a picture of 64 x 64, which is enlarged five times
CASES = (
    ("right", (4, 4, 14, 24), (20, 4, 28, 24)),
    ("wrong", (36, 4, 46, 24), (52, 4, 60, 24)),
    ("missed", (4, 36, 14, 60), (20, 36, 28, 60)),
)


def pair(verdict, human, partner) -> DrawnPair:
    return DrawnPair(np.array(human, np.float32), np.array(partner, np.float32), (Label("ride bicycle", 0.5, verdict),))


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    return np.asarray(draw_pairs(Image.new("RGB", (64, 64), GRAY), [pair(*case) for case in CASES]))


@pytest.mark.parametrize(("verdict", "human", "partner"), CASES)
@pytest.mark.parametrize("which", ["human", "partner"])
def test_edges_of_boxes_have_the_color_of_the_verdict(drawn, verdict, human, partner, which):
    x1, y1, x2, y2 = (5 * value for value in (human if which == "human" else partner))
    for edge in (drawn[y1 + 12 : y2 - 12, x1], drawn[y1 + 12 : y2 - 12, x2], drawn[y1, x1 + 3 : x2 - 3]):
        share = (edge == COLORS[verdict]).all(axis=-1).mean()
        assert 0.3 < share < 0.7 if verdict == "missed" else share > 0.95  # dashes are half of a missed edge
        for other in COLORS.keys() - {verdict}:
            assert not (edge == COLORS[other]).all(axis=-1).any()


def test_line_joins_the_centers_and_the_picture_outside_is_untouched(drawn):
    assert (drawn[140:170] == GRAY).all() and (drawn[:, 300 + 6 :] == GRAY).all()
    assert (drawn[70, 50:66] == COLORS["right"]).all()  # from (45, 70) to (120, 70); the number stands in the middle


def test_without_pairs_the_picture_is_only_resized():
    image = Image.new("RGB", (640, 480), GRAY)
    tile = draw_pairs(image, [])
    assert tile.size == (TILE, TILE * 3 // 4) and fitted_scale(640, 480) == 0.5
    assert (np.asarray(tile) == GRAY).all()


def test_boxes_at_the_border_stay_visible():
    tile = np.asarray(draw_pairs(Image.new("RGB", (64, 64), GRAY), [pair("wrong", (0, 0, 64, 64), (20, 20, 30, 30))]))
    for line in (tile[:, :4], tile[:, -4:], tile[:4].swapaxes(0, 1), tile[-4:].swapaxes(0, 1)):
        assert (line == COLORS["wrong"]).all(axis=-1).any(axis=1).mean() > 0.95


def test_labels_say_mark_name_and_score():
    assert label_text(Label("sit_on horse", 0.8765, "right")) == "✓ sit on horse 0.88"
    assert label_text(Label("hold cup", 0.0123, "wrong", repeated=True)) == "✗ hold cup 0.012 2nd"
    assert label_text(Label("hold cup", None, "missed")) == "\N{EN DASH} hold cup"


def sheet(images) -> Image.Image:
    return contact_sheet(images, title="ours on <toyworld>", caption="Every second image. " * 20)


def test_sheet_holds_every_picture_and_is_deterministic():
    shades = [(200, 10, 10 * index) for index in range(6)]
    entries = [SheetImage(f"image-{row}", Image.new("RGB", (64, 48), shade), ()) for row, shade in enumerate(shades)]
    first = sheet(entries)
    pixels = np.asarray(first)
    for shade in shades:
        assert (pixels == shade).all(axis=-1).sum() == TILE * TILE * 3 // 4
    assert png_bytes(first) == png_bytes(sheet(entries)) != png_bytes(sheet(entries[:5]))
    assert jpeg_bytes(first) == jpeg_bytes(sheet(entries))


def test_empty_sheet_and_long_names_are_legal():
    assert sheet([]).height > 0
    labels = tuple(Label(f"{'very ' * 30}long {index}", 0.5, "wrong") for index in range(3))
    long_name, image = dataclasses.replace(pair(*CASES[0]), labels=labels), Image.new("RGB", (20, 900))
    assert sheet([SheetImage("a", image, (long_name,))]).height > sheet([SheetImage("a", image, ())]).height
