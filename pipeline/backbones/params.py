"""Section `encode_images` of params.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.config.types import BatchSize, KnownKeys, PartSize, Switch


@dataclass(frozen=True)
class EncodeImagesParams(KnownKeys):
    """How features of a frozen encoder are stored."""

    dtype: Literal["float16", "float32"] = "float16"  # on disk
    mirrored: Switch = True  # of mirror images too, which training with `flip_probability` needs: twice the size
    batch_size: BatchSize = 16
    part_size: PartSize = 256  # images per resumable part
