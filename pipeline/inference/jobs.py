"""A trained run over one split as paths and settings: what this process or a worker of a cluster is given to open."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config.layout import Layout
from pipeline.config.run import Run
from pipeline.config.sections import digest_of
from pipeline.core.device import open_device, place
from pipeline.core.label_rows import LabelRows
from pipeline.data.bags import BagDataset
from pipeline.data.split import take_split
from pipeline.inference.pair_outputs import InferWork
from pipeline.inference.params import InferParams, RepresentParams
from pipeline.inference.represent_split import RepresentWork
from pipeline.methods.model import model_from_config
from pipeline.store.checkpoint import load_checkpoint
from pipeline.store.inputs import StageInputs
from pipeline.store.proposals_file import open_proposals

_ANNOTATED = 'run "weakhoi annotated-proposals --dataset {} --split {}"'


@dataclass(frozen=True)
class SplitRun:
    """A run and its split, not yet opened."""

    layout: Layout
    run: Run
    device: str
    channels_last: bool

    def open(self, sizes: InferParams, params: Any) -> dict[str, Any]:
        """Check the inputs, then read everything: the arguments of a `BagWork`, whose labels are zeros.

        Args:
            params: what the digest names beside the contents of the inputs.

        Raises:
            UserError: a file is missing, damaged, or does not fit the others.
        """
        layout, inputs, split = self.layout, StageInputs(self.layout), self.run.split
        vocabulary, manifest = take_split(inputs, split)
        if self.run.annotated_boxes:
            boxes = inputs.take(layout.annotated_proposals(split), "annotated_proposals", split)
        else:
            boxes = inputs.take(layout.proposals(split), "detect", split)
        inputs.take(layout.checkpoint(self.run), "train", self.run)
        state, config = load_checkpoint(layout.checkpoint(self.run), vocabulary=vocabulary)
        model = model_from_config(config, state)
        for path in model.outside_files:
            inputs.note(path)
        class_probabilities = model.method.needs_class_probabilities
        proposals = open_proposals(
            boxes,
            image_ids=manifest.image_ids,
            objects=vocabulary.objects,
            class_probabilities=class_probabilities,
            remedy=_ANNOTATED.format(layout.dataset, split) if self.run.annotated_boxes else None,
        )
        bags = BagDataset(
            manifest=manifest,
            proposals=proposals,
            labels=LabelRows.none(len(manifest), vocabulary.num_hois),
            root=layout.root,
            image_side=model.image_size,
            max_proposals=sizes.max_proposals,
            class_probabilities=class_probabilities,
        )
        device = open_device(self.device)
        place(model.network, device, channels_last=self.channels_last).eval()
        return {
            "model": model,
            "vocabulary": vocabulary,
            "bags": bags,
            "batch_size": sizes.batch_size,
            "digest": digest_of({"inputs": inputs.named, "params": params}),
            "device": device,
            "inputs": inputs.digests,
        }


@dataclass(frozen=True)
class InferJob:
    """What `infer` computes, not yet opened."""

    run: SplitRun
    params: InferParams

    @property
    def folder(self) -> Path:
        """Where its parts are kept."""
        return self.run.layout.work("infer", self.run.run)

    @property
    def part_size(self) -> int:
        """Images per part."""
        return self.params.part_size

    def open(self) -> InferWork:
        """Raises UserError as `SplitRun.open`."""
        return InferWork(**self.run.open(self.params, digest_of(self.params)))


@dataclass(frozen=True)
class RepresentJob:
    """What `represent` computes, not yet opened; `batches` gives the sizes of batches and parts."""

    run: SplitRun
    params: RepresentParams
    batches: InferParams

    @property
    def folder(self) -> Path:
        """Where its parts are kept."""
        return self.run.layout.work("represent", self.run.run)

    @property
    def part_size(self) -> int:
        """Images per part."""
        return self.batches.part_size

    def open(self) -> RepresentWork:
        """Raises UserError as `SplitRun.open`."""
        digests = {"infer": digest_of(self.batches), "represent": digest_of(self.params)}
        return RepresentWork(**self.run.open(self.batches, digests), params=self.params)
