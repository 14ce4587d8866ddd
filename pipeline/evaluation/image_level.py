"""Which HOI classes an image shows, without boxes: the measure of HICO's classification benchmark.

Source: `utils/eval_pr_score_label.m` and `evaluation/eval_default_run.m` of ywchao/hico_benchmark (Chao et al., ICCV
2015). Per HOI class, all images form one list by falling score; AP is the mean over 11 recall levels. There, an image
whose label of a class is ambiguous is left out of that class's list; labels here are yes or no, so that none is.

Axis legend: I images, H HOI classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.class_groups import ClassGroups
from pipeline.core.outputs import OutputColumn
from pipeline.evaluation.average_precision import DoubleArray, average_precision, precision_recall
from pipeline.evaluation.summary import percent
from pipeline.store.dump import DumpReader


def image_level_ap(scores: NDArray[np.floating], labels: NDArray[np.bool_]) -> DoubleArray:
    """AP of each class, float64 [H] in 0..1; nan where no image shows it.

    Args:
        scores: [I, H], any numbers that rise with the evidence; of equal ones the first image stands first.
        labels: bool [I, H].
    """
    order = np.argsort(-scores, axis=0, kind="stable")
    hoi_id, rank = np.nonzero(np.take_along_axis(labels, order, axis=0).T)
    num_images = labels.sum(axis=0)
    precision, recall = precision_recall(hoi_id, rank + 1, num_images)
    return average_precision(hoi_id, precision, recall, num_images)


def image_level_metrics(dump: DumpReader, labels: NDArray[np.bool_], groups: ClassGroups) -> dict[str, Any] | None:
    """mAP of each group of classes in percent, and the factor whose scores are ranked; None where the method has none.

    Ranked are the raw outputs of the method's column of images and HOI classes (s_g of the paper, factor "global"): its
    link rises, so that the factor ranks alike.

    Args:
        labels: HOI classes that each image shows, bool [I, H], images as in the dump.
    """
    column = _image_column(dump.columns)
    if column is None:
        return None
    ap = image_level_ap(dump.read_output(column.name), labels)
    return {"factor": column.factor, **{name: percent(mean) for name, mean in groups.means(ap).items()}}


def _image_column(columns: Sequence[OutputColumn]) -> OutputColumn | None:
    found = (column for column in columns if column.per == "image" and column.classes == "hois")
    return next(found, None)
