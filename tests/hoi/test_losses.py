import dataclasses

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from pipeline.hoi.losses import WeakHoiLoss, clip_regularization_loss, mil_loss, summed_mil_loss
from pipeline.hoi.network import HoiOutput
from pipeline.hoi.pairing import PairIndex
from pipeline.hoi.pseudo_labels import pseudo_relatedness
from tests.conftest import make_batch


@pytest.fixture
def output(seed) -> HoiOutput:
    """Three images with 2, 0 and 1 pairs."""
    generator = torch.Generator().manual_seed(3 + seed)
    pairs = PairIndex(
        human=torch.tensor([0, 0, 4]),
        object=torch.tensor([1, 2, 5]),
        image=torch.tensor([0, 0, 2]),
        offsets=torch.tensor([0, 2, 2, 3]),
        bags=torch.tensor([0, 2]),
    )
    return HoiOutput(
        pairs=pairs,
        interaction_logits=torch.randn(3, 3, generator=generator, requires_grad=True),
        relatedness_logits=torch.randn(3, generator=generator, requires_grad=True),
        image_logits=torch.randn(3, 4, generator=generator, requires_grad=True),
        holistic=torch.randn(3, 5, generator=generator, requires_grad=True),
        representation=torch.zeros(3, 1),
        clip_embedding=None,
    )


def _batch(vocabulary):
    batch = make_batch([3, 1, 2], vocabulary)
    object_ids = torch.tensor([0, 1, 2, 1, 0, 2])
    labels = torch.tensor([[1.0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 1, 0]])  # ride bicycle, drink cup | - | hold cup
    return dataclasses.replace(batch, object_ids=object_ids, labels=labels)


def test_terms_equal_the_paper_image_by_image(output, vocabulary, toyworld_params):
    batch = _batch(vocabulary)
    loss = WeakHoiLoss(vocabulary=vocabulary, model=toyworld_params.model, train=toyworld_params.train)
    terms = loss(output, batch)
    verbs = torch.tensor([[1.0, 0, 1], [0, 0, 0], [0, 1, 0]])
    first = bce(output.interaction_logits[:2].max(0).values, verbs[0], reduction="sum")
    third = bce(output.interaction_logits[2], verbs[2], reduction="sum")
    assert terms.pair_loss.item() == pytest.approx((first + third).item() / 3, rel=1e-5)
    expected = bce(output.image_logits, batch.labels, reduction="sum") / 3
    assert terms.global_loss.item() == pytest.approx(expected.item(), rel=1e-5)
    labels = pseudo_relatedness(
        output.interaction_logits, output.pairs, torch.tensor([1, 2, 2]), image_verbs=verbs > 0,
        image_objects=torch.tensor([[False, True, True, False], [False] * 4, [False, False, True, False]]), top_k=1,
    )  # fmt: skip
    assert terms.relatedness_loss.item() == pytest.approx(
        bce(output.relatedness_logits, labels, reduction="sum").item() / 3, rel=1e-5
    )
    assert terms.total.item() == pytest.approx(
        (terms.global_loss + terms.pair_loss + terms.relatedness_loss).item(), rel=1e-6
    )


def test_switched_off_parts_add_nothing(output, vocabulary, toyworld_params):
    model = dataclasses.replace(toyworld_params.model, hoi_recognition=False, relatedness=False)
    terms = WeakHoiLoss(vocabulary=vocabulary, model=model, train=toyworld_params.train)(output, _batch(vocabulary))
    assert terms.global_loss.item() == 0
    assert terms.relatedness_loss.item() == 0
    assert terms.total.item() == terms.pair_loss.item() > 0


def test_gradient_reaches_only_the_best_pair_of_a_bag(output):
    mil_loss(output, torch.tensor([[True, False, True], [False] * 3, [False] * 3])).backward()
    best = output.interaction_logits[:2].detach().argmax(0)
    assert (output.interaction_logits.grad[:2] != 0).nonzero()[:, 0].tolist() == sorted(best.tolist())


def test_a_batch_without_any_pair_has_a_finite_loss(vocabulary, toyworld_params):
    none = torch.zeros(0, dtype=torch.int64)
    empty = PairIndex(none, none, none, torch.zeros(3, dtype=torch.int64), none)
    output = HoiOutput(
        empty, torch.zeros(0, 3), torch.zeros(0), torch.zeros(2, 4), torch.zeros(0, 1), torch.zeros(0, 1), None
    )
    batch = make_batch([0, 0], vocabulary)
    terms = WeakHoiLoss(vocabulary=vocabulary, model=toyworld_params.model, train=toyworld_params.train)(output, batch)
    assert torch.isfinite(terms.total)
    assert terms.pair_loss.item() == 0


def test_ppr_fcn_sums_its_pairs(output, vocabulary):
    verbs = _batch(vocabulary).labels @ torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]]) > 0
    probabilities = torch.sigmoid(output.interaction_logits)
    sums = torch.stack([probabilities[:2].sum(0), probabilities[2]]).clamp(1e-6, 1 - 1e-6)
    target = verbs[[0, 2]].float()
    expected = -(target * sums.log() + (1 - target) * (1 - sums).log()).sum()
    torch.testing.assert_close(summed_mil_loss(output, verbs), expected)


def test_clip_regularization_is_the_distance_of_mean_pair_and_image(output):
    clip = torch.randn(3, 5, generator=torch.Generator().manual_seed(4))
    loss = clip_regularization_loss(dataclasses.replace(output, clip_embedding=clip))
    unit = torch.nn.functional.normalize
    first = (unit(output.holistic[:2].mean(0), dim=0) - unit(clip[0], dim=0)).square().sum()
    third = (unit(output.holistic[2], dim=0) - unit(clip[2], dim=0)).square().sum()
    torch.testing.assert_close(loss, first + third)
    same = dataclasses.replace(output, holistic=clip[[0, 0, 2]], clip_embedding=clip)
    assert clip_regularization_loss(same).item() == pytest.approx(0, abs=1e-6)
