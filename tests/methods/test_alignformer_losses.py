import dataclasses
import math

import pytest
import torch

from pipeline.core.bags import BagBatch
from pipeline.methods.alignformer_like.losses import LOSS_NAMES, AlignFormerLosses, PairTargets, set_losses
from pipeline.methods.alignformer_like.matching import to_corners
from pipeline.methods.alignformer_like.params import AlignFormerParams
from pipeline.methods.alignformer_like.priors import new_statistics
from pipeline.methods.base import BatchCounts
from pipeline.methods.image_labels import LabeledClasses
from pipeline.methods.pairing import PairRule
from tests.conftest import make_batch
from tests.small_model import chosen, counts_of, images_of, small_model

HUMAN = [10.0, 10, 30, 50]  # 20 x 40 around (20, 30)
NEAR, FAR = [20.0, 30, 40, 50], [60.0, 30, 80, 50]  # of the human, dx 0.5 and 2.5: squares differ by 6, log priors by 3


@pytest.fixture
def batch(vocabulary) -> BagBatch:
    """A person and two bicycles; labeled are ride and hold bicycle, and drink with cup, of which there is none."""
    return dataclasses.replace(
        make_batch([3], vocabulary),
        boxes=torch.tensor([HUMAN, NEAR, FAR]),
        object_ids=torch.tensor([0, 1, 1]),
        labels=torch.tensor([[1.0, 1, 0, 1]]),
    )


def targets_of(vocabulary, batch: BagBatch, visual: list[list[float]], decay: float = 1.0):
    statistics = new_statistics(vocabulary.num_verbs)
    losses = AlignFormerLosses(LabeledClasses(vocabulary), AlignFormerParams(prior_decay=decay))
    outputs = {"prior_statistics": statistics, "visual_log_prior": torch.tensor(visual)}
    return losses.targets(outputs, batch, PairRule.of(vocabulary).pair(batch)), statistics


def test_targets_by_hand(vocabulary, batch):
    """Seen from CLIP alone the far bicycle is better for both verbs, by less than 3 for ride and more for hold."""
    targets, _ = targets_of(vocabulary, batch, [[0.0, 0, 0], [2.9, 3.1, 9]])
    assert targets.image.tolist() == [0, 0]
    assert targets.categories.tolist() == [1, 1]
    assert targets.verbs.tolist() == [[1, 0, 0], [0, 1, 0]]
    expected = [[[0.2, 30 / 90, 0.2, 40 / 90], [0.3, 40 / 90, 0.2, 20 / 90]],
                [[0.2, 30 / 90, 0.2, 40 / 90], [0.7, 40 / 90, 0.2, 20 / 90]]]  # fmt: skip
    torch.testing.assert_close(targets.boxes, torch.tensor(expected))


def test_a_pair_that_is_best_for_two_verbs_is_one_target(vocabulary, batch):
    targets, _ = targets_of(vocabulary, batch, [[0.0, 0, 0], [2.9, 2.9, 9]])
    assert targets.verbs.tolist() == [[1, 1, 0]]
    targets, _ = targets_of(
        vocabulary, dataclasses.replace(batch, labels=torch.tensor([[0.0, 1, 1, 0]])), [[0.0] * 3] * 2
    )
    assert targets.verbs.tolist() == [[0, 1, 0]]  # what is not labeled has no target


def test_statistics_learn_from_the_candidates_by_their_shares(vocabulary, batch):
    _, statistics = targets_of(vocabulary, batch, [[0.0, 0, 0], [3 + math.log(3), 0, 0]])
    # Of ride: shares 1/4 and 3/4, mean of dx 0.5 / 4 + 2.5 * 3 / 4, beside the made-up pair at 0.
    assert statistics[0, :2].tolist() == pytest.approx([2, 2.0])
    assert statistics[2].tolist() == new_statistics(1)[0].tolist()  # no cup, nothing to learn


def test_set_losses_by_hand():
    """Two images; the first has a target that its second query meets but for a box at twice the distance."""
    boxes = torch.full((2, 2, 2, 4), 0.5)
    boxes[0, 1] = torch.tensor([[0.2, 0.2, 0.1, 0.1], [0.5, 0.2, 0.2, 0.2]])
    categories, verbs = torch.zeros(2, 2, 4), torch.zeros(2, 2, 3)
    wanted = torch.tensor([[[0.2, 0.2, 0.1, 0.1], [0.3, 0.2, 0.2, 0.2]]])
    targets = PairTargets(torch.tensor([0]), wanted, torch.tensor([2]), torch.tensor([[0.0, 1, 0]]))
    box, giou, category, verb = set_losses(boxes, categories, verbs, targets, torch.ones(3, dtype=torch.bool)).tolist()
    assert box == pytest.approx(0.2, abs=1e-6)
    assert giou == pytest.approx(0 + 1, abs=1e-5)  # boxes that touch: GIoU 0
    assert category == pytest.approx(math.log(4))
    assert verb == pytest.approx((0.25 + 11 * 0.75) * 0.25 * math.log(2), rel=1e-5)  # focal, p = 1/2 everywhere


def test_terms_are_sums_over_images(vocabulary, model_params, small_visual):
    model = small_model(vocabulary, chosen(model_params, method="alignformer_like"), small_visual)
    model.network.eval()
    losses, batch = model.method.losses(LabeledClasses(vocabulary)), make_batch([5, 0, 6], vocabulary)

    def terms(part):
        pairs = PairRule.of(vocabulary).pair(part)
        return losses(model.network(part, pairs), part, pairs, BatchCounts(3, 2, int(batch.labels.sum())))

    whole, parts = terms(batch), [terms(images_of(batch, rows)) for rows in ([0], [1, 2])]
    for name in LOSS_NAMES:
        assert whole[name].item() == pytest.approx(sum(part[name].item() for part in parts), rel=1e-4)


def test_it_learns_which_pair_does_what(vocabulary, model_params, small_visual, seed):
    """Fitted to two images, it scores the chosen pair of each labeled class far above other pairs and verbs."""
    sizes = {"queries": 8, "layers": 2, "width": 32, "heads": 4, "pair_hidden": 32}
    model = small_model(vocabulary, chosen(model_params, method="alignformer_like", **sizes), small_visual, seed=seed)
    batch = make_batch([6, 6], vocabulary, seed=seed)
    pairs, losses = PairRule.of(vocabulary).pair(batch), model.method.losses(LabeledClasses(vocabulary))
    optimizer, totals = torch.optim.Adam(model.network.decoder.parameters(), lr=1e-2), []
    for _ in range(50):
        outputs = model.network.train()(batch, pairs)
        terms = losses(outputs, batch, pairs, counts_of(batch, pairs))
        totals.append(5 * terms["box"] + 2 * terms["giou"] + terms["category"] + 5 * terms["verb"])
        optimizer.zero_grad()
        totals[-1].backward()
        optimizer.step()
    assert totals[-1] < totals[0] / 4
    targets = losses.targets(outputs, batch, pairs)
    sizes = batch.image_sizes.repeat(1, 2)[pairs.image]
    boxes = torch.stack([batch.boxes[pairs.human] / sizes, batch.boxes[pairs.object] / sizes], 1)
    same = (to_corners(targets.boxes)[:, None] - boxes).abs().amax((2, 3)) < 1e-5  # [T, M]
    wanted = (same.float().T @ targets.verbs) > 0
    scores = outputs["interaction_logits"].sigmoid()
    assert wanted.sum() == 3
    assert scores[wanted].mean() > 4 * scores[~wanted].mean()
