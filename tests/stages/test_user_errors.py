"""Every mistake of a user's that the pipeline can meet: one clear line, exit code 2, nothing half-written."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import h5py
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from pipeline.store.files import sha256_of
from tests.roots import copied, edit_params, new_root, refused, succeeds

pytestmark = pytest.mark.slow


def fails(root: Path, stage: str, *options: str) -> str:
    """Run a stage that must fail; return its one line."""
    line = refused(root, stage, "--dataset", "toyworld", *options)
    assert not list(root.rglob("*.tmp"))
    return line


def without_manifest(root: Path, name: str) -> None:
    """As handed over by a colleague: no digest says what the artifact was, so its reader has to find the fault."""
    (root / f"manifests/toyworld/runs/{name}.json").unlink()


def record_images(root: Path, split: str) -> None:
    """Write the digests of the images as they are into the split's manifest, as if prepared so."""
    path = root / f"manifests/toyworld/{split}.json"
    document = json.loads(path.read_text())
    for image in document["images"]:
        image["sha256"] = sha256_of(root / document["image_root"] / image["path"])
    path.write_text(json.dumps(document))
    without_manifest(root, "prepare")
    without_manifest(root, f"detect-{split}")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """A tiny toyworld taken through every stage up to a trained model."""

    def shrink(document):
        toyworld = document["toyworld"]
        toyworld["prepare"]["num_images"] = {"train": 8, "val": 2, "test": 4}
        toyworld["train"] |= {"epochs": 1, "batch_size": 4}

    root = new_root(tmp_path_factory.mktemp("tiny"), shrink)
    for call in (
        ["prepare"],
        ["detect", "--split", "train"],
        ["detect", "--split", "test"],
        ["encode-prompts"],
        ["train"],
    ):
        succeeds(root, *call, "--dataset", "toyworld")
    return root


@pytest.fixture
def root(prepared, tmp_path) -> Path:
    """A copy that a test may damage."""
    return copied(prepared, tmp_path / "root")


def test_unknown_param_suggests_the_right_one(root):
    edit_params(root, lambda document: document["toyworld"]["train"].update(learning_rat=1.0))
    line = fails(root, "train")
    assert "toyworld.train.learning_rat" in line
    assert 'did you mean "learning_rate"' in line


def test_mistyped_param(root):
    edit_params(root, lambda document: document["toyworld"]["detect"].update(score_threshold="high"))
    assert "toyworld.detect.score_threshold is 'high' (str); expected a valid number" in fails(
        root, "detect", "--split", "test"
    )


def test_missing_image(root):
    (root / "cache/toyworld/images/test/000001.png").unlink()
    line = fails(root, "detect", "--split", "test")
    assert "test/000001.png" in line
    assert "does not exist" in line


@pytest.mark.parametrize("num_workers", [0, 1])
def test_changed_image(root, num_workers):
    edit_params(root, lambda document: document["toyworld"]["train"].update(num_workers=num_workers))
    (root / "cache/toyworld/images/train/000003.png").write_bytes(b"not an image")
    line = fails(root, "train", "--again")
    assert re.match(r"Error: \S+train/000003\.png: image has changed \(sha256 ", line)
    assert "Traceback" not in line


def test_undecodable_image(root):
    (root / "cache/toyworld/images/test/000000.png").write_bytes(b"not an image")
    record_images(root, "test")
    line = fails(root, "infer")
    assert re.match(r"Error: \S+test/000000\.png: image cannot be decoded \(", line)


def test_image_of_another_size(root):
    Image.new("RGB", (20, 30)).save(root / "cache/toyworld/images/test/000000.png")
    record_images(root, "test")
    assert "image is (20, 30) pixels (width, height), the manifest says (160, 160)" in fails(
        root, "infer", "--dataset", "toyworld"
    )


def test_proposals_of_another_manifest(root):
    without_manifest(root, "detect-train")
    proposals = root / "cache/toyworld/proposals"
    shutil.copy(proposals / "test.h5", proposals / "train.h5")
    line = fails(root, "train")
    assert "has 4 images, expected 8" in line


def test_proposals_of_another_detector_vocabulary(root):
    without_manifest(root, "detect-train")
    with h5py.File(root / "cache/toyworld/proposals/train.h5", "r+") as file:
        names = file.attrs["objects"]
        names[1] = b"trike"
        file.attrs["objects"] = names
    line = fails(root, "train")
    assert '"trike", expected "bicycle"' in line


@pytest.mark.parametrize("kept", [0, 100, 2000])
def test_truncated_hdf5(root, kept):
    without_manifest(root, "detect-train")
    path = root / "cache/toyworld/proposals/train.h5"
    path.write_bytes(path.read_bytes()[:kept])
    line = fails(root, "train")
    assert "train.h5: damaged" in line
    assert "dvc repro detect" in line


def test_checkpoint_of_another_vocabulary(root):
    without_manifest(root, "train-ours")
    path = root / "cache/toyworld/checkpoints/ours/config.json"
    config = json.loads(path.read_text())
    config["vocabulary"]["verbs"][0] = "ponder"
    for pair in config["vocabulary"]["hoi_classes"]:
        pair[0] = "ponder" if pair[0] not in config["vocabulary"]["verbs"] else pair[0]
    path.write_text(json.dumps(config))
    assert "another vocabulary" in fails(root, "infer")


def test_truncated_checkpoint(root):
    without_manifest(root, "train-ours")
    path = root / "cache/toyworld/checkpoints/ours/model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    assert "model.safetensors: cannot be read" in fails(root, "infer")


def test_checkpoint_weights_of_another_network(root):
    without_manifest(root, "train-ours")
    path = root / "cache/toyworld/checkpoints/ours/model.safetensors"
    state = load_file(path)
    state.pop("global_bias")
    save_file(state, path)
    assert "do not fit config.json" in fails(root, "infer")


def test_no_human_in_any_image(root):
    manifest = root / "manifests/toyworld/test.json"
    split = json.loads(manifest.read_text())
    for image in split["images"]:
        path = root / "cache/toyworld/images" / image["path"]
        Image.new("RGB", (160, 160), "gray").save(path)
    record_images(root, "test")
    assert 'no "person" found in any of 4 images' in fails(root, "detect", "--split", "test")


def test_unknown_template_field(root):
    edit_params(root, lambda document: document["toyworld"]["encode_prompts"].update(template="a {verbb} {object}"))
    assert 'did you mean "verb"' in fails(root, "encode-prompts")


def test_prompt_word_outside_the_cut_token_table(root):
    edit_params(root, lambda document: document["toyworld"]["encode_prompts"].update(template="zebra {verb} {object}"))
    assert "zebra" in fails(root, "encode-prompts")


def test_device_that_is_not_there(root):
    assert "--device" in fails(root, "train", "--device", "gpu7")


def test_the_protocol_of_vcoco_on_pairs_alone(layout):
    edit_params(layout.root, lambda document: document["toyworld"]["evaluate"].update(protocol="vcoco"))
    line = fails(layout.root, "evaluate", "--variant", "ours")
    assert "toyworld.evaluate.protocol is vcoco, which counts people, but the annotations list pairs alone" in line
