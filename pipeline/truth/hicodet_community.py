"""HICO-DET in the community's form: trainval_hico.json and test_hico.json of PPDM, QPIC, CDN or GEN-VLKT.

Verbs are 1..117 in alphabetical order and objects COCO's ids 1..90; names, and the official list of rare classes, are
those of `hicodet_classes.csv`. Boxes are 1-based inclusive pixels, as in the official file. There are no image sizes.
The pairs are those of iCAN, where near-duplicate boxes are merged: not those of anno_bbox.mat.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError
from pipeline.core.vocabulary import Vocabulary, human_category
from pipeline.data.coco_categories import COCO_91, object_ids_of
from pipeline.data.csv_file import read_rows
from pipeline.truth.annotated_images import AnnotatedImages, known_ids, truth_of_pairs
from pipeline.truth.community_form import read_community_form

_CLASSES = Path(__file__).parent / "hicodet_classes.csv"
NOTE = (
    "images and pairs are those of PPDM's form, in which near-duplicate boxes are merged: they are not those of "
    "anno_bbox.mat, and neither is mAP"
)


def official_classes() -> tuple[Vocabulary, NDArray[np.bool_]]:
    """Vocabulary of HICO-DET with the HOI classes in official order, and which of them are rare, bool [H]."""
    rows = [row for _, row in read_rows(_CLASSES, ("verb", "object", "rare"))]
    verbs, objects = (sorted({row[kind] for row in rows}) for kind in ("verb", "object"))
    classes = tuple((verbs.index(row["verb"]), objects.index(row["object"])) for row in rows)
    vocabulary = Vocabulary(tuple(objects), tuple(verbs), classes, human=human_category(objects))
    return vocabulary, np.array([row["rare"] == "1" for row in rows])


def read_hicodet_community(path: Path) -> tuple[AnnotatedImages, int]:
    """Read a split.

    Returns:
        The images, and the number of rows that are left out: they point past the image's boxes, or their verb and
        object are no HOI class.

    Raises:
        DataError: missing, of another form, or an id that is neither a verb nor a category.
    """
    vocabulary, _ = official_classes()
    found = read_community_form(path)
    verbs = known_ids(found.verb_ids, "verb", range(1, vocabulary.num_verbs + 1), path) - 1
    try:
        objects = object_ids_of(found.object_categories, COCO_91, vocabulary)
    except DataError as error:
        raise DataError(f"{path}: category_id: {error}") from None
    hoi_ids = vocabulary.hoi_id_table[verbs, objects]
    known = hoi_ids >= 0
    truth = truth_of_pairs(
        found.image_index[known],
        hoi_ids[known],
        found.human_boxes[known],
        found.object_boxes[known],
        len(found),
        first_pixel=1,
    )
    return AnnotatedImages(vocabulary, found.filenames, None, truth), found.left_out + int((~known).sum())
