"""Strategies of Hypothesis for the pipeline's records; boxes lie on quarters of pixels, so that areas are exact."""

from __future__ import annotations

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from pipeline.core.types import Detections, ImageLabels, ImageRecord
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.split import SplitManifest
from pipeline.store.proposals_file import SplitProposals
from pipeline.store.ragged import offsets_of
from pipeline.truth.ground_truth import GroundTruth

modest = settings(deadline=None, max_examples=60, derandomize=True)
through_files = settings(deadline=None, max_examples=15, derandomize=True)

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
PATHS = NAMES.filter(lambda name: ".." not in name.split("/") and not name.startswith("/"))
SEEDS = st.integers(0, 2**32 - 1)
COUNTS = st.lists(st.integers(0, 5), max_size=6)


def random_boxes(rng: np.random.Generator, count: int, side: int = 40) -> np.ndarray:
    """Boxes float32 [count, 4], degenerate ones among them."""
    corner = rng.integers(0, 4 * side, (count, 2))
    return (np.concatenate([corner, corner + rng.integers(0, 4 * side, (count, 2))], 1) / 4).astype(np.float32)


@st.composite
def vocabularies(draw) -> Vocabulary:
    objects = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    verbs = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    pairs = [(verb, obj) for verb in range(len(verbs)) for obj in range(len(objects))]
    classes = draw(st.lists(st.sampled_from(pairs), min_size=1, unique=True))
    return Vocabulary(tuple(objects), tuple(verbs), tuple(classes), human=objects[0])


@st.composite
def splits(draw, vocabulary: Vocabulary) -> SplitManifest:
    ids = draw(st.lists(NAMES, max_size=6, unique=True))
    size = st.integers(1, 1 << 24)
    digest = st.text("0123456789abcdef", min_size=64, max_size=64)
    records = tuple(ImageRecord(name, draw(PATHS), draw(size), draw(size), draw(digest)) for name in ids)
    hois = st.sets(st.integers(0, vocabulary.num_hois - 1))
    labels = tuple(ImageLabels(name, np.array(sorted(draw(hois)), np.int64)) for name in ids)
    return SplitManifest(draw(NAMES), "train", draw(PATHS), records, labels, upright=draw(st.booleans()))


@st.composite
def split_proposals(draw, objects: tuple[str, ...] = ("person", "cup")) -> SplitProposals:
    counts, rng = draw(COUNTS), np.random.default_rng(draw(SEEDS))
    total = sum(counts)
    scores = [np.sort(rng.integers(0, 9, count) / 8)[::-1] for count in counts]
    return SplitProposals(
        image_ids=tuple(draw(st.lists(NAMES, min_size=len(counts), max_size=len(counts), unique=True))),
        objects=objects,
        detector=draw(NAMES),
        offsets=offsets_of(np.array(counts, np.int64)),
        boxes=random_boxes(rng, total),
        scores=np.concatenate([*scores, np.zeros(0)]).astype(np.float32),
        object_ids=rng.integers(0, len(objects), total),
    )


@st.composite
def scored_worlds(draw, num_hois: int = 4) -> tuple[GroundTruth, Detections]:
    """Annotated pairs, and detections near them whose scores all differ."""
    rng = np.random.default_rng(draw(SEEDS))
    num_gt, count, num_images = draw(st.integers(1, 12)), draw(st.integers(0, 30)), draw(st.integers(1, 4))
    truth = GroundTruth(
        rng.integers(0, num_images, num_gt).astype(np.int32),
        rng.integers(0, num_hois, num_gt).astype(np.int16),
        _wide(random_boxes(rng, num_gt)),
        _wide(random_boxes(rng, num_gt)),
        num_images=num_images,
    )
    near = rng.integers(0, num_gt, count)
    shifted = [
        boxes[near] + rng.integers(-8, 9, (count, 1)).astype(np.float32) / 4
        for boxes in (truth.human_boxes, truth.object_boxes)
    ]
    scores = (rng.permutation(count) + 1).astype(np.float32) / (count + 1)
    return truth, Detections(truth.image_index[near], truth.hoi_id[near], *shifted, scores)


def _wide(boxes: np.ndarray) -> np.ndarray:
    """Boxes of at least a pixel: an annotated box without area can't be found."""
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    return boxes
