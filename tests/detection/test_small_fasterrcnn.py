import json

import pytest
import torch
from safetensors import safe_open

from pipeline.detection.small_fasterrcnn import save_small_fasterrcnn, small_fasterrcnn


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return small_fasterrcnn(10).eval()


def test_it_is_small(model):
    assert 0.5e6 < sum(weight.numel() for weight in model.parameters()) < 0.6e6


def test_pyramid_strides(model):
    levels = model.backbone(torch.zeros(1, 3, 160, 160))
    assert [tuple(level.shape[1:]) for level in levels.values()] == [(48, 20, 20), (48, 10, 10), (48, 5, 5)]


def test_output_is_torchvisions_and_inside_the_image(model):
    low = small_fasterrcnn(10, score_threshold=0.0, detections_per_image=7).eval()
    low.load_state_dict(model.state_dict())
    with torch.inference_mode():
        first, second = low([torch.rand(3, 160, 160), torch.rand(3, 90, 120)])
    for output, (height, width) in ((first, (160, 160)), (second, (90, 120))):
        assert output["boxes"].shape == (7, 4) and output["labels"].min() >= 1
        assert output["boxes"].min() >= 0
        assert output["boxes"][:, 2].max() <= width and output["boxes"][:, 3].max() <= height


def test_nothing_above_the_threshold_is_empty(model):
    strict = small_fasterrcnn(10, score_threshold=1.0).eval()
    with torch.inference_mode():
        output = strict([torch.zeros(3, 160, 160)])[0]
    assert output["boxes"].shape == (0, 4) and output["scores"].shape == (0,)


def test_an_image_without_objects_can_be_trained_on():
    model = small_fasterrcnn(3).train()
    targets = [{"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}]
    losses = model([torch.rand(3, 160, 160)], targets)
    assert all(torch.isfinite(loss) for loss in losses.values())


def test_saved_file_builds_the_same_model(model, tmp_path):
    path = tmp_path / "d.safetensors"
    names = ["__background__", *"abcdefghi"]
    save_small_fasterrcnn(path, model, config={"image_size": 160}, categories=names, training_set="noise")
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert metadata["architecture"] == "small_fasterrcnn" and metadata["training_set"] == "noise"
    rebuilt = small_fasterrcnn(len(json.loads(metadata["categories"])), **json.loads(metadata["config"])).eval()
    rebuilt.load_state_dict(state)
    image = [torch.rand(3, 160, 160)]
    with torch.inference_mode():
        torch.testing.assert_close(rebuilt(image), model(image))
    assert [p.name for p in tmp_path.iterdir()] == ["d.safetensors"]
