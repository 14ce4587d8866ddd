"""Which backbone a network gets: CLIP's visual encoder, or a detector's, from built modules."""

from __future__ import annotations

from clip.model import ModifiedResNet
from torchvision.models.detection import FasterRCNN

from pipeline.core.normalisation import CLIP_MEAN, CLIP_STD
from pipeline.core.params import ModelParams
from pipeline.hoi.backbone import ClipBackbone
from pipeline.hoi.detector_backbone import DetectorBackbone


def clip_backbone(visual: ModifiedResNet, params: ModelParams) -> ClipBackbone:
    """CLIP's visual encoder with the strides and RoI sizes of params; the module is copied."""
    return ClipBackbone(
        visual=visual,
        last_stride=params.last_stride,
        roi_size=params.roi_size,
        sampling_ratio=params.sampling_ratio,
    )


def detector_backbone(detector: FasterRCNN, embed_dim: int, params: ModelParams) -> DetectorBackbone:
    """A detector's pyramid and box head for images that are normalised as CLIP expects; its parts are copied."""
    return DetectorBackbone(
        detector=detector,
        embed_dim=embed_dim,
        image_side=params.image_size,
        input_mean=CLIP_MEAN,
        input_std=CLIP_STD,
    )
