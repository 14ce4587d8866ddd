"""Vectorized pseudo labels against a loop that follows section 3.3 word by word."""

import pytest
import torch

from pipeline.methods.bilevel.pseudo_labels import pseudo_relatedness
from pipeline.methods.pairing import pair_proposals


def _loop(logits, pairs, pair_objects, image_verbs, image_objects, top_k):
    labels = [0.0] * len(pairs)
    for image in range(len(pairs.offsets) - 1):
        rows = [
            row
            for row in range(int(pairs.offsets[image]), int(pairs.offsets[image + 1]))
            if image_objects[image, pair_objects[row]]
        ]
        for verb in torch.nonzero(image_verbs[image]).flatten().tolist():
            best = sorted(rows, key=lambda row: -logits[row, verb].item())
            for row in best[:top_k]:
                labels[row] = 1.0
    return labels


@pytest.mark.parametrize("top_k", [1, 2, 5])
def test_equals_the_loop(top_k):
    generator = torch.Generator().manual_seed(top_k)
    for _ in range(25):
        counts = torch.randint(0, 6, (4,), generator=generator)
        offsets = torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)])
        object_ids = torch.randint(0, 4, (int(offsets[-1]),), generator=generator)
        pairs = pair_proposals(object_ids, offsets, human_object_id=0, pairable=torch.ones(4, dtype=torch.bool))
        logits = torch.randn(len(pairs), 3, generator=generator).round(decimals=1)  # ties occur
        verbs = torch.rand(4, 3, generator=generator) < 0.5
        objects = torch.rand(4, 4, generator=generator) < 0.5
        pair_objects = object_ids[pairs.object]
        found = pseudo_relatedness(logits, pairs, pair_objects, image_verbs=verbs, image_objects=objects, top_k=top_k)
        assert found.tolist() == _loop(logits, pairs, pair_objects, verbs, objects, top_k)


def test_negative_logits_do_not_lose_to_masked_pairs():
    # One human with a lamp (not labeled, high score) and a cup (labeled, negative score).
    pairs = pair_proposals(
        torch.tensor([0, 1, 2]), torch.tensor([0, 3]), human_object_id=0, pairable=torch.tensor([False, True, True])
    )
    labels = pseudo_relatedness(
        torch.tensor([[4.0], [-3.0]]),
        pairs,
        torch.tensor([1, 2]),
        image_verbs=torch.tensor([[True]]),
        image_objects=torch.tensor([[False, False, True]]),
        top_k=1,
    )
    assert labels.tolist() == [0.0, 1.0]
