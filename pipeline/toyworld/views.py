"""Views of scenes as a CLIP sees them: the whole image, or a window around one interacting pair, resized."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from pipeline.core.bags import CLIP_MEAN, CLIP_STD
from pipeline.core.boxes import box_area, box_intersection, box_union
from pipeline.toyworld.scenes import Scene
from pipeline.toyworld.vocabulary import toyworld_vocabulary

VISIBLE = 0.8  # of a box inside a window, for its pair to be captioned
NO_IMAGE = Image.new("RGB", (1, 1))


@dataclass(frozen=True)
class View:
    """What a CLIP is shown: pixels uint8 [3, R, R], and the scene in the view's coordinates, its image left out."""

    pixels: NDArray[np.uint8]
    scene: Scene


def whole_view(scene: Scene, resolution: int) -> View:
    """The full image, resized."""
    return _view(scene, (0.0, 0.0, float(scene.image.width), float(scene.image.height)), resolution)


def pair_view(scene: Scene, resolution: int, random: Random, *, margin: tuple[float, float] = (0.1, 0.6)) -> View:
    """A square window around a random interacting pair, jittered, with `margin` (of the pair's size) around it."""
    row = random.randrange(len(scene.hoi_id))
    union = box_union(scene.boxes[scene.human_index[row]], scene.boxes[scene.object_index[row]])
    x1, y1, x2, y2 = (float(value) for value in union)
    side = max(x2 - x1, y2 - y1)
    side = min(side * (1.0 + random.uniform(*margin)), float(scene.image.width))
    left = random.uniform(x2 - side, x1) if x2 - x1 < side else x1
    top = random.uniform(y2 - side, y1) if y2 - y1 < side else y1
    left = min(max(left, 0.0), scene.image.width - side)
    top = min(max(top, 0.0), scene.image.height - side)
    return _view(scene, (left, top, left + side, top + side), resolution)


def _view(scene: Scene, window: tuple[float, float, float, float], resolution: int) -> View:
    """Resize a window of the image; pairs of which either thing is mostly outside are dropped."""
    image = scene.image.resize((resolution, resolution), Image.Resampling.BILINEAR, box=window)
    pixels = np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))
    frame = np.array(window, dtype=np.float32)
    inside = box_intersection(scene.boxes, frame[None]) >= VISIBLE * box_area(scene.boxes)
    kept = inside[scene.human_index] & inside[scene.object_index]
    scale = resolution / (window[2] - window[0])
    boxes = ((scene.boxes - frame[[0, 1, 0, 1]]) * scale).clip(0, resolution).astype(np.float32)
    # Things outside the window lose their category, so that no caption names them.
    object_ids = np.where(inside, scene.object_ids, 0)
    rest = replace(
        scene,
        image=NO_IMAGE,
        boxes=boxes,
        object_ids=object_ids,
        human_index=scene.human_index[kept],
        object_index=scene.object_index[kept],
        hoi_id=scene.hoi_id[kept],
    )
    return View(pixels, rest)


def hoi_labels(scenes: Sequence[Scene]) -> NDArray[np.bool_]:
    """HOI classes of each scene, bool [V, H]."""
    labels = np.zeros((len(scenes), toyworld_vocabulary().num_hois), dtype=bool)
    for row, scene in enumerate(scenes):
        labels[row, scene.hoi_id] = True
    return labels


def normalize(pixels: Tensor) -> Tensor:
    """Map uint8 RGB [B, 3, R, R] to CLIP's input, float32, channels last."""
    mean, std = torch.tensor(CLIP_MEAN).view(3, 1, 1), torch.tensor(CLIP_STD).view(3, 1, 1)
    scaled = (pixels.float() / 255 - mean) / std
    return scaled.contiguous(memory_format=torch.channels_last)
