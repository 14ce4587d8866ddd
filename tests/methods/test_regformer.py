"""RegFormer against its worked example, and properties of boxes, maps, pairs and losses."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional

from pipeline.backbones.base import Backbone
from pipeline.core.bags import BagBatch
from pipeline.core.errors import ParamError
from pipeline.core.vocabulary import Vocabulary
from pipeline.evaluation.fusion import fuse
from pipeline.evaluation.params import EvaluateParams
from pipeline.inference.pair_outputs import batch_outputs, dump_of
from pipeline.methods.base import BatchCounts, Parts
from pipeline.methods.image_labels import LabeledClasses
from pipeline.methods.pairing import PairRule
from pipeline.methods.regformer import network as network_module
from pipeline.methods.regformer.decoder import Decoder, Projector
from pipeline.methods.regformer.losses import focal_loss
from pipeline.methods.regformer.maps import box_patches
from pipeline.methods.regformer.method import RegFormer
from pipeline.methods.regformer.network import RegFormerNetwork, clamped_logit
from pipeline.methods.regformer.params import RegFormerParams
from tests.conftest import make_batch
from tests.small_model import chosen, counts_of, run, small_model

EXAMPLE = json.loads((Path(__file__).parent / "regformer_example.json").read_text(encoding="utf-8"))
INPUTS, IMAGE, BOXES = EXAMPLE["inputs"], EXAMPLE["image_level"], EXAMPLE["box_level"]
WEIGHTS = {"detector": 1.0, "local": 0.5, "mass": 0.5, "global": 0.0}  # the published score, kappa 0.5


class TokenImages(Backbone):
    """Takes an image's pixels [E, g, g] for the tokens of its patches: mirrored images have mirrored tokens."""

    Params = dict
    patch_width = 0

    def __init__(self, width):
        super().__init__()
        self.embed_dim = self.patch_width = width

    build = from_config = config = global_embedding = region_embedding = None

    def forward(self, images):
        return images

    def patches(self, features):
        return features.flatten(2).transpose(1, 2)


def close(found, expected, atol=1e-6):
    torch.testing.assert_close(found, torch.as_tensor(expected, dtype=found.dtype), atol=atol, rtol=1e-6)


def new_network(vocabulary, params, *, text_width=6, patch_width=5):
    """Random weights, sentences and patches."""
    objects, verbs = (
        functional.normalize(torch.randn(rows, text_width), dim=1)
        for rows in (vocabulary.num_objects, vocabulary.num_verbs)
    )
    bank = torch.zeros(vocabulary.num_hois, text_width)
    parts = Parts(TokenImages(patch_width), bank, objects, verbs, 0.0, vocabulary)
    return RegFormerNetwork(parts, params)


# The worked example


@pytest.fixture
def example():
    """The network with the example's weights in float64, and its batch."""
    verb_object = INPUTS["hoi_classes_verb_object"]
    vocabulary = Vocabulary(("person", "cup"), ("a", "b"), tuple(map(tuple, verb_object)))
    weights = INPUTS["parameters"]
    params = RegFormerParams(width=4, heads=weights["decoder"]["heads"], relevance_width=3, kappa=weights["kappa"])
    network = new_network(vocabulary, params, text_width=3, patch_width=3)
    network.projector, network.decoder = Projector(3, 5, 4), Decoder(width=4, heads=2, hidden=6, text_width=3)
    network = network.double()
    network.load_state_dict(
        {
            "object_bank": functional.normalize(torch.tensor(INPUTS["object_text"], dtype=torch.float64), dim=1),
            "verb_bank": functional.normalize(torch.tensor(INPUTS["verb_text"], dtype=torch.float64), dim=1),
            **dict(_weights(weights)),
        }
    )
    tokens = torch.tensor(INPUTS["encoder_tokens"], dtype=torch.float64)  # [4, 3]
    batch = BagBatch(
        images=tokens.T.reshape(1, 3, 2, 2),
        features=torch.zeros(1, 0, 0),
        image_sizes=torch.tensor([INPUTS["image_size_wh"]]),
        proposal_offsets=torch.tensor([0, 2]),
        boxes=torch.tensor([INPUTS["human_box"], INPUTS["object_box"]]),
        scores=torch.tensor([INPUTS["human_score"], INPUTS["object_score"]]),
        object_ids=torch.tensor([INPUTS["human_object_id"], INPUTS["object_id"]]),
        class_probabilities=torch.zeros(2, 0),
        labels=torch.tensor([INPUTS["labels"]]),
        pair_labels=torch.zeros(0, 3, dtype=torch.int64),
        has_boxes=torch.tensor([False]),
        image_index=torch.tensor([0]),
    )
    return network.eval(), vocabulary, batch


def _weights(given):
    """Names and values of the network's parameters, from the example's."""

    def norm(name, values):
        yield from ((f"{name}.{part}", values[part]) for part in ("weight", "bias"))

    plain = {
        "projector": {"layers.0.weight": "w1", "layers.0.bias": "b1", "layers.2.weight": "w2", "layers.2.bias": "b2"},
        "query": {"projection.weight": "w", "projection.bias": "b"},
        "decoder": {
            **{f"{part}.{kind}": f"{letter}{part[0]}" for part in ("query", "key", "value")
               for kind, letter in (("weight", "w"), ("bias", "b"))},
            "layers.0.weight": "fc1_w", "layers.0.bias": "fc1_b",
            "layers.2.weight": "fc2_w", "layers.2.bias": "fc2_b", "out.weight": "out_w",
        },
    }  # fmt: skip
    found = [(f"{module}.{ours}", given[module][theirs]) for module, names in plain.items()
             for ours, theirs in names.items()]  # fmt: skip
    for module in plain:
        found += norm(f"{module}.norm", given[module]["norm"])
    found += norm("decoder.out_norm", given["decoder"]["out_norm"])
    for ours, theirs in (("human_head", "subject"), ("object_head", "object")):
        head = given[theirs]
        found += [*norm(f"{ours}.visual_norm", head["visual_norm"]), *norm(f"{ours}.text_norm", head["text_norm"])]
        found += [(f"{ours}.visual.weight", head["visual_proj"]), (f"{ours}.text.weight", head["text_proj"])]
        found += [(f"{ours}.log_temperature", math.log(head["patch_scale"])), (f"{ours}.bias", head["instance_bias"])]
        found += [(f"{ours}.log_scale", math.log(head["instance_scale"]))]
    verb = given["verb"]
    found += [("classifier.log_scale", math.log(verb["scale"])), ("classifier.bias", verb["bias"])]
    return [(name, torch.tensor(value, dtype=torch.float64)) for name, value in found]


def test_image_level_steps_of_the_worked_example(example):
    network, _, batch = example
    tokens = network.projector(network.backbone.patches(batch.images))
    close(tokens[0], IMAGE["projected_patches"])
    close(network.object_bank, IMAGE["object_text_unit"])
    close(network.human_head.cosines(tokens, network.object_bank[:1])[0, 0], IMAGE["subject_cosine"])
    close(network.object_head.cosines(tokens, network.object_bank)[0], IMAGE["object_cosine"])
    human = network.human_head(tokens, network.object_bank[:1])
    objects = network.object_head(tokens, network.object_bank)
    close(human.relevance[0, 0], IMAGE["subject_relevance"])
    close(objects.relevance[0], IMAGE["object_relevance"])
    close(human.log_activation[0, 0].exp(), IMAGE["subject_activation"])
    close(objects.log_activation[0].exp(), IMAGE["object_activation"])
    close(human.log_score[0, 0].exp(), IMAGE["S_h"])
    close(objects.log_score[0].exp(), IMAGE["S_o"])
    human_feature, object_features = human.relevance @ tokens, objects.relevance @ tokens
    close(human_feature[0, 0], IMAGE["human_feature"])
    close(object_features[0], IMAGE["object_features"])
    queries = network.query(network.query.human_part(human_feature), network.query.object_part(object_features))
    close(queries[0], IMAGE["queries"])
    decoded = network.decoder(queries, *network.decoder.memory(tokens))
    close(decoded[0], IMAGE["decoded"])
    close(network.classifier(decoded, network.verb_bank)[0], IMAGE["verb_logits_C_A"])


def test_hoi_logits_and_loss_of_the_worked_example(example):
    network, vocabulary, batch = example
    pairs = PairRule.of(vocabulary).pair(batch)
    outputs = network(batch, pairs)
    close(outputs["image_logits"][0], IMAGE["hoi_logits"])
    close(outputs["image_logits"][0].sigmoid(), IMAGE["hoi_probability"])
    close(focal_loss(outputs["image_logits"], batch.labels.double(), alpha=0.25, gamma=2)[0], IMAGE["focal_terms"])
    losses = RegFormer(network.params).losses(LabeledClasses(vocabulary))
    whole = counts_of(batch, pairs)
    close(
        losses(outputs, dataclasses.replace(batch, labels=batch.labels.double()), pairs, whole)["focal"], IMAGE["loss"]
    )
    network.train().params = dataclasses.replace(network.params, clamp_training=True)  # the same inside the limits
    close(network(batch, pairs)["image_logits"][0], IMAGE["hoi_logits"])


def test_pairs_of_the_worked_example(example):
    network, vocabulary, batch = example
    masks = box_patches(batch.boxes, batch.image_sizes[[0, 0]], 2)
    assert masks.int().tolist() == [BOXES["human_patch_mask"], BOXES["object_patch_mask"]]
    outputs = network(batch, PairRule.of(vocabulary).pair(batch))
    close(outputs["local_logs"].exp(), [BOXES["L_h"] * BOXES["L_o"]])
    close(outputs["mass_logs"].exp(), [BOXES["G_h"] * BOXES["G_o"]])
    close((outputs["local_logs"] + outputs["mass_logs"]).exp(), [BOXES["instance_score"]])
    close(outputs["interaction_logits"], [BOXES["verb_logits"]])


def test_scores_of_the_worked_example(example):
    network, vocabulary, batch = example
    model = SimpleNamespace(method=RegFormer(network.params), network=network, flips=False)
    arrays = batch_outputs(model, vocabulary, batch, torch.device("cpu"))
    dump = dump_of(arrays, model.method.columns, vocabulary, ("x",), "regformer")
    found = fuse(dump, EvaluateParams(protocol="hicodet", weights=WEIGHTS))
    assert found.hoi_id.tolist() == BOXES["scored_hoi_ids"]
    close(torch.from_numpy(found.scores), BOXES["final_score_by_hoi"])


def test_the_published_clamp():
    check = EXAMPLE["logit_floor_check"]
    close(clamped_logit(torch.tensor(check["p"], dtype=torch.float64)), check["clamped_logit"])


# Boxes as patches


@pytest.mark.parametrize(
    ("box", "cells"),
    [
        ([0, 0, 100, 80], range(16)),  # 4 x 4 patches of 25 x 20 pixels
        ([-50, -50, 500, 500], range(16)),
        ([25, 20, 50, 40], [5]),  # edges on borders of cells
        ([24, 20, 51, 40], [4, 5, 6]),
        ([30, 21, 31, 22], [5]),
        ([25, 20, 25, 60], [9]),  # no area: the patch of the center
        ([200, 10, 300, 15], [3]),  # outside: the nearest
    ],
)
def test_a_box_touches_these_patches(box, cells):
    mask = box_patches(torch.tensor([box]).float(), torch.tensor([[100.0, 80.0]]), 4)
    assert torch.nonzero(mask[0]).flatten().tolist() == list(cells)


# Networks with random weights


@pytest.fixture
def small(vocabulary, seed):
    """A network whose logits are far from the floor, and a batch of 6 x 6 tokens."""
    torch.manual_seed(seed)
    params = RegFormerParams(
        width=8,
        heads=2,
        relevance_width=4,
        relevance_temperature=4.0,
        activation_bias=0.0,
        verb_scale=4.0,
        verb_bias=0.0,
    )
    batch = make_batch([5, 0, 4], vocabulary, seed=seed)
    return new_network(vocabulary, params).eval(), dataclasses.replace(batch, images=torch.randn(3, 5, 6, 6))


def outputs_of(network, vocabulary, batch):
    pairs = PairRule.of(vocabulary).pair(batch)
    return pairs, network(batch, pairs)


def test_a_pair_that_covers_the_image_is_the_image(small, vocabulary):
    network, batch = small
    whole = torch.tensor([[0.0, 0.0, 100.0, 90.0]]).expand(len(batch.boxes), 4)
    pairs, outputs = outputs_of(network, vocabulary, dataclasses.replace(batch, boxes=whole))
    assert len(pairs)
    torch.testing.assert_close(outputs["mass_logs"], torch.zeros(len(pairs)))
    log_instance = outputs["local_logs"] + outputs["mass_logs"]
    log_pairs = functional.logsigmoid(outputs["interaction_logits"]) + 0.5 * log_instance[:, None]
    for hoi, (verb, category) in enumerate(vocabulary.hoi_classes):
        mine = batch.object_ids[pairs.object] == category
        expected = functional.logsigmoid(outputs["image_logits"][pairs.image[mine], hoi])
        torch.testing.assert_close(log_pairs[mine, verb], expected, atol=1e-4, rtol=1e-4)


def test_parts_of_the_instance_score_have_their_ranges(small, vocabulary):
    network, batch = small
    _, outputs = outputs_of(network, vocabulary, batch)
    assert (outputs["mass_logs"] <= 0).all() and (outputs["mass_logs"] < -0.1).any()
    tokens = network.projector(network.backbone.patches(batch.images))
    maps = network.object_head(tokens, network.object_bank).rows(batch.proposal_image, batch.object_ids)
    mask = box_patches(batch.boxes, batch.image_sizes[batch.proposal_image], 6)
    local = maps.within(mask).log_score
    lowest = maps.log_activation.masked_fill(~mask, torch.inf).amin(1)
    highest = maps.log_activation.masked_fill(~mask, -torch.inf).amax(1)
    assert ((lowest - 1e-5 <= local) & (local <= highest + 1e-5)).all()


def test_chunks_and_order_of_pairs_change_nothing(small, vocabulary, monkeypatch):
    network, batch = small
    pairs, whole = outputs_of(network, vocabulary, batch)
    monkeypatch.setattr(network_module, "_PAIRS_AT_ONCE", 2)
    _, chunked = outputs_of(network, vocabulary, batch)
    order = torch.argsort(pairs.image * 1000 - torch.arange(len(pairs)))  # within each image, the last pair first
    turned = dataclasses.replace(pairs, human=pairs.human[order], object=pairs.object[order])
    permuted = network(batch, turned)
    for name in ("interaction_logits", "local_logs", "mass_logs"):
        torch.testing.assert_close(chunked[name], whole[name], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(permuted[name], whole[name][order], atol=1e-5, rtol=1e-5)
    assert not torch.equal(turned.object, pairs.object)


def test_a_mirrored_image_with_mirrored_boxes_has_the_same_outputs(small, vocabulary):
    network, batch = small
    boxes = torch.stack([100 - batch.boxes[:, 2], batch.boxes[:, 1], 100 - batch.boxes[:, 0], batch.boxes[:, 3]], 1)
    _, expected = outputs_of(network, vocabulary, batch)
    _, found = outputs_of(network, vocabulary, dataclasses.replace(batch, images=batch.images.flip(3), boxes=boxes))
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values, atol=1e-4, rtol=1e-4)


def test_the_clamp_at_inference_holds_the_instance_score_in_the_logits(small, vocabulary):
    network, batch = small
    _, free = outputs_of(network, vocabulary, batch)
    network.params = dataclasses.replace(network.params, clamp_inference=True)
    _, clamped = outputs_of(network, vocabulary, batch)
    instance = (0.5 * (free["local_logs"] + free["mass_logs"])).exp()[:, None]
    probability = free["interaction_logits"].sigmoid() * instance
    torch.testing.assert_close(
        clamped["interaction_logits"].sigmoid(), probability.clamp(min=1e-5), atol=1e-6, rtol=1e-4
    )
    assert {column.name for column in RegFormer(network.params).columns} == set(clamped) | {"image_logits"}


def test_as_many_parameters_as_the_published_network(vocabulary):
    network = new_network(vocabulary, RegFormerParams(), text_width=512, patch_width=384)
    assert sum(value.numel() for value in network.parameters()) == 12_932_616


# Training


@pytest.mark.parametrize(("clamp", "loss"), [(True, 0.25 * math.log(1e5)), (False, 3.8)])
def test_the_loss_before_the_first_step(vocabulary, seed, clamp, loss):
    """With the published constants all probabilities begin near 1e-7; clamped, hardly any gradient passes."""
    torch.manual_seed(seed)
    network = new_network(vocabulary, RegFormerParams(clamp_training=clamp), text_width=512, patch_width=32).train()
    batch = dataclasses.replace(make_batch([0] * 4, vocabulary), images=torch.randn(4, 32, 6, 6))
    pairs, outputs = outputs_of(network, vocabulary, batch)
    found = RegFormer(network.params).losses(LabeledClasses(vocabulary))(
        outputs, batch, pairs, counts_of(batch, pairs)
    )["focal"]
    found.backward()
    assert found.item() == pytest.approx(loss, rel=0.001 if clamp else 0.15)
    gradient = network.decoder.key.weight.grad.abs().median().item()
    assert gradient < 1e-8 if clamp else gradient > 1e-6


def test_the_loss_is_divided_by_the_labels_of_the_whole_batch(vocabulary, model_params, small_visual):
    model = small_model(vocabulary, chosen(model_params, method="regformer"), small_visual)
    batch = make_batch([3, 2], vocabulary)
    pairs, outputs = run(model, vocabulary, batch)
    losses = model.method.losses(LabeledClasses(vocabulary))
    alone = losses(outputs, batch, pairs, counts_of(batch, pairs))["focal"]
    shared = losses(outputs, batch, pairs, BatchCounts(2, 2, torch.tensor(6)))["focal"]
    assert batch.labels.sum() == 3 and torch.allclose(alone, 2 * shared)
    nothing = dataclasses.replace(batch, labels=torch.zeros_like(batch.labels))
    assert torch.isfinite(losses(outputs, nothing, pairs, counts_of(nothing, pairs))["focal"])


def test_it_learns_from_images_without_proposals(vocabulary, model_params, small_visual):
    model = small_model(vocabulary, chosen(model_params, method="regformer"), small_visual)
    batch, losses = make_batch([0] * 6, vocabulary), model.method.losses(LabeledClasses(vocabulary))
    frozen = {name: value.clone() for name, value in model.network.backbone.state_dict().items()}
    optimizer = torch.optim.Adam([value for value in model.network.parameters() if value.requires_grad], 0.01)
    model.network.train()
    found = []
    for _ in range(60):
        pairs, outputs = outputs_of(model.network, vocabulary, batch)
        loss = losses(outputs, batch, pairs, counts_of(batch, pairs))["focal"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    assert found[-1] < found[0] / 10
    assert all(torch.equal(value, frozen[name]) for name, value in model.network.backbone.state_dict().items())


def test_a_backbone_that_is_not_frozen_gets_gradients(vocabulary, model_params, small_visual):
    model = small_model(vocabulary, chosen(model_params, method="regformer", freeze_backbone=False), small_visual)
    _, outputs = outputs_of(model.network.train(), vocabulary, make_batch([0] * 2, vocabulary))
    outputs["image_logits"].sum().backward()
    assert any(value.grad is not None and value.grad.any() for value in model.network.backbone.parameters())


def test_heads_must_divide_the_width(vocabulary, model_params, small_visual):
    with pytest.raises(ParamError, match=r"model\.regformer\.width is 16; expected a multiple of the 3 heads"):
        small_model(vocabulary, chosen(model_params, method="regformer", heads=3), small_visual)


def test_mixed_precision_is_near(vocabulary, model_params, small_visual):
    """Cosines, which are multiplied by 20, and all that follows the decoder stay in float32."""
    model = small_model(vocabulary, chosen(model_params, method="regformer"), small_visual)
    batch = make_batch([4, 3], vocabulary)
    pairs, expected = run(model, vocabulary, batch)
    with torch.autocast("cpu", torch.bfloat16):
        found = model.network(batch, pairs)
    for name, values in expected.items():
        assert found[name].dtype == torch.float32
        torch.testing.assert_close(found[name], values, atol=0.3, rtol=0.05)
    assert not torch.equal(found["image_logits"], expected["image_logits"])
