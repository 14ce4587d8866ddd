"""Predicted images as pictures, and the folder that holds them.

Pairs are drawn and numbered; what they do is listed below the image, so that nothing is hidden; long lists go on in the
next line. The human box is thick, the object box thin, a line joins their centers. A pair's verbs share its number and
color.

Each file carries a mark in its JPEG comment: by it a later run knows the pictures that it may replace, and leaves them
out where it is to predict on the whole folder.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from pipeline.core.errors import DataError
from pipeline.prediction.records import Triplet
from pipeline.report.colors import INK, PAIRS, PAPER
from pipeline.report.drawing import Point, center, draw_badge, filled, jpeg_bytes, letters, placed, scaled
from pipeline.store.files import atomic_path
from pipeline.store.targets import check_target

MIN_SIDE, MAX_SIDE = 640, 1200  # pixels, longer side of the picture
_MIN_WIDTH = 320  # pixels, so that a legend can be read below a narrow image
_LINE, _TEXT_LEFT, _TEXT_RIGHT = 22, 34, 10  # pixels between lines of text, and beside them
_HUMAN_WIDTH, _OBJECT_WIDTH, _LINK_WIDTH, _BADGE_RADIUS = 4, 2, 2, 11
_MARK = b"drawn by weakhoi predict"
_STEM_BYTES = 180  # of the image's name; a file's name may have 255, its temporary's included


def draw_prediction(image: Image.Image, triplets: Sequence[Triplet], nothing: str) -> Image.Image:
    """Return the picture of one image, RGB; the image is enlarged or reduced to a readable size.

    Args:
        nothing: what stands below an image without triplets.
    """
    longer = max(image.size)
    scale = min(max(longer, MIN_SIDE), MAX_SIDE) / longer
    image, font = scaled(image, scale), letters(14)
    width = max(image.width, _MIN_WIDTH)
    pairs = _by_pair(triplets)

    def fits(text: str) -> bool:
        return font.getlength(text) <= width - _TEXT_LEFT - _TEXT_RIGHT

    legend = [_wrapped([triplet.text for triplet in pair], fits) for pair in pairs] or [_wrapped([nothing], fits)]
    picture = Image.new("RGB", (width, image.height + 8 + _LINE * sum(map(len, legend))), PAPER)
    picture.paste(image, (0, 0))
    pen = ImageDraw.Draw(picture)
    for number, pair in reversed(list(enumerate(pairs))):  # the best pair lies on top
        _draw_pair(pen, pair[0], scale, image.size, number)
    top = image.height + 6
    for number, lines in enumerate(legend):
        if pairs:
            _number(pen, (16, top + 9), number)
        for line in lines:
            pen.text((_TEXT_LEFT, top), line, fill=INK, font=font)
            top += _LINE
    return picture


def _by_pair(triplets: Sequence[Triplet]) -> list[list[Triplet]]:
    """Triplets of the same two boxes together, in the order of each pair's best."""
    pairs: dict[bytes, list[Triplet]] = {}
    for triplet in triplets:
        pairs.setdefault(triplet.boxes.tobytes(), []).append(triplet)
    return list(pairs.values())


def _wrapped(entries: Sequence[str], fits: Callable[[str], bool]) -> list[str]:
    """Lines of entries; an entry that is too long for a line is cut between its words."""
    lines = filled(entries, "   ", fits)
    return [part for line in lines for part in ([line] if fits(line) else filled(line.split(), " ", fits))]


def _draw_pair(pen: ImageDraw.ImageDraw, triplet: Triplet, scale: float, size: tuple[int, int], number: int) -> None:
    human, partner = placed(triplet.human_box, scale, size), placed(triplet.object_box, scale, size)
    link = (*center(human), *center(partner))
    for extra, tone in ((2, PAPER), (0, PAIRS[number % len(PAIRS)])):  # a halo first
        pen.line(link, fill=tone, width=_LINK_WIDTH + extra)
        pen.rectangle(partner, outline=tone, width=_OBJECT_WIDTH + extra)
        pen.rectangle(human, outline=tone, width=_HUMAN_WIDTH + extra)
    _number(pen, center(link), number)


def _number(pen: ImageDraw.ImageDraw, place: Point, number: int) -> None:
    draw_badge(pen, place, str(number + 1), PAIRS[number % len(PAIRS)], _BADGE_RADIUS, letters(13))


def is_drawn(path: Path) -> bool:
    """Whether a file is a picture that a `PictureFolder` saved; False for what cannot be read."""
    try:
        if not path.is_file():  # opening a pipe would wait forever
            return False
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=("JPEG",)) as image:
            return image.info.get("comment") == _MARK
    except Exception:  # damaged headers raise errors of many kinds in Pillow
        return False


class PictureFolder:
    """Saves the pictures of some images as STEM-hoi.jpg; images of the same stem become STEM-hoi-2.jpg and so on.

    Raises:
        DataError: one of these names is taken by a file that is no such picture.
        ArtifactError: the folder cannot be written.
    """

    def __init__(self, folder: Path, sources: Sequence[Path]) -> None:
        self.files: dict[Path, Path] = {}
        taken: set[str] = set()
        for source in sources:
            stem, number = _cut(source.stem), 1
            name = f"{stem}-hoi.jpg"
            while name.lower() in taken:  # some file systems ignore case
                number += 1
                name = f"{stem}-hoi-{number}.jpg"
            taken.add(name.lower())
            self.files[source] = folder / name
        check_target(folder / "picture")
        for file in self.files.values():
            if os.path.lexists(file) and not is_drawn(file):
                raise DataError(
                    f"{file}: is there already and no picture that predict drew; it is never written over: "
                    "choose another folder for --draw, or move the file away"
                )

    def save(self, source: Path, picture: Image.Image) -> Path:
        """Write the picture of one of the images; return its file.

        Raises:
            ArtifactError: the folder cannot be written.
        """
        with atomic_path(self.files[source]) as temporary:
            temporary.write_bytes(jpeg_bytes(picture, 90, comment=_MARK))
        return self.files[source]


def _cut(stem: str) -> str:
    """A stem whose picture's name is not too long."""
    name = os.fsencode(stem)
    return stem if len(name) <= _STEM_BYTES else name[:_STEM_BYTES].decode("utf-8", "ignore")
