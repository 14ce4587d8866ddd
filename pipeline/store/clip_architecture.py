"""The sizes of a ResNet CLIP, read from a model or a state dict, and the model built from them.

`clip.model.build_model` would do for OpenAI's files, but rounds weights to float16; models here are float32.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from torch import Tensor

from pipeline.core.errors import WeightsError, resource_error
from pipeline.store.openai_clip import CLIP, ModifiedResNet

NOT_PARAMETERS = ("input_resolution", "context_length", "vocab_size")  # numbers kept in OpenAI's archives
TEXT_HEAD_WIDTH = 64  # of every published CLIP


@dataclass(frozen=True)
class ClipConfig:
    """Sizes of a CLIP whose image encoder is a ModifiedResNet.

    Attributes:
        embed_dim: D, width of the shared space.
        image_resolution: pixels, a multiple of 32; the positional embedding has (image_resolution / 32)^2 + 1 rows.
        vision_layers: blocks in each of the four stages.
        vision_width: channels of the stem; the feature map has 32 times as many.
        context_length: tokens of a prompt, start and end among them.
        vocab_size: rows of the token table.
    """

    embed_dim: int
    image_resolution: int
    vision_layers: tuple[int, ...]
    vision_width: int
    context_length: int
    vocab_size: int
    transformer_width: int
    transformer_heads: int
    transformer_layers: int

    def to_json(self) -> str:
        """Return the config as JSON text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> ClipConfig:
        """Inverse of `to_json`."""
        values = json.loads(text)
        return cls(**(values | {"vision_layers": tuple(values["vision_layers"])}))

    @classmethod
    def of_model(cls, model: CLIP) -> ClipConfig:
        """Read the sizes off a model."""
        visual, text = model.visual, model.transformer
        return cls(
            embed_dim=model.text_projection.shape[1],
            image_resolution=visual.input_resolution,
            vision_layers=tuple(len(getattr(visual, f"layer{stage}")) for stage in (1, 2, 3, 4)),
            vision_width=visual.conv3.out_channels,
            context_length=model.context_length,
            vocab_size=model.token_embedding.num_embeddings,
            transformer_width=text.width,
            transformer_heads=text.resblocks[0].attn.num_heads,
            transformer_layers=text.layers,
        )

    @classmethod
    def of_state(cls, state: Mapping[str, Tensor], where: str) -> ClipConfig:
        """Read the sizes off a state dict in OpenAI's naming.

        Raises:
            WeightsError: a vision transformer, or no CLIP at all; `where` names the file.
        """
        if "visual.proj" in state:
            raise WeightsError(
                f"{where}: a CLIP with a vision transformer; expected a ResNet one such as RN50 or RN101"
            )
        try:
            grid = round((state["visual.attnpool.positional_embedding"].shape[0] - 1) ** 0.5)
            width = state["ln_final.weight"].shape[0]
            return cls(
                embed_dim=state["text_projection"].shape[1],
                image_resolution=grid * 32,
                vision_layers=tuple(_count(state, f"visual.layer{stage}.") for stage in (1, 2, 3, 4)),
                vision_width=state["visual.conv3.weight"].shape[0],
                context_length=state["positional_embedding"].shape[0],
                vocab_size=state["token_embedding.weight"].shape[0],
                transformer_width=width,
                transformer_heads=max(1, width // TEXT_HEAD_WIDTH),
                transformer_layers=_count(state, "transformer.resblocks."),
            )
        except KeyError as error:
            raise WeightsError(f"{where}: no tensor {error}; expected the state dict of a ResNet CLIP") from None


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    """Number of numbered blocks under a prefix."""
    return len({name[len(prefix) :].split(".")[0] for name in state if name.startswith(prefix)})


def build_clip(config: ClipConfig) -> CLIP:
    """Build a CLIP with random weights from torch's global generator, float32, in training mode."""
    model = CLIP(**vars(config), vision_patch_size=None)
    assert isinstance(model.visual, ModifiedResNet)
    return model


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
