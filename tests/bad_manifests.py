"""Split manifests that something is wrong with, by name: what to do to a good one, and what the message says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Document = dict[str, Any]
_BOXES = "supervision is image-level: boxes belong to the ground truth"


def _image(**values: object) -> Callable[[Document], object]:
    """Set values of the second image."""
    return lambda document: document["images"][1].update(values)


def _file(**values: object) -> Callable[[Document], object]:
    return lambda document: document.update(values)


def _drop_from_image(name: str) -> Callable[[Document], object]:
    return lambda document: document["images"][1].pop(name)


BAD: dict[str, tuple[Callable[[Document], object], str]] = {
    "an id twice": (lambda d: d["images"][1].update(image_id=d["images"][0]["image_id"]), "occurs twice"),
    "a path up": (_image(path="../../secret.png"), 'path "../../secret.png" leaves the image root'),
    "a path up and down": (_image(path="sub/../../secret.png"), "leaves the image root"),
    "an absolute path": (_image(path="/etc/passwd"), 'path "/etc/passwd" leaves the image root'),
    "an image root up": (_file(image_root="../elsewhere"), 'image root "../elsewhere" leaves the repository'),
    "boxes of an image": (_image(human_boxes=[[0, 0, 1, 1]]), f'image 1 has the unknown key "human_boxes" ({_BOXES})'),
    "boxes of the split": (_file(object_boxes=[]), f'file has the unknown key "object_boxes" ({_BOXES})'),
    "a mistyped key": (_image(widht=3), 'unknown key "widht", did you mean "width"?'),
    "another schema": (_file(schema_version=2), 'file has the unknown key "schema_version"'),
    "no split": (lambda d: d.pop("split"), "not a split manifest (file has no split)"),
    "no images": (lambda d: d.pop("images"), "file has no images"),
    "no digest": (_drop_from_image("sha256"), "image 1 has no sha256"),
    "no labels": (_drop_from_image("hoi_ids"), "image 1 has no hoi_ids"),
    "images null": (_file(images=None), "images is a NoneType, expected a list"),
    "images by name": (_file(images={}), "images is a dict, expected a list"),
    "an image that is a name": (lambda d: d["images"].append("a.png"), "is a str"),
    "another split": (_file(split="test"), 'holds the split "test", expected "train"'),
    "a split that is a number": (_file(split=3), "split is 3; expected a text"),
    "upright in words": (_file(upright="yes"), "upright is a str; expected true or false"),
    "an unknown class": (_image(hoi_ids=[9999]), "has HOI id 9999; expected 0 to"),
    "a negative class": (_image(hoi_ids=[-1]), "has HOI id -1; expected 0 to"),
    "a huge class": (_image(hoi_ids=[10**30]), "has HOI id a huge number; expected 0 to"),
    "a class twice": (_image(hoi_ids=[1, 1]), "expected ids from 0 in rising order, each once"),
    "classes out of order": (_image(hoi_ids=[2, 0]), "expected ids from 0 in rising order"),
    "half a class": (_image(hoi_ids=[1.5]), "are no list of whole numbers"),
    "a class that is not a number": (_image(hoi_ids=[float("nan")]), "are no list of whole numbers"),
    "true as a class": (_image(hoi_ids=[True]), "are no list of whole numbers"),
    "one class without a list": (_image(hoi_ids=1), "are no list of whole numbers"),
    "a list in a list": (_image(hoi_ids=[[1]]), "are no list of whole numbers"),
    "a width of 0": (_image(width=0), "expected whole pixels"),
    "a negative height": (_image(height=-5), "is -5; expected whole pixels"),
    "a width in words": (_image(width="160"), "is '160'; expected whole pixels"),
    "half a pixel": (_image(width=160.5), "is 160.5; expected whole pixels"),
    "a width that is not a number": (_image(width=float("nan")), "is nan; expected whole pixels"),
    "a huge width": (_image(width=10**40), "is a number of 133 bits; expected whole pixels"),
    "a width of true": (_image(width=True), "is True; expected whole pixels"),
    "an id that is a number": (_image(image_id=7), "ImageRecord.image_id is 7; expected a text"),
    "an empty id": (_image(image_id=""), "ImageRecord.image_id is ''; expected a text"),
    "an id that UTF-8 can't hold": (_image(image_id="a\udcff"), "expected a text of UTF-8 characters"),
    "a path with NUL": (_image(path="a\0.png"), "expected a text of UTF-8 characters"),
    "an empty path": (_image(path=""), "ImageRecord.path is ''; expected a text"),
    "a digest of another kind": (_image(sha256="d41d8cd98f00b204e9800998ecf8427e"), "expected 64 hexadecimal digits"),
    "a digest of null": (_image(sha256=None), "is None; expected 64 hexadecimal digits"),
}

NOT_MANIFESTS: dict[str, str] = {  # texts
    "nothing": "",
    "null": "null",
    "a list": "[]",
    "a number": "3",
    "half of one": '{"dataset": "tiny", "split": "tr',
    "nested without end": "[" * 100_000,
    "a number without end": '{"images": ' + "9" * 10_000 + "}",
}
