"""The toyworld's detector on a GPU against the CPU."""

import copy
from pathlib import Path

import numpy as np
import torch

from pipeline.detection.detectors import load_detector
from pipeline.detection.params import DetectParams
from pipeline.toyworld.scenes import render_scene

ROOT = Path(__file__).parents[2]


def test_detections_equal_the_cpus(toyworld_params, device):
    detector = load_detector(toyworld_params[DetectParams], root=ROOT)
    images = [
        torch.from_numpy(np.array(render_scene("test", index, root_seed=3, exponent=1.0).image)).permute(2, 0, 1) / 255
        for index in range(4)
    ]
    expected = detector.detect(images)
    twin = copy.deepcopy(detector.model).to(device)
    with torch.inference_mode():
        found = twin([image.to(device) for image in images])
    assert sum(len(one["boxes"]) for one in expected) > 8
    for mine, theirs in zip(found, expected, strict=True):
        assert mine["labels"].tolist() == theirs["labels"].tolist()
        torch.testing.assert_close(mine["boxes"].cpu(), theirs["boxes"], rtol=0, atol=0.05)
        torch.testing.assert_close(mine["scores"].cpu(), theirs["scores"], rtol=0, atol=1e-3)
