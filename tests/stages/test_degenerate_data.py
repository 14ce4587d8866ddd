"""Data in which something is missing: training and everything after it work, or are refused in one line.

Proposals, labels and annotated pairs of a small toyworld are cut down after `detect`; images without any human are in
test_user_errors.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.store.proposals_file import SplitProposals, read_proposals, write_proposals
from pipeline.store.ragged import offsets_of, row_owner
from tests.roots import copied, edit_params, new_root, refused, succeeds

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def detected(tmp_path_factory) -> Path:
    """A toyworld of a few images with proposals and a knowledge bank."""

    def shrink(document):
        document["toyworld"]["prepare"]["num_images"] = {"train": 6, "val": 1, "test": 5}
        document["toyworld"]["train"] |= {"epochs": 1, "batch_size": 4}
        document["toyworld"]["report"] |= {"num_images": 2, "gallery_images": 2}

    root = new_root(tmp_path_factory.mktemp("degenerate"), shrink)
    for call in (["prepare"], ["detect", "--split", "train"], ["detect", "--split", "test"], ["encode-prompts"]):
        succeeds(root, *call, "--dataset", "toyworld")
    shutil.rmtree(root / "manifests/toyworld/runs")  # their digests would tell before what is degenerate does
    return root


@pytest.fixture(scope="module")
def trained(detected, tmp_path_factory) -> Path:
    root = copied(detected, tmp_path_factory.mktemp("trained") / "root")
    succeeds(root, "train", "--dataset", "toyworld")
    return root


# Cutting down


@dataclass
class World:
    """Paths of one copy, and what may be changed in it."""

    root: Path

    def edit(self, path: str, change: Callable[[dict[str, Any]], object]) -> None:
        file = self.root / path
        document = json.loads(file.read_text())
        change(document)
        file.write_text(json.dumps(document))

    def proposals(self, split: str) -> SplitProposals:
        return read_proposals(self.root / f"cache/toyworld/proposals/{split}.h5")

    def keep(self, split: str, rows: Callable[[SplitProposals], np.ndarray]) -> None:
        """Keep some proposals, bool [N]."""
        found = self.proposals(split)
        kept = rows(found)
        counts = np.bincount(row_owner(found.offsets)[kept], minlength=len(found))
        columns = {name: getattr(found, name)[kept] for name in ("boxes", "scores", "object_ids")}
        self.put(split, dataclasses.replace(found, offsets=offsets_of(counts), **columns))

    def put(self, split: str, proposals: SplitProposals) -> None:
        write_proposals(self.root / f"cache/toyworld/proposals/{split}.h5", **vars(proposals))

    def take_images(self, split: str, count: int) -> None:
        """Leave the first images, their proposals and their annotated pairs."""
        self.edit(f"manifests/toyworld/{split}.json", lambda d: d.update(images=d["images"][:count]))
        found = self.proposals(split)
        stop = found.offsets[count]
        columns = {name: getattr(found, name)[:stop] for name in ("boxes", "scores", "object_ids")}
        cut = dataclasses.replace(
            found, image_ids=found.image_ids[:count], offsets=found.offsets[: count + 1], **columns
        )
        self.put(split, cut)
        if split != "train":
            self.take_pairs(lambda image, hoi: image < count)
            self.edit("cache/toyworld/ground_truth/test.json", lambda d: d.update(image_ids=d["image_ids"][:count]))

    def take_pairs(self, kept: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
        """Leave some annotated pairs of the test split."""

        def change(document):
            rows = np.flatnonzero(kept(np.array(document["image_index"]), np.array(document["hoi_id"])))
            for name in ("image_index", "hoi_id", "human_boxes", "object_boxes"):
                document[name] = [document[name][row] for row in rows]

        self.edit("cache/toyworld/ground_truth/test.json", change)

    def label(self, hoi_ids: Callable[[int], list[int]]) -> None:
        """Give the training images other labels, by their number."""

        def change(document):
            for number, image in enumerate(document["images"]):
                image["hoi_ids"] = hoi_ids(number)

        self.edit("manifests/toyworld/train.json", change)

    def param(self, section: str, **values: object) -> None:
        edit_params(self.root, lambda document: document["toyworld"][section].update(values))


def human(found: SplitProposals) -> np.ndarray:
    return found.object_ids == found.objects.index("person")


def first_of_each_kind(found: SplitProposals) -> np.ndarray:
    """The best human and the best other proposal of the first image that has both, and nothing else."""
    owner = row_owner(found.offsets)
    for image in range(len(found)):
        chosen = [np.flatnonzero((owner == image) & kind) for kind in (human(found), ~human(found))]
        if all(map(len, chosen)):
            return np.isin(np.arange(len(owner)), [rows[0] for rows in chosen])
    raise AssertionError("no image has a human and an object")


def none(found: SplitProposals) -> np.ndarray:
    return np.zeros(len(found.scores), bool)


def without_image(image: int) -> Callable[[SplitProposals], np.ndarray]:
    return lambda found: row_owner(found.offsets) != image


NO_PAIR = "none of 6 images has a human and an object to pair"

# What is cut of the training data, and the line with which `train` stops, if it does.
TRAINING: dict[str, tuple[Callable[[World], object], str | None]] = {
    "no proposal in an image": (lambda w: w.keep("train", without_image(1)), None),
    "no proposal in any image": (lambda w: w.keep("train", none), NO_PAIR),
    "no human in any image": (lambda w: w.keep("train", lambda p: ~human(p)), NO_PAIR),
    "humans only, whom no class has for an object": (lambda w: w.keep("train", human), NO_PAIR),
    "one pair": (lambda w: w.keep("train", first_of_each_kind), None),
    "an image without label": (lambda w: w.label(lambda number: [] if number == 2 else [number]), None),
    "no label at all": (lambda w: w.label(lambda _: []), "none of 6 images has a label"),
    "the same label everywhere": (lambda w: w.label(lambda _: [7]), None),
    "an image that is not there": (
        lambda w: (w.root / "cache/toyworld/images/train/000002.png").unlink(),
        "image does not exist",
    ),
    "one image": (lambda w: w.take_images("train", 1), None),
    "no image": (lambda w: w.take_images("train", 0), "none of 0 images has a human"),
    "a batch larger than the split": (lambda w: w.param("train", batch_size=1000), None),
}

# What is cut of the test data, and what the metrics say then.
TEST: dict[str, tuple[Callable[[World], object], dict[str, object]]] = {
    "nothing is cut": (lambda w: None, {"images": 5, "classes_without_ground_truth": 30}),
    "no proposal in an image": (lambda w: w.keep("test", without_image(1)), {}),
    "no proposal in any image": (lambda w: w.keep("test", none), {"full": 0.0, "detections": 0}),
    "no human in any image": (lambda w: w.keep("test", lambda p: ~human(p)), {"full": 0.0, "detections": 0}),
    "one pair": (lambda w: w.keep("test", first_of_each_kind), {}),
    "a class without annotated pairs": (
        lambda w: w.take_pairs(lambda image, hoi: hoi != hoi[0]),
        {"classes_without_ground_truth": 31},
    ),
    "no annotated pair": (
        lambda w: w.take_pairs(lambda image, hoi: hoi < 0),
        {"full": 0.0, "classes_without_ground_truth": 40},  # such a class counts as 0, as officially
    ),
    "one image": (lambda w: w.take_images("test", 1), {"images": 1}),
    "no image": (lambda w: w.take_images("test", 0), {"images": 0, "full": 0.0}),
}


@pytest.mark.parametrize("name", TRAINING)
def test_training_data(detected, tmp_path, name):
    cut, stop = TRAINING[name]
    root = copied(detected, tmp_path / "root")
    cut(World(root))
    if stop:
        assert stop in refused(root, "train", "--dataset", "toyworld")
        return
    for stage in ("train", "infer", "evaluate"):
        succeeds(root, stage, "--dataset", "toyworld")


@pytest.mark.parametrize("name", TEST)
def test_test_data(trained, tmp_path, name):
    cut, expected = TEST[name]
    root = copied(trained, tmp_path / "root")
    cut(World(root))
    for stage in ("infer", "evaluate", "report"):
        succeeds(root, stage, "--dataset", "toyworld", "--variant", "ours")
    assert "</html>" in (root / "results/toyworld/report/index.html").read_text()
    metrics = json.loads((root / "results/toyworld/ours.json").read_text())
    assert (metrics | metrics["counts"]).items() >= expected.items()
