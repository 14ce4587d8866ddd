"""The sizes of a CLIP, read from a model or a state dict, and the model built from them.

`clip.model.build_model` would do for OpenAI's files, but rounds weights to float16; models here are float32.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from torch import Tensor, nn

from pipeline.core.errors import WeightsError, resource_error
from pipeline.store.openai_clip import CLIP, VisionTransformer

Activation = Literal["quick_gelu", "gelu"]  # of transformers: OpenAI's, and that of many others
NOT_PARAMETERS = ("input_resolution", "context_length", "vocab_size")  # numbers kept in OpenAI's archives
TEXT_HEAD_WIDTH = 64  # of every published CLIP


@dataclass(frozen=True)
class ClipConfig:
    """Sizes of a CLIP.

    Attributes:
        embed_dim: D, width of the shared space.
        image_resolution: pixels; the positional embedding has a row for each cell of the grid, and one more.
        vision_layers: blocks in each of the four stages of a ModifiedResNet, or of a vision transformer.
        vision_width: channels of the stem, the feature map has 32 times as many; or of the transformer's tokens.
        context_length: tokens of a prompt, start and end among them.
        vocab_size: rows of the token table.
        vision_patch_size: pixels; None for a ResNet, whose cells have 32.
        activation: of the transformers; a state dict does not tell it.
    """

    embed_dim: int
    image_resolution: int
    vision_layers: tuple[int, ...] | int
    vision_width: int
    context_length: int
    vocab_size: int
    transformer_width: int
    transformer_heads: int
    transformer_layers: int
    vision_patch_size: int | None = None
    activation: Activation = "quick_gelu"

    def to_json(self) -> str:
        """Return the config as JSON text, without what has its default."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return json.dumps({item.name: values[item.name] for item in fields(self) if values[item.name] != item.default})

    @classmethod
    def from_json(cls, text: str) -> ClipConfig:
        """Inverse of `to_json`."""
        values = json.loads(text)
        layers = values["vision_layers"]
        return cls(**(values | {"vision_layers": layers if isinstance(layers, int) else tuple(layers)}))

    @classmethod
    def of_model(cls, model: CLIP) -> ClipConfig:
        """Read the sizes off a model."""
        block = model.transformer.resblocks[0]
        sizes = cls.of_state(model.state_dict(), "CLIP", activation_of(model.transformer))
        return replace(sizes, transformer_heads=block.attn.num_heads)

    @classmethod
    def of_state(cls, state: Mapping[str, Tensor], where: str, activation: Activation = "quick_gelu") -> ClipConfig:
        """Read the sizes off a state dict in OpenAI's naming.

        Raises:
            WeightsError: no CLIP; `where` names the file.
        """
        try:
            width = state["ln_final.weight"].shape[0]
            positions, layers, vision_width, patch = _vision_sizes(state)
            return cls(
                embed_dim=state["text_projection"].shape[1],
                image_resolution=round((positions - 1) ** 0.5) * (patch or 32),
                vision_layers=layers,
                vision_width=vision_width,
                context_length=state["positional_embedding"].shape[0],
                vocab_size=state["token_embedding.weight"].shape[0],
                transformer_width=width,
                transformer_heads=max(1, width // TEXT_HEAD_WIDTH),
                transformer_layers=_count(state, "transformer.resblocks."),
                vision_patch_size=patch,
                activation=activation,
            )
        except KeyError as error:
            raise WeightsError(f"{where}: no tensor {error}; expected the state dict of a CLIP") from None


def _vision_sizes(state: Mapping[str, Tensor]) -> tuple[int, tuple[int, ...] | int, int, int | None]:
    """Rows of the positional embedding, layers, width and patch size of the image encoder."""
    if "visual.proj" in state:
        width, _, _, patch = state["visual.conv1.weight"].shape
        layers = _count(state, "visual.transformer.resblocks.")
        return state["visual.positional_embedding"].shape[0], layers, width, patch
    stages = tuple(_count(state, f"visual.layer{stage}.") for stage in (1, 2, 3, 4))
    positions = state["visual.attnpool.positional_embedding"].shape[0]
    return positions, stages, state["visual.conv3.weight"].shape[0], None


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    """Number of numbered blocks under a prefix."""
    return len({name[len(prefix) :].split(".")[0] for name in state if name.startswith(prefix)})


def build_clip(config: ClipConfig) -> CLIP:
    """Build a CLIP with random weights from torch's global generator, float32, in training mode."""
    sizes = {name: value for name, value in vars(config).items() if name != "activation"}
    model = CLIP(**sizes)
    set_activation(model.transformer, config.activation)
    if isinstance(model.visual, VisionTransformer):
        set_activation(model.visual.transformer, config.activation)
    return model


def set_activation(transformer: Any, activation: Activation) -> None:
    """Give a new transformer its activation: OpenAI's approximation, which it has, or the exact GELU."""
    for block in transformer.resblocks if activation == "gelu" else ():
        block.mlp.gelu = nn.GELU()


def activation_of(transformer: Any) -> Activation:
    """Activation of a CLIP's transformer."""
    return "gelu" if isinstance(transformer.resblocks[0].mlp.gelu, nn.GELU) else "quick_gelu"


def load_clip_state(config: ClipConfig, state: Mapping[str, Tensor], where: str) -> CLIP:
    """Build a CLIP and fill it, float32, in evaluation mode.

    Raises:
        WeightsError: names or shapes do not match the config.
    """
    model = build_clip(config)
    weights = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    for name in NOT_PARAMETERS:
        weights.pop(name, None)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise resource_error(error) or WeightsError(
            f"{where}: does not fit its architecture ({' '.join(str(error).split())[:300]})"
        ) from None
    return model.float().eval()
