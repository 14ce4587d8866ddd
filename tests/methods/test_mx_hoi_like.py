import dataclasses

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from pipeline.methods.image_labels import LabeledClasses
from pipeline.methods.mx_hoi_like import MxHoiLosses, next_images_pair
from pipeline.methods.pairing import PairRule
from tests.conftest import make_batch
from tests.small_model import chosen, counts_of, small_model


@pytest.fixture
def model(vocabulary, model_params, small_visual, seed):
    return small_model(vocabulary, chosen(model_params, method="mx_hoi_like"), small_visual, seed=seed)


@pytest.fixture
def batch(vocabulary):
    """Three images with pairs and one without; the last has boxes."""
    batch = make_batch([4, 1, 5, 4], vocabulary)
    return dataclasses.replace(
        batch,
        object_ids=torch.tensor([0, 1, 0, 2, 0, 1, 0, 2, 0, 1, 0, 1, 0, 2]),
        labels=torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0]]),
        pair_labels=torch.tensor([[10, 11, 0]]),
        has_boxes=torch.tensor([False, False, False, True]),
    )


@pytest.fixture
def pairs(vocabulary, batch):
    return PairRule.of(vocabulary).pair(batch)


def test_a_pair_is_swapped_with_one_of_the_next_image_that_has_any(pairs):
    swapped = next_images_pair(pairs)
    moves = zip(pairs.image.tolist(), pairs.image[swapped].tolist(), strict=True)
    assert set(moves) == {(0, 2), (2, 3), (3, 0)}
    counts = pairs.offsets.diff()
    assert counts[2] > counts[3] > 0  # so that some come twice
    of_third = swapped[pairs.image == 2] - pairs.offsets[3]
    assert of_third.tolist() == [place % int(counts[3]) for place in range(int(counts[2]))]


def test_a_swapped_pair_is_scored_as_if_the_region_lay_in_its_image(model, batch, pairs, vocabulary):
    """The last image and the next one, the first, are alike: swapping between them changes nothing."""
    twin = dataclasses.replace(
        batch,
        images=batch.images[:1].expand_as(batch.images),
        image_sizes=batch.image_sizes[:1].expand_as(batch.image_sizes),
        boxes=torch.cat([batch.boxes[:4], batch.boxes[:1], batch.boxes[:4], batch.boxes[:1], batch.boxes[:4]]),
        object_ids=torch.cat([batch.object_ids[:4], *[batch.object_ids[:1], batch.object_ids[:4]] * 2]),
    )
    pairs = PairRule.of(vocabulary).pair(twin)
    outputs = model.network.train()(twin, pairs)
    last = pairs.image == 3
    assert torch.equal(next_images_pair(pairs)[last], (pairs.image == 0).nonzero()[:, 0])
    torch.testing.assert_close(outputs["swapped_logits"][last], outputs["interaction_logits"][last])


def test_a_swapped_region_keeps_its_place_in_images_of_other_sizes(model, batch, pairs):
    """An image and its boxes of twice the size are the same picture."""
    larger = torch.tensor([1.0, 1, 2, 1])[:, None]
    scaled = dataclasses.replace(
        batch, image_sizes=batch.image_sizes * larger, boxes=batch.boxes * larger[batch.proposal_image]
    )
    network = model.network.train()
    found, expected = network(scaled, pairs), network(batch, pairs)
    for name in ("interaction_logits", "swapped_logits"):
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-4)


def test_no_swapping_at_inference_or_without_another_image(model, vocabulary, batch, pairs):
    assert "swapped_logits" not in model.network.eval()(batch, pairs)
    alone = make_batch([4, 1], vocabulary)
    outputs = model.network.train()(alone, PairRule.of(vocabulary).pair(alone))
    assert set(outputs) == {"interaction_logits"}


def test_terms_by_hand(batch, pairs, vocabulary):
    generator = torch.Generator().manual_seed(0)
    logits, other = torch.randn(2, len(pairs), 3, generator=generator)
    outputs = {"interaction_logits": logits, "swapped_logits": other}
    terms = MxHoiLosses(LabeledClasses(vocabulary))(outputs, batch, pairs, counts_of(batch, pairs))
    weak = 0.0
    acting = torch.zeros(len(pairs), dtype=torch.bool)
    for image, verb in ((0, 0), (2, 1)):  # ride, hold
        rows = (pairs.image == image).nonzero()[:, 0]
        labels = torch.zeros(3)
        labels[verb] = 1
        weak += bce(logits[rows].amax(0), labels, reduction="sum")
        acting[rows[logits[rows, verb].argmax()]] = True
    annotated = torch.zeros(len(pairs), 3)
    row = int(((pairs.human == 10) & (pairs.object == 11)).nonzero())
    annotated[row, 0], acting[row] = 1, True
    boxed = pairs.image == 3
    torch.testing.assert_close(terms["weak"], weak / 4)
    torch.testing.assert_close(terms["boxes"], bce(logits[boxed], annotated[boxed], reduction="sum") / 4)
    torch.testing.assert_close(terms["swapped"], bce(other[acting], torch.zeros(3, 3), reduction="sum") / 4)
