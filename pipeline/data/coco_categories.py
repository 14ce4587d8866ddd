"""COCO's category ids as names: the published ids 1..90 with gaps, and the contiguous 0..79.

Datasets order and spell the 80 categories differently (HICO-DET: alphabetical, "dining_table"), so ids are always
mapped by name, never by position. The names are those that torchvision ships with its weights.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

from pipeline.core.errors import DataError
from pipeline.core.vocabulary import Vocabulary

_PUBLISHED: tuple[str, ...] = tuple(FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"])
_ABSENT = ("__background__", "N/A")

COCO_91: dict[int, str] = {row: name for row, name in enumerate(_PUBLISHED) if name not in _ABSENT}
COCO_80: dict[int, str] = dict(enumerate(COCO_91.values()))
NUMBERINGS = {"coco91": COCO_91, "coco80": COCO_80}


def object_ids_of(labels: NDArray[np.int64], names: dict[int, str], vocabulary: Vocabulary) -> NDArray[np.int64]:
    """Object id of each label, int64 [N]; -1 where the vocabulary has no category of that name.

    Raises:
        DataError: a label that the numbering does not have.
    """
    known = vocabulary.object_id_by_name
    table = {label: known.get(name.replace("_", " "), -1) for label, name in names.items()}
    distinct, rows = np.unique(labels, return_inverse=True)
    unknown = [int(label) for label in distinct if int(label) not in table]
    if unknown:
        raise DataError(
            f"label {unknown[0]} is none of the {len(names)} of this numbering ({min(names)}..{max(names)}); "
            "choose another with --labels"
        )
    return np.array([table[int(label)] for label in distinct], np.int64)[rows.ravel()]
