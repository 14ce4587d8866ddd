"""What image-level labels are worth by who wrote them: people, captions, CLIP, or nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.core.errors import ArtifactError
from pipeline.report.number_text import MISSING, group_title, percent
from pipeline.report.study import Study, groups_of, over_seeds
from pipeline.report.table import markdown_table
from pipeline.store.files import read_json

SUPERVISION_TEXT = (
    "Supervision: test mAP as above of one network by what its image-level labels come from, and how far the labels "
    "agree with the annotated ones of the training images (precision and recall over all labels, F1 averaged over "
    "classes). The untrained CLIP takes none."
)
# Rows by the source of their labels; None: of no label.
ROWS = {"annotated": "ours", "captions": "ours_captions", "clip": "ours_clip_labels", None: "abl1"}
_TITLES = {"annotated": "annotated", "captions": "captions", "clip": "CLIP's scores", None: "none"}
_FIGURES = ("precision", "recall", "class_f1")


@dataclass(frozen=True)
class LabelQuality:
    """Agreement with annotated labels, percent."""

    precision: float
    recall: float
    class_f1: float


def read_label_quality(path: Path) -> LabelQuality | None:
    """Read what `label_quality` wrote; None where it was not run.

    Raises:
        ArtifactError: not such a file.
    """
    if not path.exists():
        return None
    remedy = "run weakhoi label-quality"
    data = read_json(path, remedy=remedy)
    try:
        return LabelQuality(**{name: float(data[name]) for name in _FIGURES})
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{path}: not figures of labels ({error!r}); {remedy}") from None


def supervision_table(study: Study, quality: Mapping[str, LabelQuality | None]) -> str:
    """Markdown table of `ROWS` that the study has; "" where none but annotated labels and none is there.

    Args:
        quality: of labels by source; annotated ones are what they are compared with.
    """
    if not any(row in study for source, row in ROWS.items() if source in ("captions", "clip")):
        return ""
    rows, groups = [], groups_of(study)
    for source, row in ROWS.items():
        if row in study:
            known = quality.get(source) if source else None
            cells = [percent(getattr(known, name, np.nan)) if known else MISSING for name in _FIGURES]
            means = [str(over_seeds(study, row, group)) for group in groups]
            rows.append([_TITLES[source], row, *cells, str(len(study[row])), *means])
    header = ["labels", "row", "precision", "recall", "F1", "seeds", *map(group_title, groups)]
    return markdown_table(header, rows, num_text_columns=2)
