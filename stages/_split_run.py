"""A trained run over one split: what `infer` and `represent` open alike, here or on a worker of a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.core.device import open_device, place
from pipeline.core.layout import Layout, run_name
from pipeline.core.params import InferParams, RepresentParams, digest_of
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.bags import BagDataset
from pipeline.data.split import read_split
from pipeline.inference.dump_split import InferWork
from pipeline.inference.represent_split import RepresentWork
from pipeline.methods.model import HoiModel, model_from_config
from pipeline.store.checkpoint import load_checkpoint
from pipeline.store.inputs import StageInputs
from pipeline.store.manifests import relative
from pipeline.store.proposals_file import read_proposals
from pipeline.store.vocabulary_file import read_vocabulary


@dataclass(frozen=True)
class SplitRun:
    """Names a run and a split; holds paths and choices only, so that a worker can be sent it and open it there."""

    root: Path
    dataset: str
    variant: str
    seed: int | None
    split: str
    device: str
    channels_last: bool

    @property
    def layout(self) -> Layout:
        """Paths of the dataset."""
        return Layout(self.root, self.dataset)

    @property
    def name(self) -> str:
        """The run's name."""
        return run_name(self.variant, self.seed)

    @property
    def arguments(self) -> dict[str, str]:
        """The choices made on the command line, for the manifest."""
        arguments = {"dataset": self.dataset, "variant": self.variant, "split": self.split}
        return arguments | ({} if self.seed is None else {"seed": str(self.seed)})

    def _take(self) -> StageInputs:
        """Check and digest the files that shape the result.

        Raises:
            ArtifactError: one is not what its manifest says.
        """
        layout, inputs = self.layout, StageInputs(self.layout)
        inputs.take(layout.vocabulary, "prepare")
        inputs.take(layout.split(self.split), "prepare")
        inputs.take(layout.proposals(self.split), "detect", self.split)
        inputs.take(layout.checkpoint(self.name), "train", self.name)
        return inputs

    def open(self, max_proposals: int) -> OpenRun:
        """Check the inputs, then read everything.

        Raises:
            UserError: a file is missing, damaged, or does not fit the others.
        """
        layout, inputs = self.layout, self._take()
        vocabulary = read_vocabulary(layout.vocabulary)
        manifest = read_split(layout.split(self.split), vocabulary)
        state, config = load_checkpoint(layout.checkpoint(self.name), vocabulary=vocabulary)
        model = model_from_config(config, state)
        for path in model.outside_files:
            inputs.note(path)
        proposals = read_proposals(
            layout.proposals(self.split), image_ids=manifest.image_ids, objects=vocabulary.objects
        )
        bags = BagDataset(
            manifest=manifest,
            proposals=proposals,
            labels=np.broadcast_to(np.zeros(vocabulary.num_hois, np.float32), (len(manifest), vocabulary.num_hois)),
            root=self.root,
            image_side=model.image_size,
            max_proposals=max_proposals,
        )
        device = open_device(self.device)
        place(model.network, device, channels_last=self.channels_last).eval()
        return OpenRun(inputs, vocabulary, bags, model, device)


@dataclass(frozen=True)
class OpenRun:
    """A `SplitRun`, opened; `inputs` as this process found them, its network on the device, its labels are zeros."""

    inputs: StageInputs
    vocabulary: Vocabulary
    bags: BagDataset
    model: HoiModel
    device: torch.device

    def digest(self, params: Any) -> str:
        """Name the inputs' contents and the params."""
        root = self.inputs.layout.root
        digests = {relative(path, root): found for path, found in self.inputs.digests.items()}
        return digest_of({"inputs": digests, "params": params})


@dataclass(frozen=True)
class InferRecipe:
    """What `infer` computes, unopened."""

    run: SplitRun
    params: InferParams

    @property
    def folder(self) -> Path:
        """Of its parts."""
        return self.run.layout.work("infer", self.run.name, self.run.split)

    @property
    def part_size(self) -> int:
        """Images."""
        return self.params.part_size

    def open(self) -> InferWork:
        """Raises UserError as `SplitRun.open`."""
        found = self.run.open(self.params.max_proposals)
        return InferWork(
            model=found.model,
            vocabulary=found.vocabulary,
            bags=found.bags,
            batch_size=self.params.batch_size,
            digest=found.digest(digest_of(self.params)),
            device=found.device,
            inputs=found.inputs.digests,
        )


@dataclass(frozen=True)
class RepresentRecipe:
    """What `represent` computes, unopened; of `batches` it takes the sizes."""

    run: SplitRun
    params: RepresentParams
    batches: InferParams

    @property
    def folder(self) -> Path:
        """Of its parts."""
        return self.run.layout.work("represent", self.run.name, self.run.split)

    @property
    def part_size(self) -> int:
        """Images."""
        return self.batches.part_size

    def open(self) -> RepresentWork:
        """Raises UserError as `SplitRun.open`."""
        found = self.run.open(self.batches.max_proposals)
        sections = {"infer": self.batches, "represent": self.params}
        return RepresentWork(
            model=found.model,
            vocabulary=found.vocabulary,
            bags=found.bags,
            batch_size=self.batches.batch_size,
            digest=found.digest({name: digest_of(section) for name, section in sections.items()}),
            device=found.device,
            inputs=found.inputs.digests,
            params=self.params,
        )
