"""LoRA on CLIP's text encoder: what is trained, what a checkpoint keeps, and that the changes are where they belong."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch

from pipeline.backbones.base import Sources
from pipeline.backbones.clip_text import ClipText
from pipeline.core.errors import ParamError
from pipeline.methods.base import trained_state
from pipeline.methods.image_labels import LabeledClasses
from pipeline.methods.model import ModelChoice, model_from_config, new_model
from pipeline.methods.regformer.lora import AdaptedText
from pipeline.prompts.role_sentences import verb_sentences
from pipeline.store.clip_architecture import ClipConfig, build_clip
from pipeline.store.clip_checkpoint import ClipCheckpoint
from pipeline.training.loop import TrainingRun, train
from pipeline.training.params import TrainParams
from tests.conftest import make_batch
from tests.small_model import WIDTH, chosen, counts_of, random_bank, run, short_run
from tests.small_split import small_bags


@pytest.fixture
def clip(seed):
    torch.manual_seed(seed)
    config = ClipConfig(
        embed_dim=WIDTH, image_resolution=64, vision_layers=(1, 1, 1, 1), vision_width=4, context_length=16,
        vocab_size=49408, transformer_width=64, transformer_heads=2, transformer_layers=4,
    )  # fmt: skip
    return ClipCheckpoint(build_clip(config).eval(), "tiny", "0f", None)


@pytest.fixture
def text(clip, vocabulary):
    return ClipText(clip.model, clip.tokenize(verb_sentences(vocabulary)))


@pytest.fixture
def model(clip, vocabulary, model_params):
    def make(lora, **changes):
        params = dataclasses.replace(chosen(model_params, method="regformer", lora=lora, lora_rank=4), **changes)
        bank = random_bank(vocabulary, torch.Generator().manual_seed(0))
        bank = dataclasses.replace(bank, verb_prompts=verb_sentences(vocabulary))
        return new_model(ModelChoice.of(params), Sources(clip, None, WIDTH, 64), bank, vocabulary, seed=1)

    return make


@pytest.mark.parametrize(("lora", "count"), [("output", 49_152), ("all", 196_608)])
def test_as_many_numbers_as_published(lora, count):
    """CLIP ViT-B/16's text encoder: width 512, 12 layers; rank 16."""
    torch.manual_seed(0)
    config = ClipConfig(
        embed_dim=512, image_resolution=32, vision_layers=(1, 1, 1, 1), vision_width=4, context_length=4,
        vocab_size=10, transformer_width=512, transformer_heads=8, transformer_layers=12,
    )  # fmt: skip
    adapted = AdaptedText(ClipText(build_clip(config), torch.tensor([[0, 1, 2, 9]])), lora, 16)
    assert sum(value.numel() for value in adapted.parameters() if value.requires_grad) == count
    assert {name.split("_")[0] for name in adapted.changes} == {"9", "10", "11"}


@pytest.mark.parametrize("lora", ["output", "all"])
def test_changes_act_as_matrices_that_were_changed(text, lora, seed):
    adapted = AdaptedText(text, lora, 4)
    torch.testing.assert_close(adapted(), text(), atol=1e-6, rtol=1e-5)  # nothing at first
    torch.manual_seed(seed)
    for change in adapted.changes.values():
        torch.nn.init.normal_(change.up, std=0.3)
    by_hand = copy.deepcopy(text)
    with torch.no_grad():
        for layer in (1, 2, 3):
            attention = by_hand.blocks[layer].attn
            changes = {name: 2 * change.up @ change.down for name, change in adapted.changes.items()}
            attention.out_proj.weight += changes[f"{layer}_output"]
            for row, name in enumerate(("query", "key", "value") if lora == "all" else ()):
                attention.in_proj_weight[row * 64 : (row + 1) * 64] += changes[f"{layer}_{name}"]
    torch.testing.assert_close(adapted(), by_hand(), atol=1e-6, rtol=1e-5)
    assert (adapted() - text()).abs().max() > 0.01


def test_training_moves_the_sentences_and_the_checkpoint_keeps_them_alone(model, vocabulary):
    trained = model("output")
    network, batch = trained.network.train(), make_batch([4, 3], vocabulary)
    before = network.verb_bank.clone()
    optimizer = torch.optim.Adam([value for value in network.parameters() if value.requires_grad], 0.01)
    pairs, _ = run(trained, vocabulary, batch)
    losses = trained.method.losses(LabeledClasses(vocabulary))
    network.train()
    for _ in range(2):  # at first the change is zero, and its gradient reaches one of its two matrices
        optimizer.zero_grad()
        losses(network(batch, pairs), batch, pairs, counts_of(batch, pairs))["focal"].backward()
        optimizer.step()
    changes = list(network.text_encoder.changes.parameters())
    assert all(value.grad is not None and value.grad.any() for value in changes)
    assert all(value.grad is None for value in network.text_encoder.text.parameters())
    network.eval()
    assert (network.verb_bank - before).abs().max() > 1e-3
    state = trained_state(network)
    assert not any(name.startswith("text_encoder") for name in state) and "verb_bank" in state
    twin = model_from_config(trained.config, state)
    (_, ours), (_, theirs) = run(trained, vocabulary, batch), run(twin, vocabulary, batch)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_resume_is_bit_exact(model, vocabulary, toyworld_params, tmp_path, seed):
    bags = small_bags(tmp_path / "split", vocabulary, [2, 1, 0, 2, 3, 1, 2], seed=seed)
    params = short_run(toyworld_params[TrainParams], epochs=3, batch_size=3)

    def trained(work, stop=None):
        fresh, steps = model("output"), []

        def progress(losses):
            if len(steps) == stop:
                raise KeyboardInterrupt
            steps.append(losses)

        train(fresh, vocabulary, bags, TrainingRun(params, "x", tmp_path / work, torch.device("cpu"), progress))
        return fresh.network, len(steps)

    straight, _ = trained("straight")
    with pytest.raises(KeyboardInterrupt):
        trained("cut", stop=3)
    torch.manual_seed(999)  # a new process starts from elsewhere
    resumed, steps = trained("cut")
    assert steps == 4
    expected = straight.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in resumed.state_dict().items())
    moved = resumed.verb_bank - model("output").network.eval().verb_bank
    assert moved.abs().max() > 1e-4


def test_without_lora_sentences_are_those_of_the_bank(model, vocabulary):
    network = model("none").network
    assert network.text_encoder is None
    bank = random_bank(vocabulary, torch.Generator().manual_seed(0))
    assert torch.equal(network.verb_bank, torch.from_numpy(bank.verb_embeddings))
    assert torch.equal(network.object_bank, torch.from_numpy(bank.object_embeddings))


def test_a_random_bank_has_random_roles_but_no_encoder_to_train(model, vocabulary):
    rows = model("none", bank="random").network.verb_bank
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(vocabulary.num_verbs))
    assert not torch.equal(rows, model("none").network.verb_bank)
    with pytest.raises(ParamError, match=r"model\.bank is random, but regformer .* trains CLIP's text encoder"):
        model("output", bank="random")
