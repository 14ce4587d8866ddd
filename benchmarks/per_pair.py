"""The local branch as one would first write it: a loop over images, over pairs, over verbs; nothing batched or shared.

Every pair pools its own human, its own object and its own union region. Written from the paper (sec. 3.2.3, 3.3,
App. C and F) beside the network's weights, and from none of the code that it is compared with but the pooling operator
that it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import roi_align

from pipeline.backbones.clip_resnet import ClipResNet
from pipeline.core.bags import BagBatch
from pipeline.core.vocabulary import Vocabulary
from pipeline.methods.bilevel.network import BilevelNetwork

Box = tuple[float, float, float, float]  # xyxy in original pixels
Size = tuple[float, float]  # width, height of the image in pixels
Pooling = Callable[[BilevelNetwork, Tensor, Tensor], Tensor]  # of a map [1, C, Hf, Wf] and a box [4] in 0..1 to [D]


@dataclass(frozen=True)
class LocalBranch:
    """Logits of all pairs in order, s_p [M, A] and s_b [M], and the losses L_p and L_b."""

    interaction_logits: Tensor
    relatedness_logits: Tensor
    pair_loss: Tensor
    relatedness_loss: Tensor


def clip_pooling(network: BilevelNetwork, features: Tensor, box: Tensor) -> Tensor:
    """CLIP's attention pool over torchvision's RoIAlign."""
    backbone = network.backbone
    assert isinstance(backbone, ClipResNet)
    cells = box * box.new_tensor([features.shape[3], features.shape[2]] * 2)
    region = roi_align(
        features,
        [cells[None]],
        output_size=backbone.params.roi_size,
        sampling_ratio=backbone.params.sampling_ratio,
        aligned=True,
    )
    embedding: Tensor = backbone.attnpool(region)
    return embedding.view(-1)


def absorbed_pooling(network: BilevelNetwork, features: Tensor, box: Tensor) -> Tensor:
    """The network's own operator, one region at a time."""
    return network.backbone.region_embedding(features, box[None], torch.zeros(1, dtype=torch.int64))[0]


POOLINGS: dict[str, Pooling] = {"absorbed": absorbed_pooling, "clip": clip_pooling}


def local_branch(
    network: BilevelNetwork,
    features: Tensor,
    batch: BagBatch,
    *,
    vocabulary: Vocabulary,
    top_k: int,
    pooling: Pooling,
) -> LocalBranch:
    """Run the branch with knowledge transfer and relatedness over maps [I, C, Hf, Wf], image by image, pair by pair."""
    zero = features.new_zeros(())
    interactions, relatednesses, pair_loss, relatedness_loss = [], [], zero, zero
    for image in range(len(batch)):
        pairs = _pairs_of(vocabulary, batch, image)
        logits = [_pair_logits(network, features[image : image + 1], batch, image, *pair, pooling) for pair in pairs]
        verbs, objects = _labels_of(vocabulary, batch, image)
        pair_loss = pair_loss + _mil_loss([s_p for s_p, _ in logits], verbs, zero)
        positives = _positives([s_p for s_p, _ in logits], _objects_of(batch, pairs), verbs, objects, top_k)
        for index, (s_p, s_b) in enumerate(logits):
            target = torch.tensor(float(index in positives))
            relatedness_loss = relatedness_loss + functional.binary_cross_entropy_with_logits(s_b, target)
            interactions.append(s_p)
            relatednesses.append(s_b)
    return LocalBranch(
        torch.stack(interactions), torch.stack(relatednesses), pair_loss / len(batch), relatedness_loss / len(batch)
    )


def _pairs_of(vocabulary: Vocabulary, batch: BagBatch, image: int) -> list[tuple[int, int]]:
    """Rows of every human with every other pairable proposal."""
    rows = range(int(batch.proposal_offsets[image]), int(batch.proposal_offsets[image + 1]))
    pairable = {category for _, category in vocabulary.hoi_classes}
    humans = [row for row in rows if int(batch.object_ids[row]) == vocabulary.human_object_id]
    partners = [row for row in rows if int(batch.object_ids[row]) in pairable]
    return [(human, partner) for human in humans for partner in partners if human != partner]


def _objects_of(batch: BagBatch, pairs: list[tuple[int, int]]) -> list[int]:
    return [int(batch.object_ids[partner]) for _, partner in pairs]


def _labels_of(vocabulary: Vocabulary, batch: BagBatch, image: int) -> tuple[set[int], set[int]]:
    """Verbs and object categories of the image's labels."""
    labeled = batch.labels[image].nonzero().flatten().tolist()
    classes = [vocabulary.hoi_classes[hoi] for hoi in labeled]
    return {verb for verb, _ in classes}, {category for _, category in classes}


def _pair_logits(
    network: BilevelNetwork, features: Tensor, batch: BagBatch, image: int, human: int, partner: int, pooling: Pooling
) -> tuple[Tensor, Tensor]:
    """s_p [A] and s_b [] of one pair (eq. 1 and 2)."""
    human_box, object_box = _box(batch.boxes[human]), _box(batch.boxes[partner])
    size: Size = (float(batch.image_sizes[image, 0]), float(batch.image_sizes[image, 1]))
    v_h, v_o, v_u = (
        _region(network, features, box, size, pooling) for box in (human_box, object_box, _union(human_box, object_box))
    )
    scale = v_h.numel() ** 0.5 if network.params.unit_variance else 1.0
    terms = torch.tensor(spatial_terms(human_box, object_box, size))
    v_sp = network.trunk.spatial.layers(torch.cat([terms, (terms + network.params.spatial_epsilon).log()]))
    v_p = network.trunk.pair_embedding(torch.cat([v_h * scale, v_o * scale, v_sp]))
    bank = network.bank.detach() if network.params.detach_bank else network.bank
    directions = functional.normalize(bank, dim=1)
    recalled = torch.softmax(directions @ functional.normalize(v_u, dim=0) * network.logit_scale.exp(), 0) @ bank
    representation = network.fusion(v_p + recalled * scale)
    return network.interaction_head(representation), network.relatedness_head(representation)[0]


def _region(network: BilevelNetwork, features: Tensor, box: Box, size: Size, pooling: Pooling) -> Tensor:
    """Embedding [D] of a box in pixels."""
    placed = torch.tensor([box[0] / size[0], box[1] / size[1], box[2] / size[0], box[3] / size[1]])
    embedding = pooling(network, features, placed)
    return functional.normalize(embedding, dim=0) if network.params.normalize_rois else embedding


def _box(row: Tensor) -> Box:
    x1, y1, x2, y2 = row.tolist()
    return x1, y1, x2, y2


def spatial_terms(human: Box, thing: Box, size: Size) -> list[float]:
    """The 18 terms of App. C, one by one, of boxes that are not degenerate."""
    (h_x, h_y, h_w, h_h), (o_x, o_y, o_w, o_h) = _center_and_extent(human), _center_and_extent(thing)
    image_w, image_h = size
    overlap_w = max(0.0, min(human[2], thing[2]) - max(human[0], thing[0]))
    overlap_h = max(0.0, min(human[3], thing[3]) - max(human[1], thing[1]))
    overlap = overlap_w * overlap_h
    right, down = (o_x - h_x) / h_w, (o_y - h_y) / h_h
    return [
        *(h_x / image_w, h_y / image_h, o_x / image_w, o_y / image_h),
        *(h_w / image_w, h_h / image_h, o_w / image_w, o_h / image_h),
        *(h_w * h_h / (image_w * image_h), o_w * o_h / (image_w * image_h), o_w * o_h / (h_w * h_h)),
        *(h_w / h_h, o_w / o_h),
        overlap / (h_w * h_h + o_w * o_h - overlap),
        *(max(0.0, right), max(0.0, -right), max(0.0, down), max(0.0, -down)),
    ]


def _union(first: Box, second: Box) -> Box:
    left, top = min(first[0], second[0]), min(first[1], second[1])
    return left, top, max(first[2], second[2]), max(first[3], second[3])


def _center_and_extent(box: Box) -> tuple[float, float, float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1]


def _mil_loss(logits: list[Tensor], verbs: set[int], zero: Tensor) -> Tensor:
    """Cross-entropy of the best pair of each verb against the image's labels; nothing where there is no pair."""
    loss = zero
    for verb in range(len(logits[0]) if logits else 0):
        best = max((s_p[verb] for s_p in logits), key=lambda logit: float(logit.detach()))
        loss = loss + functional.binary_cross_entropy_with_logits(best, torch.tensor(float(verb in verbs)))
    return loss


def _positives(logits: list[Tensor], categories: list[int], verbs: set[int], objects: set[int], top_k: int) -> set[int]:
    """Pairs that are pseudo-labeled as related: the K best of each labeled verb among labeled objects (App. F)."""
    candidates = [index for index, category in enumerate(categories) if category in objects]
    chosen: set[int] = set()
    for verb in verbs:
        scores = {index: float(logits[index][verb].detach()) for index in candidates}
        chosen.update(sorted(candidates, key=lambda index: -scores[index])[:top_k])
    return chosen
