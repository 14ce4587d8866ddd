import dataclasses

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from pipeline.methods.bilevel.category_bags import category_bags, refinement_loss, refinement_targets
from pipeline.methods.bilevel.losses import BilevelLosses, calibrated_bias
from pipeline.methods.bilevel.params import BilevelParams
from pipeline.methods.bilevel.pseudo_labels import pseudo_relatedness
from pipeline.methods.image_labels import LabeledClasses, mil_loss
from pipeline.methods.pairing import PairIndex
from pipeline.methods.prompt_classifier import clip_regularization_loss
from tests.conftest import make_batch
from tests.small_model import counts_of

PAIRS = PairIndex(
    human=torch.tensor([0, 0, 4]),
    object=torch.tensor([1, 2, 5]),
    image=torch.tensor([0, 0, 2]),
    offsets=torch.tensor([0, 2, 2, 3]),
    bags=torch.tensor([0, 2]),
)


@pytest.fixture
def outputs():
    """Three images with 2, 0 and 1 pairs."""
    generator = torch.Generator().manual_seed(3)
    return {
        "interaction_logits": torch.randn(3, 3, generator=generator, requires_grad=True),
        "relatedness_logits": torch.randn(3, generator=generator, requires_grad=True),
        "image_logits": torch.randn(3, 4, generator=generator, requires_grad=True),
    }


@pytest.fixture
def batch(vocabulary):
    batch = make_batch([3, 1, 2], vocabulary)
    object_ids = torch.tensor([0, 1, 2, 1, 0, 2])
    labels = torch.tensor([[1.0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 1, 0]])  # ride bicycle, drink cup | - | hold cup
    return dataclasses.replace(batch, object_ids=object_ids, labels=labels)


def losses_of(vocabulary, **settings):
    return BilevelLosses(LabeledClasses(vocabulary), BilevelParams(**settings))


def test_terms_equal_the_paper_image_by_image(outputs, batch, vocabulary):
    terms = losses_of(vocabulary)(outputs, batch, PAIRS, counts_of(batch, PAIRS))
    verbs = torch.tensor([[1.0, 0, 1], [0, 0, 0], [0, 1, 0]])
    first = bce(outputs["interaction_logits"][:2].max(0).values, verbs[0], reduction="sum")
    third = bce(outputs["interaction_logits"][2], verbs[2], reduction="sum")
    assert terms["pair"].item() == pytest.approx((first + third).item() / 3, rel=1e-5)
    expected = bce(outputs["image_logits"], batch.labels, reduction="sum") / 3
    assert terms["global"].item() == pytest.approx(expected.item(), rel=1e-5)
    labels = pseudo_relatedness(
        outputs["interaction_logits"], PAIRS, torch.tensor([1, 2, 2]), image_verbs=verbs > 0,
        image_objects=torch.tensor([[False, True, True, False], [False] * 4, [False, False, True, False]]), top_k=1,
    )  # fmt: skip
    expected = bce(outputs["relatedness_logits"], labels, reduction="sum") / 3
    assert terms["relatedness"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_switched_off_parts_have_no_term(outputs, batch, vocabulary):
    losses = losses_of(vocabulary, hoi_recognition=False, relatedness=False)
    assert set(losses(outputs, batch, PAIRS, counts_of(batch, PAIRS))) == {"pair"}


@pytest.fixture
def refined(outputs):
    """The same with two refinement heads."""
    generator = torch.Generator().manual_seed(5)
    more = torch.randn(2, 3, 3, generator=generator, requires_grad=True)
    return outputs | {"bag_logits": outputs["interaction_logits"], "refinement_logits": more}


def test_terms_of_category_bags(outputs, batch, vocabulary):
    """The first image's pairs are with a bicycle and a cup, the third's is with a cup; labels: see `batch`."""
    terms = losses_of(vocabulary, bags="category")(outputs, batch, PAIRS, counts_of(batch, PAIRS))
    logits = outputs["interaction_logits"]
    bicycle, cups = bce(logits[0, :2], torch.tensor([1.0, 0]), reduction="sum"), torch.tensor([[0.0, 1], [1, 0]])
    expected = (bicycle + bce(logits[1:, 1:], cups, reduction="sum")) / 3  # hold and drink with, of two images
    assert terms["pair"].item() == pytest.approx(expected.item(), rel=1e-5)
    expected = bce(outputs["relatedness_logits"], torch.ones(3), reduction="sum") / 3  # each alone in its bag
    assert terms["relatedness"].item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(("ramp", "progress", "share"), [(0.5, 0, 0), (0.5, 0.25, 0.5), (0.5, 0.9, 1), (0, 0, 1)])
@pytest.mark.parametrize("bags", ["verb", "category"])
def test_each_refinement_head_learns_from_the_one_before(refined, batch, vocabulary, ramp, progress, share, bags):
    losses = losses_of(vocabulary, bags=bags, refinement_heads=2, refinement_ramp=ramp)
    losses.progress = progress
    object_ids, hoi_of = batch.object_ids[PAIRS.object], losses.classes.hoi_of
    sorted_pairs = category_bags(batch.labels, PAIRS, object_ids, hoi_of)
    boxes, expected = (batch.boxes[PAIRS.human], batch.boxes[PAIRS.object]), 0
    first, second = refined["refinement_logits"]
    for teacher, head in ((refined["bag_logits"], first), (first, second)):
        targets = refinement_targets(teacher, sorted_pairs, *boxes, 0.5)
        expected += refinement_loss(head, targets, sorted_pairs).item() / 3
    terms = losses(refined, batch, PAIRS, counts_of(batch, PAIRS))
    assert terms["refinement"].item() == pytest.approx(share * expected, rel=1e-5)
    assert expected > 0.5


def test_gradient_reaches_only_the_best_pair_of_a_bag(outputs, batch, vocabulary):
    logits = outputs["interaction_logits"]
    mil_loss(logits, PAIRS, batch.labels, LabeledClasses(vocabulary)).backward()
    best = logits[:2].detach().argmax(0)
    assert (logits.grad[:2] != 0).nonzero()[:, 0].tolist() == sorted(best.tolist())


def test_clip_regularization_is_the_distance_of_mean_pair_and_image():
    generator = torch.Generator().manual_seed(4)
    holistic, clip = torch.randn(3, 5, generator=generator), torch.randn(3, 5, generator=generator)
    loss = clip_regularization_loss(holistic, clip, PAIRS)
    unit = torch.nn.functional.normalize
    first = (unit(holistic[:2].mean(0), dim=0) - unit(clip[0], dim=0)).square().sum()
    third = (unit(holistic[2], dim=0) - unit(clip[2], dim=0)).square().sum()
    torch.testing.assert_close(loss, first + third)
    assert clip_regularization_loss(clip[[0, 0, 2]], clip, PAIRS).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("rate", [0.001, 0.05, 0.5, 0.93])
@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (46.0, 5.0), (-30.0, 0.1)])
def test_the_calibrated_mean_probability_hits_the_rate(rate, shift, scale):
    logits = shift + scale * torch.randn(50, 7, generator=torch.Generator().manual_seed(0))
    bias = calibrated_bias(logits, rate)
    assert torch.sigmoid(logits.double() + bias).mean().item() == pytest.approx(rate, rel=1e-6)


def test_calibration_by_hand():
    assert calibrated_bias(torch.zeros(3), 0.5) == pytest.approx(0, abs=1e-9)
    assert calibrated_bias(torch.tensor([2.0]), 0.25) == pytest.approx(-2 - torch.tensor(3.0).log().item())
