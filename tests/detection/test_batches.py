import copy
import dataclasses

import numpy as np
import pytest
import torch
from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn, ssdlite320_mobilenet_v3_large

from pipeline.config.params import load_params
from pipeline.core.types import ImageLabels, ImageRecord
from pipeline.data.split import SplitManifest
from pipeline.detection.batches import batches_of_one_size, padded_size, resized_size
from pipeline.detection.detectors import Detector, load_detector
from pipeline.detection.params import DetectParams
from pipeline.detection.proposals import DetectWork, detect_tensors
from pipeline.detection.small_fasterrcnn import small_fasterrcnn
from pipeline.store.files import sha256_of
from pipeline.toyworld.scenes import render_scene
from pipeline.toyworld.vocabulary import toyworld_vocabulary
from tests.conftest import ROOT

PHOTOS = [(640, 480), (480, 640), (640, 427), (500, 333), (333, 500), (1000, 90), (33, 64), (640, 640)]
SIZES = [(160, 160), (160, 118), (118, 160), (160, 126), (150, 150), (160, 90)]  # of 4 padded sizes
TOLERANCE = {"boxes": 0.02, "scores": 1e-4}  # pixels; batches of other sizes sum in another order


@pytest.fixture(scope="module")
def mobilenet():
    return fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None).eval()


@pytest.fixture(scope="module")
def ssd():  # resizes every image to one size
    return ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None).eval()


@pytest.fixture(scope="module")
def small():
    return small_fasterrcnn(3).eval()


@pytest.mark.parametrize("size", PHOTOS)
@pytest.mark.parametrize("name", ["mobilenet", "small", "ssd"])
def test_sizes_are_those_of_torchvisions_own_transform(name, size, request):
    model = request.getfixturevalue(name)
    images, _ = model.transform([torch.zeros(3, size[1], size[0])])
    assert images.image_sizes == [resized_size(model, size)[::-1]]
    assert images.tensors.shape[2:] == padded_size(model, size)[::-1]


def test_a_detector_without_that_transform_takes_images_as_they_are():
    assert batches_of_one_size(torch.nn.Identity(), [(64, 48), (48, 64), (64, 48)], 8) == [[0, 2], [1]]


def test_images_of_one_padded_size_share_batches_in_their_order(mobilenet):
    sizes = [(640, 480), (480, 640), (640, 478), (320, 240), (480, 640), (640, 481)]
    assert {padded_size(mobilenet, sizes[row]) for row in (0, 2, 3, 5)} == {(448, 320)}
    assert batches_of_one_size(mobilenet, sizes, 3) == [[0, 2, 3], [5], [1, 4]]
    assert batches_of_one_size(mobilenet, sizes, 1) == [[0], [2], [3], [5], [1], [4]]
    assert batches_of_one_size(mobilenet, [(64, 64)] * 5, 2) == [[0, 1], [2, 3], [4]]
    assert batches_of_one_size(mobilenet, [], 3) == []


PARAMS = load_params(ROOT / "params.yaml", "toyworld")[DetectParams]


@pytest.fixture(scope="module")
def detector() -> Detector:
    return load_detector(PARAMS, root=ROOT)


@pytest.fixture(scope="module")
def work(detector, tmp_path_factory, seed) -> DetectWork:
    """Toyworld scenes, cropped to several sizes in turns."""
    root, vocabulary = tmp_path_factory.mktemp("mixed"), toyworld_vocabulary()
    records, labels = [], []
    for index in range(18):
        scene = render_scene("test", index, root_seed=5 + seed, exponent=0.4)
        image = scene.image.crop((0, 0, *SIZES[index % len(SIZES)]))
        path = root / f"{index}.png"
        image.save(path)
        records.append(ImageRecord(str(index), path.name, *image.size, sha256_of(path)))
        labels.append(ImageLabels(str(index), np.array([0])))
    manifest = SplitManifest("mixed", "test", ".", tuple(records), tuple(labels))
    return DetectWork(detector, manifest, vocabulary, PARAMS, root, torch.device("cpu"))


def detected(work: DetectWork, batches) -> list[dict]:
    found = {}
    for images in batches:
        found.update(zip(images, work.run(images, work.load(images)), strict=True))
    return [found[index] for index in range(work.num_images)]


def assert_same(found, expected, factor=1):
    for one, other in zip(found, expected, strict=True):
        assert one["object_ids"].tolist() == other["object_ids"].tolist()
        for name, tolerance in TOLERANCE.items():
            np.testing.assert_allclose(one[name], other[name], rtol=0, atol=factor * tolerance)


@pytest.mark.parametrize("batch_size", [3, 8])
def test_proposals_do_not_depend_on_the_batch(work, batch_size):
    alone = detected(work, [[index] for index in range(18)])
    assert sum(len(image["scores"]) for image in alone) > 50
    batches = dataclasses.replace(work, params=dataclasses.replace(work.params, batch_size=batch_size)).batches(0, 18)
    assert len(batches) < 12
    shuffled = [np.random.default_rng(0).permutation(images).tolist() for images in reversed(batches)]
    for found in (detected(work, batches), detected(work, shuffled)):
        assert_same(found, alone)


def test_batches_of_mixed_sizes_would_move_them(work):
    """What the grouping is for: the same images, padded to the largest of their batch."""
    alone = detected(work, [[index] for index in range(18)])
    mixed = detected(work, [list(range(low, low + 6)) for low in (0, 6, 12)])
    with pytest.raises(AssertionError):
        assert_same(mixed, alone, 10)


def test_tensors_of_bytes_are_detected_as_those_of_floats(work):
    """What CUDA is handed: uint8, scaled on the device."""
    floats = work.load([3])
    device = torch.device("cpu")
    one = detect_tensors(work.detector, floats, work.mapping, device)[0]
    other = detect_tensors(work.detector, [(floats[0] * 255).round().to(torch.uint8)], work.mapping, device)[0]
    assert len(one) > 0
    np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-3)
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_finds_what_the_cpu_finds(work):
    images = work.batches(0, 18)[0]
    expected = work.run(images, work.load(images))
    device = torch.device("cuda")
    moved = dataclasses.replace(work, device=device)
    moved.detector.model.to(device)
    try:
        found = moved.run(images, moved.load(images))
    finally:
        moved.detector.model.to("cpu")
    assert_same(found, expected, 10)


def test_detections_on_a_gpu_equal_the_cpus(detector, device):
    scenes = [render_scene("test", index, root_seed=3, exponent=1.0) for index in range(4)]
    images = [torch.from_numpy(np.array(scene.image)).permute(2, 0, 1) / 255 for scene in scenes]
    expected = detector.detect(images)
    twin = copy.deepcopy(detector.model).to(device)
    with torch.inference_mode():
        found = twin([image.to(device) for image in images])
    assert sum(len(one["boxes"]) for one in expected) > 8
    for mine, theirs in zip(found, expected, strict=True):
        assert mine["labels"].tolist() == theirs["labels"].tolist()
        torch.testing.assert_close(mine["boxes"].cpu(), theirs["boxes"], rtol=0, atol=0.05)
        torch.testing.assert_close(mine["scores"].cpu(), theirs["scores"], rtol=0, atol=1e-3)
