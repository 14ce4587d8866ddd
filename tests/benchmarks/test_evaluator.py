import numpy as np

from benchmarks.detection_sets import hardest_detections, load_truth, plausible_detections
from benchmarks.evaluator import command
from pipeline.evaluation.detections_file import check_hicodet_detections
from pipeline.evaluation.hicodet import SETTINGS
from tests.truth.real_ground_truth import real_ground_truth


def test_figures_are_written(measured):
    _, figures = measured(command, "--rows=2000", "--runs=1")
    assert figures["ratio"] >= figures["floor_ratio"] > 0
    assert figures["memory_ratio"] > 0
    assert set(figures["settings"]) == set(SETTINGS)
    assert figures["triplets"] == 2000
    assert "hardest" not in figures


def test_the_whole_command_is_measured_where_there_are_annotations(measured):
    annotations = real_ground_truth("hicodet", "instances_test2015.json")
    printed, figures = measured(command, "--rows=2000", "--runs=1", f"--annotations={annotations}")
    assert figures["command"] > 0
    assert "whole command" in printed


def test_the_hardest_case_is_measured_beside_the_others(measured):
    printed, figures = measured(command, "--rows=2000", "--runs=1", "--hardest")
    assert figures["hardest"]["ratio"] >= figures["hardest"]["floor_ratio"] > 0
    assert figures["hardest"]["full"] > figures["full"]
    assert "hardest" in printed


def test_detections_are_legal_and_in_image_order():
    rng = np.random.default_rng(1)
    world = load_truth(None, rng)
    found = plausible_detections(world, 3000, rng)
    check_hicodet_detections(found, world.sizes, len(world.rare), "benchmark")
    assert (np.diff(found.image_index) >= 0).all()


def test_the_hardest_all_have_something_to_match():
    rng = np.random.default_rng(1)
    world = load_truth(None, rng)
    found = hardest_detections(world, 3000, rng)
    check_hicodet_detections(found, world.sizes, len(world.rare), "benchmark")
    shown = set(zip(world.truth.image_index.tolist(), world.truth.hoi_id.tolist(), strict=True))
    assert set(zip(found.image_index.tolist(), found.hoi_id.tolist(), strict=True)) <= shown
    assert (np.diff(found.image_index) < 0).any()
