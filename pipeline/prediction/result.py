"""What was found in one image: its best triplets; as JSON, as a picture, as a line of text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from pipeline.core.errors import printable
from pipeline.data.image_files import as_utf8
from pipeline.prediction.picture import draw_prediction
from pipeline.prediction.records import Triplet


@dataclass(frozen=True, eq=False)
class Prediction:
    """The best triplets of one image.

    Attributes:
        path: its file; None where the image itself was given.
        image: upright, RGB; boxes are in its pixels.
        triplets: (verb, object, score, boxes, factors) each, by falling score.
        num_people: people whom the detector found.
        best: the triplet of the highest score, also where that is below the threshold; None where there is no pair of a
            person with an object.
    """

    path: Path | None
    image: Image.Image
    triplets: list[Triplet]
    num_people: int
    best: Triplet | None

    @property
    def name(self) -> str | None:
        """The path as UTF-8 text."""
        return None if self.path is None else as_utf8(self.path.as_posix())

    @property
    def nothing(self) -> str:
        """Why there is no triplet; empty where there are some."""
        if self.triplets:
            return ""
        if not self.num_people:
            return "0 people found"
        if self.best is None:
            return f"{self.num_people} {'person' if self.num_people == 1 else 'people'} found, no object for a pair"
        return f"nothing above the threshold, best: {self.best.text}"

    def draw(self) -> Image.Image:
        """Return the image with its pairs drawn and numbered, and a legend below; RGB, 640 to 1200 pixels long."""
        return draw_prediction(self.image, self.triplets, self.nothing)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, rounded: path, width, height, detections; as in the file of `--json`."""
        width, height = self.image.size
        found = [triplet.to_json() for triplet in self.triplets]
        return {"path": self.name, "width": width, "height": height, "detections": found}

    def line(self) -> str:
        """Return a line for a terminal: the triplets with their scores, or what to lower where there is none."""
        found = ", ".join(triplet.text for triplet in self.triplets)
        remedy = "--detector-threshold" if self.best is None else "--threshold"
        return f"{printable(self.name or 'image')}: {found or f'{self.nothing}; lower {remedy}'}"
