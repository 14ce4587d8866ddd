import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

import pipeline.toyworld
from pipeline.core.types import Proposals
from pipeline.detection.small_fasterrcnn import small_fasterrcnn
from pipeline.toyworld.detector_recipe import DetectorRecipe, detect_scenes, detection_target, train_detector
from pipeline.toyworld.quality import detection_ap50, pair_recall, pairs_per_image
from pipeline.toyworld.scenes import Scene, render_scene
from pipeline.toyworld.vocabulary import OBJECTS

WEIGHTS = Path(pipeline.toyworld.__file__).parent / "weights" / "detector.safetensors"


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    # indices that the recipe's own quality figures do not use
    return [render_scene("detector_quality", index, root_seed=0, exponent=0.4) for index in range(10_000, 10_060)]


def oracle(scene: Scene) -> Proposals:
    return Proposals(scene.boxes, np.ones(len(scene.boxes), np.float32), scene.object_ids)


def test_oracle_is_perfect_and_nothing_is_zero(scenes):
    perfect, nothing = [oracle(scene) for scene in scenes], [Proposals.empty() for _ in scenes]
    assert detection_ap50(perfect, scenes, len(OBJECTS)) == 1.0
    assert pair_recall(perfect, scenes, 0.5) == 1.0
    assert pair_recall(perfect, scenes, 1.5) == 0.0
    assert detection_ap50(nothing, scenes, len(OBJECTS)) == pair_recall(nothing, scenes, 0.1) == 0.0
    assert pairs_per_image(nothing, 0, 0.1) == 0.0


def test_duplicates_and_wrong_categories_cost_precision(scenes):
    doubled = [Proposals(p.boxes.repeat(2, 0), p.scores.repeat(2), p.object_ids.repeat(2)) for p in map(oracle, scenes)]
    wrong = [Proposals(p.boxes, p.scores, (p.object_ids + 1) % len(OBJECTS)) for p in map(oracle, scenes)]
    assert detection_ap50(doubled, scenes, len(OBJECTS)) < 0.8
    assert detection_ap50(wrong, scenes, len(OBJECTS)) < 0.1


def test_targets_leave_label_zero_to_the_background(scenes):
    target = detection_target(scenes[0])
    assert target["labels"].min() >= 1
    assert torch.equal(target["labels"], torch.from_numpy(scenes[0].object_ids) + 1)


def test_training_is_deterministic():
    recipe = DetectorRecipe(num_images=8, batch_size=4, epochs=1)
    states = []
    for _ in range(2):
        torch.manual_seed(0)
        states.append(train_detector(small_fasterrcnn(10), recipe).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_shipped_detector_finds_the_pairs(scenes):
    manifest = json.loads(WEIGHTS.with_suffix(".json").read_text())
    assert manifest["recipe"] == vars(DetectorRecipe())
    with safe_open(WEIGHTS, framework="pt") as file:
        metadata = file.metadata()
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert tuple(json.loads(metadata["categories"])) == ("__background__", *OBJECTS)
    model = small_fasterrcnn(1 + len(OBJECTS), **json.loads(metadata["config"]))
    model.load_state_dict(state)
    found = detect_scenes(model, scenes)
    assert detection_ap50(found, scenes, len(OBJECTS)) > 0.88
    assert pair_recall(found, scenes, 0.15) > 0.85
