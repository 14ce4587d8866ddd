"""Sizes of what is published, by name: CLIPs and DINOv2s without their weights, HICO-DET and V-COCO without a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipeline.core.vocabulary import Vocabulary
from pipeline.store.clip_architecture import ClipConfig
from pipeline.truth.hicodet_community import official_classes

_RN50 = ClipConfig(
    embed_dim=1024,
    image_resolution=224,
    vision_layers=(3, 4, 6, 3),
    vision_width=64,
    context_length=77,
    vocab_size=49408,
    transformer_width=512,
    transformer_heads=8,
    transformer_layers=12,
)
_VIT_B32 = replace(_RN50, embed_dim=512, vision_layers=12, vision_width=768, vision_patch_size=32)


def _wider(config: ClipConfig, width: int, **sizes: Any) -> ClipConfig:
    """With a text encoder of this width, whose heads are 64 wide."""
    return replace(config, transformer_width=width, transformer_heads=width // 64, **sizes)


_VIT_L14 = _wider(_VIT_B32, 768, embed_dim=768, vision_layers=24, vision_width=1024, vision_patch_size=14)
CLIPS: Mapping[str, ClipConfig] = {
    "RN50": _RN50,
    "RN101": replace(_RN50, embed_dim=512, vision_layers=(3, 4, 23, 3)),
    "RN50x4": _wider(_RN50, 640, embed_dim=640, image_resolution=288, vision_layers=(4, 6, 10, 6), vision_width=80),
    "RN50x16": _wider(_RN50, 768, embed_dim=768, image_resolution=384, vision_layers=(6, 8, 18, 8), vision_width=96),
    "RN50x64": _wider(_RN50, 1024, image_resolution=448, vision_layers=(3, 15, 36, 10), vision_width=128),
    "ViT-B/32": _VIT_B32,
    "ViT-B/16": replace(_VIT_B32, vision_patch_size=16),
    "ViT-L/14": _VIT_L14,
    "ViT-L/14@336px": replace(_VIT_L14, image_resolution=336),
}


def _dinov2(width: int, layers: int) -> list[tuple[str, dict[str, Any]]]:
    """With registers and without; heads are 64 wide."""
    size = {384: "small", 768: "base", 1024: "large"}[width]
    sizes = {
        **{"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": width // 64},
        **{"image_size": 518, "patch_size": 14},
    }
    return [
        (f"facebook/dinov2-with-registers-{size}", {"model_type": "dinov2_with_registers", **sizes}),
        (f"facebook/dinov2-{size}", {"model_type": "dinov2", **sizes}),
    ]


DINOV2S: Mapping[str, dict[str, Any]] = dict([*_dinov2(384, 12), *_dinov2(768, 12), *_dinov2(1024, 24)])


@dataclass(frozen=True)
class PublishedDataset:
    """What is known of a dataset before it is prepared.

    Attributes:
        images: of the splits "train" and "test", where none is held out.
    """

    vocabulary: Vocabulary
    images: Mapping[str, int]


def published_dataset(reader: str, *, official_val: bool) -> PublishedDataset | None:
    """That of a reader of `prepare`; None where nothing is published.

    Args:
        official_val: train without the dataset's own val.
    """
    if reader == "hicodet":
        return PublishedDataset(official_classes()[0], {"train": 38_118, "test": 9_658})
    if reader == "vcoco":
        return PublishedDataset(_vcoco_sized(), {"train": 2_533 if official_val else 5_400, "test": 4_946})
    return None


def _vcoco_sized() -> Vocabulary:
    """24 verb-roles, 80 categories and 236 classes, as of V-COCO; the names and the classes themselves are others."""
    return Vocabulary(
        objects=("person", *(f"object{index}" for index in range(1, 80))),
        verbs=tuple(f"verb{index}" for index in range(24)),
        hoi_classes=tuple((index % 24, index % 80) for index in range(236)),
    )
