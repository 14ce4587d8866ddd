"""The toyworld as a dataset: draws every split's images and writes down what is true of them."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.core.errors import ParamError
from pipeline.core.layout import Layout
from pipeline.core.names import SPLITS, Split
from pipeline.core.params import PrepareParams
from pipeline.core.types import ImageLabels, ImageRecord, IntArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.split import SplitManifest
from pipeline.toyworld.scenes import Scene, render_scene
from pipeline.toyworld.vocabulary import toyworld_vocabulary
from pipeline.truth.datasets.base import PreparedSplit
from pipeline.truth.ground_truth import GroundTruth
from pipeline.truth.ground_truth_file import AnnotatedSplit

_ON_DISK = Image.new("RGB", (1, 1))  # in place of a picture that is written: a split's pixels are not kept in memory


class ToyworldReader:
    """Draws the splits that `prepare` names. No annotation file goes in: the seed is the source."""

    def __init__(self, params: PrepareParams, *, dataset: str, root: Path) -> None:
        if params.num_images is None or params.exponents is None or params.image_size is None:
            raise ParamError("prepare: reader toyworld needs num_images, exponents and image_size; found null")
        if set(params.num_images) != set(SPLITS) or set(params.exponents) != set(SPLITS):
            raise ParamError(f"prepare: num_images and exponents must name exactly the splits {', '.join(SPLITS)}")
        self._counts, self._exponents, self._size = params.num_images, params.exponents, params.image_size
        self._seed = params.seed
        self._image_root = Layout(Path(), dataset).drawn_images.as_posix()
        self.vocabulary: Vocabulary = toyworld_vocabulary()

    @property
    def num_images(self) -> int:
        """Images of all splits."""
        return sum(self._counts.values())

    @property
    def inputs(self) -> Sequence[Path]:
        """None: everything is drawn."""
        return ()

    def read(self, drawn_images: Path, advance: Callable[[], None]) -> list[PreparedSplit]:
        """Draw all splits; the training split keeps its image-level labels and instance counts only."""
        instances = np.zeros(self.vocabulary.num_hois, np.int64)
        prepared = []
        for split in SPLITS:
            folder = drawn_images / split
            folder.mkdir()
            scenes = []
            for index in range(self._counts[split]):
                scenes.append(self._draw(split, index, folder))
                advance()
            if split == "train":
                for _, scene in scenes:
                    np.add.at(instances, scene.hoi_id, 1)
            prepared.append(self._prepared(split, scenes, instances))
        return prepared

    def _draw(self, split: Split, index: int, folder: Path) -> tuple[ImageRecord, Scene]:
        scene = render_scene(
            split, index, root_seed=self._seed, size=self._size, exponent=float(self._exponents[split])
        )
        data = _png_bytes(scene.image)
        name = f"{index:06d}.png"
        (folder / name).write_bytes(data)
        record = ImageRecord(
            image_id=f"{split}-{index:06d}",
            path=f"{split}/{name}",
            width=scene.image.width,
            height=scene.image.height,
            sha256=hashlib.sha256(data).hexdigest(),
        )
        return record, dataclasses.replace(scene, image=_ON_DISK)

    def _prepared(self, split: Split, scenes: list[tuple[ImageRecord, Scene]], instances: IntArray) -> PreparedSplit:
        manifest = SplitManifest(
            dataset="toyworld",
            split=split,
            image_root=self._image_root,
            images=tuple(record for record, _ in scenes),
            labels=tuple(ImageLabels(record.image_id, np.unique(scene.hoi_id)) for record, scene in scenes),
        )
        if split == "train":
            return PreparedSplit(manifest, None)
        truth = _ground_truth([scene for _, scene in scenes])
        return PreparedSplit(manifest, AnnotatedSplit(truth, instances))


def _png_bytes(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def _ground_truth(scenes: list[Scene]) -> GroundTruth:
    counts = [len(scene.hoi_id) for scene in scenes]
    return GroundTruth(
        image_index=np.repeat(np.arange(len(scenes), dtype=np.int32), counts),
        hoi_id=np.concatenate([scene.hoi_id for scene in scenes]).astype(np.int16),
        human_boxes=np.concatenate([scene.boxes[scene.human_index] for scene in scenes]),
        object_boxes=np.concatenate([scene.boxes[scene.object_index] for scene in scenes]),
        num_images=len(scenes),
    )


READER = ToyworldReader
