"""Sizes of a dataset: of its own files where it is prepared and detected, else as published and as assumed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.config.layout import Layout
from pipeline.config.params import Params
from pipeline.core.errors import ParamError
from pipeline.core.types import IntArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.role_cap import RoleCap
from pipeline.data.split import open_split
from pipeline.methods.pairing import PairRule
from pipeline.planning.published import published_dataset
from pipeline.store.proposals_file import read_proposals
from pipeline.store.ragged import offsets_of
from pipeline.store.vocabulary_file import read_vocabulary
from pipeline.training.params import TrainParams
from pipeline.truth.params import PrepareParams

_SPLITS = ("train", "test")


@dataclass(frozen=True)
class Crowd:
    """Assumed proposals of every image: so many people, and others."""

    people: int
    others: int

    def object_ids(self, vocabulary: Vocabulary) -> IntArray:
        """People first; the others are of a category that takes part in an HOI class."""
        human = vocabulary.human_object_id
        other = next((found for _, found in vocabulary.hoi_classes if found != human), human)
        return np.repeat([human, other], [self.people, self.others])


@dataclass(frozen=True)
class SplitSizes:
    """Images of a split and their proposals.

    Attributes:
        images: how many.
        object_ids: categories of the proposals of each image, or of a single one that stands for all.
    """

    images: int
    object_ids: tuple[IntArray, ...]

    def pairs(self, rule: PairRule) -> IntArray:
        """Pairs of each of `object_ids`."""
        offsets = offsets_of(np.array([len(found) for found in self.object_ids], np.int64))
        return rule.counts(np.concatenate(self.object_ids), offsets)

    def fullest(self, count: int, rule: PairRule) -> list[IntArray]:
        """Proposals of the `count` images with the most pairs."""
        if len(self.object_ids) < self.images:
            return [*self.object_ids] * count
        order = np.argsort(-self.pairs(rule), kind="stable")[:count]
        return [self.object_ids[image] for image in order]

    def total(self, per_image: IntArray) -> int:
        """Over all images, of a figure of each of `object_ids`."""
        return round(float(per_image.mean()) * self.images) if self.images else 0

    def capped(self, cap: RoleCap | int) -> SplitSizes:
        """With no more proposals than training or inference takes."""
        return SplitSizes(
            self.images,
            tuple(found[:cap] if isinstance(cap, int) else found[cap.rows(found)] for found in self.object_ids),
        )


@dataclass(frozen=True)
class DatasetSizes:
    """What a plan needs to know of a dataset.

    Attributes:
        images_from, proposals_from: where the counts are from, for the reader.
    """

    vocabulary: Vocabulary
    train: SplitSizes
    test: SplitSizes
    images_from: str
    proposals_from: str


def dataset_sizes(layout: Layout, params: Params, crowd: Crowd | None) -> DatasetSizes:
    """Count what is there, and take the rest as published or assumed.

    Args:
        crowd: proposals of every image; None: those that were detected, or, before that, the most that training takes,
            half of them people.

    Raises:
        ParamError: a dataset that is not prepared, and of which nothing is published.
        ArtifactError: a file is damaged.
    """
    limit = params[TrainParams].max_proposals
    assumed = crowd or Crowd((limit + 1) // 2, limit // 2)
    proposals_from = f"assumed: {assumed.people} people and {assumed.others} others in every image"
    if not all(path.exists() for path in (layout.vocabulary, *map(layout.split, _SPLITS))):
        prepare = params[PrepareParams]
        known = published_dataset(prepare.reader, official_val=prepare.val_fraction is None)
        if known is None:
            raise ParamError(
                f"{layout.vocabulary} is not there, and of the reader {prepare.reader} no sizes are published; "
                f'run "weakhoi prepare --dataset {layout.dataset}"'
            )
        training = round(known.images["train"] * (1 - (prepare.val_fraction or 0)))
        ids = (assumed.object_ids(known.vocabulary),)
        sizes = SplitSizes(training, ids), SplitSizes(known.images["test"], ids)
        return DatasetSizes(known.vocabulary, *sizes, "as published, not prepared yet", proposals_from)
    vocabulary = read_vocabulary(layout.vocabulary)
    manifests = {split: open_split(layout, split, vocabulary) for split in _SPLITS}
    images_from = str(layout.split("train").parent)
    detected = {split: layout.proposals(split) for split in _SPLITS}
    if crowd is None and all(path.exists() for path in detected.values()):
        found = [
            read_proposals(detected[split], image_ids=manifests[split].image_ids, objects=vocabulary.objects)
            for split in _SPLITS
        ]
        parts = [tuple(np.split(split.object_ids, split.offsets[1:-1])) for split in found]
        sizes = SplitSizes(len(found[0]), parts[0]), SplitSizes(len(found[1]), parts[1])
        return DatasetSizes(vocabulary, *sizes, images_from, str(detected["train"].parent))
    ids = (assumed.object_ids(vocabulary),)
    sizes = SplitSizes(len(manifests["train"]), ids), SplitSizes(len(manifests["test"]), ids)
    return DatasetSizes(vocabulary, *sizes, images_from, proposals_from)
