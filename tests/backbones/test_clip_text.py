import torch

from pipeline.backbones.clip_text import ClipText
from pipeline.store.clip_architecture import ClipConfig, build_clip
from pipeline.store.openai_clip import tokenize


def test_it_gives_clips_own_text_features_at_unit_length_and_leaves_clip_alone(seed):
    torch.manual_seed(seed)
    config = ClipConfig(
        embed_dim=12, image_resolution=32, vision_layers=(1, 1, 1, 1), vision_width=4, context_length=16,
        vocab_size=49408, transformer_width=64, transformer_heads=1, transformer_layers=2,
    )  # fmt: skip
    clip = build_clip(config).eval()
    before = {name: value.clone() for name, value in clip.state_dict().items()}
    tokens = tokenize(["a person", "a person riding a bicycle near a tree"], context_length=16).long()
    text = ClipText(clip, tokens)
    expected = torch.nn.functional.normalize(clip.encode_text(tokens), dim=1)
    torch.testing.assert_close(text(), expected, atol=1e-6, rtol=1e-5)
    assert text.tokens.shape == (2, 10)  # start, eight words, end
    with torch.no_grad():
        for parameter in text.parameters():
            parameter.zero_()
    assert all(torch.equal(value, before[name]) for name, value in clip.state_dict().items())
    assert clip.transformer.resblocks[0].attn_mask.shape == (16, 16)
