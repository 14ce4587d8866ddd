"""Features of a frozen encoder: stored by a stage of their own, and trained from by the rows that name them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pipeline.config.layout import Layout
from pipeline.config.run import Run
from pipeline.store.files import sha256_of
from pipeline.training import image_features
from tests.roots import copied, edit_params, refused, repeats, succeeds, weakhoi
from tests.stages.own_dataset import edit_custom

pytestmark = pytest.mark.slow

CUSTOM = ("--dataset", "custom")
ENCODE, TRAIN = (("encode-images", *CUSTOM, "--variant", "ours_frozen"), ("train", *CUSTOM, "--variant", "ours_frozen"))
FEATURES = "cache/custom/features/ours_frozen/train.zarr"
MANIFEST = "manifests/custom/runs/encode_images-ours_frozen-train.json"
COMMAND = 'run "weakhoi encode-images --dataset custom --variant ours_frozen --split train"'


@pytest.fixture(scope="module")
def encoded(own_dataset, tmp_path_factory) -> Path:
    """Features in parts of five images, of which a batch takes two."""
    root = copied(own_dataset, tmp_path_factory.mktemp("encoded") / "root")
    edit_custom(root, lambda section: section["encode_images"].update(batch_size=2, part_size=5))
    done = succeeds(root, *ENCODE)
    size = 2 * 512 * 10 * 10 * 2  # two views of a map of 512 channels, in float16
    said = f"24 images of {size / 1e6:.3f} MB each, {24 * size / 1e6:.1f} MB in all, and as much again while they are"
    assert said in done.output
    assert json.loads((root / MANIFEST).read_text())["counts"] == {"images": 24, "bytes per image": size}
    return root


@pytest.fixture
def root(encoded, tmp_path) -> Path:
    return copied(encoded, tmp_path / "root")


def edit_row(root: Path, **changes) -> None:
    """Change the row `ours_frozen`."""
    edit_params(root, lambda document: document["variants"]["ours_frozen"].update(changes))


def test_a_row_trains_from_features_without_an_image(root):
    assert not (root / "cache/custom/work").exists() or not list((root / "cache/custom/work").iterdir())
    shutil.move(root / "data/custom/train", root / "elsewhere")
    succeeds(root, *TRAIN)
    shutil.move(root / "elsewhere", root / "data/custom/train")
    manifest = json.loads((root / "manifests/custom/runs/train-ours_frozen.json").read_text())
    assert manifest["inputs"][FEATURES] == sha256_of(root / FEATURES)
    assert manifest["params"]["train"]["stored_features"] == "ours_frozen"
    succeeds(root, "infer", *CUSTOM, "--variant", "ours_frozen")
    succeeds(root, "verify")


def test_rerun_makes_the_same_bytes(root):
    succeeds(root, *TRAIN)
    repeats(root, MANIFEST, "manifests/custom/runs/train-ours_frozen.json")


def test_rows_of_one_encoder_share_features(root):
    """Another method, and a pool that is not trained, on the same map."""
    edit_row(root, model={"method": "ppr_fcn", "clip_resnet": {"trained": "none"}})
    succeeds(root, *TRAIN)


@pytest.mark.parametrize(
    ("row", "part"),
    [
        ({"model": {"clip_resnet": {"trained": "pool", "last_stride": 32}}}, 'last_stride is "16", expected "32"'),
        ({"model": {"image_size": 128, "clip_resnet": {"trained": "pool"}}}, 'image size is "160", expected "128"'),
        ({"model": {"clip_resnet": {"trained": "pool", "pretrained": False}}}, 'params.pretrained is "true", expected'),
    ],
)
def test_features_of_another_encoder_are_refused(root, row, part):
    edit_row(root, **row)
    line = refused(root, *TRAIN)
    assert line.startswith(f"Error: {root / FEATURES}: encoder's ")
    assert part in line
    assert f"{COMMAND}, or let train.stored_features name a row of the same encoder" in line


def test_other_weights_are_another_encoder(root, monkeypatch):
    """Weights of the same architecture from another file: what is compared is the digest of their values."""
    from pipeline.backbones.clip_resnet import ClipResNet

    build = ClipResNet.build.__func__

    def other(cls, *arguments):
        backbone = build(cls, *arguments)
        backbone.trunk[0].weight.data *= 1.5
        return backbone

    monkeypatch.setattr(ClipResNet, "build", classmethod(other))
    assert f"{FEATURES}: encoder's weights is " in refused(root, *TRAIN)


def test_features_of_other_images_are_refused(root):
    """Prepared again with other images, as the manifest of the features knows."""
    for path in (root / "data/custom/train").glob("photo [12].png"):
        path.write_bytes((root / "data/custom/train/photo 3.png").read_bytes())
    for call in (("prepare",), ("detect", "--split", "train"), ("encode-prompts",)):
        succeeds(root, call[0], *CUSTOM, *call[1:])
    assert f"{FEATURES}: made from manifests/custom/train.json of sha256" in refused(root, *TRAIN)
    (root / MANIFEST).unlink()  # as from a colleague
    assert f'{FEATURES}: images row 1 is "train/photo 1.png ' in refused(root, *TRAIN)


def test_damaged_features_are_refused(root):
    file = next((root / FEATURES).glob("features/c/0/*/*"))
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    line = refused(root, *TRAIN)
    assert f"{FEATURES}: {root / MANIFEST} records sha256" in line and COMMAND in line


def test_flips_need_mirror_images(root):
    edit_custom(root, lambda section: section["encode_images"].update(mirrored=False))
    succeeds(root, *ENCODE)
    line = refused(root, *TRAIN)
    assert f"{FEATURES}: holds no mirror images, and train.flip_probability is 0.5; set encode_images.mirrored" in line
    edit_custom(root, lambda section: section["train"].update(flip_probability=0))
    succeeds(root, *TRAIN)


@pytest.mark.parametrize(
    ("model", "train", "part"),
    [
        ({}, {}, "ClipResNet is trained, so its features change; set model.clip_resnet.trained to pool or none"),
        ({"backbone": "detector_fpn"}, {}, "DetectorFpn has no features that can be stored"),
        ({"method": "prompt_classifier", "clip_resnet": {"trained": "none"}}, {}, "shows the images to a teacher"),
        ({"clip_resnet": {"trained": "none"}}, {"freeze_batch_norm": False}, "train.freeze_batch_norm false"),
    ],
)
def test_rows_that_cannot_train_from_features_are_refused(root, model, train, part):
    edit_row(root, model=model, train={"stored_features": "ours_frozen", **train})
    assert part in refused(root, *TRAIN)


@pytest.mark.parametrize(
    ("model", "part"),
    [
        ({}, "ClipResNet is trained, so its features change; set model.clip_resnet.trained to pool or none"),
        ({"backbone": "detector_fpn"}, "features of detector_fpn can't be stored; take e.g. clip_vit"),
        ({"clip_resnet": {"trained": "some"}}, "model.clip_resnet.trained is 'some'; expected 'all', 'pool' or 'none'"),
    ],
)
def test_encoders_that_cannot_be_stored_are_refused(root, model, part):
    edit_row(root, model=model)
    before = sha256_of(root / FEATURES)
    assert part in refused(root, *ENCODE)
    assert sha256_of(root / FEATURES) == before


def test_a_disk_without_room_is_refused_before_anything_is_written(root, monkeypatch):
    shutil.rmtree(root / FEATURES)
    (root / MANIFEST).unlink()
    usage = shutil.disk_usage(root)._replace(free=8_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    line = refused(root, *ENCODE)
    assert f"{root / FEATURES}: 24 images of 0.205 MB each, 4.9 MB in all" in line
    assert "9.8 MB of disk, but 8.0 are free; set encode_images.mirrored to false" in line
    assert not list((root / "cache/custom/features").rglob("*.zarr"))


def test_a_stopped_run_goes_on_from_its_parts(root, monkeypatch):
    """The third part fails; the second run encodes the images from there on, and writes the same bytes."""
    whole, manifest = sha256_of(root / FEATURES), (root / MANIFEST).read_bytes()
    shutil.rmtree(root / FEATURES)
    (root / MANIFEST).unlink()
    encoded, run = [], image_features.EncodeWork.run

    def stopping(self, images, loaded):
        if len(encoded) == 12 and stops:
            raise KeyboardInterrupt
        encoded.extend(images)
        return run(self, images, loaded)

    monkeypatch.setattr(image_features.EncodeWork, "run", stopping)
    stops = True
    assert weakhoi(root, *ENCODE).exit_code != 0
    assert not (root / FEATURES).exists() and not (root / MANIFEST).exists()
    work = Layout(root, "custom").work("encode_images", Run("ours_frozen", split="train"))
    assert len(list(work.rglob("*.safetensors"))) == 2
    del encoded[:]
    stops = False
    succeeds(root, *ENCODE)
    assert encoded == list(range(10, 24))
    assert (sha256_of(root / FEATURES), (root / MANIFEST).read_bytes()) == (whole, manifest)
    assert not work.exists()
