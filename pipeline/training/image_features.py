"""Features of a frozen encoder, once for all: made by `encode_images`, read by every run that names their row."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.backbones.base import Backbone, Sources
from pipeline.backbones.catalog import backbone_class
from pipeline.backbones.params import EncodeImagesParams
from pipeline.config.layout import Layout
from pipeline.config.run import Run
from pipeline.config.sections import digest_of
from pipeline.core.device import open_device, place
from pipeline.core.errors import DataError, ParamError
from pipeline.core.seeding import torch_seed
from pipeline.data.images import open_split_image
from pipeline.data.pixels import normalize_pixels, square_pixels
from pipeline.data.split import SplitManifest, open_split
from pipeline.methods.params import ModelParams
from pipeline.prompts.clip_bank import clip_of, open_clip
from pipeline.prompts.params import ClipParams
from pipeline.store.features_file import FEATURES, Shapes, write_features
from pipeline.store.files import check_space, files_below
from pipeline.store.parts import Arrays, FinishedParts
from pipeline.store.vocabulary_file import read_vocabulary
from pipeline.store.work_folder import digest_of_tensors


def encoder_of(backbone: Backbone, name: str, image_size: int) -> dict[str, str]:
    """What features are made by, as texts by name: the backbone with its settings, the size of images, the weights.

    Weights that start anew in every run are left out: features that can be stored do not depend on them.
    """
    settings = {f"{part}.{key}": value for part, values in backbone.config.items() for key, value in _items(values)}
    weights = {
        key: value.detach().cpu()
        for key, value in backbone.state_dict().items()
        if not key.startswith(backbone.from_scratch)
    }
    return {
        "backbone": name,
        "image size": str(image_size),
        **{key: json.dumps(value, sort_keys=True) for key, value in settings.items()},
        "weights": digest_of_tensors(weights)[:16],
    }


def _items(values: Any) -> list[tuple[str, Any]]:
    return list(values.items()) if isinstance(values, Mapping) else [("value", values)]


def stored_bytes(shapes: Shapes, params: EncodeImagesParams) -> int:
    """What the features of one image take on disk, of tensors of these shapes."""
    numbers = sum(math.prod(shape) for shape in shapes)
    return (1 + params.mirrored) * numbers * np.dtype(params.dtype).itemsize


@dataclass(frozen=True)
class EncodeWork:
    """Features of every image of a split, and of its mirror image where params ask for them.

    Attributes:
        backbone: on the device already, in evaluation mode.
        encoder: `encoder_of` it.
        shapes: `Backbone.fixed_shapes`.
        files: that the backbone noted.
    """

    backbone: Backbone
    encoder: dict[str, str]
    shapes: Shapes
    manifest: SplitManifest
    params: EncodeImagesParams
    image_size: int
    root: Path
    device: torch.device
    files: tuple[Path, ...] = ()

    @cached_property
    def digest(self) -> str:
        """Names the encoder, the images and the params."""
        images = [[record.path, record.sha256] for record in self.manifest.images]
        return digest_of({"encoder": self.encoder, "images": images, "params": digest_of(self.params)})

    @property
    def num_images(self) -> int:
        """Images of the split."""
        return len(self.manifest)

    @property
    def empty(self) -> Arrays:
        """No image: features [0, V, F]."""
        values = sum(int(np.prod(shape)) for shape in self.shapes)
        return {FEATURES: np.zeros((0, 1 + self.params.mirrored, values), self.params.dtype)}

    @property
    def image_bytes(self) -> int:
        """What one image takes on disk."""
        return stored_bytes(self.shapes, self.params)

    def batches(self, start: int, stop: int) -> list[range]:
        """Images start..stop in order."""
        size = self.params.batch_size
        return [range(low, min(low + size, stop)) for low in range(start, stop, size)]

    def load(self, images: Sequence[int]) -> Tensor:
        """Decode a batch: uint8 [I, 3, S, S]."""
        opened = (open_split_image(self.manifest, index, self.root) for index in images)
        pixels = torch.stack([square_pixels(image, self.image_size) for image in opened])
        return pixels.pin_memory() if self.device.type == "cuda" else pixels

    @torch.no_grad()
    def run(self, images: Sequence[int], loaded: Tensor) -> list[Arrays]:
        """Encode a batch.

        Raises:
            DataError: a value that `params.dtype` cannot hold.
        """
        pixels = normalize_pixels(loaded.to(self.device, non_blocking=True))
        views = [pixels, pixels.flip(3)] if self.params.mirrored else [pixels]
        encoded = [[tensor.flatten(1) for tensor in self.backbone.encoded(view)] for view in views]
        flat = torch.stack([torch.cat(tensors, 1) for tensors in encoded], 1)  # [I, V, F]
        stored = flat.to(getattr(torch, self.params.dtype))
        if not torch.isfinite(stored).all():
            first = self.manifest.images[images[0]].image_id
            raise DataError(
                f'features of the {len(images)} images from "{first}" on have values that {self.params.dtype} cannot '
                "hold; set encode_images.dtype to float32"
            )
        return [{FEATURES: values[None]} for values in stored.cpu().numpy()]


@dataclass(frozen=True)
class EncodeJob:
    """The encoder of a row over one split, not yet opened."""

    layout: Layout
    run: Run
    clip: ClipParams
    model: ModelParams = field(hash=False)
    params: EncodeImagesParams
    device: str
    channels_last: bool

    @property
    def folder(self) -> Path:
        """Where its parts are kept."""
        return self.layout.work("encode_images", self.run)

    @property
    def part_size(self) -> int:
        """Images per part."""
        return self.params.part_size

    def open(self) -> EncodeWork:
        """Read everything.

        Raises:
            UserError: a file is missing or damaged; the encoder is trained, or its features can't be stored.
        """
        manifest = open_split(self.layout, self.run.split, read_vocabulary(self.layout.vocabulary))
        files: list[Path] = []
        backbone, device = self._encoder(files.append), open_device(self.device)
        shapes = backbone.fixed_shapes(self.model.image_size)
        encoder = encoder_of(backbone, self.model.backbone, self.model.image_size)
        place(backbone, device, channels_last=self.channels_last)
        return EncodeWork(
            backbone,
            encoder,
            shapes,
            manifest,
            self.params,
            self.model.image_size,
            self.layout.root,
            device,
            tuple(files),
        )

    def _encoder(self, note: Callable[[Path], object]) -> Backbone:
        """The row's backbone before training; random weights, where it has any, are those of seed 0."""
        kind, faults = backbone_class(self.model.backbone), list[str]()
        settings = self.model.settings_of(self.model.backbone, kind.Params, faults)
        if faults:
            raise ParamError("params.yaml: " + "; ".join(faults))
        clip = open_clip(clip_of(self.clip, self.model.clip), self.layout.root)
        width = clip.model.text_projection.shape[1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch_seed(0, "network"))
            root, side = self.layout.root, self.model.image_size
            return kind.build(Sources(clip, self._no_detector, width, side, root, note), settings)

    def _no_detector(self) -> Any:
        raise ParamError(f"model.backbone: features of {self.model.backbone} can't be stored; take e.g. clip_vit")

    def check_space(self, work: EncodeWork) -> str:
        """Say what the features take on disk.

        Raises:
            ResourceError: the disk has no room for them: parts and the final file, which is written from the parts.
        """
        whole = work.image_bytes * work.num_images
        parts = sum(file.stat().st_size for file in files_below(self.folder)) if self.folder.exists() else 0
        size = (
            f"{work.num_images} images of {work.image_bytes / 1e6:,.3f} MB each, {whole / 1e6:,.1f} MB in all, and as "
            "much again while they are written"
        )
        remedy = "set encode_images.mirrored to false or dtype to float16, or free space"
        check_space(self.layout.features(self.run), 2 * whole - min(parts, whole), size, remedy)
        return size


def write_parts(path: Path, parts: FinishedParts, work: EncodeWork) -> None:
    """Write the final file from all parts."""
    column = parts.column(FEATURES)
    write_features(path, column, images=work.manifest.images, encoder=work.encoder, shapes=work.shapes)
