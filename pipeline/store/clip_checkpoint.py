"""CLIP weights on disk: OpenAI's by name, a `.pt` file, or `.safetensors`, behind one record that also tokenizes.

Ours keep float16 weights, and the config in the metadata. Where the token table was cut to the tokens in use, row r is
the token `token_ids[r]` of CLIP's own vocabulary, in rising order: `encode_text` finds the end of a text by its token,
which has the highest id. Pickled models are never read.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from pipeline.core.errors import DownloadError, WeightsError, did_you_mean
from pipeline.store.clip_architecture import ClipConfig, load_clip_state
from pipeline.store.clip_foreign import foreign_clip, is_foreign
from pipeline.store.fetch import fetch
from pipeline.store.file_content import published_fault, reason_and_remedy, torch_fault
from pipeline.store.files import atomic_path, sha256_of
from pipeline.store.openai_clip import CLIP, tokenize, tokenizer
from pipeline.store.published import CLIP_FILES, CLIP_FOLDER
from pipeline.store.torchscript_file import is_torchscript, read_torchscript

PADDING, START, END = 0, 49406, 49407  # ids in CLIP's own vocabulary


@dataclass(frozen=True)
class ClipCheckpoint:
    """A loaded CLIP: model float32 in evaluation mode, sha256 of its file, and its cut token table if it has one."""

    model: CLIP
    name: str
    digest: str
    token_ids: Tensor | None

    def tokenize(self, prompts: Sequence[str]) -> Tensor:
        """Tokenize with CLIP's own BPE: int64 [n, context_length], ready for `model.encode_text`.

        Raises:
            WeightsError: a prompt is too long, or has a token that the cut table lacks.
        """
        length = int(self.model.context_length)
        try:
            tokens = tokenize(list(prompts), context_length=length).long()
        except RuntimeError as error:
            raise WeightsError(f"{self.name}: {error}; shorten the prompt template") from None
        if self.token_ids is None:
            return tokens
        rows = torch.searchsorted(self.token_ids, tokens).clamp(max=len(self.token_ids) - 1)
        missing = (self.token_ids[rows] != tokens).nonzero()
        if len(missing):
            prompt, position = missing[0].tolist()
            word = tokenizer.decode([int(tokens[prompt, position])]).strip()
            raise WeightsError(
                f'{self.name}: its token table of {len(self.token_ids)} tokens lacks "{word}" of the prompt '
                f'"{prompts[prompt]}"; use other words, or retrain it with that prompt in its captions'
            )
        return rows


def token_table(texts: Sequence[str]) -> Tensor:
    """Return the sorted ids of all tokens that the texts use, with padding, start and end, int64 [V]."""
    used = {PADDING, START, END}
    for text in texts:
        used.update(tokenizer.encode(text))
    return torch.tensor(sorted(used), dtype=torch.int64)


def load_clip(weights: str, *, download_root: Path | None = None) -> ClipCheckpoint:
    """Load a CLIP.

    Args:
        weights: an OpenAI name ("RN50", "ViT-B/16", ...), or a path to a `.pt` or `.safetensors` file: OpenAI's,
            ours, or one of OpenCLIP or Hugging Face beside its config.
        download_root: where named weights are kept; OpenAI's default is ~/.cache/clip.

    Raises:
        WeightsError: unknown name, no such file and no network, another file than the published one under its name,
            unreadable file, or another architecture.
    """
    if weights in CLIP_FILES:
        return _load_named(weights, download_root or CLIP_FOLDER.expanduser())
    path = Path(weights)
    if not path.is_file():
        raise WeightsError(
            f'"{weights}" is neither a file nor a CLIP name{did_you_mean(weights, CLIP_FILES)}; '
            f"expected a path to .pt or .safetensors, or one of {', '.join(CLIP_FILES)}"
        )
    return _load_safetensors(path) if path.suffix == ".safetensors" else _load_archive(path, path.stem)


def _load_named(name: str, root: Path) -> ClipCheckpoint:
    """Load OpenAI's file of a name from the download folder, where it is fetched if there is a network."""
    file = CLIP_FILES[name]
    path = root / file.file_name
    if not path.is_file():
        try:
            fetch(file.url, path, sha256=file.sha256)
        except DownloadError as error:
            raise WeightsError(f"CLIP {name} is not at {path}: {error}; or put the file there") from None
    if fault := published_fault(path, file.sha256):
        raise WeightsError(
            f"{path}: not OpenAI's {name} ({fault}); delete it and download it again from {file.url}, "
            "or name a file of your own by its path in clip.weights"
        )
    return _load_archive(path, name)


def _load_archive(path: Path, name: str) -> ClipCheckpoint:
    """Load a TorchScript archive or a plain state dict in OpenAI's naming."""
    state = _read_state(path)
    return ClipCheckpoint(
        load_clip_state(ClipConfig.of_state(state, str(path)), state, str(path)), name, sha256_of(path), None
    )


def _read_state(path: Path) -> dict[str, Tensor]:
    try:
        if is_torchscript(path):
            return read_torchscript(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles that it then refuses
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on damaged files torch raises whatever it trips over
        fault = torch_fault(path, error, "save it again with torch.save(model.state_dict(), path)")
        raise WeightsError(
            f"{path}: neither a TorchScript archive nor a state dict of tensors ({fault.what}); {fault.remedy}"
        ) from None
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path}: holds a {type(state).__name__}; expected a state dict of tensors")
    return dict(state)


def _load_safetensors(path: Path) -> ClipCheckpoint:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if "config" not in metadata and is_foreign(state):
            config, state = foreign_clip(path, state)
        else:
            config = ClipConfig.from_json(metadata["config"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        fault = reason_and_remedy(path, "safetensors", error, "check the path")
        raise WeightsError(
            f"{path}: not a CLIP of ours ({fault.what}); expected a file of stages.toy_clip, OpenCLIP or Hugging Face; "
            f"{fault.remedy}"
        ) from None
    token_ids = state.pop("token_ids").long() if "token_ids" in state else None
    return ClipCheckpoint(load_clip_state(config, state, str(path)), path.stem, sha256_of(path), token_ids)


def save_clip(path: Path, model: CLIP, *, token_ids: Tensor | None, metadata: Mapping[str, str]) -> None:
    """Write a CLIP as safetensors: weights as float16, config and `metadata` beside them; atomic.

    Args:
        token_ids: int64 [V], rising, where the model's token table was cut to V rows; None for the full table.
    """
    state = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        for name, tensor in model.state_dict().items()
    }
    if token_ids is not None:
        if len(token_ids) != model.token_embedding.num_embeddings or not bool((token_ids.diff() > 0).all()):
            raise ValueError("token_ids must rise and name each row of the token table")
        state["token_ids"] = token_ids.to(torch.int32)
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(state, dict(metadata) | {"config": ClipConfig.of_model(model).to_json()}))
