"""Which HOI classes an image shows, without boxes: the measure of HICO's classification benchmark.

Source: `utils/eval_pr_score_label.m` and `evaluation/eval_default_run.m` of ywchao/hico_benchmark (Chao et al., ICCV
2015). Per HOI class, all images form one list by falling score; AP is the mean over 11 recall levels. There, an image
whose label of a class is ambiguous is left out of that class's list; labels here are yes or no, so that none is.

Axis legend: I images, H HOI classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from pipeline.core.class_groups import ClassGroups
from pipeline.core.label_rows import LabelRows
from pipeline.core.outputs import OutputColumn
from pipeline.core.types import FloatArray
from pipeline.evaluation.average_precision import DoubleArray, average_precision, precision_recall
from pipeline.evaluation.ranking import num_before, ranking_keys
from pipeline.evaluation.summary import percent
from pipeline.store.dump import DumpReader

_IMAGES_AT_ONCE = 4096  # 10 MB of scores of HICO-DET's classes


def image_level_ap(blocks: Callable[[], Iterable[FloatArray]], labels: LabelRows) -> DoubleArray:
    """AP of each class, float64 [H] in 0..1; nan where no image shows it.

    Args:
        blocks: yields scores float32 [*, H] of consecutive images, any numbers that rise with the evidence; of equal
            ones the first image stands first. Called twice.
        labels: of all images.
    """
    rows = labels.image_index
    scores = np.concatenate([np.zeros(0, np.float32), *_labeled_scores(blocks(), labels)])
    keys = ranking_keys(labels.hoi_ids, scores)
    order = np.lexsort((rows, keys))
    keys, rows, hoi_id = keys[order], rows[order], labels.hoi_ids[order]
    before, first = np.zeros(len(keys), np.int64), 0
    for block in blocks():
        image, hoi_ids = np.divmod(np.arange(block.size), labels.num_hois)
        before += num_before(keys, rows - first, ranking_keys(hoi_ids, block.ravel()), image, len(block))
        first += len(block)
    num_images = np.bincount(labels.hoi_ids, minlength=labels.num_hois)
    precision, recall = precision_recall(hoi_id, before - hoi_id * first + 1, num_images)
    return average_precision(hoi_id, precision, recall, num_images)


def _labeled_scores(blocks: Iterable[FloatArray], labels: LabelRows) -> Iterator[FloatArray]:
    """Scores of the classes that images show, [L] in all."""
    first = 0
    for block in blocks:
        part = labels.part(first, first := first + len(block))
        yield block[part.image_index, part.hoi_ids]


def image_level_metrics(dump: DumpReader, labels: LabelRows, groups: ClassGroups) -> dict[str, Any] | None:
    """mAP of each group of classes in percent, and the factor whose scores are ranked; None where the method has none.

    Ranked are the raw outputs of the method's column of images and HOI classes (s_g of the paper, factor "global"): its
    link rises, so that the factor ranks alike.

    Args:
        labels: HOI classes that each image shows, images as in the dump.
    """
    column = _image_column(dump.columns)
    if column is None:
        return None
    name = column.name
    ap = image_level_ap(lambda: dump.read_output(name, _IMAGES_AT_ONCE), labels)
    return {"factor": column.factor, **{name: percent(mean) for name, mean in groups.means(ap).items()}}


def _image_column(columns: Sequence[OutputColumn]) -> OutputColumn | None:
    found = (column for column in columns if column.per == "image" and column.classes == "hois")
    return next(found, None)
