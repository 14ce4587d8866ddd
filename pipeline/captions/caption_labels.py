"""Captions of a split's images to image-level labels, and a report on what was not matched.

I images, H HOI classes.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from pipeline.captions.caption_files import ImageCaption, read_captions
from pipeline.captions.matching import CaptionMatcher
from pipeline.captions.synonyms import Synonyms
from pipeline.core.errors import DataError, did_you_mean
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.split import SplitManifest
from pipeline.prompts.verb_lists import words
from pipeline.store.image_labels_file import SplitLabels

_LISTED = 20  # captions, words
_FUNCTION_WORDS = words(
    """
    a an the his her its their this that these those some any each one two three four several many of in on at with for
    by from into near to up down over and or is are was were be been being has have it he she they there as while next
    front side top off out through around very
    """
)


@dataclass(frozen=True)
class CaptionLabels:
    """Labels of a split from captions; the confidence is the share of an image's captions that name the class.

    `report` holds JSON values for the manifest: numbers of captions and images, what no caption named, and captions
    and words that gave no label.
    """

    labels: SplitLabels
    report: dict[str, Any]

    @property
    def summary(self) -> str:
        """One line for the user."""
        report = self.report
        return (
            f"captions: {report['with_class']} of {report['captions']} name a class; {report['images_with_labels']} of "
            f"{report['images']} training images have labels; {len(report['classes_without'])} classes in no caption"
            + (f"; {report['unknown_images']} captions are of images that the dataset lacks" if self.unknown else "")
        )

    @property
    def unknown(self) -> int:
        """Captions of images that no split has."""
        return int(self.report["unknown_images"])


def label_captions(
    path: Path,
    synonyms: Path | None,
    train: SplitManifest,
    others: Sequence[SplitManifest],
    vocabulary: Vocabulary,
    advance: Callable[[], None] = lambda: None,
) -> CaptionLabels:
    """Label the training images by the captions of a file.

    Args:
        synonyms: the user's own, or None.
        others: further splits, whose captions are left out without a word.
        advance: called after each caption.

    Raises:
        DataError: the files are missing or of another form; no caption is of a training image, or none names a class.
    """
    captions, matcher = read_captions(path), CaptionMatcher(vocabulary, Synonyms.of(vocabulary, synonyms))
    rows = _rows_by_name(train)
    elsewhere = {name for split in others for name in _rows_by_name(split)} - {record.path for record in train.images}
    named = np.zeros((len(train), vocabulary.num_hois), np.float32)
    counts = np.zeros(len(train), np.int64)
    without: list[str] = []
    left_out: Counter[str] = Counter()
    for caption in captions:
        name = next((name for name in _names_of(caption) if name in rows or name in elsewhere), None)
        row = None if name is None or name in elsewhere else rows[name]
        if row is None:
            left_out["unknown_images" if name is None else "other_splits"] += 1
        else:
            counts[row] += 1
            hoi_ids = matcher.hoi_ids(caption.text)
            named[row, list(hoi_ids)] += 1
            without += [] if hoi_ids else [caption.text]
        advance()
    _check(path, captions, train, counts, named)
    share = (named / np.maximum(counts, 1)[:, None]).astype(np.float32)
    labels = SplitLabels.of("captions", train.image_ids, share)
    left = Counter(word for text in without for word in set(re.findall(r"[^\W\d_]+", text.lower())) - _FUNCTION_WORDS)
    report = {
        "captions": int(counts.sum()),
        "with_class": int(counts.sum()) - len(without),
        "other_splits": left_out["other_splits"],
        "unknown_images": left_out["unknown_images"],
        "images": len(train),
        "images_with_captions": int((counts > 0).sum()),
        "images_with_labels": int(named.any(1).sum()),
        "labels": len(labels.hoi_ids),
        "classes_without": [vocabulary.hoi_name(row) for row in np.flatnonzero(~named.any(0)).tolist()],
        "captions_without": sorted(set(without))[:_LISTED],
        "words_without": dict(sorted(left.items(), key=lambda item: (-item[1], item[0]))[:_LISTED]),
    }
    return CaptionLabels(labels, report)


def _names_of(caption: ImageCaption) -> tuple[str, str]:
    """What an image may be found by, the exact name first."""
    return caption.image, PurePosixPath(caption.image).name


def _rows_by_name(split: SplitManifest) -> dict[str, int]:
    """Rows of a split's images by path, id and, where no two share it, file name."""
    by_file: defaultdict[str, list[int]] = defaultdict(list)
    for row, record in enumerate(split.images):
        by_file[PurePosixPath(record.path).name].append(row)
    names = {name: rows[0] for name, rows in by_file.items() if len(rows) == 1}
    names |= {record.image_id: row for row, record in enumerate(split.images)}
    return names | {record.path: row for row, record in enumerate(split.images)}


def _check(
    path: Path, captions: Sequence[ImageCaption], train: SplitManifest, counts: np.ndarray, named: np.ndarray
) -> None:
    """Refuse a file that gives no label."""
    if not counts.any():
        first = captions[0].image
        guess = did_you_mean(first, [record.path for record in train.images[:1000]])
        raise DataError(
            f'{path}: none of its {len(captions)} captions is of a training image, the first is of "{first}"{guess}; '
            f'expected paths or file names as "{train.images[0].path if len(train) else "none"}"'
        )
    if not named.any():
        raise DataError(
            f"{path}: none of the {int(counts.sum())} captions of training images names a class, e.g. "
            f'"{captions[0].text}"; expected sentences as "a person riding a bicycle", or add prepare.synonyms'
        )
