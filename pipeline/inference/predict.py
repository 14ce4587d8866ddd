"""A user's own images through detector and network in one pass: files or images in, raw logits in memory out.

The numbers are those of `detect` and `infer` on the same pixels. As there, images are detected with others of the same
padded size only, so that one image's boxes never depend on the images beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from pipeline.core.errors import DataError
from pipeline.core.types import Proposals
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.bags import Bag, collate_bags
from pipeline.data.images import check_usable_size, open_image, upright_rgb
from pipeline.data.pixels import square_pixels
from pipeline.detection.batches import batches_of_one_size
from pipeline.detection.detectors import Detector
from pipeline.detection.proposals import category_map, detect_tensors, image_tensor
from pipeline.inference.bag_work import closed_batches
from pipeline.inference.pair_outputs import batch_outputs, dump_of
from pipeline.inference.params import InferParams
from pipeline.methods.model import HoiModel
from pipeline.store.dump import PredictionDump

Source = Path | Image.Image  # an image's file, or the image itself


@dataclass(frozen=True)
class PredictedBatch:
    """Some images, upright RGB, and their raw predictions: row i of the dump is of sources[i]."""

    sources: tuple[Source, ...]
    images: tuple[Image.Image, ...]
    dump: PredictionDump


def predict_images(
    sources: Sequence[Source],
    *,
    model: HoiModel,
    detector: Detector,
    vocabulary: Vocabulary,
    params: InferParams,
    device: torch.device,
    skipped: Callable[[Source, DataError], None],
) -> Iterator[PredictedBatch]:
    """Yield predictions in the order of `sources`, at most `params.batch_size` images at a time (`closed_batches`).

    Args:
        params: batch size, and how many proposals of an image are paired, best scores first.
        skipped: is told of each image that cannot be read; the others go on.

    Raises:
        DataError: the detector does not know the vocabulary's categories.
    """
    mapping = category_map(detector.categories, vocabulary)
    detector.model.to(device)
    model.network.to(device).eval()
    for low in range(0, len(sources), params.batch_size):
        opened = list(_opened(sources[low : low + params.batch_size], low, skipped))
        if not opened:
            continue
        images = [image for _, image in opened]
        found = [_best(entry, params.max_proposals) for entry in _detected(detector, images, mapping, device)]
        if model.method.needs_class_probabilities:
            found = [entry.with_class_probabilities(vocabulary.num_objects) for entry in found]
        else:
            found = [replace(entry, class_probabilities=None) for entry in found]
        bags = [_bag(row, images[row], found[row], model.image_size, vocabulary) for row in range(len(images))]
        for rows in closed_batches(model, vocabulary, [entry.object_ids for entry in found], params.batch_size):
            arrays = batch_outputs(model, vocabulary, collate_bags([bags[row] for row in rows]), device)
            names = tuple(str(low + row) for row in rows)
            dump = dump_of(arrays, model.method.columns, vocabulary, names, "predict")
            yield PredictedBatch(tuple(opened[row][0] for row in rows), tuple(images[row] for row in rows), dump)


def _opened(
    sources: Sequence[Source], first: int, skipped: Callable[[Source, DataError], None]
) -> Iterator[tuple[Source, Image.Image]]:
    for number, source in enumerate(sources, first):
        try:
            image = _decoded(source, number)
        except DataError as error:
            skipped(source, error)
        else:
            yield source, image


def _decoded(source: Source, number: int) -> Image.Image:
    """The image upright, of a size that can be detected on; `number` names it where it is no file."""
    if isinstance(source, Path):
        image = open_image(source, upright=True)
        check_usable_size(source, image.size)
        return image
    where = f"image {number}"
    image = upright_rgb(source, where)
    check_usable_size(where, image.size)
    return image


def _detected(
    detector: Detector, images: Sequence[Image.Image], mapping: NDArray[np.int64], device: torch.device
) -> list[Proposals]:
    """Proposals of each image, detected with others of its padded size."""
    found: dict[int, Proposals] = {}
    for rows in batches_of_one_size(detector.model, [image.size for image in images], len(images)):
        tensors = [image_tensor(np.asarray(images[row]), device) for row in rows]
        found.update(zip(rows, detect_tensors(detector, tensors, mapping, device), strict=True))
    return [found[row] for row in range(len(images))]


def _best(found: Proposals, limit: int) -> Proposals:
    rows = found.class_probabilities
    rows = None if rows is None else rows[:limit]
    return Proposals(found.boxes[:limit], found.scores[:limit], found.object_ids[:limit], rows)


def _bag(row: int, image: Image.Image, found: Proposals, side: int, vocabulary: Vocabulary) -> Bag:
    return Bag(
        index=row,
        pixels=square_pixels(image, side),
        size=image.size,
        proposals=found,
        labels=np.zeros(vocabulary.num_hois, np.float32),
    )
