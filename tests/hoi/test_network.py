import dataclasses

import pytest
import torch
from clip.model import CLIP

from pipeline.detection.detectors import build_architecture
from pipeline.hoi.backbone import ClipBackbone, VisualConfig, freeze_batch_norm
from pipeline.hoi.backbones import clip_backbone
from pipeline.hoi.network import WeakHoiNetwork
from pipeline.hoi.network_config import network_config, network_from_config
from tests.conftest import make_batch


def _network(visual, vocabulary, params, **changes):
    torch.manual_seed(1)
    params = dataclasses.replace(params, **changes)
    return WeakHoiNetwork(
        backbone=clip_backbone(visual, params),
        hoi_embeddings=torch.nn.functional.normalize(torch.randn(vocabulary.num_hois, 24), dim=1),
        logit_scale=2.0,
        vocabulary=vocabulary,
        params=params,
    ).eval()


def test_global_vector_equals_encode_image(seed):
    torch.manual_seed(seed)
    clip_model = CLIP(
        embed_dim=24, image_resolution=64, vision_layers=(1, 2, 1, 1), vision_width=8, vision_patch_size=None,
        context_length=8, vocab_size=50, transformer_width=16, transformer_heads=2, transformer_layers=1,
    ).eval()  # fmt: skip
    for parameter in clip_model.visual.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    backbone = ClipBackbone(visual=clip_model.visual, last_stride=32, roi_size=2, sampling_ratio=2)
    images = torch.randn(2, 3, 64, 64)
    ours = backbone.global_embedding(backbone(images))
    torch.testing.assert_close(ours, clip_model.encode_image(images), atol=1e-4, rtol=1e-4)


def test_last_stride_doubles_the_map_and_leaves_the_given_module_alone(small_visual):
    before = small_visual.state_dict()
    assert ClipBackbone(visual=small_visual, last_stride=32, roi_size=2, sampling_ratio=2)(
        torch.zeros(1, 3, 64, 64)
    ).shape[2:] == (2, 2)
    fine = ClipBackbone(visual=small_visual, last_stride=16, roi_size=2, sampling_ratio=2)
    assert fine(torch.zeros(1, 3, 64, 64)).shape[2:] == (4, 4)
    assert small_visual.layer4[0].avgpool.__class__.__name__ == "AvgPool2d"
    assert all(torch.equal(value, small_visual.state_dict()[name]) for name, value in before.items())


def test_a_ragged_batch_equals_its_images_one_by_one(small_visual, vocabulary, model_params, seed):
    network = _network(small_visual, vocabulary, model_params)
    counts = [4, 0, 6, 1]
    batch = make_batch(counts, vocabulary, seed=seed)
    whole = network(batch)
    for image, count in enumerate(counts):
        rows = slice(int(batch.proposal_offsets[image]), int(batch.proposal_offsets[image + 1]))
        alone = network(
            dataclasses.replace(
                batch,
                images=batch.images[image : image + 1],
                image_sizes=batch.image_sizes[image : image + 1],
                proposal_offsets=torch.tensor([0, count]),
                boxes=batch.boxes[rows],
                object_ids=batch.object_ids[rows],
                labels=batch.labels[image : image + 1],
                image_index=batch.image_index[image : image + 1],
            )
        )
        mine = whole.pairs.image == image
        torch.testing.assert_close(whole.interaction_logits[mine], alone.interaction_logits, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(whole.relatedness_logits[mine], alone.relatedness_logits, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(whole.image_logits[image : image + 1], alone.image_logits, atol=1e-4, rtol=1e-4)


def test_shapes_and_no_proposals_at_all(small_visual, vocabulary, model_params):
    network = _network(small_visual, vocabulary, model_params)
    output = network(make_batch([0, 0], vocabulary))
    assert output.interaction_logits.shape == (0, 3)
    assert output.relatedness_logits.shape == (0,)
    assert output.image_logits.shape == (2, 4)


@pytest.mark.parametrize("ktn", ["none", "softmax", "sigmoid", "uniform", "union"])
@pytest.mark.parametrize("detach", [True, False])
def test_bank_gets_no_gradient_from_the_local_branch_when_detached(small_visual, vocabulary, model_params, ktn, detach):
    network = _network(small_visual, vocabulary, model_params, ktn=ktn, detach_bank=detach)
    batch = make_batch([5, 5], vocabulary)
    network(batch).interaction_logits.sum().backward()
    reaches = network.bank.grad is not None and bool(network.bank.grad.abs().sum() > 0)
    assert reaches == (not detach and ktn in ("softmax", "sigmoid", "uniform"))


def test_recognition_switched_off_gives_constant_scores_and_no_gradient(small_visual, vocabulary, model_params):
    network = _network(small_visual, vocabulary, model_params, hoi_recognition=False)
    assert not network(make_batch([3], vocabulary)).image_logits.any()


def test_biases_start_at_the_prior(small_visual, vocabulary, model_params):
    network = _network(small_visual, vocabulary, model_params, verb_bias=-3.0, relatedness_bias=-2.0)
    assert network.interaction_head[-1].bias.tolist() == [-3.0] * 3
    assert network.relatedness_head[-1].bias.tolist() == [-2.0]


def test_frozen_batch_norm_stays_in_evaluation_mode(small_visual, vocabulary, model_params):
    network = _network(small_visual, vocabulary, model_params)
    network.train()
    freeze_batch_norm(network)
    before = {name: value.clone() for name, value in network.state_dict().items() if "running" in name}
    network(make_batch([3], vocabulary))
    assert before
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in before.items())


def test_config_and_weights_rebuild_the_same_network(small_visual, vocabulary, model_params, seed):
    network = _network(small_visual, vocabulary, model_params)
    config = network_config(
        visual=VisualConfig.of(small_visual), vocabulary=vocabulary, model=network.params, origin={}
    )
    twin = network_from_config(config, network.trained_state(), build_detector=build_architecture)
    batch = make_batch([4, 3], vocabulary, seed=seed)
    assert torch.equal(network(batch).image_logits, twin(batch).image_logits)
    assert torch.equal(network(batch).interaction_logits, twin(batch).interaction_logits)
