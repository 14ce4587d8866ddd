"""Which pair of an image is the target of a labeled class: the product of a geometric and a visual prior.

AlignFormer's abstract names "geometric and visual priors" and gives no formula. Here the geometric prior is a Gaussian
for each verb over where and how large the object is, seen from the human. Nobody annotates it: the statistics are those
of the candidates themselves, each weighted by its share of the product of both priors (expectation maximization, in
running sums). M pairs, A verbs, C object categories, G = 4 terms of a pair's geometry.
"""

from __future__ import annotations

import torch
from torch import Tensor, distributed

from pipeline.methods.segments import segment_log_softmax, segment_rank

NUM_TERMS = 4  # G
_SMALLEST_EXTENT = 1.0  # pixels
_SMALLEST_VARIANCE = 1e-3


def pair_geometry(human_boxes: Tensor, object_boxes: Tensor) -> Tensor:
    """Return the geometry of pairs, float32 [M, G], the same for a mirrored image.

    Terms: distance |dx| of the centers over the human's width, dy over its height (below is positive), and the
    logarithms of object width over human width and object height over human height.

    Args:
        human_boxes, object_boxes: [M, 4] xyxy in pixels.
    """
    human_extent = (human_boxes[:, 2:] - human_boxes[:, :2]).clamp(min=_SMALLEST_EXTENT)
    object_extent = (object_boxes[:, 2:] - object_boxes[:, :2]).clamp(min=_SMALLEST_EXTENT)
    shift = (object_boxes[:, :2] + object_boxes[:, 2:] - human_boxes[:, :2] - human_boxes[:, 2:]) / 2 / human_extent
    return torch.cat([shift[:, :1].abs(), shift[:, 1:], torch.log(object_extent / human_extent)], 1)


def new_statistics(num_verbs: int) -> Tensor:
    """Sums of weights, of terms and of their squares, float32 [A, 1 + 2 G]: one made-up pair of mean 0, variance 1."""
    return torch.cat([torch.ones(num_verbs, 1), torch.zeros(num_verbs, NUM_TERMS), torch.ones(num_verbs, NUM_TERMS)], 1)


def geometric_log_prior(geometry: Tensor, statistics: Tensor) -> Tensor:
    """Return the logarithm of the geometric prior [M, A]: 0 at the mean of the verb's pairs, lower elsewhere.

    Args:
        geometry: of pairs [M, G].
        statistics: [A, 1 + 2 G].
    """
    weight, sums, squares = statistics.split([1, NUM_TERMS, NUM_TERMS], 1)
    mean = sums / weight
    variance = (squares / weight - mean**2).clamp(min=_SMALLEST_VARIANCE)  # [A, G]
    return -0.5 * ((geometry[:, None] - mean).square() / variance).sum(2)


def updated_statistics(statistics: Tensor, geometry: Tensor, shares: Tensor, decay: float) -> Tensor:
    """Return the statistics with a batch's candidates added, [A, 1 + 2 G]; ranks that share the batch add up.

    Args:
        statistics: before.
        geometry: of pairs [M, G].
        shares: [M, A]; those of the candidates of a labeled class add up to 1.
        decay: how much is left of the past for each label of the verb; the made-up pair stays.
    """
    terms = torch.cat([geometry.new_ones(len(geometry), 1), geometry, geometry.square()], 1)
    added = shares.T @ terms
    if distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(added)
    first = new_statistics(len(statistics)).to(statistics)
    return first + (statistics - first) * decay ** added[:, :1] + added


def shares_of_candidates(log_prior: Tensor, candidate: Tensor, segment: Tensor, num_segments: int) -> Tensor:
    """Return each candidate's share of its class's prior, [M, A]; those of a class add up to 1, others are 0.

    Args:
        log_prior: of both priors together [M, A].
        candidate: bool [M, A], pairs whose category forms a labeled class with the verb.
        segment: int64 [M], a number for each category of each image: verb and segment are an HOI class of an image.
        num_segments: how many there can be.
    """
    return segment_log_softmax(log_prior, segment, num_segments).exp() * candidate


def chosen_pairs(log_prior: Tensor, candidate: Tensor, segment: Tensor, num_segments: int) -> Tensor:
    """Return the best candidate of each labeled class, bool [M, A]: the hard choice, the first pair among equals.

    Args: as `shares_of_candidates`.
    """
    return (segment_rank(log_prior, segment, num_segments) == 0) & candidate
