"""Annotated boxes for scoring, from the datasets' readers.

The rooms that learn (training, hoi, detection, prompts) may not import this file: an import test proves it.
"""

from __future__ import annotations

from pipeline.core.types import GroundTruth
from pipeline.data.hicodet_annotations import HicoDetAnnotations
from pipeline.data.vcoco_pairs import VCocoPairs


def hicodet_ground_truth(annotations: HicoDetAnnotations) -> GroundTruth:
    """Visible pairs of a HICO-DET split, in annotation order, over all of its images."""
    return GroundTruth(
        image_index=annotations.image_index,
        hoi_id=annotations.hoi_id,
        human_boxes=annotations.human_boxes,
        object_boxes=annotations.object_boxes,
        num_images=len(annotations),
        image_hois=annotations.image_hois,
    )


def vcoco_ground_truth(pairs: VCocoPairs) -> GroundTruth:
    """Pairs of a V-COCO split by image, over all of its images."""
    return GroundTruth(
        image_index=pairs.image_index,
        hoi_id=pairs.hoi_id,
        human_boxes=pairs.human_boxes,
        object_boxes=pairs.object_boxes,
        num_images=len(pairs),
    )
