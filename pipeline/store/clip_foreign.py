"""CLIP checkpoints of OpenCLIP and Hugging Face in safetensors, with the config that lies beside them.

OpenCLIP names tensors as OpenAI does (`open_clip_model.safetensors` beside `open_clip_config.json`); Hugging Face's
`CLIPModel` has names of its own (`model.safetensors` beside `config.json`). The tensors do not tell which activation
the transformers have, hence the config.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.core.errors import WeightsError
from pipeline.store.clip_architecture import Activation, ClipConfig
from pipeline.store.json_file import load_json

_HUGGING_FACE = "text_model.embeddings.token_embedding.weight"
_OPEN_CLIP = "token_embedding.weight"
_CONFIG_NAMES = ("open_clip_config.json", "config.json")
_WHOLE = {  # Hugging Face's names of single tensors; projections are transposed
    "logit_scale": "logit_scale",
    "text_projection.weight": "text_projection",
    "visual_projection.weight": "visual.proj",
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
}
_PARTS = {
    "text_model.final_layer_norm": "ln_final",
    "vision_model.pre_layrnorm": "visual.ln_pre",
    "vision_model.post_layernorm": "visual.ln_post",
}
_OF_BLOCKS = {
    "self_attn.out_proj": "attn.out_proj",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
_BLOCK = re.compile(r"(text|vision)_model\.encoder\.layers\.(\d+)\.(.+)\.(weight|bias)")
_UNUSED = ("position_ids", "attn_mask")  # buffers


def is_foreign(state: Mapping[str, Tensor]) -> bool:
    """Whether the tensors are named as Hugging Face or OpenCLIP names a CLIP's."""
    return _HUGGING_FACE in state or _OPEN_CLIP in state


def foreign_clip(path: Path, state: Mapping[str, Tensor]) -> tuple[ClipConfig, dict[str, Tensor]]:
    """Config and state dict in OpenAI's naming.

    Raises:
        WeightsError: no config beside the file, an unknown activation, or a tensor that no CLIP of OpenAI's kind has.
    """
    renamed = {name: tensor for name, tensor in state.items() if not name.endswith(_UNUSED)}
    if _HUGGING_FACE in renamed:
        renamed = _from_hugging_face(path, renamed)
    return ClipConfig.of_state(renamed, str(path), _activation(path)), renamed


def _activation(path: Path) -> Activation:
    beside = [path.with_name(name) for name in _CONFIG_NAMES if path.with_name(name).is_file()]
    if not beside:
        raise WeightsError(
            f"{path}: no config beside it, and tensors do not tell the activation; put {' or '.join(_CONFIG_NAMES)} of "
            "the same model into its folder"
        )
    found = _activation_of(load_json(beside[0]))
    if found not in ("quick_gelu", "gelu"):
        raise WeightsError(f"{beside[0]}: activation {found!r}; expected quick_gelu or gelu, as CLIPs have")
    return "gelu" if found == "gelu" else "quick_gelu"


def _activation_of(config: Any) -> Any:
    """What a config of either kind says; OpenCLIP's is GELU unless it says otherwise."""
    if not isinstance(config, dict):
        return None
    if isinstance(model := config.get("model_cfg"), dict):
        return "quick_gelu" if model.get("quick_gelu") else "gelu"
    vision = config.get("vision_config")
    return vision.get("hidden_act", "quick_gelu") if isinstance(vision, dict) else None


def _from_hugging_face(path: Path, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        block, (part, _, kind) = _BLOCK.fullmatch(name), name.rpartition(".")
        if name in _WHOLE:
            renamed[_WHOLE[name]] = tensor.T.contiguous() if "projection" in name else tensor
        elif part in _PARTS:
            renamed[f"{_PARTS[part]}.{kind}"] = tensor
        elif block and block[3] in _OF_BLOCKS:
            renamed[f"{_block_name(block)}.{_OF_BLOCKS[block[3]]}.{kind}"] = tensor
        elif block and block[3] == "self_attn.q_proj":
            qkv = [state.get(name.replace("q_proj", other)) for other in ("q_proj", "k_proj", "v_proj")]
            if any(rows is None for rows in qkv):
                raise WeightsError(f"{path}: {name} without its keys or values; download the file again")
            renamed[f"{_block_name(block)}.attn.in_proj_{kind}"] = torch.cat(qkv)  # type: ignore[arg-type]
        elif not (block and block[3] in ("self_attn.k_proj", "self_attn.v_proj")):
            raise WeightsError(f"{path}: tensor {name}, which no CLIP of this kind has; expected a CLIPModel's")
    return renamed


def _block_name(block: re.Match[str]) -> str:
    return f"{'visual.' if block[1] == 'vision' else ''}transformer.resblocks.{block[2]}"
