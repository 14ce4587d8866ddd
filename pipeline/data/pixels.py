"""Decoded images as the network takes them: resized, and normalized as CLIP expects."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pipeline.core.bags import CLIP_MEAN, CLIP_STD


def square_pixels(image: Image.Image, side: int) -> Tensor:
    """Resize an image to side x side (bicubic, as CLIP does) and return uint8 [3, side, side]."""
    if image.size != (side, side):
        image = image.resize((side, side), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def normalize_pixels(pixels: Tensor) -> Tensor:
    """Map uint8 [*, 3, S, S] in 0..255 to CLIP's float32 input."""
    mean = pixels.new_tensor(CLIP_MEAN, dtype=torch.float32)[:, None, None]
    std = pixels.new_tensor(CLIP_STD, dtype=torch.float32)[:, None, None]
    return (pixels.float() / 255 - mean) / std
