"""A test split on annotated boxes in place of detected ones: results of their own name, beside the normal ones."""

from __future__ import annotations

import json

import pytest

from pipeline.config.layout import Layout
from pipeline.config.run import Run
from pipeline.evaluation.proposal_recall import proposal_recall
from pipeline.evaluation.scored_split import ScoredSplit
from pipeline.store.inputs import StageInputs
from pipeline.store.proposals_file import read_proposals
from tests.roots import new_root, refused, repeats, succeeds

pytestmark = pytest.mark.slow

TOY, ANNOTATED = ("--dataset", "toyworld"), ("--boxes", "annotated")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A small toyworld with a model that is trained for an epoch."""

    def edit(document):
        document["toyworld"]["prepare"]["num_images"] = {"train": 8, "val": 1, "test": 6}
        document["toyworld"]["train"] |= {"epochs": 1}

    root = new_root(tmp_path_factory.mktemp("annotated"), edit)
    for stage in (["prepare"], ["detect", "--split", "train"], ["detect", "--split", "test"], ["encode-prompts"]):
        succeeds(root, stage[0], *TOY, *stage[1:])
    for stage in ("train", "infer", "evaluate"):
        succeeds(root, stage, *TOY)
    return root


def test_annotated_boxes_take_the_place_of_detected_ones(root):
    layout, run = Layout(root, "toyworld"), Run("ours", annotated_boxes=True)
    normal = {path: path.read_bytes() for path in (layout.metrics(Run("ours")), layout.proposals("test"))}
    line = refused(root, "infer", *TOY, *ANNOTATED)
    assert "annotated_proposals/test.h5 does not exist" in line
    assert line.endswith('run "weakhoi annotated-proposals --dataset toyworld --split test"')
    assert "6 images" in succeeds(root, "annotated-proposals", *TOY).output
    assert 'run "weakhoi infer --dataset toyworld --variant ours --boxes annotated"' in refused(
        root, "evaluate", *TOY, *ANNOTATED
    )
    succeeds(root, "infer", *TOY, *ANNOTATED)
    assert succeeds(root, "evaluate", *TOY, *ANNOTATED).output.startswith("annotated_boxes/ours-test: mAP")
    assert all(path.read_bytes() == content for path, content in normal.items())

    metrics = json.loads((root / "results/toyworld/annotated_boxes/ours-test.json").read_text())
    assert layout.metrics(run) == root / "results/toyworld/annotated_boxes/ours-test.json"
    shown = 40 - metrics["counts"]["classes_without_ground_truth"]
    assert (metrics["boxes"], metrics["max_recall"]) == ("annotated", 100 * shown / 40)  # every pair is there
    assert "boxes" not in json.loads(layout.metrics(Run("ours")).read_text())
    record = json.loads(layout.stage_manifest("infer", run).read_text())
    assert record["arguments"]["boxes"] == "annotated"
    assert "cache/toyworld/annotated_proposals/test.h5" in record["inputs"]
    assert "cache/toyworld/proposals/test.h5" not in record["inputs"]
    repeats(root, layout.stage_manifest("annotated_proposals", "test"), layout.stage_manifest("evaluate", run))
    succeeds(root, "verify")


def test_recall_of_proposals(root):
    printed = succeeds(root, "proposal-recall", *TOY, "--max-proposals", "5").output.splitlines()
    layout = Layout(root, "toyworld")
    figures = json.loads(layout.proposal_recall("test").read_text())
    scored = ScoredSplit.open(StageInputs(layout), "test")
    found = proposal_recall(read_proposals(layout.proposals("test")), scored.annotated.truth, scored.vocabulary, 5)
    assert (figures["boxes"], figures["pairs"]) == (found[0].figures(), found[1].figures())
    assert (figures["max_proposals"], figures["images"]) == (5, 6) and figures["pairs"]["annotated"] > 0
    assert f"{figures['boxes']['recall']:.1f} % of {figures['boxes']['annotated']}" in printed[1]
    assert [line.split()[0] for line in printed[1:]] == ["all", *(name.split()[0] for name in figures["categories"])]
