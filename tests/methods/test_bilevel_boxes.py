import dataclasses

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from pipeline.methods.bilevel.category_bags import category_bags
from pipeline.methods.bilevel.losses import BilevelLosses
from pipeline.methods.bilevel.params import BilevelParams
from pipeline.methods.bilevel_boxes import BoxLosses, localization_loss
from pipeline.methods.image_labels import LabeledClasses
from pipeline.methods.pairing import PairRule
from tests.conftest import make_batch
from tests.small_model import counts_of

PARAMS = BilevelParams()


@pytest.fixture
def world(vocabulary):
    """Two images of two persons, a bicycle and a cup each; the second has boxes: (row 4, row 5) rides and holds."""
    batch = make_batch([4, 4], vocabulary)
    batch = dataclasses.replace(
        batch,
        object_ids=torch.tensor([0, 1, 0, 2, 0, 1, 0, 2]),
        labels=torch.tensor([[1.0, 0, 0, 0], [1, 1, 0, 0]]),
        pair_labels=torch.tensor([[4, 5, 0], [4, 5, 1]]),
        has_boxes=torch.tensor([False, True]),
    )
    pairs = PairRule.of(vocabulary).pair(batch)
    generator = torch.Generator().manual_seed(0)
    outputs = {
        "interaction_logits": torch.randn(len(pairs), 3, generator=generator),
        "relatedness_logits": torch.randn(len(pairs), generator=generator),
        "image_logits": torch.randn(2, 4, generator=generator),
    }
    return outputs, batch, pairs


def test_the_softmax_learns_the_annotated_pair(world, vocabulary):
    outputs, batch, pairs = world
    terms = BoxLosses(LabeledClasses(vocabulary), PARAMS)(outputs, batch, pairs, counts_of(batch, pairs))
    own = outputs["interaction_logits"][pairs.image == 1]
    row = int(((pairs.human == 4) & (pairs.object == 5))[pairs.image == 1].nonzero())
    expected = -(own.log_softmax(0)[row, 0] + own.log_softmax(0)[row, 1]) / 2  # ride and hold; two images
    torch.testing.assert_close(terms["boxes"], expected)


def test_bags_by_category_have_the_annotated_verbs_where_there_are_boxes(world, vocabulary):
    """The second image is labeled with holding a bicycle, too, but no proposed pair does so."""
    outputs, batch, pairs = world
    batch = dataclasses.replace(batch, pair_labels=batch.pair_labels[:1])
    losses = BoxLosses(LabeledClasses(vocabulary), dataclasses.replace(PARAMS, bags="category"))
    labels = losses.bags(batch, pairs).labels.reshape(2, 4, 3)  # images, categories, verbs
    assert labels[0].nonzero().tolist() == [[1, 0]]  # ride bicycle, as labeled
    assert labels[1].nonzero().tolist() == [[1, 0]]  # ride bicycle alone
    term = losses(outputs, batch, pairs, counts_of(batch, pairs))["boxes"]
    bag = (pairs.image == 1) & (batch.object_ids[pairs.object] == 1)
    row = int((pairs.human[bag] == 4).nonzero())
    torch.testing.assert_close(term, -outputs["interaction_logits"][bag].log_softmax(0)[row, 0] / 2)


def test_annotated_pairs_of_a_verb_share_its_probability(world):
    """The loss is lowest where the softmax is one half at each of two annotated pairs: their entropy, log 2."""
    _, _, pairs = world
    annotated = torch.zeros(len(pairs), 3)
    rows = (pairs.image == 1).nonzero()[:2, 0]
    annotated[rows, 0] = 1
    even, uneven = torch.full((2, len(pairs), 3), -30.0)
    even[rows, 0] = 5
    uneven[rows[0], 0], uneven[rows[1], 0] = 9, 5
    torch.testing.assert_close(localization_loss(even, annotated, pairs.image, 2), torch.tensor(2.0).log())
    assert localization_loss(uneven, annotated, pairs.image, 2) > 1


def test_related_are_the_annotated_pairs_where_there_are_boxes(world, vocabulary):
    outputs, batch, pairs = world
    strong, weak = BoxLosses(LabeledClasses(vocabulary), PARAMS), BilevelLosses(LabeledClasses(vocabulary), PARAMS)
    bags = category_bags(batch.labels, pairs, batch.object_ids[pairs.object], weak.classes.hoi_of)
    logits = outputs["interaction_logits"]
    labels, pseudo = (losses.relatedness_labels(logits, batch, pairs, bags) for losses in (strong, weak))
    annotated = ((pairs.human == 4) & (pairs.object == 5)).float()
    first = pairs.image == 0
    assert torch.equal(labels[first], pseudo[first])
    assert pseudo[first].any()
    assert torch.equal(labels[~first], annotated[~first])
    terms = BoxLosses(LabeledClasses(vocabulary), PARAMS)(outputs, batch, pairs, counts_of(batch, pairs))
    torch.testing.assert_close(terms["relatedness"], bce(outputs["relatedness_logits"], labels, reduction="sum") / 2)


def test_without_boxes_the_losses_are_those_of_image_level_labels(world, vocabulary):
    outputs, batch, pairs = world
    weak = dataclasses.replace(batch, pair_labels=batch.pair_labels[:0], has_boxes=torch.zeros(2, dtype=torch.bool))
    found, expected = (
        losses(LabeledClasses(vocabulary), PARAMS)(outputs, weak, pairs, counts_of(weak, pairs))
        for losses in (BoxLosses, BilevelLosses)
    )
    assert found.pop("boxes") == 0
    assert found == expected
