import argparse
import dataclasses
import json
import shutil
from urllib.error import URLError

import pytest
import torch
from torchvision.models import get_model_builder

from pipeline.core.errors import WeightsError
from pipeline.detection.detectors import build_architecture, configure_thresholds, detector_files, load_detector
from pipeline.detection.params import DetectParams
from pipeline.detection.small_fasterrcnn import save_small_fasterrcnn, small_fasterrcnn
from pipeline.store.files import sha256_of
from tests.other_files import OTHER_FILES

SSDLITE = "ssdlite320_mobilenet_v3_large"
CATEGORIES = ("__background__", "person", "cup")


@pytest.fixture
def params(toyworld_params):
    return dataclasses.replace(
        toyworld_params[DetectParams], score_threshold=0.0, nms_threshold=0.9, max_per_image=5, weights="w.safetensors"
    )


@pytest.fixture
def small(tmp_path):
    torch.manual_seed(0)
    model = small_fasterrcnn(3, image_size=64)
    path = tmp_path / "w.safetensors"
    save_small_fasterrcnn(path, model, config={"image_size": 64}, categories=CATEGORIES, training_set="none")
    return path


@pytest.fixture(scope="module")
def ssdlite(tmp_path_factory):
    """Random weights of torchvision's smallest detector, as a file."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "ssdlite.pt"
    model = get_model_builder(SSDLITE)(weights=None, weights_backbone=None, num_classes=91)
    torch.save(model.state_dict(), path)
    return path


def assert_refused(params, root, *parts):
    with pytest.raises(WeightsError) as caught:
        load_detector(params, root=root)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_small_detector_is_frozen_and_as_saved(params, small, tmp_path):
    detector = load_detector(params, root=tmp_path)
    assert (detector.categories, detector.digest) == (CATEGORIES, sha256_of(small))
    assert not detector.model.training
    assert not any(weight.requires_grad for weight in detector.model.parameters())
    found = detector.detect([torch.rand(3, 64, 64), torch.rand(3, 40, 64)])
    assert [len(image["scores"]) for image in found] == [5, 5]
    assert all((image["scores"].diff() <= 0).all() for image in found)


@pytest.mark.parametrize(
    "name",
    ["fasterrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn_v2", "retinanet_resnet50_fpn", "fcos_resnet50_fpn", SSDLITE],
)
def test_thresholds_are_set_where_the_architecture_keeps_them(params, name):
    with torch.device("meta"):
        model = get_model_builder(name)(weights=None, weights_backbone=None, num_classes=91)
    owner = model.roi_heads if name.startswith("fasterrcnn") else model
    names = ("score_thresh", "nms_thresh", "detections_per_img")
    assert all(hasattr(owner, key) for key in names)  # else torchvision has renamed them
    configure_thresholds(model, params)
    assert [getattr(owner, key) for key in names] == [0.0, 0.9, 5]


def test_local_weights_of_a_torchvision_builder(params, ssdlite):
    changed = dataclasses.replace(params, detector=SSDLITE, weights=ssdlite.name)
    detector = load_detector(changed, root=ssdlite.parent)
    assert detector.categories[:2] == ("__background__", "person")
    assert detector.digest == sha256_of(ssdlite)
    image = torch.rand(3, 64, 64)
    assert len(detector.detect([image])[0]["scores"]) == 5
    configure_thresholds(detector.model, dataclasses.replace(changed, score_threshold=1.0))
    assert len(detector.detect([image])[0]["scores"]) == 0


OWN = ("__background__", "person", "cup", "lamp")


@pytest.fixture(scope="module")
def own_state():
    """Random weights of a torchvision detector of four categories."""
    torch.manual_seed(0)
    return get_model_builder(SSDLITE)(weights=None, weights_backbone=None, num_classes=4).state_dict()


@pytest.fixture
def own(params, tmp_path):
    return dataclasses.replace(params, detector=SSDLITE, weights="own.pt"), tmp_path


def name_categories(folder, names=OWN):
    (folder / "own.categories.json").write_text(json.dumps({"categories": names}))


@pytest.mark.parametrize(
    "saved",
    [
        lambda state: state,
        lambda state: {"model": state},
        lambda state: {"model": state, "optimizer": {"lr": 0.1}, "args": argparse.Namespace(lr=0.1), "epoch": 3},
        lambda state: {"epoch": 3, "state_dict": {f"module.{name}": value for name, value in state.items()}},
    ],
    ids=["state dict", "model", "torchvision's script", "several GPUs"],
)
def test_a_detector_of_own_categories(own, own_state, saved):
    params, root = own
    torch.save(saved(own_state), root / "own.pt")
    assert detector_files(params, root=root) == [root / "own.pt"]
    name_categories(root)
    assert detector_files(params, root=root) == [root / "own.pt", root / "own.categories.json"]
    detector = load_detector(params, root=root)
    assert detector.categories == OWN
    assert detector.architecture == {"name": SSDLITE, "num_categories": 4}
    assert build_architecture(detector.architecture).state_dict().keys() == own_state.keys()
    assert all(torch.equal(value, own_state[name]) for name, value in detector.model.state_dict().items())
    (found,) = detector.detect([torch.rand(3, 64, 64)])
    assert len(found["labels"]) == 5
    assert found["labels"].max() < 4


def test_own_categories_without_names_or_with_too_few_are_refused(own, own_state):
    params, root = own
    torch.save(own_state, root / "own.pt")
    where = f'name its 4 in {root / "own.categories.json"}: {{"categories": ['
    assert_refused(params, root, "own.pt has 4 categories", "the published weights have 91", where)
    name_categories(root, OWN[1:])
    assert_refused(params, root, "own.pt has 4 categories", "own.categories.json names 3", where)


def test_unknown_names_get_a_suggestion(params, tmp_path):
    wrong = dataclasses.replace(params, detector="fasterrcnn_resnet50_fnp")
    assert_refused(wrong, tmp_path, 'no detector "fasterrcnn_resnet50_fnp", did you mean "fasterrcnn_resnet50_fpn"?')
    wrong = dataclasses.replace(params, detector="fcos_resnet50_fpn", weights="COCO_V2")
    unknown = '"COCO_V2" is neither a file nor weights of fcos_resnet50_fpn'
    assert_refused(wrong, tmp_path, unknown, 'did you mean "COCO_V1"?')


@pytest.fixture
def published(params, tmp_path, monkeypatch):
    """Params of published weights, and where their file is looked for before it is fetched."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = tmp_path / "hub/checkpoints/ssdlite320_mobilenet_v3_large_coco-a79551df.pth"
    file.parent.mkdir(parents=True)
    return dataclasses.replace(params, detector=SSDLITE, weights="COCO_V1"), file


@pytest.mark.parametrize("error", [URLError("no network"), ConnectionResetError("reset")])
def test_published_weights_without_a_network_say_where_to_put_them(published, tmp_path, monkeypatch, error):
    def offline(*_, **__):
        raise error

    monkeypatch.setattr("torch.hub.download_url_to_file", offline)
    assert_refused(published[0], tmp_path, "neither in", f"{published[1].name} there, or give a path")


def test_damaged_and_other_weights_under_a_published_name_are_refused(published, ssdlite, tmp_path):
    params, file = published
    file.write_bytes(b"PK\x03\x04 truncated")
    assert_refused(params, tmp_path, "coco-a79551df.pth of COCO_V1 is damaged", "fetch it again")
    shutil.copy(ssdlite, file)
    assert_refused(params, tmp_path, "is damaged or another file (sha256 ", "published a79551df); delete it from")


@pytest.mark.parametrize("detector", ["small_fasterrcnn", SSDLITE])
@pytest.mark.parametrize("name", OTHER_FILES)
def test_what_is_no_detector_gets_the_line_that_fits_it(params, tmp_path, name, detector):
    data, what, remedy = OTHER_FILES[name]
    (tmp_path / "w").write_bytes(data)
    wrong = dataclasses.replace(params, detector=detector, weights="w")
    assert_refused(wrong, tmp_path, f"w cannot be read ({what}", f"; {remedy}")


@pytest.mark.parametrize("keep", [0, 1000, -1])
def test_damaged_local_weights_are_one_line(params, ssdlite, tmp_path, keep):
    (tmp_path / "w.pt").write_bytes(ssdlite.read_bytes()[:keep])
    assert_refused(dataclasses.replace(params, detector=SSDLITE, weights="w.pt"), tmp_path, "w.pt cannot be read")


def test_other_files_are_refused(params, ssdlite, small, tmp_path):
    torch.save({"epoch": 3}, tmp_path / "w.pt")
    assert_refused(dataclasses.replace(params, detector=SSDLITE, weights="w.pt"), tmp_path, "expected a state dict")
    torch.save(torch.load(ssdlite, weights_only=True), tmp_path / "w.pt")
    other = dataclasses.replace(params, detector="fcos_resnet50_fpn", weights="w.pt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.detection.detectors.get_model_builder", lambda name: lambda **_: torch.nn.Linear(1, 1))
        assert_refused(other, tmp_path, "is of another architecture")
    small.write_bytes(small.read_bytes()[:-1])
    assert_refused(params, tmp_path, "w.safetensors cannot be read", "stages.toy_detector")
    assert_refused(dataclasses.replace(params, weights="none.safetensors"), tmp_path, "cannot be read")
