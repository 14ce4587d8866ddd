import pytest
import torch

from pipeline.methods.image_labels import LabeledClasses
from pipeline.methods.pairing import PairRule
from pipeline.methods.ppr_fcn import summed_mil_loss
from pipeline.methods.segments import segment_sum
from tests.conftest import make_batch
from tests.small_model import chosen, run, small_model


@pytest.fixture
def batch(vocabulary):
    batch = make_batch([3, 1, 2], vocabulary)
    batch.object_ids[:] = torch.tensor([0, 1, 2, 1, 0, 2])  # two pairs, none, one
    return batch


def test_parallel_branches_by_hand(vocabulary, model_params, small_visual, batch):
    """Selection softmax over an image's pairs times sigmoid of the classification, summed to at most 1 an image."""
    model = small_model(vocabulary, chosen(model_params, method="ppr_fcn"), small_visual)
    pairs, outputs = run(model, vocabulary, batch)
    assert pairs.image.tolist() == [0, 0, 2]
    network, representation = model.network, outputs["representation"]
    chosen_by, classes = network.selection(representation), torch.sigmoid(network.classification(representation))
    selected = torch.cat([chosen_by[:2].softmax(0), torch.ones(1, 3)])  # a pair alone in its image is all of it
    expected = selected * classes
    found = torch.sigmoid(outputs["interaction_logits"])
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    assert (segment_sum(found, pairs.image, 3) <= 1).all()


def test_it_sums_its_pairs(vocabulary, batch):
    pairs = PairRule.of(vocabulary).pair(batch)
    logits = torch.randn(3, 3, generator=torch.Generator().manual_seed(3))
    labels = torch.tensor([[1.0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 1, 0]])  # ride and drink with, none, hold
    verbs = torch.tensor([[True, False, True], [False] * 3, [False, True, False]])
    probabilities = torch.sigmoid(logits)
    sums = torch.stack([probabilities[:2].sum(0), probabilities[2]]).clamp(1e-6, 1 - 1e-6)
    target = verbs[[0, 2]].float()
    expected = -(target * sums.log() + (1 - target) * (1 - sums).log()).sum()
    torch.testing.assert_close(summed_mil_loss(logits, pairs, labels, LabeledClasses(vocabulary)), expected)
