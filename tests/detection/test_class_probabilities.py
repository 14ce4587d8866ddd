import copy

import pytest
import torch
from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn, retinanet_resnet50_fpn

from pipeline.detection.class_probabilities import _class_probabilities, keep_class_probabilities
from pipeline.detection.small_fasterrcnn import small_fasterrcnn


def small():
    return small_fasterrcnn(6, score_threshold=0.02, detections_per_image=40)


def mobilenet():
    return fasterrcnn_mobilenet_v3_large_320_fpn(
        weights=None, weights_backbone=None, num_classes=6, box_score_thresh=0.05, box_detections_per_img=40
    )


@pytest.fixture(params=[small, mobilenet])
def model(request, seed):
    torch.manual_seed(seed)
    model = request.param().eval()
    # Random classifiers hardly tell regions apart: larger weights give rows that differ.
    torch.nn.init.normal_(model.roi_heads.box_predictor.cls_score.weight, std=0.3)
    torch.nn.init.normal_(model.roi_heads.box_predictor.bbox_pred.weight, std=0.02)
    return model


@pytest.fixture
def images(seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(3, 160, 160, generator=generator), torch.rand(3, 90, 120, generator=generator)]


@torch.inference_mode()
def test_detections_keep_their_bits_and_gain_the_row_that_their_score_is_of(model, images):
    plain = copy.deepcopy(model)(images)
    assert keep_class_probabilities(model)
    found = model(images)
    for ours, theirs in zip(found, plain, strict=True):
        assert len(theirs["scores"]) > 5
        assert all(torch.equal(ours[name], value) for name, value in theirs.items())
        rows = ours["class_probabilities"]
        assert rows.shape == (len(theirs["scores"]), 6)
        assert torch.equal(rows.gather(1, ours["labels"][:, None])[:, 0], ours["scores"])
        torch.testing.assert_close(rows.sum(1), torch.ones(len(rows)))


def test_the_row_is_of_the_region_also_where_scores_are_equal(seed):
    """Boxes that stay where the regions are tell which region a detection is of; all rows give label 1 the same."""
    heads = small().roi_heads.eval()
    corner = torch.arange(12)[:, None] * torch.tensor([10.0, 10])
    regions = torch.cat([corner, corner + 8], 1)
    generator = torch.Generator().manual_seed(seed)
    logits = torch.cat([torch.ones(12, 2), torch.zeros(12, 4)], 1)
    logits[:, 2:] = torch.stack([torch.randperm(4, generator=generator) for _ in range(12)])
    inputs = logits, torch.zeros(12, 24), [regions[:5], regions[5:]], [(200, 200)] * 2
    boxes, scores, labels = heads.postprocess_detections(*inputs)
    found = [{"boxes": b, "scores": s, "labels": n} for b, s, n in zip(boxes, scores, labels, strict=True)]
    for image, rows in enumerate(_class_probabilities(heads, *inputs, found)):
        assert len(rows) > 20 and len(rows.unique(dim=0)) > 3
        region = (boxes[image][:, None, 0] - regions[:, 0]).abs().argmin(1)
        assert torch.equal(rows, logits.softmax(1)[region])


@torch.inference_mode()
def test_nothing_found_and_no_images(model, images):
    keep_class_probabilities(model)
    model.roi_heads.score_thresh = 1.0
    assert [entry["class_probabilities"].shape for entry in model(images)] == [(0, 6), (0, 6)]


def test_training_goes_on_as_before(model, images):
    keep_class_probabilities(model)
    target = {"boxes": torch.tensor([[5.0, 5, 60, 60]]), "labels": torch.tensor([1])}
    assert all(torch.isfinite(loss) for loss in model.train()(images, [target, target]).values())


def test_a_detector_without_box_head_stays_as_it_is():
    model = retinanet_resnet50_fpn(weights=None, weights_backbone=None, num_classes=3)
    assert not keep_class_probabilities(model)
    assert not any(module._forward_hooks for module in model.modules())
