"""A folder of images with image-level labels in CSV through every stage, without boxes and with them."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import get_model_builder

from pipeline.config.layout import Layout
from pipeline.config.run import Run
from pipeline.data.images import open_image
from pipeline.report.colors import VERDICTS
from pipeline.store.dump import read_dump
from pipeline.store.files import sha256_of
from pipeline.store.manifests import differences, read_stage_manifest
from tests.roots import copied, edit_params, refused, succeeds
from tests.stages.own_dataset import COUNTS, SOURCE, STAGES, build_root, edit_custom, write_boxes

pytestmark = pytest.mark.slow


def test_every_stage_leaves_what_the_next_one_needs(own_dataset):
    splits = {name: json.loads((own_dataset / f"manifests/custom/{name}.json").read_text()) for name in COUNTS}
    assert {name: len(split["images"]) for name, split in splits.items()} == COUNTS
    assert "box" not in json.dumps(splits)
    assert splits["train"]["image_root"] == SOURCE
    dump = read_dump(own_dataset / "cache/custom/predictions/ours.zarr")
    assert dump.image_ids == tuple(f"test/photo {index}.png" for index in range(COUNTS["test"]))
    assert len(dump.human_index) > COUNTS["test"]
    manifests = list((own_dataset / "manifests/custom/runs").iterdir())
    assert len(manifests) == len(STAGES)
    assert not [line for path in manifests for line in differences(read_stage_manifest(path), own_dataset)]


def test_labels_of_the_csv_are_those_of_the_manifest(own_dataset):
    vocabulary = json.loads((own_dataset / "manifests/custom/vocabulary.json").read_text())
    rows = (own_dataset / SOURCE / "labels.csv").read_text().splitlines()[1:]
    found = {
        (image["path"], *vocabulary["hoi_classes"][hoi_id], split)
        for split in COUNTS
        for image in json.loads((own_dataset / f"manifests/custom/{split}.json").read_text())["images"]
        for hoi_id in image["hoi_ids"]
    }
    assert found == {tuple(row.split(",")) for row in rows}


def test_without_boxes_there_is_no_score_but_a_report_of_what_was_found(own_dataset, tmp_path):
    """`dvc repro` goes through: every output is there, and none of them says 0."""
    root = copied(own_dataset, tmp_path / "root")
    edit_params(root, lambda document: document.update(run_variants=["ours"]))
    done = succeeds(root, "evaluate", "--dataset", "custom")
    assert "ours: no annotated boxes in the test split, so detections have no mAP" in done.output
    layout = Layout(root, "custom")
    vocabulary = json.loads(layout.vocabulary.read_text())
    metrics = json.loads(layout.metrics(Run("ours")).read_text())
    assert (metrics["full"], metrics["max_recall"], metrics["groups"]) == (
        None,
        None,
        {"full": len(vocabulary["hoi_classes"])},
    )
    assert metrics["counts"]["detections"] > 0
    assert f"mAP of images {metrics['image_level']['full']:.2f}" in done.output and metrics["image_level"]["full"] > 0
    assert {row["ap"] for row in csv.DictReader(layout.per_class(Run("ours")).read_text().splitlines())} == {""}
    for sweep in layout.weight_sweeps(Run("ours")).iterdir():
        assert sweep.read_text() == "weight,full,chosen\n"
    done = succeeds(root, "report", "--dataset", "custom")
    assert "no annotated boxes in the test split" in done.output
    page = (layout.report / "index.html").read_text()
    assert page.count("<img ") == 1 and 'id="gallery"' not in page
    assert f"<td>{metrics['image_level']['full']:.2f}</td>" in page and "<dt>commit</dt>" in page
    with Image.open(layout.report / "sheet-ours.png") as sheet:
        colors = {color for _, color in sheet.getcolors(1 << 24)}
    found, *others = [tuple(bytes.fromhex(VERDICTS[name][1:])) for name in ("found", "right", "wrong")]
    assert found in colors
    assert not colors & set(others)
    assert "ours" in succeeds(root, "summary", "--dataset", "custom").output
    assert "this command compares with boxes" in refused(
        root, "sweep", "--dataset", "custom", "--variant", "ours", "--seed", "1"
    )


def test_with_boxes_it_is_scored_and_trained_with_them(own_dataset, tmp_path):
    """annotations.csv with the boxes of the drawing: the report has a table, `label_pairs` the boxes of training."""
    root = copied(own_dataset, tmp_path / "root")
    edit_params(root, lambda document: document.update(run_variants=["ours"]))
    write_boxes(root / SOURCE)
    succeeds(root, "prepare", "--dataset", "custom")
    assert "no annotated boxes" not in succeeds(root, "evaluate", "--dataset", "custom").output
    layout = Layout(root, "custom")
    metrics = json.loads(layout.metrics(Run("ours")).read_text())
    assert metrics["full"] >= 0
    pairs = [row for row in csv.DictReader((root / SOURCE / "annotations.csv").read_text().splitlines()) if row["verb"]]
    assert metrics["counts"]["ground_truth_pairs"] == sum(row["image"].startswith("test/") for row in pairs) > 0
    succeeds(root, "report", "--dataset", "custom")
    assert (layout.report / "precision_recall.svg").exists()
    assert "box" not in layout.split("train").read_text()
    succeeds(root, "label-pairs", "--dataset", "custom")
    counts = read_stage_manifest(layout.stage_manifest("label_pairs")).counts
    assert counts["shown"] > 0.5 * counts["annotated"] > 0


def test_the_trained_model_predicts_by_its_own_vocabulary(own_dataset):
    path = own_dataset / SOURCE / "test/photo 0.png"
    done = succeeds(own_dataset, "predict", str(path), "--dataset", "custom", "--json", "-", "--threshold", "0")
    (image,) = json.loads(done.output)["images"]
    classes = json.loads((own_dataset / "manifests/custom/vocabulary.json").read_text())["hoi_classes"]
    assert image["detections"]
    assert all([entry["verb"], entry["object"]] in classes for entry in image["detections"])


def test_predict_takes_a_detector_of_own_categories(own_dataset, tmp_path):
    """Random weights: what is found is nothing to look at, but it is named by the file beside the weights."""
    builder = "ssdlite320_mobilenet_v3_large"
    objects = json.loads((own_dataset / "manifests/custom/vocabulary.json").read_text())["objects"]
    torch.manual_seed(0)
    model = get_model_builder(builder)(weights=None, weights_backbone=None, num_classes=len(objects) + 1)
    torch.save({"model": model.state_dict()}, tmp_path / "own.pt")
    call = (
        "predict", str(own_dataset / SOURCE / "test/photo 0.png"), "--dataset", "custom", "--json", "-",
        "--threshold", "0", "--detector", builder, "--detector-weights", str(tmp_path / "own.pt"),
        "--detector-threshold", "0",
    )  # fmt: skip
    assert f"has {len(objects) + 1} categories" in refused(own_dataset, *call)
    names = {"categories": ["__background__", *reversed(objects)]}
    (tmp_path / "own.categories.json").write_text(json.dumps(names))
    assert json.loads(succeeds(own_dataset, *call).output)["detector"].startswith(builder)


def test_an_object_that_the_detector_does_not_know(tmp_path):
    root = build_root(tmp_path)
    labels = root / SOURCE / "labels.csv"
    labels.write_text(labels.read_text().replace(",bicycle,", ",bycicle,"))
    succeeds(root, "prepare", "--dataset", "custom")
    line = refused(root, "detect", "--dataset", "custom", "--split", "train")
    assert 'does not know 1 categories of the vocabulary: bycicle, did you mean "bicycle"?' in line


def test_without_a_split_column_val_is_held_out_and_an_empty_test_split_goes_through(own_dataset, tmp_path):
    root = copied(own_dataset, tmp_path / "root")
    labels = root / SOURCE / "labels.csv"
    labels.write_text("\n".join(row.rpartition(",")[0] for row in labels.read_text().splitlines()))
    edit_custom(root, lambda section: section["prepare"].update(val_fraction=0.25))
    for call in (["prepare"], ["detect", "--split", "test"]):
        succeeds(root, *call, "--dataset", "custom")
    counts = read_stage_manifest(root / "manifests/custom/runs/prepare.json").counts
    assert counts == {"train": 24, "val": 8, "test": 0}
    (root / "manifests/custom/runs/train-ours.json").unlink()  # of other training images than those of now
    succeeds(root, "infer", "--dataset", "custom")
    assert len(read_dump(root / "cache/custom/predictions/ours.zarr")) == 0
    succeeds(root, "evaluate", "--dataset", "custom")
    succeeds(root, "report", "--dataset", "custom", "--variant", "ours")


def test_a_turned_photo_is_trained_on_upright(own_dataset, tmp_path):
    """Stored on its side with an EXIF orientation, an image gives the same proposals and logits."""
    root = copied(own_dataset, tmp_path / "root")
    path = root / SOURCE / "test/photo 1.png"
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to see it upright
    original = open_image(path)
    original.crop((0, 0, 160, 120)).save(path)
    before = _logits(root)
    turned = original.crop((0, 0, 160, 120)).transpose(Image.Transpose.ROTATE_90)
    turned.save(path, exif=exif)
    assert open_image(path).size == (120, 160)
    digest = sha256_of(path)
    after = _logits(root)
    assert len(before) > 0
    np.testing.assert_array_equal(before, after)
    record = json.loads((root / "manifests/custom/test.json").read_text())["images"][1]
    assert (record["width"], record["height"], record["sha256"]) == (160, 120, digest)


def _logits(root):
    for call in (["prepare"], ["detect", "--split", "test"], ["infer"]):
        succeeds(root, *call, "--dataset", "custom")
    dump = read_dump(root / "cache/custom/predictions/ours.zarr")
    start, stop = dump.pair_offsets[1:3]
    return dump.outputs["interaction_logits"][start:stop]
