"""A training run, opened: inputs checked and read, the model built."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from torchvision.models.detection import FasterRCNN

from pipeline.backbones.base import Sources
from pipeline.config.sections import digest_of
from pipeline.core.label_rows import LabelRows
from pipeline.core.seeding import torch_seed
from pipeline.core.types import KnowledgeBank
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.bags import BagDataset, permuted_labels
from pipeline.data.class_splits import class_split
from pipeline.data.role_cap import RoleCap
from pipeline.data.split import ANNOTATED, SplitManifest, take_split
from pipeline.detection.detectors import detector_files, load_fasterrcnn
from pipeline.detection.params import DetectParams
from pipeline.methods.model import HoiModel, ModelChoice, new_model
from pipeline.methods.params import ModelParams
from pipeline.prompts.clip_bank import clip_inputs, clip_of, encode_prompts, open_clip, read_dataset_bank
from pipeline.prompts.params import ClipParams, PromptParams
from pipeline.store.clip_checkpoint import ClipCheckpoint
from pipeline.store.image_labels_file import COMMANDS, read_image_labels
from pipeline.store.pair_labels_file import SplitPairLabels, read_pair_labels
from pipeline.store.proposals_file import SplitProposals, StoredProposals, open_proposals
from pipeline.store.source_files import code_digest
from pipeline.store.stage_run import StageRun
from pipeline.training.params import TrainParams
from pipeline.training.stored_features import take_features
from pipeline.training.supervision import check_supervision, images_with_boxes, label_source


@dataclass(frozen=True)
class OpenedTraining:
    """Model before its first step, and the bags that it learns from; `source` is what their labels come from."""

    params: TrainParams
    vocabulary: Vocabulary
    bags: BagDataset
    model: HoiModel
    source: str

    def digest(self, stage: StageRun, random_streams: dict[str, Any]) -> str:
        """Digest of all that shapes the run: inputs, params, code, and sources of random numbers."""
        return digest_of(
            {
                "inputs": stage.inputs.named,
                "params": {name: digest_of(value) for name, value in stage.sections.items()},
                "code": code_digest("stages.train"),
                "random streams": random_streams,
            }
        )


def open_training(stage: StageRun, seed: int | None) -> OpenedTraining:
    """Open what the stage's params choose; inputs and sections that were read are recorded in `stage`.

    Args:
        seed: of a study; None for `train.seed`.

    Raises:
        UserError: a file is missing, damaged, or does not fit the others; params choose what does not exist.
    """
    layout = stage.layout
    clip, chosen, params = stage.params(ClipParams), stage.params(ModelParams), stage.params(TrainParams)
    if seed is not None:
        params = stage.sections["train"] = dataclasses.replace(params, seed=seed)
    choice, stage.sections["model"] = ModelChoice.of(chosen), chosen.used()
    check_supervision(params, chosen.method, takes_boxes=choice.method.takes_boxes)
    vocabulary, manifest = take_split(stage.inputs, "train")
    proposals: SplitProposals | StoredProposals = SplitProposals.none(manifest.image_ids, vocabulary.objects)
    if choice.method.needs_proposals:
        path = stage.take(layout.proposals("train"), "detect", "train")
        proposals = open_proposals(
            path,
            image_ids=manifest.image_ids,
            objects=vocabulary.objects,
            class_probabilities=choice.method.needs_class_probabilities,
        )
    clip_model, bank = _clip_and_bank(stage, clip_of(clip, chosen.clip), chosen, vocabulary)
    source = label_source(params, manifest)
    labels = _image_labels(stage, source, manifest, vocabulary)
    split = None if params.unseen is None else class_split(params.unseen, vocabulary)
    bags = BagDataset(
        manifest=manifest,
        proposals=proposals,
        labels=permuted_labels(labels, params.seed) if params.shuffle_labels else labels,
        root=layout.root,
        image_side=chosen.image_size,
        max_proposals=RoleCap(params.max_proposals, vocabulary.human_object_id),
        class_probabilities=choice.method.needs_class_probabilities,
        pair_labels=_pair_labels(stage, params, proposals, vocabulary),
        has_boxes=images_with_boxes(params, len(manifest)),
        unseen=None if split is None else split.unseen,
        complete=source == ANNOTATED,
    )
    if split is not None:
        stage.note(split.path)

    def detector() -> tuple[FasterRCNN, dict[str, Any]]:
        detect = stage.params(DetectParams)
        stage.note(*detector_files(detect, root=layout.root))
        return load_fasterrcnn(detect, root=layout.root)

    model = new_model(
        choice,
        Sources(
            clip=clip_model,
            detector=detector,
            embed_dim=bank.hoi_embeddings.shape[1],
            image_size=chosen.image_size,
            root=layout.root,
            note=stage.note,
        ),
        bank,
        vocabulary,
        seed=torch_seed(params.seed, "network"),
        origin={"clip": clip_model.name, "clip_digest": clip_model.digest, "prompts": list(bank.prompts)},
    )
    stage.note(*model.outside_files)
    bags.features = take_features(stage, params, model, manifest)
    return OpenedTraining(params, vocabulary, bags, model, source)


def _image_labels(stage: StageRun, source: str, manifest: SplitManifest, vocabulary: Vocabulary) -> LabelRows:
    """Image-level labels of a source: those that `prepare` wrote, or an artifact."""
    if source == manifest.label_source and source != "clip":
        return manifest.label_rows(vocabulary.num_hois)
    path = stage.take(stage.layout.image_labels(source), COMMANDS[source].replace("-", "_"))
    return read_image_labels(path, source, manifest.image_ids, vocabulary.num_hois).rows(vocabulary.num_hois)


def _pair_labels(
    stage: StageRun, params: TrainParams, proposals: SplitProposals | StoredProposals, vocabulary: Vocabulary
) -> SplitPairLabels | None:
    """Annotated pairs of the training split, where the run asks for them."""
    if params.supervision == "labels":
        return None
    return read_pair_labels(stage.take(stage.layout.pair_labels("train"), "label_pairs"), proposals, vocabulary)


def _clip_and_bank(
    stage: StageRun, clip: ClipParams, chosen: ModelParams, vocabulary: Vocabulary
) -> tuple[ClipCheckpoint, KnowledgeBank]:
    """The CLIP that the run starts from, with the dataset's knowledge bank or its own."""
    root = stage.layout.root
    if not chosen.has_own_bank:  # first: where CLIP's file is another than the bank's, this names both
        stage.take(stage.layout.knowledge_bank, "encode_prompts")
    clip_model = open_clip(clip, root)
    stage.note(*clip_inputs(clip, root))
    if chosen.has_own_bank:
        prompts, text_only = stage.params(PromptParams), chosen.bank == "roberta"
        return clip_model, encode_prompts(clip_model, vocabulary, prompts, text_only=text_only)
    return clip_model, read_dataset_bank(stage.inputs, vocabulary, clip_model if chosen.bank == "clip" else None)
