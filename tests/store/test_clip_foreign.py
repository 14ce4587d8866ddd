"""A CLIP with a vision transformer: OpenAI's state dict, our file, and OpenCLIP's and Hugging Face's files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pipeline.core.errors import WeightsError
from pipeline.store.clip_architecture import ClipConfig, build_clip
from pipeline.store.clip_checkpoint import load_clip, save_clip

CONFIG = ClipConfig(
    embed_dim=24,
    image_resolution=32,
    vision_layers=2,
    vision_width=128,
    context_length=8,
    vocab_size=30,
    transformer_width=64,
    transformer_heads=1,
    transformer_layers=2,
    vision_patch_size=16,
)
PIXELS = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
TOKENS = torch.tensor([[1, 5, 9, 29, 0, 0, 0, 0], [1, 7, 29, 0, 0, 0, 0, 0]])


@pytest.fixture(params=["quick_gelu", "gelu"])
def config(request) -> ClipConfig:
    return replace(CONFIG, activation=request.param)


def random_clip(config):
    torch.manual_seed(0)
    model = build_clip(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


def assert_loads(path: Path, model, atol=1e-6) -> None:
    loaded = load_clip(str(path)).model
    assert ClipConfig.of_model(loaded) == ClipConfig.of_model(model)
    for ours, theirs in (
        (loaded.encode_image(PIXELS), model.encode_image(PIXELS)),
        (loaded.encode_text(TOKENS), model.encode_text(TOKENS)),
        (loaded.logit_scale, model.logit_scale),
    ):
        torch.testing.assert_close(ours, theirs, atol=atol, rtol=atol)


def hugging_face(model) -> dict[str, torch.Tensor]:
    """The model's tensors as `transformers.CLIPModel` names them."""
    state = {}
    for name, tensor in model.state_dict().items():
        side, plain = ("vision", name.removeprefix("visual.")) if name.startswith("visual.") else ("text", name)
        block = plain.split(".")
        if plain.startswith("transformer.resblocks."):
            prefix = f"{side}_model.encoder.layers.{block[2]}"
            rest, kind = ".".join(block[3:-1]), block[-1]
            if rest == "attn":
                for part, rows in zip("qkv", tensor.chunk(3), strict=True):
                    state[f"{prefix}.self_attn.{part}_proj.{kind.removeprefix('in_proj_')}"] = rows.contiguous()
                continue
            renamed = {"attn.out_proj": "self_attn.out_proj", "ln_1": "layer_norm1", "ln_2": "layer_norm2"}
            renamed |= {"mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2"}
            state[f"{prefix}.{renamed[rest]}.{kind}"] = tensor
        elif name in ("text_projection", "visual.proj"):
            state[f"{'visual' if side == 'vision' else 'text'}_projection.weight"] = tensor.T.contiguous()
        elif name == "logit_scale":
            state[name] = tensor
        else:
            single = {
                "token_embedding": "embeddings.token_embedding",
                "positional_embedding": "embeddings.position_embedding.weight",
                "class_embedding": "embeddings.class_embedding",
                "conv1": "embeddings.patch_embedding",
                "ln_final": "final_layer_norm",
                "ln_pre": "pre_layrnorm",
                "ln_post": "post_layernorm",
            }
            state[f"{side}_model.{'.'.join([single[block[0]], *block[1:]])}"] = tensor
    return state | {"text_model.embeddings.position_ids": torch.arange(8)[None]}


def configs(activation: str) -> dict[str, dict]:
    return {
        "config.json": {"model_type": "clip", "vision_config": {"hidden_act": activation}},
        "open_clip_config.json": {"model_cfg": {"quick_gelu": True} if activation == "quick_gelu" else {}},
    }


def write(folder: Path, state, name: str, config: object) -> Path:
    save_file(dict(state), folder / "model.safetensors")
    if config is not None:
        (folder / name).write_text(json.dumps(config))
    return folder / "model.safetensors"


def test_openais_state_dict_and_our_file(config, tmp_path):
    model = random_clip(config)
    save_clip(tmp_path / "ours.safetensors", model, token_ids=None, metadata={})
    assert_loads(tmp_path / "ours.safetensors", model, atol=2e-3)  # float16
    if config.activation == "quick_gelu":
        torch.save(model.state_dict(), tmp_path / "vit.pt")
        assert_loads(tmp_path / "vit.pt", model)


@pytest.mark.parametrize("name", ["config.json", "open_clip_config.json"])
def test_files_of_others_with_the_activation_of_their_config(config, tmp_path, name):
    model = random_clip(config)
    state = hugging_face(model) if name == "config.json" else model.state_dict()
    assert_loads(write(tmp_path, state, name, configs(config.activation)[name]), model)


def test_what_does_not_fit_is_refused_by_name(tmp_path):
    model, fits = random_clip(CONFIG), configs("quick_gelu")["config.json"]
    state = hugging_face(model)
    lacking = {name: value for name, value in state.items() if "layers.1.self_attn.v_proj.bias" not in name}
    half = {name: value for name, value in state.items() if "vision_model" not in name}
    for tensors, config, message in (
        (state, None, "no config beside it, and tensors do not tell the activation"),
        (
            state,
            {"vision_config": {"hidden_act": "silu"}},
            "config.json: activation 'silu'; expected quick_gelu or gelu",
        ),
        (state, [1], "activation None"),
        (state | {"vision_model.head.weight": torch.zeros(1)}, fits, "tensor vision_model.head.weight, which no CLIP"),
        (lacking, fits, "q_proj.bias without its keys or values"),
        (half, fits, "no tensor 'visual.conv1.weight'"),
    ):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        with pytest.raises(WeightsError, match=message) as caught:
            load_clip(str(write(folder, tensors, "config.json", config)))
        assert "\n" not in str(caught.value)
