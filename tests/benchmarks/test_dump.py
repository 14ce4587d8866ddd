import numpy as np
import pytest

from benchmarks import dump
from pipeline.store.dump import read_dump, write_dump


def test_a_random_dump_has_hicodets_sizes_and_survives_the_file(tmp_path):
    made = dump.random_dump(3, np.random.default_rng(0))
    assert (made.outputs["image_logits"].shape, made.outputs["interaction_logits"].shape) == ((3, 600), (342, 117))
    assert (made.vocabulary.num_hois, made.vocabulary.num_objects) == (600, 80)
    write_dump(tmp_path / "x.zarr", **vars(made))
    found = read_dump(tmp_path / "x.zarr").outputs
    for name in ("image_logits", "interaction_logits", "relatedness_logits"):
        np.testing.assert_array_equal(found[name], made.outputs[name])


def test_figures(measured, tmp_path):
    _, figures = measured(dump.command, "--images=3", "--runs=1")
    values = 3 * 600 + 3 * 20 * 6 + 2 * 4 + 3 * 114 * (117 + 1 + 2)
    assert figures["float32_bytes_per_image"] * 3 == 4 * values
    assert figures["ratio"] == pytest.approx(figures["float32_bytes_per_image"] / figures["bytes_per_image"])
    for name in ("write", "read", "read by ranges"):
        assert figures[name]["mb_per_second"] > 0
    given = tmp_path / "given.zarr"
    write_dump(given, **vars(dump.random_dump(2, np.random.default_rng(1))))
    assert measured(dump.command, "--dump", str(given), "--runs=1")[0].startswith("2 images")
