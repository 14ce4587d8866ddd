import dataclasses

import clip
import numpy as np
import pytest
import torch

from pipeline.core.errors import WeightsError
from pipeline.core.types import BankPrompts
from pipeline.prompts import clip_bank
from pipeline.prompts.clip_bank import encode_bank
from pipeline.store.clip_architecture import ClipConfig, build_clip
from pipeline.store.clip_checkpoint import ClipCheckpoint

HOIS = ("a person riding a bicycle", "a person holding a cup", "a person drinking with a cup")
PROMPTS = BankPrompts(HOIS, ("a photo of a person", "a photo of a cup"), ("a photo of a person is holding the object",))


@pytest.fixture(scope="module")
def checkpoint(seed) -> ClipCheckpoint:
    torch.manual_seed(seed)
    config = ClipConfig(
        embed_dim=12, image_resolution=32, vision_layers=(1, 1, 1, 1), vision_width=4, context_length=16,
        vocab_size=49408, transformer_width=64, transformer_heads=1, transformer_layers=1,
    )  # fmt: skip
    return ClipCheckpoint(build_clip(config).eval(), "tiny", "0f", None)


def test_rows_are_clips_own_text_features_at_unit_length(checkpoint):
    found = encode_bank(checkpoint, PROMPTS)
    for texts, rows in (
        (found.prompts, found.hoi_embeddings),
        (found.object_prompts, found.object_embeddings),
        (found.verb_prompts, found.verb_embeddings),
    ):
        features = checkpoint.model.encode_text(clip.tokenize(texts, context_length=16)).detach()
        expected = features / features.norm(dim=1, keepdim=True)
        np.testing.assert_allclose(rows, expected.numpy(), atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
        assert rows.dtype == np.float32
    assert np.abs(found.hoi_embeddings[0] - found.hoi_embeddings[1]).max() > 0.01
    assert all(getattr(found, name) == texts for name, texts in vars(PROMPTS).items())
    assert (found.clip_name, found.clip_digest) == ("tiny", "0f")


def test_batches_do_not_change_the_rows(checkpoint, monkeypatch):
    whole = encode_bank(checkpoint, PROMPTS).hoi_embeddings
    monkeypatch.setattr(clip_bank, "_PROMPTS_AT_ONCE", 2)
    np.testing.assert_allclose(encode_bank(checkpoint, PROMPTS).hoi_embeddings, whole, atol=1e-6)


def test_a_prompt_that_is_too_long_is_one_line(checkpoint):
    with pytest.raises(WeightsError, match="shorten the prompt template"):
        encode_bank(checkpoint, dataclasses.replace(PROMPTS, prompts=("a person riding " * 9,)))
