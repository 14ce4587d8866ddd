import numpy as np

from benchmarks import real_sizes
from benchmarks.dump import random_dump
from pipeline.evaluation.fusion import fuse
from pipeline.store.dump import write_dump
from tests.evaluation.test_fusion import WHOLE


def test_the_truth_is_found_among_the_detections(tmp_path):
    dump = random_dump(5, np.random.default_rng(0))
    truth = real_sizes.truth_of(dump, np.random.default_rng(0))
    assert len(truth) == 20 and truth.num_images == 5
    write_dump(tmp_path / "x.zarr", **vars(dump))
    row = real_sizes.prepare_evaluation(tmp_path / "x.zarr", truth)()
    assert row.metrics["counts"]["detections"] == len(fuse(dump, WHOLE))
    assert row.metrics["counts"]["ground_truth_pairs"] == 20
    assert np.nanmax(row.result.max_recall) == 1  # boxes are the detections' own


def test_a_manifest_of_so_many_images(tmp_path, peak_in_this_process, monkeypatch):
    monkeypatch.setattr(real_sizes, "peak_resident_bytes", peak_in_this_process)
    vocabulary = random_dump(0, np.random.default_rng(0)).vocabulary
    figures = real_sizes.measure_manifest(tmp_path, 7)
    assert figures["bytes_per_image"] * 7 == (tmp_path / "train.json").stat().st_size
    assert len(real_sizes.prepare_reading(tmp_path / "train.json", vocabulary)()) == 7
