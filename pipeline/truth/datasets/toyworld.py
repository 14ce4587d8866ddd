"""The toyworld as a dataset: draws every split's images and writes down what is true of them."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from pipeline.config.layout import Layout
from pipeline.core.errors import ParamError
from pipeline.core.names import SPLITS, Split
from pipeline.core.seeding import numpy_generator
from pipeline.core.types import ImageLabels, ImageRecord
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.split import SplitManifest
from pipeline.store.files import sha256_of
from pipeline.toyworld.descriptions import describe_scene
from pipeline.toyworld.scenes import Scene, render_scene
from pipeline.toyworld.vocabulary import toyworld_vocabulary
from pipeline.truth.datasets.base import Advance, PreparedSplit, TrainingBoxes
from pipeline.truth.ground_truth import GroundTruth
from pipeline.truth.ground_truth_file import AnnotatedSplit
from pipeline.truth.params import DRAWN_CAPTIONS, PrepareParams

_ON_DISK = Image.new("RGB", (1, 1))  # in place of a picture that is written: a split's pixels are not kept in memory


class ToyworldReader:
    """Draws the splits that `prepare` names. No annotation file goes in: the seed is the source."""

    def __init__(self, params: PrepareParams, *, dataset: str, root: Path) -> None:
        if params.num_images is None or params.exponents is None or params.image_size is None:
            raise ParamError("prepare: reader toyworld needs num_images, exponents and image_size; found null")
        if set(params.num_images) != set(SPLITS) or set(params.exponents) != set(SPLITS):
            raise ParamError(f"prepare: num_images and exponents must name exactly the splits {', '.join(SPLITS)}")
        self._counts, self._exponents, self._size = params.num_images, params.exponents, params.image_size
        self._seed, self._captions = params.seed, params.captions
        self._image_root = Layout(Path(), dataset).drawn_images.as_posix()
        self.vocabulary: Vocabulary = toyworld_vocabulary()

    @property
    def num_images(self) -> int:
        """Number of images of all splits."""
        return sum(self._counts.values())

    @property
    def inputs(self) -> Sequence[Path]:
        """None: everything is drawn."""
        return ()

    def read(self, drawn_images: Path, advance: Advance) -> list[PreparedSplit]:
        """Draw all splits; the training split keeps its image-level labels and instance counts only."""
        scenes = {split: self._draw(split, drawn_images / split, advance) for split in SPLITS}
        training = np.concatenate([scene.hoi_id for _, scene in scenes["train"]])
        instances = np.bincount(training, minlength=self.vocabulary.num_hois).astype(np.int64)
        prepared = []
        for split, drawn in scenes.items():
            records = tuple(record for record, _ in drawn)
            labels = tuple(ImageLabels(record.image_id, np.unique(scene.hoi_id)) for record, scene in drawn)
            manifest = SplitManifest("toyworld", split, self._image_root, records, labels)
            annotated = AnnotatedSplit(_ground_truth([scene for _, scene in drawn]), instances)
            prepared.append(PreparedSplit(manifest, None if split == "train" else annotated))
        if self._captions == DRAWN_CAPTIONS:
            self._write_captions(drawn_images, scenes["train"])
        return prepared

    def _write_captions(self, folder: Path, drawn: list[tuple[ImageRecord, Scene]]) -> None:
        """Write what people might say of the training images, image,caption."""
        with (folder / "captions.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(("image", "caption"))
            for record, scene in drawn:
                random = Random(int(numpy_generator(self._seed, "captions", record.image_id).integers(2**63)))
                writer.writerows((record.path, text) for text in describe_scene(scene, random))

    def _draw(self, split: Split, folder: Path, advance: Advance) -> list[tuple[ImageRecord, Scene]]:
        """Draw the images of a split into a folder."""
        folder.mkdir()
        drawn = []
        for index in range(self._counts[split]):
            scene = self._scene(split, index)
            file = folder / f"{index:06d}.png"
            scene.image.save(file, compress_level=1)
            record = ImageRecord(
                _image_id(split, index), f"{split}/{file.name}", *scene.image.size, sha256=sha256_of(file)
            )
            drawn.append((record, dataclasses.replace(scene, image=_ON_DISK)))
            advance()
        return drawn

    def training_boxes(self) -> TrainingBoxes:
        """Pairs of the training images, which are drawn again, since boxes follow from the drawing; none is written."""
        indices = range(self._counts["train"])
        scenes = [dataclasses.replace(self._scene("train", index), image=_ON_DISK) for index in indices]
        return TrainingBoxes(tuple(_image_id("train", index) for index in indices), _ground_truth(scenes))

    def _scene(self, split: Split, index: int) -> Scene:
        exponent = float(self._exponents[split])
        return render_scene(split, index, root_seed=self._seed, size=self._size, exponent=exponent)


def _image_id(split: Split, index: int) -> str:
    return f"{split}-{index:06d}"


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
