import importlib

import numpy as np
import pytest

from benchmarks import growth
from pipeline.core.params import load_params, load_run_variants
from pipeline.store.proposals_file import SplitProposals


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_exponent_leaves_out_what_does_not_grow(power):
    sizes = [50, 200, 800]
    assert growth.exponent(sizes, [7 + 0.1 * size**power for size in sizes]) == pytest.approx(power)
    assert np.isnan(growth.exponent(sizes, [7, 7, 8]))
    assert growth.exponent(sizes, [7, 8, 9]) == pytest.approx(0)


def test_repeated_objects_make_as_many_times_the_pairs():
    """One person with three objects, an image without any, two people with one."""
    proposals = SplitProposals(
        image_ids=("a", "b", "c"),
        objects=("person", "cup"),
        detector="x",
        offsets=np.array([0, 4, 4, 7]),
        boxes=np.arange(28, dtype=np.float32).reshape(7, 4),
        scores=np.linspace(0.9, 0.3, 7).astype(np.float32),
        object_ids=np.array([1, 0, 1, 1, 0, 1, 0]),
    )
    more = growth.repeat_objects(proposals, 2, human_object_id=0)
    assert more.offsets.tolist() == [0, 7, 7, 11]
    assert more.object_ids.tolist() == [1, 1, 0, 1, 1, 1, 1, 0, 1, 1, 0]
    np.testing.assert_array_equal(more.boxes[1] - more.boxes[0], [1, 0, 1, 0])
    assert (np.diff(more.scores[:7]) <= 0).all()  # still by falling score
    same = growth.repeat_objects(proposals, 1, human_object_id=0)
    np.testing.assert_array_equal(same.boxes, proposals.boxes)


def test_a_scratch_root_is_of_the_size_asked_for_and_its_stages_are_commands(tmp_path):
    layout = growth.write_root(tmp_path, 9)
    params = load_params(layout.params, "toyworld", "ours")
    assert params.prepare.num_images == {"train": 9, "val": 1, "test": 9}
    assert load_run_variants(layout.params) == ("ours",)
    assert params.detect.weights is not None and (tmp_path / params.detect.weights).is_file()
    for module, *arguments in growth.STAGES.values():
        command = importlib.import_module(f"stages.{module}").command
        command.make_context(module, [*arguments, "--root", str(tmp_path)]).close()


def test_a_stage_that_fails_is_told_by_its_last_line(tmp_path):
    growth.write_root(tmp_path, 4)
    with pytest.raises(growth.click.ClickException, match="vocabulary"):
        growth.run_stage("evaluate", tmp_path)


def test_drawing(tmp_path):
    cost = [growth.Cost(1.0, 2.0, 300), growth.Cost(2.0, 4.0, 300), growth.Cost(6.0, 8.0, 360)]
    figures = growth.summary([1, 4, 16], {"train": cost})
    assert figures["train"]["exponent"] == pytest.approx(1)
    assert figures["train"]["memory_growth"] == pytest.approx(1.2)
    growth.draw(tmp_path / "plots/growth.png", {"images": ([1, 4, 16], figures)})
    assert (tmp_path / "plots/growth.png").read_bytes().startswith(b"\x89PNG")
