"""Boxes of training images: written by a stage of their own, and read by the runs that ask for them alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.config.layout import Layout
from pipeline.core.boxes import box_iou
from pipeline.data.split import read_split
from pipeline.store.pair_labels_file import read_pair_labels
from pipeline.store.proposals_file import read_proposals
from pipeline.store.vocabulary_file import read_vocabulary
from pipeline.toyworld.scenes import render_scene
from tests.roots import copied, edit_params, new_root, refused, repeats, succeeds

pytestmark = pytest.mark.slow

TOY = ("--dataset", "toyworld")
COUNTS = {"train": 20, "val": 1, "test": 1}


@pytest.fixture(scope="module")
def labeled(tmp_path_factory) -> Path:
    """A small toyworld up to its labels of pairs and its bank."""

    def edit(document):
        document["toyworld"]["prepare"]["num_images"] = COUNTS
        document["toyworld"]["train"] |= {"epochs": 1, "checkpoint_every": 1}

    root = new_root(tmp_path_factory.mktemp("labeled"), edit)
    for stage in (("prepare",), ("detect", "--split", "train"), ("encode-prompts",), ("label-pairs",)):
        succeeds(root, stage[0], *TOY, *stage[1:])
    return root


@pytest.fixture
def root(labeled, tmp_path) -> Path:
    return copied(labeled, tmp_path / "root")


def inputs_of(root: Path, run: str) -> set[str]:
    return set(json.loads((root / f"manifests/toyworld/runs/{run}.json").read_text())["inputs"])


def test_labels_are_the_annotated_pairs_of_the_scenes(labeled):
    layout = Layout(labeled, "toyworld")
    vocabulary = read_vocabulary(layout.vocabulary)
    manifest = read_split(layout.split("train"), vocabulary)
    proposals = read_proposals(layout.proposals("train"))
    labels = read_pair_labels(layout.pair_labels("train"), proposals, vocabulary)
    assert labels.image_ids == manifest.image_ids
    for index in range(COUNTS["train"]):
        scene = render_scene("train", index, root_seed=0, size=160, exponent=1.3)
        boxes, rows = proposals.image(index).boxes, labels.image(index, np.arange(1000))
        assert set(rows[:, 2]) <= set(scene.hoi_id.tolist()) == set(manifest.labels[index].hoi_ids.tolist())
        for human, partner, hoi_id in rows.tolist():
            own = scene.hoi_id == hoi_id
            overlap = np.minimum(
                box_iou(scene.boxes[scene.human_index[own]], boxes[human]),
                box_iou(scene.boxes[scene.object_index[own]], boxes[partner]),
            )
            assert overlap.max() >= 0.5
    counts = json.loads(layout.stage_manifest("label_pairs").read_text())["counts"]
    assert counts["labels"] == len(labels.labels) >= counts["shown"] > 0.8 * counts["annotated"]


def test_its_manifest_repeats_it_and_no_other_file_holds_a_box(root):
    repeats(root, "manifests/toyworld/runs/label_pairs.json")
    assert not (root / "cache/toyworld/ground_truth/train.json").exists()
    assert "box" not in (root / "manifests/toyworld/train.json").read_text()


def test_only_runs_that_ask_for_boxes_read_them(root):
    artifact = "cache/toyworld/pair_labels/train.h5"
    succeeds(root, "train", *TOY, "--variant", "supervised_25")
    assert artifact in inputs_of(root, "train-supervised_25")
    repeats(root, "manifests/toyworld/runs/train-supervised_25.json")
    (root / artifact).unlink()
    succeeds(root, "train", *TOY, "--variant", "mx_hoi_like")
    assert artifact not in inputs_of(root, "train-mx_hoi_like")
    assert 'run "dvc repro label_pairs"' in refused(root, "train", *TOY, "--variant", "supervised")


def test_labels_of_other_proposals_are_refused(root):
    edit_params(root, lambda document: document["toyworld"]["detect"].update(score_threshold=0.5))
    succeeds(root, "detect", *TOY, "--split", "train")
    assert "label_pairs" in refused(root, "train", *TOY, "--variant", "supervised")


def test_a_method_without_boxes_refuses_them(root):
    line = refused(root, "train", *TOY, "--variant", "ours+train.supervision=boxes")
    assert "train.supervision is boxes, but the method bilevel learns from image-level labels alone" in line


def test_annotations_that_have_changed_since_are_refused(root):
    edit_params(root, lambda document: document["toyworld"]["prepare"].update(seed=1))
    assert "the training manifest lists other labels than the annotations" in refused(root, "label-pairs", *TOY)
    edit_params(root, lambda document: document["toyworld"]["prepare"]["num_images"].update(train=19))
    assert "the training manifest lists other images than the annotations" in refused(root, "label-pairs", *TOY)


def test_a_dataset_without_boxes_is_refused(own_dataset, tmp_path):
    line = refused(copied(own_dataset, tmp_path / "root"), "label-pairs", "--dataset", "custom")
    assert "data/custom/annotations.csv: no boxes of training images" in line
    assert "train.supervision: labels" in line
