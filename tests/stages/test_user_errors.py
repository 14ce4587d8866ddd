"""Every mistake of a user's that the pipeline can meet: one clear line, exit code 2, nothing half-written."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import h5py
import pytest
import yaml
from click.testing import CliRunner, Result
from safetensors.torch import load_file, save_file

from pipeline.store.files import sha256_of
from stages.cli import main

ROOT = Path(__file__).parents[2]
WEIGHTS = "pipeline/toyworld/weights"


def _weakhoi(root: Path, *call: str) -> Result:
    return CliRunner().invoke(main, [*call, "--root", str(root)])


def _fails(root: Path, *call: str) -> str:
    """Run a command that must fail; return its one line."""
    done = _weakhoi(root, *call)
    assert done.exit_code == 2, done.output
    lines = done.output.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("Error: ")
    assert not list(root.rglob("*.tmp"))
    return lines[0]


def _without_manifest(root: Path, name: str) -> None:
    """As handed over by a colleague: no digest says what the artifact was, so its reader has to find the fault."""
    (root / f"manifests/toyworld/runs/{name}.json").unlink()


def _edit_params(root: Path, edit) -> None:
    document = yaml.safe_load((root / "params.yaml").read_text())
    edit(document)
    (root / "params.yaml").write_text(yaml.safe_dump(document))


def _record_images(root: Path, split: str) -> None:
    """Write the digests of the images as they are into the split's manifest, as if prepared so."""
    path = root / f"manifests/toyworld/{split}.json"
    document = json.loads(path.read_text())
    for image in document["images"]:
        image["sha256"] = sha256_of(root / document["image_root"] / image["path"])
    path.write_text(json.dumps(document))
    _without_manifest(root, "prepare")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """A tiny toyworld taken through every stage up to a trained model."""
    root = tmp_path_factory.mktemp("tiny")
    shutil.copy(ROOT / "params.yaml", root)
    (root / WEIGHTS).parent.mkdir(parents=True)
    (root / WEIGHTS).symlink_to(ROOT / WEIGHTS)

    def shrink(document):
        toyworld = document["toyworld"]
        toyworld["prepare"]["num_images"] = {"train": 8, "val": 2, "test": 4}
        toyworld["train"] |= {"epochs": 1, "batch_size": 4}

    _edit_params(root, shrink)
    for call in (
        ["prepare"],
        ["detect", "--split", "train"],
        ["detect", "--split", "test"],
        ["encode-prompts"],
        ["train"],
        ["infer"],
        ["evaluate"],
    ):
        done = _weakhoi(root, *call, "--dataset", "toyworld")
        assert done.exit_code == 0, done.output
    return root


@pytest.fixture
def root(prepared, tmp_path) -> Path:
    """A copy that a test may damage."""
    target = tmp_path / "root"
    shutil.copytree(prepared, target, symlinks=True)
    return target


def test_unknown_param_suggests_the_right_one(root):
    _edit_params(root, lambda document: document["toyworld"]["train"].update(learning_rat=1.0))
    line = _fails(root, "train", "--dataset", "toyworld")
    assert "toyworld.train.learning_rat" in line
    assert 'did you mean "learning_rate"' in line


def test_mistyped_param(root):
    _edit_params(root, lambda document: document["toyworld"]["detect"].update(score_threshold="high"))
    assert "toyworld.detect.score_threshold is 'high' (str); expected a valid number" in _fails(
        root, "detect", "--dataset", "toyworld", "--split", "test"
    )


def test_unknown_dataset_and_variant(root):
    assert 'did you mean "toyworld"' in _fails(root, "prepare", "--dataset", "toyword")
    assert 'did you mean "baseline"' in _fails(root, "train", "--dataset", "toyworld", "--variant", "baselin")


def test_missing_image(root):
    (root / "cache/toyworld/images/test/000001.png").unlink()
    line = _fails(root, "detect", "--dataset", "toyworld", "--split", "test")
    assert "test/000001.png" in line
    assert "does not exist" in line


@pytest.mark.parametrize("num_workers", [0, 1])
def test_changed_image(root, num_workers):
    _edit_params(root, lambda document: document["toyworld"]["train"].update(num_workers=num_workers))
    (root / "cache/toyworld/images/train/000003.png").write_bytes(b"not an image")
    line = _fails(root, "train", "--dataset", "toyworld")
    assert re.match(r"Error: \S+train/000003\.png: image has changed \(sha256 ", line)
    assert "Traceback" not in line


def test_undecodable_image(root):
    (root / "cache/toyworld/images/test/000000.png").write_bytes(b"not an image")
    _record_images(root, "test")
    line = _fails(root, "infer", "--dataset", "toyworld")
    assert re.match(r"Error: \S+test/000000\.png: image cannot be decoded \(", line)


def test_image_of_another_size(root):
    from PIL import Image

    Image.new("RGB", (20, 30)).save(root / "cache/toyworld/images/test/000000.png")
    _record_images(root, "test")
    assert "image is (20, 30) pixels (width, height), the manifest says (160, 160)" in _fails(
        root, "infer", "--dataset", "toyworld"
    )


def test_proposals_of_another_manifest(root):
    _without_manifest(root, "detect-train")
    proposals = root / "cache/toyworld/proposals"
    shutil.copy(proposals / "test.h5", proposals / "train.h5")
    line = _fails(root, "train", "--dataset", "toyworld")
    assert "has 4 images, expected 8" in line


def test_proposals_of_another_detector_vocabulary(root):
    _without_manifest(root, "detect-train")
    with h5py.File(root / "cache/toyworld/proposals/train.h5", "r+") as file:
        names = file.attrs["objects"]
        names[1] = b"trike"
        file.attrs["objects"] = names
    line = _fails(root, "train", "--dataset", "toyworld")
    assert '"trike", expected "bicycle"' in line


@pytest.mark.parametrize("kept", [0, 100, 2000])
def test_truncated_hdf5(root, kept):
    _without_manifest(root, "detect-train")
    path = root / "cache/toyworld/proposals/train.h5"
    path.write_bytes(path.read_bytes()[:kept])
    line = _fails(root, "train", "--dataset", "toyworld")
    assert "train.h5: damaged" in line
    assert "dvc repro detect" in line


def test_checkpoint_of_another_vocabulary(root):
    _without_manifest(root, "train-ours")
    path = root / "cache/toyworld/checkpoints/ours/config.json"
    config = json.loads(path.read_text())
    config["vocabulary"]["verbs"][0] = "ponder"
    for pair in config["vocabulary"]["hoi_classes"]:
        pair[0] = "ponder" if pair[0] not in config["vocabulary"]["verbs"] else pair[0]
    path.write_text(json.dumps(config))
    assert "another vocabulary" in _fails(root, "infer", "--dataset", "toyworld")


def test_truncated_checkpoint(root):
    _without_manifest(root, "train-ours")
    path = root / "cache/toyworld/checkpoints/ours/model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    assert "model.safetensors: cannot be read" in _fails(root, "infer", "--dataset", "toyworld")


def test_checkpoint_weights_of_another_network(root):
    _without_manifest(root, "train-ours")
    path = root / "cache/toyworld/checkpoints/ours/model.safetensors"
    state = load_file(path)
    state.pop("global_bias")
    save_file(state, path)
    assert "do not fit config.json" in _fails(root, "infer", "--dataset", "toyworld")


def test_no_human_in_any_image(root):
    from PIL import Image

    manifest = root / "manifests/toyworld/test.json"
    split = json.loads(manifest.read_text())
    for image in split["images"]:
        path = root / "cache/toyworld/images" / image["path"]
        Image.new("RGB", (160, 160), "gray").save(path)
    _record_images(root, "test")
    assert 'no "person" found in any of 4 images' in _fails(root, "detect", "--dataset", "toyworld", "--split", "test")


def test_missing_artifact_says_which_stage_makes_it(root):
    (root / "cache/toyworld/knowledge_bank.h5").unlink()
    assert "dvc repro encode_prompts" in _fails(root, "train", "--dataset", "toyworld")


def test_unknown_template_field(root):
    _edit_params(root, lambda document: document["toyworld"]["encode_prompts"].update(template="a {verbb} {object}"))
    assert 'did you mean "verb"' in _fails(root, "encode-prompts", "--dataset", "toyworld")


def test_prompt_word_outside_the_cut_token_table(root):
    _edit_params(root, lambda document: document["toyworld"]["encode_prompts"].update(template="zebra {verb} {object}"))
    assert "zebra" in _fails(root, "encode-prompts", "--dataset", "toyworld")


def test_verify_names_a_changed_artifact(root):
    path = root / "cache/toyworld/knowledge_bank.h5"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    done = _weakhoi(root, "verify")
    assert done.exit_code == 2
    assert "cache/toyworld/knowledge_bank.h5: output of encode_prompts has sha256" in done.output


def test_device_that_is_not_there(root):
    assert "--device" in _fails(root, "train", "--dataset", "toyworld", "--device", "gpu7")
