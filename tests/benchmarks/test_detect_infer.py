import json

import pytest
from click.testing import CliRunner

from benchmarks.detect_infer import Transform, command, image_sizes, padded_share, padding
from pipeline.config.params import load_params
from pipeline.detection.params import DetectParams
from tests.conftest import ROOT

WIDE, TALL = (800, 800), (1600, 800)  # resized to 800 x 800 and 1333 x 666, padded to 800 x 800 and 1344 x 672


def test_padding_by_hand():
    model = Transform()
    assert padded_share(model, [[WIDE], [WIDE, WIDE]]) == 0
    assert padded_share(model, [[TALL]]) == pytest.approx(1 - 1333 * 666 / (1344 * 672))
    together = 1 - (800 * 800 + 1333 * 666) / (2 * 1344 * 800)
    assert padded_share(model, [[WIDE, TALL]]) == pytest.approx(together)


def test_grouping_wastes_less_than_the_order_that_images_have():
    params = load_params(ROOT / "params.yaml", "hicodet")[DetectParams]
    wasted = padding([WIDE, TALL] * 16, params)
    assert wasted["grouped"] == pytest.approx(1 - (640_000 + 1333 * 666) / (640_000 + 1344 * 672))
    assert wasted["in_order"] > 0.25
    assert wasted["images_per_batch"] == 8


def test_drawn_sizes_are_photos_and_follow_the_seed():
    sizes = image_sizes(None, 500, 3)
    assert sizes == image_sizes(None, 500, 3) != image_sizes(None, 500, 4)
    assert all(max(size) == 640 and min(size) >= 300 for size in sizes)
    assert 100 < sum(height > width for width, height in sizes) < 200


def test_figures_are_written_with_the_sizes_of_an_annotation_file(measured, tmp_path):
    sizes = tmp_path / "sizes.json"
    sizes.write_text(json.dumps({"size": [[640, 480], [480, 640], [640, 478]]}))
    _, figures = measured(command, "--images=5", "--runs=1", "--annotations", str(sizes))
    for stage in ("detect", "infer"):
        found = figures[stage]
        assert found["ratio"] == pytest.approx(found["seconds"] / found["bare_forward_seconds"])
        assert found["images"] == 5
        assert found["computing_thread_ratio"] > 0.5
    assert figures["ratio"] == max(figures["detect"]["ratio"], figures["infer"]["ratio"]) > 0.5
    assert figures["padding"]["images"] == 3
    assert figures["padding"]["grouped"] < figures["padding"]["in_order"]


def test_a_file_without_sizes_is_refused(tmp_path):
    (tmp_path / "other.json").write_text("{}")
    result = CliRunner().invoke(command, ["--annotations", str(tmp_path / "other.json")])
    assert result.exit_code == 2
    assert "no list `size`" in result.output
