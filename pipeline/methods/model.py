"""A method's network with what rebuilds it: from params and pretrained parts, and from a checkpoint.

A checkpoint's config is JSON: names and settings of method and backbone, the vocabulary, and what the weights started
from. Nothing else is needed to load it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from pipeline import backbones, methods
from pipeline.backbones.base import Backbone, Sources
from pipeline.backbones.catalog import backbone_class, clip_backbone
from pipeline.backbones.clip_text import ClipText
from pipeline.core.errors import ArtifactError, DataError, ParamError, did_you_mean, resource_error
from pipeline.core.plugins import names_of, outside_files
from pipeline.core.seeding import torch_generator
from pipeline.core.types import KnowledgeBank
from pipeline.core.vocabulary import Vocabulary
from pipeline.methods.base import HoiNetwork, Method, Parts, declaration_faults
from pipeline.methods.catalog import method_class
from pipeline.methods.params import CLIP_BACKBONES, ModelParams

SCHEMA_VERSION = 3


@dataclass(frozen=True)
class ModelChoice:
    """What `model` of params.yaml chooses, checked.

    Attributes:
        params: the section.
        method: with its settings.
        backbone_settings: of the backbone.
        teacher_settings: of CLIP's own encoder by its backbone, where the method needs it as a teacher; else empty.
    """

    params: ModelParams
    method: Method
    backbone_settings: Any
    teacher_settings: Mapping[str, Any]

    @classmethod
    def of(cls, params: ModelParams) -> ModelChoice:
        """Look up method and backbone and build their settings.

        Raises:
            ParamError: all faults at once: unknown names, unknown or wrong settings.
        """
        faults: list[str] = []
        method_type, backbone_type = method_class(params.method), backbone_class(params.backbone)
        known = {
            params.method.rpartition(".")[2],
            params.backbone.rpartition(".")[2],
            *names_of(methods),
            *names_of(backbones),
        }
        faults += [
            f'unknown section "model.{name}"{did_you_mean(name, sorted(known))}'
            for name in params.settings
            if name not in known
        ]
        settings = params.settings_of(params.method, method_type.Params, faults)
        backbone_settings = params.settings_of(params.backbone, backbone_type.Params, faults)
        teachers = {name: params.settings_of(name, backbone_class(name).Params, faults) for name in CLIP_BACKBONES}
        if faults:
            raise ParamError("params.yaml: " + "; ".join(faults))
        method = method_type(settings)
        if faults := declaration_faults(method):
            raise ParamError(f"model.method: {params.method}: " + "; ".join(faults))
        return cls(params, method, backbone_settings, teachers if method.needs_teacher else {})


@dataclass(frozen=True)
class HoiModel:
    """A method and its network; `config` rebuilds both."""

    method: Method
    network: HoiNetwork
    config: dict[str, Any]

    @property
    def image_size(self) -> int:
        """Side of the square input images in pixels."""
        return int(self.config["image_size"])

    @property
    def flips(self) -> bool:
        """Whether outputs at inference are the means over each image and its mirror image."""
        return bool(self.config.get("flip_at_inference", False))

    @property
    def outside_files(self) -> list[Path]:
        """Files of method and backbone where they are the user's own modules: they are inputs of a run."""
        return outside_files(self.config["method"]["name"], self.config["backbone"]["name"])


def new_model(
    choice: ModelChoice,
    sources: Sources,
    bank: KnowledgeBank,
    vocabulary: Vocabulary,
    *,
    seed: int,
    origin: Mapping[str, Any] | None = None,
) -> HoiModel:
    """Return a model before its first step; every random weight comes from `seed`.

    `bank: random` draws unit rows of the same width.

    Args:
        origin: what the weights start from, for the config.

    Raises:
        ParamError: the method trains CLIP's text encoder, and the bank is not CLIP's.
    """
    params, method = choice.params, choice.method
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        embeddings = torch.from_numpy(bank.hoi_embeddings)
        objects, verbs = torch.from_numpy(bank.object_embeddings), torch.from_numpy(bank.verb_embeddings)
        if params.bank == "random":
            embeddings = functional.normalize(torch.randn(embeddings.shape), dim=1)
            objects, verbs = (
                functional.normalize(torch.randn(rows.shape, generator=torch_generator(seed, name)), dim=1)
                for name, rows in (("objects", objects), ("verbs", verbs))
            )
        backbone = backbone_class(params.backbone).build(sources, choice.backbone_settings)
        teacher = _teacher(choice, sources)
        scale = float(sources.clip.model.logit_scale.detach())
        parts = Parts(
            backbone=backbone,
            bank=embeddings,
            object_bank=objects,
            verb_bank=verbs,
            logit_scale=scale,
            vocabulary=vocabulary,
            teacher=teacher,
            text_encoder=_text_encoder(choice, sources, bank),
        )
        network = method.build(parts)
    config = {
        "schema_version": SCHEMA_VERSION,
        "method": {"name": params.method, "settings": asdict(method.params)},
        "backbone": {"name": params.backbone, **backbone.config},
        "image_size": params.image_size,
        "flip_at_inference": params.flip_at_inference,
        "bank_shape": list(embeddings.shape),
        "vocabulary": vocabulary.to_json(),
        "origin": dict(origin or {}),
    }
    return HoiModel(method, network, config)


def _teacher(choice: ModelChoice, sources: Sources) -> Backbone | None:
    """CLIP's own image encoder, where the method needs it."""
    if not choice.teacher_settings:
        return None
    name = clip_backbone(sources)
    return backbone_class(name).build(sources, choice.teacher_settings[name])


def _text_encoder(choice: ModelChoice, sources: Sources, bank: KnowledgeBank) -> ClipText | None:
    """CLIP's text encoder over the sentences of verbs, where the method trains it along."""
    if not choice.method.needs_text_encoder:
        return None
    if choice.params.bank != "clip":
        raise ParamError(
            f"model.bank is {choice.params.bank}, but {choice.params.method} with these settings trains CLIP's text "
            "encoder; set model.bank to clip, or the method's settings so that texts stay as they are"
        )
    return ClipText(sources.clip.model, sources.clip.tokenize(bank.verb_prompts))


def model_from_config(config: Mapping[str, Any], state: Mapping[str, Tensor]) -> HoiModel:
    """Return the model of a checkpoint, its network in evaluation mode.

    Raises:
        ArtifactError: of another version, of a method or backbone that is not here, or weights of another network.
    """
    try:
        method_type = method_class(config["method"]["name"])
        method = method_type(method_type.Params(**config["method"]["settings"]))
        backbone = backbone_class(config["backbone"]["name"]).from_config(config["backbone"])
        bank, vocabulary = torch.zeros(config["bank_shape"]), Vocabulary.from_json(config["vocabulary"])
    except (TypeError, KeyError) as error:
        raise ArtifactError(
            f'checkpoint: config.json is of another version ({error!r}); run "dvc repro train"'
        ) from None
    except (ParamError, DataError) as error:
        raise ArtifactError(f'checkpoint: config.json: {error}; run "dvc repro train"') from None
    objects, verbs = (bank.new_zeros(rows, bank.shape[1]) for rows in (vocabulary.num_objects, vocabulary.num_verbs))
    parts = Parts(
        backbone=backbone, bank=bank, object_bank=objects, verb_bank=verbs, logit_scale=0.0, vocabulary=vocabulary
    )
    network = method.build(parts)
    try:
        network.load_state_dict(dict(state))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise resource_error(error) or ArtifactError(
            f'checkpoint: weights do not fit config.json ({reason}); run "dvc repro train"'
        ) from None
    return HoiModel(method, network.eval(), dict(config))
