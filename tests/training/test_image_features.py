"""Stored features stand for images: the same bits where they are float32, float16's rounding else."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from pipeline.backbones.params import EncodeImagesParams
from pipeline.core.errors import DataError, ParamError
from pipeline.data.bags import collate_bags, flip_batch
from pipeline.methods.catalog import method_class
from pipeline.store.features_file import FEATURES, open_features, write_features
from pipeline.store.parts import concatenate_arrays
from pipeline.store.ragged import Column
from pipeline.training.image_features import EncodeWork, encoder_of
from pipeline.training.loop import TrainingRun, train
from tests.small_model import METHODS, chosen, fit_norms, run, small_model
from tests.training.conftest import COUNTS

FROZEN = {"clip_vit": {"trained_blocks": 0}, "clip_resnet": {"roi_size": 2, "trained": "pool"}}
WITHOUT_TEACHER = [name for name in METHODS if name not in ("prompt_classifier", "alignformer_like")]
CPU = torch.device("cpu")


@pytest.fixture
def small_visual(small_visual, bags):
    """Its map depends on the image, which a random one's hardly does."""
    fit_norms(small_visual, collate_bags([bags[row] for row in range(len(bags))]).images)
    return small_visual


@pytest.fixture(params=FROZEN)
def frozen(request, model_params):
    """The section `model` with a frozen backbone."""
    settings = {**model_params.settings, request.param: FROZEN[request.param]}
    return dataclasses.replace(model_params, backbone=request.param, settings=settings)


def work_of(model, bags, **params) -> EncodeWork:
    backbone = model.network.backbone
    shapes = backbone.fixed_shapes(64)
    encoder = encoder_of(backbone, "x", 64)
    return EncodeWork(backbone, encoder, shapes, bags.manifest, EncodeImagesParams(**params), 64, bags.root, CPU)


def stored(model, bags, path, **params):
    """The bags with stored features in place of images; the model is told."""
    work = work_of(model, bags, **params)
    rows = [row for batch in work.batches(0, len(bags)) for row in work.run(batch, work.load(batch))]
    values = concatenate_arrays(rows, work.empty)[FEATURES]
    images = bags.manifest.images
    write_features(path, Column.of(values), images=images, encoder=work.encoder, shapes=work.shapes)
    model.network.backbone.stored_shapes = work.shapes
    changed = object.__new__(type(bags))
    vars(changed).update(vars(bags))
    changed.features = open_features(path, images=images, encoder=work.encoder, remedy="")
    return changed


def trained(model, vocabulary, bags, params, work):
    log = train(model, vocabulary, bags, TrainingRun(params, "x", work, CPU, lambda losses: None))
    return log, model.network.state_dict()


@pytest.mark.parametrize("workers", [0, 1])
def test_training_from_float32_is_training_from_images_to_the_bit(
    tmp_path, vocabulary, frozen, small_visual, bags, params, seed, workers
):
    """Batches of one image: the same kernels run on the same values."""
    params = dataclasses.replace(params, batch_size=1, num_workers=workers)
    first, second = (small_model(vocabulary, chosen(frozen, backbone=frozen.backbone), small_visual) for _ in range(2))
    log, state = trained(first, vocabulary, bags, params, tmp_path / "images")
    from_features = stored(second, bags, tmp_path / "f.zarr", dtype="float32", batch_size=1)
    for image in bags.manifest.images:
        (bags.root / "images" / image.path).unlink()  # nothing opens one
    other_log, other = trained(second, vocabulary, from_features, params, tmp_path / "features")
    assert log.rows and log.text() == other_log.text()
    assert all(torch.equal(value, other[name]) for name, value in state.items())


def test_training_from_float16_is_close(tmp_path, vocabulary, frozen, small_visual, bags, params):
    models = [small_model(vocabulary, chosen(frozen, backbone=frozen.backbone), small_visual) for _ in range(2)]
    log, _ = trained(models[0], vocabulary, bags, params, tmp_path / "images")
    from_features = stored(models[1], bags, tmp_path / "f.zarr", batch_size=3)
    other, _ = trained(models[1], vocabulary, from_features, params, tmp_path / "features")
    assert len(log.rows) == 4
    one, two = (np.array([row.split(",") for row in each.rows], np.float64) for each in (log, other))
    np.testing.assert_allclose(one, two, rtol=0.05)
    assert not np.array_equal(one, two)


@pytest.mark.parametrize("method", WITHOUT_TEACHER)
def test_every_method_reads_stored_features(tmp_path, vocabulary, frozen, small_visual, bags, method):
    if method_class(method)(method_class(method).Params()).needs_class_probabilities:
        bags.class_probabilities = True
    model = small_model(vocabulary, chosen(frozen, method=method, backbone=frozen.backbone), small_visual)
    from_features = stored(model, bags, tmp_path / "f.zarr", dtype="float32", batch_size=3)
    images, features = (collate_bags([each[row] for row in range(len(each))]) for each in (bags, from_features))
    assert features.images.shape == (len(COUNTS), 3, 0, 0) and images.features.shape == (len(COUNTS), 0, 0)
    flipped = torch.arange(len(COUNTS)) % 2 == 0
    for change in (lambda batch: batch, lambda batch: flip_batch(batch, flipped)):
        _, expected = run(model, vocabulary, change(images))
        _, found = run(model, vocabulary, change(features))
        for column in model.method.columns:
            torch.testing.assert_close(found[column.name], expected[column.name], atol=1e-3, rtol=1e-3)


def test_the_mirror_image_is_another(tmp_path, vocabulary, frozen, small_visual, bags):
    model = small_model(vocabulary, frozen, small_visual)
    values = stored(model, bags, tmp_path / "f.zarr").features.image(0)
    assert values.shape[0] == 2 and not np.array_equal(values[0], values[1])
    assert stored(model, bags, tmp_path / "g.zarr", mirrored=False).features.image(0).shape[0] == 1


def test_a_value_that_float16_cannot_hold_is_refused(tmp_path, vocabulary, frozen, small_visual, bags):
    model = small_model(vocabulary, frozen, small_visual)
    work = work_of(model, bags)
    for parameter in work.backbone.parameters():
        parameter.data *= 1e6
    with pytest.raises(DataError, match='from "image 0" on have values that float16 cannot hold; set encode_images'):
        work.run(range(2), work.load(range(2)))


@pytest.mark.parametrize(
    ("backbone", "settings", "part"),
    [
        ("clip_vit", {}, "set model.clip_vit.trained_blocks to 0 and lora_rank to 0"),
        ("clip_vit", {"trained_blocks": 1}, "set model.clip_vit.trained_blocks to 0 and lora_rank to 0"),
        ("clip_vit", {"trained_blocks": 0, "lora_rank": 2}, "trained_blocks to 0 and lora_rank to 0"),
        ("clip_resnet", {}, "set model.clip_resnet.trained to pool or none"),
        ("detector_fpn", {}, "DetectorFpn has no features that can be stored; take another one, e.g. clip_vit"),
    ],
)
def test_a_trained_encoder_is_refused(vocabulary, model_params, small_visual, backbone, settings, part):
    changed = dataclasses.replace(model_params, backbone=backbone, settings={backbone: settings})
    model = small_model(vocabulary, changed, small_visual)
    with pytest.raises(ParamError, match=part):
        model.network.backbone.fixed_shapes(64)


def test_weights_that_come_after_what_is_stored_may_be_trained(vocabulary, model_params, small_visual):
    """As a learned projection is; a gradient reaches it through stored features."""
    changed = dataclasses.replace(model_params, backbone="clip_vit", settings={"clip_vit": {"trained_blocks": 0}})
    backbone = small_model(vocabulary, changed, small_visual).network.backbone
    backbone.visual.proj.requires_grad_(True)
    assert backbone.fixed_shapes(64) == ((17, 16),)
    backbone.joined(backbone.encoded(torch.randn(2, 3, 64, 64))).regions.sum().backward()
    assert backbone.visual.proj.grad is not None


def test_what_makes_features_is_named_whole(vocabulary, frozen, small_visual):
    """Another weight, setting or size is another encoder; how the pool is trained is not."""

    def encoder(seed=7, size=64, **settings):
        own = {**frozen.settings[frozen.backbone], **settings}
        changed = dataclasses.replace(frozen, settings={**frozen.settings, frozen.backbone: own})
        model = small_model(vocabulary, changed, small_visual, seed=seed)
        return encoder_of(model.network.backbone, frozen.backbone, size)

    assert encoder() == encoder()
    others = [encoder(size=96), encoder(pretrained=False)]
    others.append(encoder(regions="values") if frozen.backbone == "clip_vit" else encoder(last_stride=32))
    assert all(other != encoder() for other in others)
    if frozen.backbone == "clip_resnet":
        assert encoder(trained="none") == encoder()


def test_what_is_trained_of_a_resnet(vocabulary, model_params, small_visual):
    def rooms(trained):
        changed = dataclasses.replace(model_params, settings={"clip_resnet": {"trained": trained}})
        backbone = small_model(vocabulary, changed, small_visual).network.backbone
        return {name.partition(".")[0] for name, value in backbone.named_parameters() if value.requires_grad}

    assert rooms("all") == {"trunk", "attnpool"}
    assert rooms("pool") == {"attnpool"}
    assert rooms("none") == set()
