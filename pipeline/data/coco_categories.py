"""COCO's category ids as names: the published ids 1..90 with gaps, the contiguous 0..79, and 1..80 after a background.

Datasets order and spell the 80 categories differently (HICO-DET: alphabetical, "dining_table"), so ids are always
mapped by name, never by position.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError
from pipeline.core.vocabulary import Vocabulary

_NAMES = """
person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign,
parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella,
handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard,
surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange,
broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv,
laptop, mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase,
scissors, teddy bear, hair drier, toothbrush
"""
_GAPS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)  # of the published ids 1..90

COCO_80: dict[int, str] = dict(enumerate(name.strip() for name in _NAMES.split(",")))
COCO_91: dict[int, str] = dict(zip((row for row in range(1, 91) if row not in _GAPS), COCO_80.values(), strict=True))
COCO_81: dict[int, str] = {label + 1: name for label, name in COCO_80.items()}  # 0 is the background
NUMBERINGS: dict[str, Mapping[int, str]] = {"coco91": COCO_91, "coco80": COCO_80, "coco81": COCO_81}


def object_ids_of(labels: NDArray[np.int64], names: Mapping[int, str], vocabulary: Vocabulary) -> NDArray[np.int64]:
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
            f"label {unknown[0]} is none of the {len(names)} of this numbering ({min(names)}..{max(names)})"
        )
    return np.array([table[int(label)] for label in distinct], np.int64)[rows.ravel()]
