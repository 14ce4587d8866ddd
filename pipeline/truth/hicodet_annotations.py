"""HICO-DET annotations: the JSON form and the official MATLAB files, read into one record.

Both forms give boxes as 1-based inclusive pixels `[x1, y1, x2, y2]`; the readers turn them into `[x1-1, y1-1, x2, y2]`,
ours, here and nowhere else. Interactions without a visible pair have no box: they are no ground truth, and their image
stays. Vocabulary: 117 verbs, 80 objects, 600 HOI classes, all in the file's order.

- JSON form: annotation, filenames, objects, verbs, correspondence, size, empty, rare, non_rare; `human` names the human
  category where it is none of the usual names.
- `anno_bbox.mat` (release 20160224): bbox_train, bbox_test, list_action. `hicodet_mat.py` reads it.
- `anno.mat` of that release holds image-level labels for either form; `hicodet_mat.py` reads them too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError
from pipeline.core.types import IntArray
from pipeline.core.vocabulary import Vocabulary, human_category
from pipeline.store.json_file import read_annotation_json
from pipeline.truth.annotated_images import AnnotatedImages, check_lengths, known_ids, pairs_of_images

_REQUIRED = ("annotation", "filenames", "objects", "verbs", "correspondence", "size", "rare")


@dataclass(frozen=True)
class HicoDetAnnotations(AnnotatedImages):
    """One split with its visible pairs; `rare` bool [H]. Sizes are always there."""

    sizes: IntArray
    rare: NDArray[np.bool_]


def read_hicodet_json(path: Path) -> HicoDetAnnotations:
    """Read the JSON form, e.g. `instances_test2015.json`.

    Raises:
        DataError: missing, truncated, annotations of another dataset, or inconsistent.
    """
    data = read_annotation_json(path, _REQUIRED, "HICO-DET")
    vocabulary = _vocabulary_of(data, path)
    try:
        rare = np.zeros(vocabulary.num_hois, dtype=np.bool_)
        rare[known_ids(data["rare"], "HOI", range(vocabulary.num_hois), path)] = True
        filenames = tuple(str(name) for name in data["filenames"])
        sizes = np.asarray(data["size"], dtype=np.int64).reshape(-1, 2)
        return annotations_of(data["annotation"], vocabulary, filenames, sizes, rare, path)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not HICO-DET annotations ({type(error).__name__}: {error})") from None


def annotations_of(
    images: Sequence[Mapping[str, Any]],
    vocabulary: Vocabulary,
    filenames: tuple[str, ...],
    sizes: IntArray,
    rare: NDArray[np.bool_],
    path: Path,
) -> HicoDetAnnotations:
    """Build the record of either form.

    Args:
        images: lists `hoi`, `boxes_h` and `boxes_o` of the visible pairs of each image; boxes as in the files.
        path: the file, for messages.

    Raises:
        DataError: an unknown HOI id, lists of different lengths, or a box that is not finite.
        KeyError, TypeError, ValueError: the images have another structure.
    """
    ids = known_ids([hoi for image in images for hoi in image["hoi"]], "HOI", range(vocabulary.num_hois), path)
    truth = pairs_of_images(images, "hoi", ids, path, first_pixel=1)
    check_lengths(path, len(images), filenames=filenames, size=sizes)
    return HicoDetAnnotations(vocabulary, filenames, sizes, truth, rare)


def _vocabulary_of(data: dict[str, Any], path: Path) -> Vocabulary:
    """Vocabulary of the JSON form: correspondence holds [hoi, object, verb] rows, in HOI order."""
    try:
        rows = [(int(hoi), int(obj), int(verb)) for hoi, obj, verb in data["correspondence"]]
    except (TypeError, ValueError):
        raise DataError(f"{path}: correspondence should hold [hoi, object, verb] rows") from None
    if [hoi for hoi, _, _ in rows] != list(range(len(rows))):
        raise DataError(f"{path}: correspondence should list HOI ids 0..{len(rows) - 1} in order")
    try:
        return Vocabulary(
            objects=tuple(data["objects"]),
            verbs=tuple(data["verbs"]),
            hoi_classes=tuple((verb, obj) for _, obj, verb in rows),
            human=human_category(data["objects"], data.get("human")),
        )
    except (TypeError, DataError) as error:
        raise DataError(f"{path}: objects, verbs and correspondence do not fit together ({error})") from None
