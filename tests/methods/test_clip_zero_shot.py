import torch

from pipeline.methods.pair_trunk import IMPOSSIBLE, bank_logits, union_embeddings
from tests.conftest import make_batch
from tests.small_model import chosen, run, small_model


def test_a_verb_is_the_softmax_over_all_sentences_of_the_union_region(vocabulary, model_params, small_visual):
    model = small_model(vocabulary, chosen(model_params, method="clip_zero_shot"), small_visual)
    batch = make_batch([2], vocabulary)
    batch.object_ids[:] = torch.tensor([0, 2])  # a person and a cup
    pairs, outputs = run(model, vocabulary, batch)
    network = model.network
    union = union_embeddings(network.backbone, network.backbone(batch.images), batch, pairs, network.params)
    shares = bank_logits(union, network.bank, network.logit_scale, network.params).softmax(1)
    found = outputs["interaction_logits"]
    torch.testing.assert_close(torch.sigmoid(found[:, 1:]), shares[:, 2:], atol=1e-6, rtol=1e-4)  # hold, drink with
    assert found[0, 0] == IMPOSSIBLE  # nobody rides a cup
