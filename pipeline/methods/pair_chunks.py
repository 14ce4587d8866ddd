"""The pairs of a crowd, some at a time: the pairs of an image grow with the square of its people, memory does not.

What a network computes of each pair by itself runs over chunks. What compares the pairs of an image, as a softmax over
them, runs over all of them, once the chunks are joined. Where gradients are computed everything is kept for them, so
that nothing is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from pipeline.backbones.base import Backbone
from pipeline.methods.base import Outputs
from pipeline.methods.pairing import PairIndex

CHUNK_BYTES = 512 * 2**20  # that pooling the regions of one chunk may take


def pairs_at_once(backbone: Backbone) -> int:
    """Pairs, or regions, of one chunk: as many as the backbone pools within `CHUNK_BYTES`."""
    return max(1, CHUNK_BYTES // backbone.region_bytes)


def chunks(start: int, stop: int, at_once: int) -> Iterator[slice]:
    """Yield start..stop in slices of `at_once` rows, fewer in the last."""
    for low in range(start, stop, at_once):
        yield slice(low, min(low + at_once, stop))


def over_rows(part: Callable[[slice], Outputs], rows: int, backbone: Backbone) -> Outputs:
    """Outputs of all rows, of which `part` computes a slice; in one piece where they fit or need gradients.

    Args:
        part: returns tensors [rows of the slice, *], whose rows do not depend on each other.
        backbone: pools a region for each row.
    """
    at_once = pairs_at_once(backbone)
    if torch.is_grad_enabled() or rows <= at_once:
        return part(slice(0, rows))
    joined: Outputs = {}
    for chunk in chunks(0, rows, at_once):
        for name, values in part(chunk).items():
            if name not in joined:
                joined[name] = values.new_empty(rows, *values.shape[1:])
            joined[name][chunk] = values
    return joined


def over_pairs(part: Callable[[PairIndex], Outputs], pairs: PairIndex, backbone: Backbone) -> Outputs:
    """Outputs [M, *] of all pairs, of which `part` computes some; as `over_rows`."""
    whole = slice(0, len(pairs))
    return over_rows(lambda rows: part(pairs if rows == whole else pairs.take(rows)), len(pairs), backbone)
