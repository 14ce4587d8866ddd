import json

import numpy as np
from click.testing import CliRunner

from benchmarks.detection_sets import load_truth, plausible_detections
from benchmarks.evaluator import command
from pipeline.evaluation.detections_file import check_hicodet_detections


def test_figures_are_written(tmp_path):
    result = CliRunner().invoke(command, ["--rows", "2000", "--runs", "1", "--json", str(tmp_path / "b.json")])
    assert result.exit_code == 0, result.output
    figures = json.loads((tmp_path / "b.json").read_text())
    assert figures["ratio"] >= figures["floor_ratio"] > 0
    assert figures["memory_ratio"] > 0
    assert set(figures["settings"]) == {"default", "known_object", "explanation_hoi"}
    assert figures["triplets"] == 2000


def test_detections_are_legal_and_in_image_order():
    rng = np.random.default_rng(1)
    world = load_truth(None, rng)
    found = plausible_detections(world, 3000, rng)
    check_hicodet_detections(found, world.sizes, len(world.rare), "benchmark")
    assert (np.diff(found.image_index) >= 0).all()
